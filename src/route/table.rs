//! The table that finds the route for a request.

use super::{Hosts, PathPattern, Route, canonical_host};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

/// All routes, found by host and path.
///
/// The host decides first: routes that name the request's host are asked, and only if none of them serves the path, those
/// for any host. Within either, an exact path beats prefixes, and the longest prefix wins.
#[derive(Clone, Default)]
pub struct RouteTable {
    routes: Vec<Arc<Route>>,
    /// By canonical host.
    named: HashMap<String, Paths>,
    any: Paths,
}

/// The routes of one host, or of any.
#[derive(Clone, Default)]
struct Paths {
    exact: HashMap<String, Arc<Route>>,
    /// The longest first.
    prefixes: Vec<(String, Arc<Route>)>,
}

impl RouteTable {
    /// A table of these routes. Of two with the same host and path, the first is found.
    #[must_use]
    pub fn new(routes: Vec<Arc<Route>>) -> Self {
        let mut table = Self::default();
        for route in &routes {
            match &route.hosts {
                Hosts::Any => table.any.add(route),
                Hosts::Only(hosts) => {
                    for host in hosts {
                        table.named.entry(canonical_host(host)).or_default().add(route);
                    }
                }
            }
        }
        table.routes = routes;
        table
    }

    /// The route for a request: `host` is its `Host` or authority as written, `path` its raw path.
    #[must_use]
    pub fn find(&self, host: Option<&str>, path: &str) -> Option<&Arc<Route>> {
        // Most tables name no host: they need not make one comparable.
        let host = host.filter(|_| !self.named.is_empty());
        let named = host.and_then(|host| self.named.get(&canonical_host(host)));
        named.and_then(|paths| paths.find(path)).or_else(|| self.any.find(path))
    }

    /// The routes in the order of the configuration.
    #[must_use]
    pub fn routes(&self) -> &[Arc<Route>] {
        &self.routes
    }
}

impl Paths {
    fn add(&mut self, route: &Arc<Route>) {
        match &route.path {
            PathPattern::Exact(path) => {
                if let Entry::Vacant(vacant) = self.exact.entry(path.clone()) {
                    vacant.insert(Arc::clone(route));
                }
            }
            PathPattern::Prefix(prefix) => {
                // Behind all that are as long: the first of two equal ones is found.
                let at = self.prefixes.partition_point(|(held, _)| held.len() >= prefix.len());
                self.prefixes.insert(at, (prefix.clone(), Arc::clone(route)));
            }
        }
    }

    fn find(&self, path: &str) -> Option<&Arc<Route>> {
        let by_prefix = || self.prefixes.iter().find(|(prefix, _)| path.starts_with(prefix.as_str()));
        self.exact.get(path).or_else(|| by_prefix().map(|(_, route)| route))
    }
}

impl fmt::Debug for RouteTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.routes).finish()
    }
}
