//! All routes as one value, which can be replaced as a whole.

use super::lasting::{Lasting, Standing};
use super::served::{Served, StreamRoute};
use crate::auth::Record;
use crate::config::{Fate, Networks, policy_in_words};
use crate::counters::{CountersByRoute, RouteCounters};
use crate::hub::{Mode, RouteId, StreamSettings};
use crate::route::{Hosts, Methods, Misfit, Route, RouteTable, Routed, Wanted, canonical_host};
use crate::upstream::DriverSettings;
use arc_swap::ArcSwap;
use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};
use tokio::sync::watch::{Receiver, Sender};
use tokio::time::Instant;

/// The routes, found by request and by id.
#[derive(Debug)]
pub struct Routing {
    table: RouteTable<Served>,
    by_id: HashMap<RouteId, Arc<StreamRoute>>,
    /// The paths at which tickets are given.
    tickets: Vec<(String, Arc<StreamRoute>)>,
    /// What the process remembers of credentials.
    record: Arc<Record>,
    /// The proxies that are believed about their clients.
    trusted: Networks,
    /// The routes that are gone, and may have clients yet.
    retired: Vec<Retired>,
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

/// What is kept of routes from one configuration to the next, by the routes' names. An id is never given to a second
/// name, nor to a route of another origin. Streams are found by the id of their route. So two routes never share a
/// stream, even after the configuration has changed.
#[derive(Debug, Default)]
pub struct RouteIds {
    next: u32,
    by_name: HashMap<Arc<str>, Kept>,
    record: Arc<Record>,
}

/// A route as it is served now, and what outlives its changes.
#[derive(Debug)]
struct Kept {
    id: RouteId,
    lasting: Lasting,
    served: Served,
}

/// A route that is gone, and may have clients yet.
#[derive(Debug, Clone)]
struct Retired {
    id: RouteId,
    name: Arc<str>,
    counters: Arc<RouteCounters>,
    /// Each of its instances keeps this, and each client and request keeps an instance.
    alive: Weak<AtomicUsize>,
    /// `None`: it is a plain proxy.
    driver: Option<Receiver<DriverSettings>>,
}

impl Retired {
    /// Whether a client or a request of the route is left.
    fn is_there(&self) -> bool {
        self.alive.strong_count() > 0
    }
}

/// What a change of the configuration means for streams.
#[derive(Debug, Default)]
pub struct Moved {
    /// The routes whose streams live on with these settings.
    pub renewed: Vec<(RouteId, StreamSettings)>,
    /// The routes that are gone.
    pub retired: Vec<RouteId>,
}

/// What the clients of a route are to learn, as soon as new requests find the new routes. A client that is told to go may
/// be back at once, and must not find what was before.
struct Told {
    to: Sender<Standing>,
    standing: Standing,
}

impl RouteIds {
    fn next_id(&mut self) -> RouteId {
        let id = RouteId(self.next);
        self.next += 1;
        id
    }

    /// Serves a route that is new, or that has nothing in common with the one of its name but its counters.
    fn begin(&mut self, route: &Arc<Route>, counters: Arc<RouteCounters>) -> Served {
        let (id, lasting) = (self.next_id(), Lasting::new(counters, Arc::clone(&self.record)));
        let served = Served::new(id, Arc::clone(route), &lasting);
        self.by_name.insert(Arc::clone(&route.name), Kept { id, lasting, served: served.clone() });
        served
    }
}

impl Routing {
    /// Prepares routes to be served.
    #[must_use]
    pub fn new(routes: &[Arc<Route>], trusted: Networks, ids: &mut RouteIds) -> Self {
        let served = routes.iter().map(|route| ids.begin(route, Arc::default())).collect();
        Self::of(served, trusted, Vec::new(), Arc::clone(&ids.record))
    }

    /// Prepares the routes of another configuration. `fate`: what becomes of the route of a name. `by`: when the clients
    /// of routes that are gone have been given their end.
    #[must_use]
    fn after(
        before: &Self,
        routes: &[Arc<Route>],
        trusted: Networks,
        ids: &mut RouteIds,
        fate: impl Fn(&str) -> Fate,
        by: Instant,
    ) -> (Self, Moved, Vec<Told>) {
        let (mut moved, mut told) = (Moved::default(), Vec::new());
        let mut retired: Vec<_> = before.retired.iter().filter(|retired| retired.is_there()).cloned().collect();
        let gone: Vec<_> = ids.by_name.keys().filter(|name| fate(name).ends_streams()).cloned().collect();
        for name in gone {
            let Some(Kept { id, lasting, .. }) = ids.by_name.remove(&name) else { continue };
            let (counters, driver) = (Arc::clone(&lasting.counters), lasting.driver());
            let alive = Arc::downgrade(&lasting.private_clients);
            retired.push(Retired { id, name, counters, alive, driver });
            moved.retired.push(id);
            told.push(Told { to: lasting.standing, standing: Standing::Over(by) });
        }
        let serve = |route: &Arc<Route>| {
            let Some(kept) = ids.by_name.get_mut(&route.name) else {
                let counters = retired.iter().find(|retired| retired.name == route.name);
                return ids.begin(route, counters.map(|retired| Arc::clone(&retired.counters)).unwrap_or_default());
            };
            if fate(&route.name) == Fate::Policy {
                kept.served = Served::new(kept.id, Arc::clone(route), &kept.lasting);
                if let Served::Stream(stream) = &kept.served {
                    moved.renewed.push((kept.id, stream.settings().clone()));
                    let standing = Standing::Current(Arc::downgrade(stream));
                    told.push(Told { to: kept.lasting.standing.clone(), standing });
                }
            }
            kept.served.clone()
        };
        let served = routes.iter().map(serve).collect();
        let routing = Self::of(served, trusted, retired, Arc::clone(&ids.record));
        (routing, moved, told)
    }

