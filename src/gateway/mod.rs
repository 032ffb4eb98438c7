//! Serves clients: decides what to do with each request, and does it, through pingora's downstream side where needed.
//!
//! ```text
//!   Front                     a connection: its heads, their limits     front, first, head
//!     ├ plan                  what is to be done with a request               plan
//!     ├ engine                a plain GET of a shared stream                  shared, handover
//!     ├ engine                a connection of HTTP/2, and its requests        carried
//!     ├ Http2                 the same without an engine, or over TLS 1.2     http2
//!     └ Sessions              every other request: pingora's proxy            sessions, after
//!         └ Gateway (ProxyHttp)                                               proxy
//!             ├ shared stream                                                 shared
//!             ├ private stream                                                private, own_request
//!             └ plain proxy                                                   proxy
//! ```
//!
//! The words of this module:
//! - *Head*: the request line or status line of a message, and its header fields.
//! - *Session*: pingora's handling of one request on a connection.
//! - *Engine*: the delivery engine, which serves most clients of shared streams without a session (`fanout`).
//! - *Hand-over*: a connection leaves the gateway for the engine.
//! - *Place*: the permission to serve one client. Each connection needs one, and so does each further stream of an
//!   HTTP/2 connection. There are `max_connections` places.
//! - *Refusal*: a request that is answered with an error.

mod adopted;
mod after;
mod answered;
mod answers;
mod broken;
mod carried;
mod chunks;
mod client;
mod connection;
mod deadlines;
mod first;
mod front;
mod front_options;
mod gate;
mod handover;
mod handshakes;
mod head;
mod home;
mod http2;
mod introduction;
mod lasting;
mod limits;
mod lines;
mod listener;
mod meter;
mod own_request;
mod permission;
mod places;
mod plan;
mod presence;
mod private;
mod progress;
mod proxy;
mod proxy_header;
mod reader;
mod refusal;
mod reply;
mod reports;
mod routing;
mod secured;
mod served;
mod sessions;
mod shared;
mod socket;
#[cfg(test)]
mod tests;
mod times;
mod transport;
#[cfg(any(test, fuzzing))]
mod tried;
mod watched;
mod wire;
mod writer;

pub use adopted::Adopted;
pub use deadlines::Lifecycle;
pub use front::Front;
pub use front_options::{CurrentOptions, FrontOptions};
pub use handshakes::{CurrentTls, Handshakes};
pub use listener::Listener;
pub use permission::Permissions;
pub use presence::{Presence, Present};
pub use proxy::Exchange;
pub use routing::{CurrentRouting, Moved, RouteIds, RouteView, Routing};
pub use served::{ProxyRoute, Served, StreamRoute};
#[cfg(test)]
pub(crate) use tests::NoStreams;
pub use transport::Transport;
#[cfg(fuzzing)]
pub use tried::try_plan;

use crate::config::ServerLimits;
use crate::counters::Label;
use crate::fanout::Engine;
use crate::hub::Hub;
use crate::log_limit::LogLimit;
use crate::quoted::{quoted, reason};
use crate::upstream::Connector;
use answered::Outcome;
use connection::Peer;
use limits::Limits;
use permission::{Answers, Knowledge, Services};
use plan::{Ask, Facts, Plan, Request};
use refusal::{NoRoute, Refusal, Why, for_now};
use reply::Reply;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::watch;

/// Decides what to do with each request, and serves the streams.
#[derive(Debug, Clone)]
pub struct Gateway {
    routing: CurrentRouting,
    hub: Hub,
    connector: Connector,
    /// `None`: every client is served in its session.
    engine: Option<Engine>,
    lifecycle: watch::Receiver<Lifecycle>,
    /// The clients of shared streams that sessions serve.
    presence: Presence,
    /// Limits the log lines about requests that no route serves.
    no_routes: Arc<LogLimit>,
    limits: Arc<Limits>,
    /// Who asks others about credentials.
    services: Services,
    /// The permissions of all clients.
    permissions: Permissions,
    /// The port to which clients without TLS are sent. 0: they are served.
    https: Arc<AtomicU16>,
}

/// The most log lines about requests that no route serves, in a period of this length. Scanners send many such
/// requests, which must not flood the log.
const NO_ROUTES: (u32, Duration) = (10, Duration::from_secs(10));

