//! The connection to an origin: name resolution, pingora's connector, one request and its response.
//!
//! Only this module and the gateway use pingora.

mod dial;
mod line;
mod places;
mod reason;
mod system;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_places;
mod trust;
mod turns;
mod upgrading;
mod verification;

pub use dial::{Dial, Usage};
pub use line::Line;
pub(super) use places::WhenFull;
pub use reason::reason;
pub use system::{SystemTrust, SystemTrustError};
pub use trust::{InvalidTrust, Trust};
pub(super) use turns::Turns;

use super::lookup::Lookups;
use super::met::Met;
use super::outage::Outages;
use super::race::{MAX_ADDRESSES, in_order};
use super::via::request_via;
use super::{Origin, UpstreamOptions};
use crate::descriptors::{ConnectionPlace, Descriptors};
use crate::hub::StreamRequest;
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, HOST, USER_AGENT as USER_AGENT_FIELD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector as PingoraConnector;
use pingora::http::RequestHeader;
use pingora::protocols::http::client::HttpSession;
use places::Places;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use turns::Turn;

/// The value of `User-Agent`, unless the route's upstream headers name another.
pub const USER_AGENT: &str = concat!("manifold/", env!("CARGO_PKG_VERSION"));

/// The most peers that one proxied request may ask a [`Dial`] for. pingora wants a peer's address before it connects,
/// but another address may connect first. Then a second peer with that address follows. So an address may take two
/// peers. The remaining third is for kept connections that turn out to be closed.
pub const MAX_PEERS: usize = 3 * MAX_ADDRESSES;

/// The size of pingora's pool of idle connections. The connection of a stream is never used for another request, so the
/// pool is as small as possible.
const NONE_KEPT: usize = 1;

/// The most informational responses (1xx) before the final response. An origin that sends more is broken.
const MAX_INFORMATIONAL: usize = 16;

/// Connects to origins. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    pingora: Arc<PingoraConnector>,
    system: SystemTrust,
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

/// A response whose head was read.
pub struct Response {
    session: HttpSession,
    /// The place of the connection. It comes after the session, which closes the connection when it is dropped.
    _place: Option<ConnectionPlace>,
    /// The final status.
    pub status: StatusCode,
    /// The response headers.
    pub headers: HeaderMap,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// No address accepted a connection, or no head came from those that did.
    #[error("{0}")]
    Unreachable(String),
    /// A connection was made, but the response head did not come in time.
    #[error("no response head in time")]
    HeadTimeout,
}

/// Why an exchange brought no final head.
enum NoHead {
    Late,
    Broken(Box<pingora::Error>),
    /// There were too many informational responses.
    Endless,
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
        let options = ConnectorOptions { ca_file: system.instead(), ..ConnectorOptions::new(NONE_KEPT) };
        let pingora = Arc::new(PingoraConnector::new(Some(options)));
        let places = Places::of(Descriptors::unlimited());
        Self { pingora, system, lookups, outages: Outages::default(), met: Met::default(), places, turn: None }
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

    /// A connector for one stream. The stream has a place as long as the connector and its clones are there. `None`:
    /// there is no place for another stream.
    #[must_use]
    pub(super) fn for_stream(&self) -> Option<Self> {
        Some(Self { places: self.places.for_stream()?, ..self.clone() })
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
        let dial = self.resolved(origin, options, Usage::Stream).await.map_err(ConnectError::Unreachable)?;
        while let Some(peer) = dial.peer(origin, options) {
            match self.pingora.get_http_session(&peer).await {
                Ok((session, _)) => {
                    if let Err(error) = dial.admit(&peer, session.digest()) {
                        dial.failed(&error, origin);
                        continue;
                    }
                    if let (Some(turn), Some(address)) = (&self.turn, dial.current()) {
                        turn.goes_to(address);
                    }
                    match exchange(session, head.clone(), head_timeout).await {
                        Ok(response) => {
                            self.met.answered(origin);
                            return Ok(Response { _place: dial.take_place(), ..response });
                        }
                        Err(NoHead::Late) => return Err(ConnectError::HeadTimeout),
                        Err(NoHead::Broken(error)) => dial.failed(&error, origin),
                        Err(NoHead::Endless) => {
                            dial.note(format!("more than {MAX_INFORMATIONAL} informational responses (1xx)"));
                        }
                    }
                }
                Err(error) => dial.failed(&error, origin),
            }
        }
        Err(ConnectError::Unreachable(dial.failures().unwrap_or_default()))
    }

