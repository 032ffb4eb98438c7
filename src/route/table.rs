//! The table that finds the route of a request.

use super::reading::{is_plain, plain, readings};
use super::target::check_strictly;
use super::wanted::Wanted;
use super::{BadTarget, Hosts, MediaType, Methods, PathPattern, Route, RouteKind, canonical_host};
use http::Method;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// An element of a table: a route, or a route with what is needed to serve it.
pub trait Routed {
    /// The route.
    fn route(&self) -> &Route;
}

impl Routed for Arc<Route> {
    fn route(&self) -> &Route {
        self
    }
}

/// All routes. The host, path, method and `Accept` of a request decide its route.
///
/// The host decides first: the routes that name the request's host are asked, then the routes for any host. Within
/// each of the two groups an exact path beats prefixes, and the longest prefix wins. Of the routes with one path,
/// those with `accept` are asked first, then those with `methods`, then the rest, each in the order of the
/// configuration.
#[derive(Clone)]
pub struct RouteTable<T = Arc<Route>> {
    routes: Vec<T>,
    index: Index,
}

/// Why no route serves a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Misfit {
    /// The path is not allowed: 400.
    Target(BadTarget),
    /// The path is served, but not with this method: 405. These methods go into `Allow`.
    Method(Vec<Method>),
    /// The path is served with this method, but only to requests that accept one of these types: 406.
    Accept(Vec<MediaType>),
    /// No route serves this host and path: 404.
    Path,
}

/// The indices of routes in the list of routes, by host and path.
#[derive(Clone, Default)]
struct Index {
    /// The routes of each host, by its canonical name.
    named: HashMap<String, Paths>,
    any: Paths,
}

/// The routes of one host, or those for any host. The routes of one path are in the order in which they are asked.
#[derive(Clone, Default)]
struct Paths {
    exact: HashMap<String, Vec<usize>>,
    /// Prefixes, the longest first.
    prefixes: Vec<(String, Vec<usize>)>,
}

impl<T: Routed> RouteTable<T> {
    /// A table of these routes. Of two routes that serve the same requests, the first is found.
    #[must_use]
    pub fn new(routes: Vec<T>) -> Self {
        let mut order: Vec<usize> = (0..routes.len()).collect();
        // The sort is stable: routes that are equally specific stay in their order.
        order.sort_by_key(|at| {
            routes.get(*at).map(Routed::route).map(|route| (route.accept.is_none(), route.methods == Methods::Any))
        });
        let mut index = Index::default();
        for at in order {
            let Some(route) = routes.get(at).map(Routed::route) else { continue };
            match &route.hosts {
                Hosts::Any => index.any.add(&route.path, at),
                Hosts::Only(hosts) => {
                    for host in hosts {
                        index.named.entry(canonical_host(host)).or_default().add(&route.path, at);
                    }
                }
            }
        }
        Self { routes, index }
    }

    /// A table that finds another element for the same requests. The result of `convert` must have the same route.
    #[must_use]
    pub fn map<U: Routed>(&self, convert: impl FnMut(&T) -> U) -> RouteTable<U> {
        RouteTable { routes: self.routes.iter().map(convert).collect(), index: self.index.clone() }
    }

    /// The route of a request.
    ///
    /// A path is matched by its plain reading, in which octets that need no encoding are decoded. A path that a lax
    /// server could read as a path of another route is refused, because a client could get around that route with it. A
    /// path with `//`, `\` or a stray `%` may pass on plain proxies only. On a stream route it is refused, because each
    /// stream has a path with only one spelling.
    ///
    /// # Errors
    /// When no route serves the request.
    pub fn find(&self, wanted: &Wanted<'_>) -> Result<&T, Misfit> {
        let paths = self.paths(wanted.host);
        let found = if is_plain(wanted.path) {
            self.look_up(&paths, wanted.path, wanted)
        } else {
            self.look_up_odd(&paths, wanted)
        };
        found.and_then(|at| self.routes.get(at).ok_or(Misfit::Path))
    }

    fn look_up_odd(&self, paths: &[&Paths], wanted: &Wanted<'_>) -> Result<usize, Misfit> {
        let found = self.look_up(paths, &plain(wanted.path), wanted);
        let is_proxy =
            |at: &usize| self.routes.get(*at).is_some_and(|routed| matches!(routed.route().kind, RouteKind::Proxy(_)));
        if !found.as_ref().is_ok_and(is_proxy) {
            check_strictly(wanted.path).map_err(Misfit::Target)?;
        }
        let others = readings(wanted.path).ok_or(Misfit::Target(BadTarget::Ambiguous))?;
        let is_same = |reading: &String| self.look_up(paths, reading, wanted).ok() == found.as_ref().ok().copied();
        if others.iter().all(is_same) { found } else { Err(Misfit::Target(BadTarget::Ambiguous)) }
    }

    /// The index of the route that serves a request if its path is read as `path`.
    fn look_up(&self, paths: &[&Paths], path: &str, wanted: &Wanted<'_>) -> Result<usize, Misfit> {
        let of_path = || paths.iter().flat_map(|paths| paths.of(path));
        let fits = |at: &usize| self.routes.get(*at).is_some_and(|routed| wanted.fits(routed.route()));
        let found = of_path().find(fits);
        found.ok_or_else(|| wanted.misfit(of_path().filter_map(|at| self.routes.get(at)).map(Routed::route)))
    }

    /// The routes that name the host, then those for any host.
    fn paths(&self, host: Option<&str>) -> [&Paths; 2] {
        static NONE: std::sync::LazyLock<Paths> = std::sync::LazyLock::new(Paths::default);
        // Most tables name no host. The host of the request then need not be made canonical.
        let host = host.filter(|_| !self.index.named.is_empty());
        let named = host.and_then(|host| self.index.named.get(&canonical_host(host)));
        [named.unwrap_or(&NONE), &self.index.any]
    }

    /// The routes in the order of the configuration.
    #[must_use]
    pub fn routes(&self) -> &[T] {
        &self.routes
    }
}

impl Paths {
    fn add(&mut self, pattern: &PathPattern, at: usize) {
        match pattern {
            PathPattern::Exact(path) => self.exact.entry(path.clone()).or_default().push(at),
            PathPattern::Prefix(prefix) => match self.prefixes.iter_mut().find(|(held, _)| held == prefix) {
                Some((_, places)) => places.push(at),
                None => {
                    let place = self.prefixes.partition_point(|(held, _)| held.len() >= prefix.len());
                    self.prefixes.insert(place, (prefix.clone(), vec![at]));
                }
            },
        }
    }

    /// The indices of the routes that serve a path, in the order in which they are asked.
    fn of(&self, path: &str) -> impl Iterator<Item = usize> {
        let by_prefix = self.prefixes.iter().filter(move |(prefix, _)| path.starts_with(prefix.as_str()));
        self.exact.get(path).into_iter().chain(by_prefix.map(|(_, places)| places)).flatten().copied()
    }
}

impl<T: Routed> Default for RouteTable<T> {
    fn default() -> Self {
        Self::new(Vec::new())
    }
}

impl<T: Routed> fmt::Debug for RouteTable<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.routes.iter().map(Routed::route)).finish()
    }
}
