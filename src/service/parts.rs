//! The parts of a service, each made from the configuration.

use super::Tls;
use super::bound::{Bound, Socket};
use super::descriptors::Room;
use super::memory;
use super::opener::Drivers;
use crate::admin::{self, Admin, Api, Facts, Upgrades};
use crate::config::{Config, ListenAddr, ServerConfig};
use crate::fanout::{Engine, Sending};
use crate::gateway::{CurrentRouting, CurrentTls, FrontOptions, Gateway, Handshakes, Lifecycle, RouteIds, Routing};
use crate::hub::Hub;
use crate::metrics::Metrics;
use crate::upstream::{Connector, Outages};
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;

pub(super) fn front_options(server: &ServerConfig, room: Room) -> FrontOptions {
    FrontOptions {
        head_bytes: server.head_bytes,
        head_time: server.head_timeout,
        keepalive: server.keepalive,
        max_connections: room.clients,
        proxy_protocol: server.proxy_protocol,
        http2: server.http2,
    }
}

/// Starts what serves clients that use TLS. `None`: no client is to.
pub(super) fn tls(server: &ServerConfig) -> io::Result<Option<Tls>> {
    let Some(tls) = &server.tls else { return Ok(None) };
    let settings = CurrentTls::new(tls.identity.server_config());
    let handshakes = Handshakes::start(settings.clone(), server.threads)?;
    Ok(Some(Tls { settings, handshakes }))
}

/// The port of the first address at which clients use TLS.
pub(super) fn https_port(clients: &[Bound]) -> Option<u16> {
    clients.iter().filter(|bound| bound.is_tls).find_map(|bound| match &bound.address {
        ListenAddr::Tcp(address) => Some(address.port()),
        ListenAddr::Unix(_) => None,
    })
}

pub(super) fn serve_admin(bound: Bound, facts: Facts) -> Option<Admin> {
    let address = bound.address.clone();
    let listener = match bound.socket {
        Socket::Tcp(listener) => TcpListener::from_std(listener).map(admin::Listener::from),
        Socket::Unix(listener) => UnixListener::from_std(listener).map(admin::Listener::from),
    };
    let admin = listener.map(|listener| Admin::start(listener, facts));
    admin
        .inspect(|_| log::info!("admin listening addr={address}"))
        .inspect_err(|error| log::error!("cannot serve the admin address addr={address}: {error}"))
        .ok()
}

/// Starts the delivery engine. `None`: there is no engine, and every client is served in its pingora session.
pub(super) fn engine(shards: Option<NonZeroUsize>, io_uring: bool) -> Option<Engine> {
    let shards = shards?;
    let sending = match io_uring.then(Sending::by_ring) {
        Some(Ok(ring)) => {
            log::info!("delivery engine shards={shards} sends_by=io_uring");
            ring
        }
        Some(Err(why)) => {
            log::info!("delivery engine shards={shards} sends_by=send: io_uring cannot be used: {why}");
            Sending::Loop
        }
        None => {
            log::info!("delivery engine shards={shards} sends_by=send");
            Sending::Loop
        }
    };
    let engine = Engine::start(shards, sending);
    engine
        .inspect_err(|error| log::error!("cannot start the delivery engine, so tasks serve all clients: {error}"))
        .ok()
}

pub(super) fn gateway(
    config: &Config,
    connector: Connector,
    engine: Option<Engine>,
    lifecycle: watch::Receiver<Lifecycle>,
    front: &FrontOptions,
) -> (Gateway, Metrics, RouteIds) {
    let routes = config.routes.routes();
    let mut ids = RouteIds::default();
    let replay_bytes = config.server.replay_bytes.unwrap_or_else(memory::for_logs);
    let routing = Routing::new(routes, config.server.trusted_proxies.clone(), &mut ids);
    let routing = CurrentRouting::new(routing);
    let hub = Hub::bounded(Arc::new(Drivers::new(connector.clone(), routing.clone())), replay_bytes);
    let (of_any, of_origin, routes) = (hub.empty_streams(), hub.empty_streams(), routing.clone());
    connector.descriptors().gives_way().name(move |()| of_any.give_way());
    connector.gives_way().name(move |origin| of_origin.give_way_of(&routes.of_origin(origin)));
    let metrics = Metrics::new(routing.clone(), hub.clone(), engine.clone(), front.max_connections);
    let gateway = Gateway::new(routing, hub, connector, engine, lifecycle).limited(config.server.limits);
    (gateway, metrics, ids)
}

pub(super) fn api(
    metrics: &Metrics,
    engine: Option<Engine>,
    gateway: &Gateway,
    outages: Outages,
    lifecycle: watch::Receiver<Lifecycle>,
    upgrades: Upgrades,
) -> Api {
    let (hub, routing) = (metrics.hub().clone(), metrics.routing().clone());
    Api::new(hub, routing, engine, gateway.presence().clone(), outages, lifecycle, upgrades)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Http2By;
    use std::time::Duration;

    #[test]
    fn the_limits_of_heads_are_those_of_the_configuration() {
        let server = ServerConfig {
            head_bytes: 2048,
            head_timeout: Duration::from_secs(3),
            keepalive: Duration::from_secs(4),
            proxy_protocol: true,
            http2: Http2By::Session,
            ..ServerConfig::default()
        };
        let room = Room { connections: 9, clients: 5 };
        let FrontOptions { head_bytes, head_time, keepalive, max_connections, proxy_protocol, http2 } =
            front_options(&server, room);
        assert!(proxy_protocol && http2 == Http2By::Session);
        assert_eq!((head_bytes, head_time.as_secs(), keepalive.as_secs(), max_connections), (2048, 3, 4, 5));
    }
}