    /// Resolves the origin's name for one request of a proxy.
    ///
    /// # Errors
    /// Fails with a sentence that names the host.
    pub async fn dial(&self, origin: &Origin, options: &UpstreamOptions, usage: Usage) -> Result<Arc<Dial>, String> {
        self.resolved(origin, options, usage).await
    }

    async fn resolved(&self, origin: &Origin, options: &UpstreamOptions, usage: Usage) -> Result<Arc<Dial>, String> {
        let host = origin.bare_host();
        let found = self.lookups.find(host, origin.port(), options.connect_timeout).await;
        let found =
            found.map_err(|why| format!("cannot resolve {host}: {why}: correct the route's origin, or its DNS"))?;
        let order = in_order(&found, fastrand::usize(..));
        let order = match &self.turn {
            Some(turn) => turn.in_turn(order),
            None => order,
        };
        Ok(Dial::new(order, origin, options, usage, self.places.clone(), self.met.clone()))
    }
}

impl Default for Connector {
    fn default() -> Self {
        Self::new()
    }
}

async fn exchange(
    mut session: HttpSession,
    head: RequestHeader,
    head_timeout: Option<Duration>,
) -> Result<Response, NoHead> {
    let response = async {
        session.write_request_header(Box::new(head)).await?;
        session.finish_request_body().await?;
        for _ in 0..MAX_INFORMATIONAL {
            session.read_response_header().await?;
            if let Some(head) = session.response_header().filter(|head| is_final(head.status)) {
                return Ok(Some((head.status, head.headers.clone())));
            }
        }
        Ok::<_, Box<pingora::Error>>(None)
    };
    let come = match head_timeout {
        Some(patience) => timeout(patience, response).await.map_err(|_| NoHead::Late)?,
        None => response.await,
    };
    match come {
        Err(error) => Err(NoHead::Broken(error)),
        Ok(None) => Err(NoHead::Endless),
        Ok(Some((status, headers))) => Ok(Response { session, _place: None, status, headers }),
    }
}

fn request_head(origin: &Origin, options: &UpstreamOptions, request: &Request) -> pingora::Result<RequestHeader> {
    let mut head = RequestHeader::build(Method::GET, request.path_and_query.as_bytes(), None)?;
    head.insert_header(HOST, origin.authority())?;
    head.insert_header(ACCEPT_ENCODING, "identity")?;
    // The fields of the request replace these.
    for (name, _) in &request.headers {
        head.remove_header(name);
    }
    for (name, value) in &request.headers {
        head.append_header(name, value)?;
    }
    let via = request_via(&head.headers);
    head.insert_header(http::header::VIA, via)?;
    for (name, value) in &options.headers {
        head.insert_header(name, value.now())?;
    }
    Ok(head)
}

/// Whether a response with this status is the last one. After an upgrade (101) the origin goes on in another protocol,
/// even if no upgrade was asked for.
fn is_final(status: StatusCode) -> bool {
    !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS
}

impl Response {
    /// The next bytes of the body. `None` at its orderly end. Must not be dropped half-way.
    ///
    /// # Errors
    /// Fails when the connection breaks, or when the body ends earlier than its framing says.
    pub async fn read(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            match self.session.read_response_body().await {
                Ok(Some(bytes)) if bytes.is_empty() => {}
                Ok(bytes) => return Ok(bytes),
                Err(error) => return Err(io::Error::other(reason(&error))),
            }
        }
    }
}