    fn of(served: Vec<Served>, trusted: Networks, retired: Vec<Retired>, record: Arc<Record>) -> Self {
        let streams = served.iter().filter_map(|served| match served {
            Served::Stream(stream) => Some((stream.id, Arc::clone(stream))),
            Served::Proxy(_) => None,
        });
        let by_id: HashMap<_, _> = streams.collect();
        let ticket_path = |served: &Arc<StreamRoute>| {
            let tickets = served.policy.auth.as_ref()?.tickets.as_ref()?;
            Some((tickets.path.clone(), Arc::clone(served)))
        };
        let tickets = by_id.values().filter_map(ticket_path).collect();
        Self { table: RouteTable::new(served), by_id, tickets, record, trusted, retired }
    }

    /// The settings for the drivers of a route's streams, also of one that is gone and has clients yet.
    fn driver(&self, route: RouteId) -> Option<Receiver<DriverSettings>> {
        let retired = || self.retired.iter().find(|retired| retired.id == route)?.driver.clone();
        self.by_id.get(&route).map(|served| served.driver()).or_else(retired)
    }

    /// The proxies that are believed about their clients.
    pub(super) fn trusted(&self) -> &Networks {
        &self.trusted
    }

    /// What the process remembers of credentials.
    pub(super) fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// The routes whose tickets are given at this path.
    pub(super) fn tickets_of(&self, host: Option<&str>, path: &str) -> Vec<&Arc<StreamRoute>> {
        let serves = |route: &Route| match &route.hosts {
            Hosts::Any => true,
            Hosts::Only(hosts) => host.map(canonical_host).is_some_and(|host| hosts.contains(&host)),
        };
        let givers = self.tickets.iter().filter(|(ticket_path, served)| ticket_path == path && serves(&served.route));
        givers.map(|(_, served)| served).collect()
    }

    /// The route that serves a request.
    pub(super) fn find(&self, wanted: &Wanted<'_>) -> Result<&Served, Misfit> {
        self.table.find(wanted)
    }

    /// The route that is nearest to a request which no route serves, in words for a log.
    pub(super) fn nearest(&self, host: Option<&str>, path: &str) -> Option<String> {
        self.table.nearest(host, path).map(|served| served.route().place())
    }

    /// The counters of every route, with the route's name. Of a route that is gone they are there until its last client
    /// is gone.
    #[must_use]
    pub fn counters(&self) -> CountersByRoute {
        let served = self.table.routes().iter();
        let mut all: CountersByRoute =
            served.map(|served| (Arc::clone(&served.route().name), Arc::clone(served.counters()))).collect();
        for retired in self.retired.iter().filter(|retired| retired.is_there()) {
            if all.iter().all(|(name, _)| *name != retired.name) {
                all.push((Arc::clone(&retired.name), Arc::clone(&retired.counters)));
            }
        }
        all
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
    pub fn driver(&self, route: RouteId) -> Option<Receiver<DriverSettings>> {
        self.get().driver(route)
    }

    /// The routes whose origin has this URL, paths apart.
    #[must_use]
    pub fn of_origin(&self, root_url: &str) -> Vec<RouteId> {
        let routing = self.get();
        let all = routing.by_id.keys().copied().chain(routing.retired.iter().map(|retired| retired.id));
        let is_same = |driver: Receiver<DriverSettings>| driver.borrow().origin.root_url() == root_url;
        all.filter(|id| routing.driver(*id).is_some_and(is_same)).collect()
    }

    /// The counters of every route, with the route's name.
    #[must_use]
    pub fn counters(&self) -> CountersByRoute {
        self.get().counters()
    }

    /// The name of a route of streams. `None`: the route no longer exists.
    #[must_use]
    pub fn name(&self, route: RouteId) -> Option<Arc<str>> {
        let routing = self.get();
        let retired = || routing.retired.iter().find(|retired| retired.id == route).map(|retired| &retired.name);
        routing.by_id.get(&route).map(|served| &served.route.name).or_else(retired).cloned()
    }

    /// A route of streams.
    #[must_use]
    pub fn stream(&self, route: RouteId) -> Option<Arc<StreamRoute>> {
        self.get().by_id.get(&route).cloned()
    }

    /// The settings of a route's streams.
    #[must_use]
    pub fn settings(&self, route: RouteId) -> Option<StreamSettings> {
        self.stream(route).map(|served| served.settings().clone())
    }

    /// The routes of streams, with their ids.
    #[must_use]
    pub fn streams(&self) -> Vec<(RouteId, Arc<Route>)> {
        self.get().by_id.iter().map(|(id, served)| (*id, Arc::clone(&served.route))).collect()
    }

    /// All routes, in the order of the configuration.
    #[must_use]
    pub fn views(&self) -> Vec<RouteView> {
        self.get().table.routes().iter().map(view).collect()
    }

    /// Puts the routes of another configuration in force, for all requests from now on. Then the clients that are here
    /// learn of it. `fate`: what becomes of the route of a name. `by`: when the clients of routes that are gone have been
    /// given their end. The caller tells the hub and the engine what moved.
    pub fn reload(
        &self,
        routes: &[Arc<Route>],
        trusted: Networks,
        ids: &mut RouteIds,
        fate: impl Fn(&str) -> Fate,
        by: Instant,
    ) -> Moved {
        let (routing, moved, told) = Routing::after(&self.get(), routes, trusted, ids, fate, by);
        self.0.store(Arc::new(routing));
        for Told { to, standing } in told {
            to.send_replace(standing);
        }
        moved
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
#[path = "tests/routing.rs"]
mod tests;
