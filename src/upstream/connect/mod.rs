//! The connection to an origin: name resolution, TCP and TLS, one request and its response.
//!
//! Only this module and the gateway use pingora.

mod admission;
mod dial;
mod exchange;
mod framing;
mod head_end;
mod http1;
mod http2;
mod line;
mod places;
mod pool;
mod queue;
mod reach;
mod reason;
mod refusal;
mod response;
mod sessions;
mod sharing;
mod socket;
mod system;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_http1;
#[cfg(test)]
mod tests_http2;
#[cfg(test)]
mod tests_places;
#[cfg(test)]
mod tests_tls;
mod tls;
mod transport;
mod trust;
mod turns;
mod upgrading;
mod verification;
mod wire;

pub use dial::{Dial, Shortage, Usage};
pub use line::Line;
pub(super) use places::WhenFull;
pub use reason::{NamedBy, reason};
pub use refusal::Refusal;
pub use response::Response;
pub use system::{SystemTrust, SystemTrustError};
pub use trust::{InvalidTrust, Trust};
pub(super) use turns::{Turn, Turns};
pub use wire::{NoWire, Secured, Unanswered, Wire};

use super::lookup::Lookups;
use super::met::Met;
use super::outage::Outages;
use super::race::{MAX_ADDRESSES, in_order};
use super::{Origin, UpstreamOptions};
use crate::descriptors::{Descriptors, GivesWay};
use crate::hub::StreamRequest;
use dial::Connected;
use exchange::{NoHead, exchange, request_head};
use http::header::{ACCEPT, CACHE_CONTROL, USER_AGENT as USER_AGENT_FIELD};
use http::{HeaderName, HeaderValue};
use places::Places;
use reach::{Reach, Reaches};
use sharing::Shared;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tls::NoHandshake;
use transport::Transport;

/// The value of `User-Agent`, unless the route's upstream headers name another.
pub const USER_AGENT: &str = concat!("manifold/", env!("CARGO_PKG_VERSION"));

/// The most peers that one proxied request may ask a [`Dial`] for. pingora wants a peer's address before it connects,
/// but another address may connect first. Then a second peer with that address follows. So an address may take two
/// peers. The remaining third is for kept connections that turn out to be closed.
pub const MAX_PEERS: usize = 3 * MAX_ADDRESSES;

/// The most informational responses (1xx) before the final response. An origin that sends more is broken.
const MAX_INFORMATIONAL: usize = 16;

/// Connects to origins. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    system: SystemTrust,
    reaches: Reaches,
    lookups: Lookups,
    outages: Outages,
    met: Met,
    places: Places,
    /// The attempt that this connector is for. `None`: the caller makes no attempts side by side.
    turn: Option<Arc<Turn>>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

/// A request to an origin. Its method is always GET, and it has no body.
#[derive(Debug, Clone)]
pub struct Request {
    /// The path and query, as the origin sees them.
    pub path_and_query: String,
    /// The header fields. On sending, `Accept-Encoding: identity`, `Via` and the fields of `[routes.upstream]` are
    /// added. If `Host` is not among the fields, the origin's own host is sent.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Request {
    /// The request for a shared stream. It resumes after `last_event_id` if there is one. manifold's usual fields are
    /// added unless the stream has its own.
    pub(super) fn for_stream(stream: &StreamRequest, last_event_id: Option<HeaderValue>) -> Self {
        let is_said = |name: &HeaderName| stream.headers().iter().any(|(said, _)| said == name);
        let usual = [(USER_AGENT_FIELD, USER_AGENT), (ACCEPT, "text/event-stream"), (CACHE_CONTROL, "no-cache")];
        let usual = usual.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value)));
        let id = last_event_id.map(|id| (HeaderName::from_static("last-event-id"), id));
        let usual = usual.filter(|(name, _)| !is_said(name));
        let headers = usual.chain(stream.headers().iter().cloned()).chain(id).collect();
        Self { path_and_query: stream.path_and_query().to_string(), headers }
    }
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// No address accepted a connection, or no head came from those that did.
    #[error("{0}")]
    Unreachable(String),
    /// As many connections are open as the route allows, and none ended in time.
    #[error("max_upstreams ({0}) connections are open")]
    Full(usize),
    /// A connection was made, but the response head did not come in time.
    #[error("no response head in time")]
    HeadTimeout,
}

