//! What a reload makes of routes.

use super::*;
use crate::config::{Change, Config, SystemSources};
use crate::fanout::{Renewal, Terms};
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Wake, Waker};

fn config(text: &str) -> Config {
    Config::parse(text, &SystemSources::beside(Path::new("/"))).unwrap_or_else(|errors| panic!("{errors}"))
}

fn route(name: &str, more: &str) -> String {
    format!("[[routes]]\nname = \"{name}\"\npath = \"/{name}\"\norigin = \"http://127.0.0.1:9\"\n{more}\n")
}

/// A routing that is reloaded again and again.
struct Stage {
    config: Config,
    ids: RouteIds,
    routing: CurrentRouting,
}

impl Stage {
    fn new(text: &str) -> Self {
        let (config, mut ids) = (config(text), RouteIds::default());
        let routing = Routing::new(config.routes.routes(), Networks::default(), &mut ids);
        Self { config, ids, routing: CurrentRouting::new(routing) }
    }

    fn reload(&mut self, text: &str) -> Moved {
        let new = config(text);
        let change = Change::between(&self.config, &new);
        let (routes, by) = (new.routes.routes(), Instant::now());
        let moved = self.routing.reload(routes, Networks::default(), &mut self.ids, |name| change.fate(name), by);
        self.config = new;
        moved
    }

    fn stream(&self, name: &str) -> Option<Arc<StreamRoute>> {
        self.routing.get().by_id.values().find(|served| *served.route.name == *name).cloned()
    }

    fn names(&self) -> String {
        self.routing.counters().iter().map(|(name, _)| format!("{name} ")).collect()
    }
}

#[test]
fn a_route_that_did_not_change_is_the_same_instance() {
    let mut stage = Stage::new(&(route("a", "") + &route("b", "")));
    let a = stage.stream("a").unwrap();
    let moved = stage.reload(&(route("b", "") + &route("a", "")));
    assert!(moved.renewed.is_empty() && moved.retired.is_empty());
    assert!(Arc::ptr_eq(&a, &stage.stream("a").unwrap()), "the place in the file does not matter");
    assert!(matches!(a.renewed(), Renewal::None));
}

#[test]
fn a_new_policy_reaches_old_instances_and_drivers() {
    let mut stage = Stage::new(&route("a", ""));
    let old = stage.stream("a").unwrap();
    let mut driver = stage.routing.driver(old.id).unwrap();
    driver.mark_unchanged();
    let more = "[routes.client]\nheartbeat_secs = 7\n[routes.upstream]\nhold_secs = 9";
    let moved = stage.reload(&route("a", more));
    let new = stage.stream("a").unwrap();
    assert_eq!((new.id, moved.renewed.len(), moved.renewed[0].0), (old.id, 1, old.id));
    assert!(Arc::ptr_eq(&old.counters, &new.counters));
    let Renewal::Terms(terms) = old.renewed() else { panic!("it is renewed") };
    assert_eq!(terms.pace().heartbeat.map(|beat| beat.as_secs()), Some(7));
    assert!(matches!(new.renewed(), Renewal::None));
    assert!(driver.has_changed().unwrap());
    assert_eq!(driver.borrow().options.hold.as_secs(), 9);
}

/// What a client finds that comes back as soon as it is told of a change: the instance of route `a`.
struct ComesBack {
    routing: CurrentRouting,
    found: std::sync::Mutex<Option<Option<u64>>>,
}

impl Wake for ComesBack {
    fn wake(self: Arc<Self>) {
        let found = self.routing.get().by_id.values().find(|served| *served.route.name == *"a").map(|a| a.instance);
        *self.found.lock().unwrap() = Some(found);
    }
}

#[test]
fn clients_are_told_of_a_change_when_new_requests_find_it() {
    let policy = "[routes.client]\nheartbeat_secs = 7";
    for (changed, found) in [(route("a", policy), Some(1)), (route("b", ""), None)] {
        let mut stage = Stage::new(&route("a", ""));
        let here = stage.stream("a").unwrap();
        let comes_back = Arc::new(ComesBack { routing: stage.routing.clone(), found: std::sync::Mutex::default() });
        let mut news = super::super::lasting::News::of(&here);
        let mut told = pin!(news.next(&here));
        let waker = Waker::from(Arc::clone(&comes_back));
        assert!(told.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        stage.reload(&changed);
        assert_eq!(*comes_back.found.lock().unwrap(), Some(found), "{changed}");
        assert!(told.poll(&mut Context::from_waker(&waker)).is_ready());
    }
}

#[test]
fn a_request_that_finds_a_new_instance_before_the_others_are_told_stays_with_it() {
    let mut stage = Stage::new(&route("a", ""));
    let first = stage.stream("a").unwrap();
    stage.reload(&route("a", "[routes.client]\nheartbeat_secs = 7"));
    let second = stage.stream("a").unwrap();
    let told_of_first = Standing::Current(Arc::downgrade(&first));
    assert!(matches!(told_of_first.newer(&second), super::super::lasting::Newer::None));
    assert!(matches!(second.standing().borrow().newer(&first), super::super::lasting::Newer::Terms(_)));
}

#[test]
fn another_origin_is_another_route_whose_counters_go_on() {
    let mut stage = Stage::new(&route("a", ""));
    let old = stage.stream("a").unwrap();
    let another = route("a", "").replace(":9\"", ":10\"");
    let moved = stage.reload(&another);
    let new = stage.stream("a").unwrap();
    assert_eq!(moved.retired, [old.id]);
    assert_ne!(old.id, new.id, "their streams are never shared");
    assert!(Arc::ptr_eq(&old.counters, &new.counters));
    assert!(matches!(old.renewed(), Renewal::Over(_)));
    // A client that is on its way to the old route gets a stream of the old origin.
    assert_eq!(stage.routing.driver(old.id).unwrap().borrow().origin.port(), 9);
    assert_eq!((stage.routing.name(old.id).as_deref(), stage.names().as_str()), (Some("a"), "a "));
    assert_eq!(stage.routing.of_origin("http://127.0.0.1:9"), [old.id]);
    let first = old.id;
    drop(old);
    stage.reload(&(another + &route("b", "")));
    assert!(stage.routing.driver(first).is_none(), "nothing is left of it");
}

#[test]
fn the_counters_of_a_route_that_is_gone_go_with_its_last_client() {
    let mut stage = Stage::new(&(route("a", "") + &route("p", "kind = \"proxy\"")));
    let old = stage.stream("a").unwrap();
    stage.reload(&route("b", ""));
    assert_eq!(stage.names(), "b a ", "the proxy had no request");
    let counters = Arc::clone(&old.counters);
    let moved = stage.reload(&(route("b", "") + &route("a", "")));
    assert!(moved.retired.is_empty());
    let new = stage.stream("a").unwrap();
    assert_ne!(new.id, old.id);
    assert!(Arc::ptr_eq(&new.counters, &counters), "no counter goes backwards");
    drop((old, new));
    stage.reload(&route("b", ""));
    assert_eq!(stage.names(), "b ");
}