impl Gateway {
    /// A gateway that serves the routes of `routing`.
    #[must_use]
    pub fn new(
        routing: CurrentRouting,
        hub: Hub,
        connector: Connector,
        engine: Option<Engine>,
        lifecycle: watch::Receiver<Lifecycle>,
    ) -> Self {
        let no_routes = Arc::new(LogLimit::new(NO_ROUTES.0, NO_ROUTES.1));
        let (limits, presence) = (Arc::new(Limits::new(ServerLimits::default())), Presence::default());
        let https = Arc::default();
        let permissions = Permissions::new(Arc::clone(routing.get().record()), engine.clone(), presence.clone());
        let services = Services::new(connector.clone(), permissions.clone());
        Self { routing, hub, connector, engine, lifecycle, presence, no_routes, limits, services, permissions, https }
    }

    /// The same gateway with limits.
    #[must_use]
    pub fn limited(self, limits: ServerLimits) -> Self {
        Self { limits: Arc::new(Limits::new(limits)), ..self }
    }

    /// Puts the limits of another configuration in force, for all clones of this gateway.
    pub fn limit(&self, limits: ServerLimits) {
        self.limits.set(limits);
    }

    /// Sends clients without TLS to this port from now on, for all clones of this gateway. `None`: they are served.
    pub fn redirect(&self, https: Option<u16>) {
        self.https.store(https.unwrap_or(0), Ordering::Relaxed);
    }

    /// The clients of shared streams that sessions serve.
    #[must_use]
    pub fn presence(&self) -> &Presence {
        &self.presence
    }

    /// The permissions of all clients.
    #[must_use]
    pub fn permissions(&self) -> &Permissions {
        &self.permissions
    }

    fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    /// Whether this peer is a trusted proxy, which is believed about its clients.
    fn trusts(&self, peer: &Peer) -> bool {
        self.routing.get().trusted().trusts(peer.address())
    }

    fn is_draining(&self) -> bool {
        *self.lifecycle.borrow() != Lifecycle::Running
    }

    /// Decides what to do with a request.
    async fn plan(&self, request: &Request<'_>, peer: &Peer) -> Result<Plan, Refusal> {
        let mut answers = Answers::default();
        loop {
            match self.planned(request, peer, &answers)? {
                Plan::Asks(question) => Box::pin(self.services.answer(question, &mut answers)).await,
                plan => return self.seated(self.watched(plan, answers), request, peer),
            }
        }
    }

    fn planned(&self, request: &Request<'_>, peer: &Peer, answers: &Answers) -> Result<Plan, Refusal> {
        let https = Some(self.https.load(Ordering::Relaxed)).filter(|port| *port != 0);
        let known = Knowledge { now: SystemTime::now(), record: self.permissions.record(), answers };
        let facts = Facts { is_draining: self.is_draining(), peer, refuse: self.limits.refuse(), https, known };
        plan::plan(request, facts, &self.routing.get())
    }

    /// A plan whose client is asked about again while it stays, if its route says so.
    fn watched(&self, plan: Plan, answers: Answers) -> Plan {
        if answers.asked.is_none() {
            return plan;
        }
        let watch = |mut ask: Box<Ask>| {
            let named = &ask.served.policy.share.claims;
            let grant = ask.caller.grant().cloned().map(|grant| self.services.watch(grant, answers, named));
            ask.caller = std::mem::take(&mut ask.caller).granted(grant);
            ask
        };
        match plan {
            Plan::Shared(ask) => Plan::Shared(watch(ask)),
            Plan::Private(ask, own) => Plan::Private(watch(ask), own),
            Plan::Answer(_) | Plan::Proxy(..) | Plan::Asks(_) => plan,
        }
    }

    /// Counts a request that came through a trusted proxy, for the address that the proxy told of.
    fn seated(&self, plan: Plan, request: &Request<'_>, peer: &Peer) -> Result<Plan, Refusal> {
        if !self.limits.are_of_addresses() || !self.trusts(peer) {
            return Ok(plan);
        }
        match plan {
            Plan::Shared(mut ask) => {
                self.seat(&mut ask)?;
                Ok(Plan::Shared(ask))
            }
            Plan::Private(mut ask, own) => {
                self.seat(&mut ask)?;
                Ok(Plan::Private(ask, own))
            }
            Plan::Proxy(served, client, _) => {
                let address = client.address.filter(|address| !self.routing.get().trusted().contains(*address));
                let refused = |over| self.refused_by_proxy(&served, Why::Address(over), request);
                let seat = self.limits.take(address).map_err(refused)?;
                Ok(Plan::Proxy(served, client, seat))
            }
            Plan::Answer(_) | Plan::Asks(_) => Ok(plan),
        }
    }