impl Connector {
    /// A connector that trusts no certificates on routes that name none.
    #[must_use]
    pub fn new() -> Self {
        Self::trusting(SystemTrust::Unneeded)
    }

    /// A connector. `system`: whether it trusts the system's certificates on routes that name none.
    #[must_use]
    pub fn trusting(system: SystemTrust) -> Self {
        Self::looking_up(Lookups::of_the_system(), system)
    }

    /// A connector for which every name has these addresses.
    #[cfg(test)]
    pub(crate) fn finding(addresses: Vec<std::net::SocketAddr>) -> Self {
        let lookups = Lookups::new(Arc::new(move |_, _| Box::pin(std::future::ready(Ok(addresses.clone())))));
        Self::looking_up(lookups, SystemTrust::Unneeded)
    }

    fn looking_up(lookups: Lookups, system: SystemTrust) -> Self {
        let (places, reaches) = (Places::of(Descriptors::unlimited()), Reaches::new(system));
        Self { system, reaches, lookups, outages: Outages::default(), met: Met::default(), places, turn: None }
    }

    /// What the connections take places of.
    #[must_use]
    pub fn descriptors(&self) -> &Descriptors {
        self.places.descriptors()
    }

    /// The same connector, with connections that take places of these.
    #[must_use]
    pub fn within(self, descriptors: Descriptors) -> Self {
        Self { places: Places::of(descriptors), ..self }
    }

    /// Who gives way while others wait for connections to the origin with this URL, which has no path.
    #[must_use]
    pub fn gives_way(&self) -> &GivesWay<str> {
        self.reaches.gives_way()
    }

    /// A connector for one stream of an origin. The stream has a place as long as the connector and its clones are
    /// there, unless it shares connections, which have their own. `None`: there is no place for another stream.
    #[must_use]
    pub(super) fn for_stream(&self, origin: &Origin, options: &UpstreamOptions) -> Option<Self> {
        if options.multiplex && !self.reaches.to(origin, options.trusted.as_ref()).pool.is_http1() {
            return Some(self.clone());
        }
        Some(Self { places: self.places.for_stream()?, ..self.clone() })
    }

    /// The same, for a stream for which there was no place. It waits for the place of a stream that gives way.
    pub(super) async fn for_stream_soon(&self) -> Option<Self> {
        Some(Self { places: self.places.for_stream_soon().await?, ..self.clone() })
    }

    /// A connector for attempts that do this when there is no place for a connection.
    #[must_use]
    pub(super) fn when_full(&self, when_full: WhenFull) -> Self {
        Self { places: self.places.when_full(when_full), ..self.clone() }
    }

    /// Whether the connector trusts the system's certificates on routes that name none.
    #[must_use]
    pub fn system(&self) -> SystemTrust {
        self.system
    }

    /// The outages of all origins. Clones of a connector share them.
    #[must_use]
    pub fn outages(&self) -> &Outages {
        &self.outages
    }

    /// What is known about the origins and the routes to them.
    pub(super) fn met(&self) -> &Met {
        &self.met
    }

    /// A connector for one of several attempts. It begins at an address that no other attempt uses, if there is one.
    #[must_use]
    pub(super) fn in_turn(&self, turns: &Turns) -> Self {
        Self { turn: Some(Arc::new(turns.next())), ..self.clone() }
    }

    /// The attempt that this connector is for.
    pub(super) fn turn(&self) -> Option<Arc<Turn>> {
        self.turn.clone()
    }

