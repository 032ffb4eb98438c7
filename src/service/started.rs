//! Tells the log what is served, and within which limits.

use super::memory;
use crate::config::Config;
use crate::hub::Mode;
use crate::quoted::Word;
use crate::route::{Route, RouteKind};
use rustix::process::{Resource, getrlimit};

/// Logs the routes and the limits, a line for each route.
pub(super) fn tell(config: &Config, max_connections: usize) {
    for route in config.routes.routes() {
        let (name, path, origin) = (Word(&route.name), route.path.to_string(), &route.origin);
        log::info!("route name={name} path={} origin={origin} kind={}", Word(&path), kind(route));
    }
    let server = &config.server;
    let descriptors =
        getrlimit(Resource::Nofile).current.map_or_else(|| "unlimited".to_owned(), |most| most.to_string());
    let replay_bytes = server.replay_bytes.unwrap_or_else(memory::for_logs);
    log::info!(
        "limits max_connections={max_connections} descriptors={descriptors} replay_bytes={replay_bytes} threads={}",
        server.threads
    );
}

/// What a route does with requests.
fn kind(route: &Route) -> &'static str {
    match &route.kind {
        RouteKind::Proxy(_) => "proxy",
        RouteKind::Stream(policy) if policy.share.mode == Mode::Private => "private",
        RouteKind::Stream(_) => "shared",
    }
}