    fn seat(&self, ask: &mut Ask) -> Result<(), Refusal> {
        let address = ask.caller.address().filter(|address| !self.routing.get().trusted().contains(*address));
        ask.seat = self.limits.take(address).map_err(|over| ask.refused(Why::Address(over)))?.map(Arc::new);
        Ok(())
    }

    /// The refusal of a request by a proxy route.
    fn refused_by_proxy(&self, served: &Arc<ProxyRoute>, why: Why, request: &Request<'_>) -> Refusal {
        Refusal::at(served, why).softly(plan::is_soft(request, self.limits.refuse()))
    }

    /// The answer to a request on a connection that may not be served. It is refused by its route, if it has one.
    fn turned_away(&self, request: &Request<'_>, peer: &Peer, why: Why) -> Reply {
        let refusal = match self.planned(request, peer, &Answers::default()) {
            Ok(Plan::Shared(ask) | Plan::Private(ask, _)) => ask.refused(why),
            Ok(Plan::Proxy(served, ..)) => self.refused_by_proxy(&served, why, request),
            Err(refusal) if matches!(refusal.why, Why::Drain) => refusal,
            Ok(Plan::Answer(_) | Plan::Asks(_)) | Err(_) => why.into(),
        };
        let came = Instant::now();
        let reply = self.refused(&refusal);
        self.answered(request, peer, Outcome::of(Some(&refusal), &reply, came));
        reply
    }

    /// Tells a client that it cannot be served for now, and waits for nothing. The client may not have sent its request
    /// yet. `None`: it cannot be told, because no TLS handshake was done.
    fn turn_away(&self, transport: Option<&Transport>, why: Why) {
        let refusal = Refusal::from(why);
        let reply = self.refused(&refusal);
        if let Some(transport) = transport {
            answers::turn_away(transport, reply.status);
        }
    }

    /// Counts and logs a refusal. Returns the answer to the client.
    fn refused(&self, refusal: &Refusal) -> Reply {
        self.tell(refusal);
        refusal.reply(self.limits.return_after())
    }

    /// Logs that clients are refused for now, and what would help.
    fn tell_for_now(&self, refusal: &Refusal) {
        let reason = refusal.why.reason();
        let Some(for_now) = for_now(reason) else { return };
        let Some(untold) = self.limits.line(reason) else { return };
        let (word, route) = (reason.word(), refusal.route().unwrap_or("-"));
        let whom = match &refusal.why {
            Why::Address(limits::Over::PerAddress(block) | limits::Over::NewPerAddress(block)) => {
                format!(" address={block}")
            }
            _ => String::new(),
        };
        log::warn!("clients are refused reason={word} route={route}{whom}{untold}: {}", for_now.advice);
    }

    /// Counts a refusal, and logs it if the operator should know of it.
    fn tell(&self, refusal: &Refusal) {
        refusal.count();
        if let Why::Loop(route) = &refusal.why {
            log::warn!(
                "loop route={} origin={}: the request has already passed this process: the route's origin is this \
                 gateway, or leads back to it",
                route.name,
                route.origin
            );
        }
        self.tell_for_now(refusal);
        if let Why::Denied(denial) = &refusal.why {
            log::debug!("denied route={} why={}", refusal.route().unwrap_or("-"), reason(denial.reason()));
        }
        let Why::NoRoute(no_route) = &refusal.why else { return };
        let Some(untold) = self.no_routes.next(Instant::now()) else { return };
        let NoRoute { host, path } = &**no_route;
        let nearest = self.routing.get().nearest(host.as_deref(), path);
        let nearest = nearest.map(|nearest| format!("; the nearest is {nearest}")).unwrap_or_default();
        let (host, path) = (quoted(host.as_deref().unwrap_or_default()), quoted(path));
        log::info!("no_route host={host} path={path}{untold}: no [[routes]] path serves it{nearest}");
    }
}
