//! The socket to the origin: name resolution, pingora's connector, one request and its response.
//!
//! Beside the gateway and the service, the only place that names pingora.

use super::{Origin, UpstreamOptions};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use pingora::ErrorType;
use pingora::connectors::http::Connector as PingoraConnector;
use pingora::http::RequestHeader;
use pingora::protocols::http::client::HttpSession;
use pingora::upstreams::peer::HttpPeer;
use pingora::utils::tls::{WrappedX509, parse_x509};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// Sent as `User-Agent`, unless the route's upstream headers name another.
pub const USER_AGENT: &str = concat!("manifold/", env!("CARGO_PKG_VERSION"));

/// Informational responses (1xx) taken before the final one; an origin that sends more is broken.
const MAX_INFORMATIONAL: usize = 16;

/// Connects to origins. Cheap to clone.
#[derive(Clone)]
pub struct Connector {
    pingora: Arc<PingoraConnector>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

/// A request for a stream: always GET, without a body.
#[derive(Debug, Clone)]
pub struct Request {
    /// The path and query, as the origin sees them.
    pub path_and_query: String,
    /// What is sent beside `Host` and manifold's own headers.
    pub headers: Vec<(HeaderName, HeaderValue)>,
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
    /// No connection to any address, or the request could not be sent.
    #[error("{0}")]
    Unreachable(String),
    /// The connection stands, the head did not come.
    #[error("no response head in time")]
    HeadTimeout,
}

impl Connector {
    /// A connector that trusts the system's certificates where a route names none.
    #[must_use]
    pub fn new() -> Self {
        Self { pingora: Arc::new(PingoraConnector::new(None)) }
    }

