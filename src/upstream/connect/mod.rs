//! The socket to the origin: name resolution, pingora's connector, one request and its response.
//!
//! Beside the gateway and the service, the only place that names pingora.

mod dial;
mod line;
mod reason;
mod system;
#[cfg(test)]
mod tests;
mod trust;
mod turns;
mod upgrading;
mod verification;

pub use dial::{Dial, Usage};
pub use line::Line;
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
use crate::hub::StreamRequest;
use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, HOST, USER_AGENT as USER_AGENT_FIELD};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use pingora::connectors::ConnectorOptions;
use pingora::connectors::http::Connector as PingoraConnector;
use pingora::http::RequestHeader;
use pingora::protocols::http::client::HttpSession;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;
use turns::Turn;

/// Sent as `User-Agent`, unless the route's upstream headers name another.
pub const USER_AGENT: &str = concat!("manifold/", env!("CARGO_PKG_VERSION"));

/// The most that a proxy's request asks a [`Dial`] for a peer: each address may take two, one of them to name the peer by
/// the address that it is connected to, and kept connections that turn out to be closed take the rest.
pub const MAX_PEERS: usize = 3 * MAX_ADDRESSES;

/// Connections of streams that are kept for another: each stream has its own.
const NONE_KEPT: usize = 1;

/// Informational responses (1xx) taken before the final one; an origin that sends more is broken.
const MAX_INFORMATIONAL: usize = 16;

/// Connects to origins. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    pingora: Arc<PingoraConnector>,
    system: SystemTrust,
    lookups: Lookups,
    outages: Outages,
    met: Met,
    /// The attempt that it connects for, where another may be made beside it.
    turn: Option<Arc<Turn>>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

/// A request. Its method is always GET, and it has no body.
#[derive(Debug, Clone)]
pub struct Request {
    /// The path and query, as the origin sees them.
    pub path_and_query: String,
    /// All headers except `Accept-Encoding: identity`, `Via` and those of `[routes.upstream]`. Without a `Host` here, the
    /// origin's is sent.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Request {
    /// The request for a shared stream, which resumes after the id if there is one. manifold's usual headers are added
    /// unless the stream has its own.
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
    /// No connection to any address, or no head from any that took one.
    #[error("{0}")]
    Unreachable(String),
    /// The connection stands, the head did not come.
    #[error("no response head in time")]
    HeadTimeout,
}

/// Why an exchange brought no head.
enum NoHead {
    Late,
    Broken(Box<pingora::Error>),
    /// Informational responses, and no end of them.
    Endless,
}

impl Connector {
    /// A connector that trusts nobody where a route names no certificates.
    #[must_use]
    pub fn new() -> Self {
        Self::trusting(SystemTrust::Unneeded)
    }

    /// A connector. `system`: whom it trusts where a route names no certificates.
    #[must_use]
    pub fn trusting(system: SystemTrust) -> Self {
        Self::looking_up(Lookups::of_the_system(), system)
    }

    /// One for which every name has these addresses.
    #[cfg(test)]
    pub(crate) fn finding(addresses: Vec<std::net::SocketAddr>) -> Self {
        let lookups = Lookups::new(Arc::new(move |_, _| Box::pin(std::future::ready(Ok(addresses.clone())))));
        Self::looking_up(lookups, SystemTrust::Unneeded)
    }

    fn looking_up(lookups: Lookups, system: SystemTrust) -> Self {
        let options = ConnectorOptions { ca_file: system.instead(), ..ConnectorOptions::new(NONE_KEPT) };
        let pingora = Arc::new(PingoraConnector::new(Some(options)));
        Self { pingora, system, lookups, outages: Outages::default(), met: Met::default(), turn: None }
    }

    /// Whom it trusts where a route names no certificates.
    #[must_use]
    pub fn system(&self) -> SystemTrust {
        self.system
    }

    /// The outages of the origins, which are those of all who connect by it.
    #[must_use]
    pub fn outages(&self) -> &Outages {
        &self.outages
    }

    /// What is known of the origins and of the routes to them.
    pub(super) fn met(&self) -> &Met {
        &self.met
    }

    /// A connector for one attempt of several: it begins at an address where none of the others is.
    #[must_use]
    pub(super) fn in_turn(&self, turns: &Turns) -> Self {
        Self { turn: Some(Arc::new(turns.next())), ..self.clone() }
    }

    /// Resolves the origin's name, tries every address until one sends a response head, and reads it. Without a
    /// `head_timeout` it waits for a head for as long as the caller does.
    ///
    /// # Errors
    /// When no address answers, or the one that took the request sends no head within `head_timeout`: a request is with one
    /// address at a time, and that one may be working on it.
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
                            return Ok(response);
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
    /// A sentence that names the host.
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
        Ok(Dial::new(order, origin, options, usage, self.met.clone()))
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
        Ok(Some((status, headers))) => Ok(Response { session, status, headers }),
    }
}

fn request_head(origin: &Origin, options: &UpstreamOptions, request: &Request) -> pingora::Result<RequestHeader> {
    let mut head = RequestHeader::build(Method::GET, request.path_and_query.as_bytes(), None)?;
    head.insert_header(HOST, origin.authority())?;
    head.insert_header(ACCEPT_ENCODING, "identity")?;
    // Headers of the request replace these.
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

/// Whether no other response follows: an origin that upgrades without having been asked goes on in another protocol.
fn is_final(status: StatusCode) -> bool {
    !status.is_informational() || status == StatusCode::SWITCHING_PROTOCOLS
}

impl Response {
    /// The next bytes of the body; `None` at its orderly end. Not safe to drop half-way.
    ///
    /// # Errors
    /// When the connection breaks, or the body ends before its framing says so.
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
