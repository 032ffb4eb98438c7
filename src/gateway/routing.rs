//! All routes as one value, which can be replaced as a whole.

use super::served::{Served, StreamRoute};
use crate::config::{Networks, policy_in_words};
use crate::counters::{CountersByRoute, RouteCounters};
use crate::hub::{Mode, RouteId};
use crate::route::{Hosts, Methods, Misfit, Route, RouteTable, Routed, Wanted};
use crate::upstream::DriverSettings;
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::Arc;

/// The routes, found by request and by id.
#[derive(Debug)]
pub struct Routing {
    table: RouteTable<Served>,
    by_id: HashMap<RouteId, Arc<StreamRoute>>,
    /// The proxies that are believed about their clients.
    trusted: Networks,
}

/// The routing in force. All clones of this value see a new routing at once.
#[derive(Debug, Clone)]
pub struct CurrentRouting(Arc<ArcSwap<Routing>>);

/// A route, for those who look at it.
#[derive(Debug, Clone)]
pub struct RouteView {
    /// Its name.
    pub name: Arc<str>,
    /// Its path, with the star of a prefix.
    pub path: String,
    /// The hosts that it serves. `None`: any.
    pub hosts: Option<Vec<String>>,
    /// The methods that it serves. `None`: any.
    pub methods: Option<Vec<String>>,
    /// Its origin.
    pub origin: String,
    /// Whether each client has a stream of its own. `None`: the route is a plain proxy.
    pub is_private: Option<bool>,
    /// Who shares a stream, in words.
    pub policy: String,
    /// Its counters.
    pub counters: Arc<RouteCounters>,
}

/// The ids of routes, by the routes' names. An id is never given to a second name. Streams are found by the id of their
/// route. So two routes never share a stream, even after the configuration has changed.
#[derive(Debug, Default)]
pub struct RouteIds {
    next: u32,
    by_name: HashMap<Arc<str>, RouteId>,
}

impl RouteIds {
    /// The id of the route with this name.
    pub fn of(&mut self, name: &Arc<str>) -> RouteId {
        let next = &mut self.next;
        *self.by_name.entry(Arc::clone(name)).or_insert_with(|| {
            let id = RouteId(*next);
            *next += 1;
            id
        })
    }

    /// Forgets the names of routes that no longer exist. A later route of the same name gets a new id.
    pub fn retain(&mut self, is_served: impl Fn(&str) -> bool) {
        self.by_name.retain(|name, _| is_served(name));
    }
}

impl Routing {
    /// Prepares routes to be served.
    #[must_use]
    pub fn new(routes: &[Arc<Route>], trusted: Networks, ids: &mut RouteIds) -> Self {
        let served: Vec<Served> = routes
            .iter()
            .map(|route| Served::new(ids.of(&route.name), Arc::clone(route), Arc::new(RouteCounters::default())))
            .collect();
        let streams = served.iter().filter_map(|served| match served {
            Served::Stream(stream) => Some((stream.id, Arc::clone(stream))),
            Served::Proxy(_) => None,
        });
        let by_id = streams.collect();
        Self { table: RouteTable::new(served), by_id, trusted }
    }

    /// The proxies that are believed about their clients.
    pub(super) fn trusted(&self) -> &Networks {
        &self.trusted
    }

    /// The route that serves a request.
    pub(super) fn find(&self, wanted: &Wanted<'_>) -> Result<&Served, Misfit> {
        self.table.find(wanted)
    }

    /// The route that is nearest to a request which no route serves, in words for a log.
    pub(super) fn nearest(&self, host: Option<&str>, path: &str) -> Option<String> {
        self.table.nearest(host, path).map(|served| served.route().place())
    }

    /// The counters of every route, with the route's name.
    #[must_use]
    pub fn counters(&self) -> CountersByRoute {
        let served = self.table.routes().iter();
        served.map(|served| (Arc::clone(&served.route().name), Arc::clone(served.counters()))).collect()
    }
}

impl CurrentRouting {
    /// Puts a first routing in force.
    #[must_use]
    pub fn new(routing: Routing) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(routing)))
    }

    /// The routing in force now.
    pub(super) fn get(&self) -> arc_swap::Guard<Arc<Routing>> {
        self.0.load()
    }

    /// The settings for the driver of a route's stream. `None`: the route no longer exists.
    #[must_use]
    pub fn driver(&self, route: RouteId) -> Option<DriverSettings> {
        self.get().by_id.get(&route).map(|served| served.driver().clone())
    }

    /// The routes whose origin has this URL, paths apart.
    #[must_use]
    pub fn of_origin(&self, root_url: &str) -> Vec<RouteId> {
        let routing = self.get();
        let same = routing.by_id.iter().filter(|(_, served)| served.driver().origin.root_url() == root_url);
        same.map(|(id, _)| *id).collect()
    }

    /// The counters of every route, with the route's name.
    #[must_use]
    pub fn counters(&self) -> CountersByRoute {
        self.get().counters()
    }

    /// The name of a route of streams. `None`: the route no longer exists.
    #[must_use]
    pub fn name(&self, route: RouteId) -> Option<Arc<str>> {
        self.get().by_id.get(&route).map(|served| Arc::clone(&served.route.name))
    }

    /// All routes, in the order of the configuration.
    #[must_use]
    pub fn views(&self) -> Vec<RouteView> {
        self.get().table.routes().iter().map(view).collect()
    }

    /// Puts another routing in force for all requests from now on.
    pub fn replace(&self, routing: Routing) {
        self.0.store(Arc::new(routing));
    }
}

fn view(served: &Served) -> RouteView {
    let route = served.route();
    RouteView {
        name: Arc::clone(&route.name),
        path: route.path.to_string(),
        hosts: match &route.hosts {
            Hosts::Any => None,
            Hosts::Only(hosts) => Some(hosts.clone()),
        },
        methods: match &route.methods {
            Methods::Any => None,
            Methods::Only(methods) => Some(methods.iter().map(ToString::to_string).collect()),
        },
        origin: route.origin.to_string(),
        is_private: route.stream().map(|policy| policy.share.mode == Mode::Private),
        policy: policy_in_words(route),
        counters: Arc::clone(served.counters()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_belongs_to_a_name_and_is_never_given_again() {
        let mut ids = RouteIds::default();
        let [a, b] = ["a", "b"].map(|name| ids.of(&Arc::from(name)));
        assert_ne!(a, b);
        assert_eq!(ids.of(&Arc::from("a")), a, "the place in the file does not matter");
        ids.retain(|name| name == "a");
        let again = ids.of(&Arc::from("b"));
        assert!(again != a && again != b, "{again:?}");
        assert_eq!(ids.of(&Arc::from("a")), a);
    }
}