    /// Resolves the origin's name, and tries the addresses until one sends a response head. Without a `head_timeout`
    /// there is no time limit for the head.
    ///
    /// # Errors
    /// Fails when no address answers. Fails also when the address that took the request sends no head within
    /// `head_timeout`: that address may be working on the request, so no other address gets it.
    pub async fn send(
        &self,
        origin: &Origin,
        options: &UpstreamOptions,
        request: &Request,
        head_timeout: Option<Duration>,
    ) -> Result<Response, ConnectError> {
        let head =
            request_head(origin, options, request).map_err(|error| ConnectError::Unreachable(error.to_string()))?;
        let reach = self.reaches.to(origin, options.trusted.as_ref());
        let mut ready = None;
        if options.multiplex {
            match self.send_shared(&reach, (origin, options), &head, head_timeout).await? {
                Shared::Alone(transport) => ready = transport,
                Shared::Response(response) => {
                    self.met.answered(origin);
                    return Ok(response);
                }
            }
        }
        let dial =
            self.resolved((origin, NamedBy::Route), options, Usage::Stream).await.map_err(ConnectError::Unreachable)?;
        while ready.is_some() || dial.has_more() {
            let made = match ready.take() {
                Some(transport) => Ok(transport),
                None if !dial.has_slot() => {
                    dial.hold(self.turn_at(&reach, options, head_timeout).await?);
                    continue;
                }
                None => self.transport(&dial, &reach, origin, options).await,
            };
            let transport = match made {
                Ok(transport) => transport,
                Err(error) => {
                    dial.failed(&error, origin);
                    continue;
                }
            };
            let is_http2 = transport.speaks_http2();
            if let Some(turn) = &self.turn {
                turn.goes_to(transport.address);
            }
            match exchange(transport, &head, origin, head_timeout).await {
                Ok(response) => {
                    self.met.answered(origin);
                    if options.multiplex {
                        self.note_speech(&reach, origin, is_http2);
                    }
                    return Ok(response);
                }
                Err(NoHead::Late) => return Err(ConnectError::HeadTimeout),
                Err(NoHead::Broken(error)) => dial.failed(&error, origin),
                Err(NoHead::Unsent) => dial.note("the origin takes no request on a new connection".to_owned()),
                Err(NoHead::Endless) => {
                    dial.note(format!("more than {MAX_INFORMATIONAL} informational responses (1xx)"));
                }
            }
        }
        Err(ConnectError::Unreachable(dial.failures().unwrap_or_default()))
    }

    /// Makes a connection to any address that is left.
    async fn transport(
        &self,
        dial: &Dial,
        reach: &Reach,
        origin: &Origin,
        options: &UpstreamOptions,
    ) -> pingora::Result<Transport> {
        let connected = dial.connected().await?;
        Ok(self.secured(connected, reach, origin, options).await?)
    }

    /// Makes the handshake on a connection, if the origin speaks TLS.
    async fn secured(
        &self,
        connected: Connected,
        reach: &Reach,
        origin: &Origin,
        options: &UpstreamOptions,
    ) -> Result<Transport, NoHandshake> {
        let Connected { stream, address, held } = connected;
        if !origin.is_tls() {
            return Ok(Transport::tcp(stream, address, held));
        }
        let tls = self.reaches.tls(reach, origin, options.trusted.as_ref()).map_err(NoHandshake::NoTls)?;
        let stream = tls.handshake(stream, options.connect_timeout).await?;
        Ok(Transport::tls(stream, address, held))
    }

    /// Resolves the origin's name for one request of a proxy.
    ///
    /// # Errors
    /// Fails with a sentence that names the host.
    pub async fn dial(&self, origin: &Origin, options: &UpstreamOptions, usage: Usage) -> Result<Arc<Dial>, String> {
        self.resolved((origin, NamedBy::Route), options, usage).await
    }

    async fn resolved(
        &self,
        (origin, named_by): (&Origin, NamedBy),
        options: &UpstreamOptions,
        usage: Usage,
    ) -> Result<Arc<Dial>, String> {
        let host = origin.bare_host();
        let found = self.lookups.find(host, origin.port(), options.connect_timeout).await;
        let place = named_by.place();
        let found = found.map_err(|why| format!("cannot resolve {host}: {why}: correct {place}, or its DNS"))?;
        let order = in_order(&found, fastrand::usize(..));
        let order = match &self.turn {
            Some(turn) => turn.in_turn(order),
            None => order,
        };
        let slots = Arc::clone(&self.reaches.to(origin, options.trusted.as_ref()).slots);
        Ok(Dial::new(order, (origin, named_by), options, usage, (self.places.clone(), slots), self.met.clone()))
    }
}

impl Default for Connector {
    fn default() -> Self {
        Self::new()
    }
}