    /// Resolves the origin's name, tries every address, sends the request and reads the response head.
    ///
    /// # Errors
    /// When no address answers, or no head comes within `head_timeout`.
    pub async fn send(
        &self,
        origin: &Origin,
        options: &UpstreamOptions,
        request: &Request,
    ) -> Result<Response, ConnectError> {
        let mut last = ConnectError::Unreachable(format!("{} has no address", origin.bare_host()));
        for address in resolve(origin, options.connect_timeout).await.map_err(ConnectError::Unreachable)? {
            let peer = peer(origin, address, options);
            match self.pingora.get_http_session(&peer).await {
                Ok((session, _)) => return exchange(session, origin, options, request).await,
                Err(error) => last = ConnectError::Unreachable(format!("{address}: {}", advised(&error, origin))),
            }
        }
        Err(last)
    }
}

impl Default for Connector {
    fn default() -> Self {
        Self::new()
    }
}

/// The origin's addresses now, asked anew at every attempt.
///
/// # Errors
/// A sentence that names the host.
pub async fn resolve(origin: &Origin, patience: Duration) -> Result<Vec<SocketAddr>, String> {
    let host = origin.bare_host();
    let why = match timeout(patience, tokio::net::lookup_host((host, origin.port()))).await {
        Ok(Ok(addresses)) => return Ok(addresses.collect()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer in {patience:?}"),
    };
    Err(format!("cannot resolve {host}: {why}: correct the route's origin, or its DNS"))
}

/// The peer for one address of an origin.
#[must_use]
pub fn peer(origin: &Origin, address: SocketAddr, options: &UpstreamOptions) -> HttpPeer {
    // An empty SNI would disable certificate verification. An address serves as well: it is then what is verified.
    let mut peer = HttpPeer::new(address, origin.is_tls(), origin.bare_host().to_owned());
    peer.options.connection_timeout = Some(options.connect_timeout);
    peer.options.total_connection_timeout = Some(options.connect_timeout.saturating_mul(2));
    if origin.is_tls() {
        peer.options.set_http_version(2, 1);
        peer.options.ca = options.trusted.as_ref().map(|trusted| {
            trusted.iter().map(|der| WrappedX509::new(der.clone(), parse_x509)).collect::<Vec<_>>().into()
        });
    }
    peer
}

async fn exchange(
    mut session: HttpSession,
    origin: &Origin,
    options: &UpstreamOptions,
    request: &Request,
) -> Result<Response, ConnectError> {
    let head = request_head(origin, options, request).map_err(|error| ConnectError::Unreachable(error.to_string()))?;
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
    match timeout(options.head_timeout, response).await {
        Err(_) => Err(ConnectError::HeadTimeout),
        Ok(Err(error)) => Err(ConnectError::Unreachable(advised(&error, origin))),
        Ok(Ok(None)) => Err(ConnectError::Unreachable("informational responses without an end".to_owned())),
        Ok(Ok(Some((status, headers)))) => Ok(Response { session, status, headers }),
    }
}

fn request_head(origin: &Origin, options: &UpstreamOptions, request: &Request) -> pingora::Result<RequestHeader> {
    let mut head = RequestHeader::build(Method::GET, request.path_and_query.as_bytes(), None)?;
    head.insert_header(http::header::HOST, origin.authority())?;
    head.insert_header(http::header::USER_AGENT, USER_AGENT)?;
    head.insert_header(http::header::ACCEPT, "text/event-stream")?;
    head.insert_header(http::header::ACCEPT_ENCODING, "identity")?;
    head.insert_header(http::header::CACHE_CONTROL, "no-cache")?;
    // What the client or the route says stands instead of ours.
    for (name, _) in &request.headers {
        head.remove_header(name);
    }
    for (name, value) in &request.headers {
        head.append_header(name, value)?;
    }
    for (name, value) in &options.headers {
        head.insert_header(name, value)?;
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

/// What went wrong between here and an origin, for one log line, and what to do about it where that is known.
#[must_use]
pub fn advised(error: &pingora::Error, origin: &Origin) -> String {
    let reason = reason(error);
    match advice(error.etype(), &reason, origin) {
        Some(advice) => format!("{reason}: {advice}"),
        None => reason,
    }
}

/// What went wrong, in a few words.
fn reason(error: &pingora::Error) -> String {
    let what = match error.etype() {
        ErrorType::ConnectRefused => return "connection refused".to_owned(),
        ErrorType::ConnectTimedout => return "connect timed out".to_owned(),
        ErrorType::TLSHandshakeTimedout => return "TLS handshake timed out".to_owned(),
        ErrorType::ConnectionClosed => return "closed by the origin".to_owned(),
        ErrorType::TLSHandshakeFailure => "TLS handshake failed",
        other => other.as_str(),
    };
    let root = root(error);
    if *root.etype() == ErrorType::InvalidHTTPHeader {
        // What else is known of it quotes the head, and so cookies.
        return what.to_owned();
    }
    let context = root.context.as_ref().map(ToString::to_string);
    let cause = root.cause.as_ref().map(ToString::to_string);
    let parts = [Some(what), context.as_deref(), cause.as_deref()];
    let said = parts.into_iter().flatten().collect::<Vec<_>>().join(": ");
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The error that all others in the chain tell of.
fn root(error: &pingora::Error) -> &pingora::Error {
    let mut root = error;
    while let Some(cause) = root.cause.as_ref().and_then(|cause| cause.downcast_ref::<Box<pingora::Error>>()) {
        root = cause;
    }
    root
}

/// What the one who wrote the configuration may do. Of a failed handshake, pingora keeps no more than rustls's words.
fn advice(kind: &ErrorType, said: &str, origin: &Origin) -> Option<String> {
    match kind {
        ErrorType::ConnectRefused => Some("start the origin, or correct the route's origin".to_owned()),
        ErrorType::InvalidHTTPHeader if !origin.is_tls() => {
            Some("no HTTP came back: if the origin speaks TLS, its URL must begin with https://".to_owned())
        }
        ErrorType::TLSHandshakeFailure if said.contains("InvalidContentType") => {
            Some("no TLS came back: if the origin speaks plain HTTP, its URL must begin with http://".to_owned())
        }
        ErrorType::TLSHandshakeFailure if said.contains("UnknownIssuer") => {
            Some("its certificate is not trusted: name the file of its authority in upstream.ca_file".to_owned())
        }
        ErrorType::TLSHandshakeFailure if said.contains("not valid for name") => Some(format!(
            "its certificate is not for {}: the route's origin must name a host of it",
            origin.bare_host()
        )),
        _ => None,
    }
}
