//! A connection to an origin on which the caller itself speaks HTTP.

use super::dial::Usage;
use super::reason::{NamedBy, advised};
use super::refusal::Refusal;
use super::tls::NoHandshake;
use super::transport::Transport;
use super::{ConnectError, Connector};
use crate::certificates::Presented;
use crate::upstream::{Origin, UpstreamOptions};
use pingora::{Error, ErrorType};
use rustls::ClientConnection;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

/// A connection on which nothing was sent yet.
pub struct Wire {
    transport: Transport,
    /// The address that was reached.
    pub address: SocketAddr,
    /// The time for the name look-up, TCP and TLS.
    pub took: Duration,
    /// What TLS has agreed on. `None`: the connection is in the clear.
    pub tls: Option<Secured>,
    /// Whether TLS has agreed on HTTP/2.
    pub is_http2: bool,
}

/// How a connection failed to bring an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// It was closed or reset.
    Closed,
    /// What came back is not HTTP.
    NoHttp,
}

/// What TLS has agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secured {
    /// The version, such as `TLS 1.3`.
    pub version: String,
    /// The protocol that the server chose (RFC 7301), such as `h2`. `None`: it chose none.
    pub protocol: Option<String>,
    /// The certificate of the server, which was verified. `None`: it cannot be read.
    pub certificate: Option<Presented>,
}

/// Why there is no [`Wire`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoWire {
    /// The name has no address, or no address was connected. With advice, in the words of the log.
    #[error("{0}")]
    Unreachable(String),
    /// The certificate of the server is refused.
    #[error("{words}")]
    Refused {
        /// Why.
        why: Refusal,
        /// The same with advice, in the words of the log.
        words: String,
    },
}

impl Connector {
    /// Makes a connection of its own to any address of the origin, as for a stream.
    ///
    /// # Errors
    /// Why no address was connected.
    pub async fn wire(&self, origin: &Origin, named_by: NamedBy, options: &UpstreamOptions) -> Result<Wire, NoWire> {
        let begun = Instant::now();
        let reach = self.reaches.to(origin, options.trusted.as_ref());
        let dial = self.resolved((origin, named_by), options, Usage::Stream).await.map_err(NoWire::Unreachable)?;
        let slot = self.turn_at(&reach, options, None).await;
        dial.hold(slot.map_err(|error: ConnectError| NoWire::Unreachable(error.to_string()))?);
        let mut refusal = None;
        while dial.has_more() {
            let connected = match dial.connected().await {
                Ok(connected) => connected,
                Err(error) => {
                    dial.failed(&error, origin);
                    continue;
                }
            };
            match self.secured(connected, &reach, origin, options).await {
                Ok(transport) => {
                    let (address, is_http2) = (transport.address, transport.speaks_http2());
                    let tls = transport.session().map(Secured::of);
                    return Ok(Wire { transport, address, took: begun.elapsed(), tls, is_http2 });
                }
                Err(why) => {
                    if let NoHandshake::Failed(error) = &why {
                        refusal = refusal.or_else(|| Refusal::of(error));
                    }
                    dial.failed(&Box::<Error>::from(why), origin);
                }
            }
        }
        let words = dial.failures().unwrap_or_else(|| "the origin has no address".to_owned());
        Err(match refusal {
            Some(why) => NoWire::Refused { why, words },
            None => NoWire::Unreachable(words),
        })
    }
}

impl Secured {
    fn of(session: &ClientConnection) -> Self {
        let version = session.protocol_version().and_then(|version| version.as_str());
        let version = version.map_or_else(|| "TLS".to_owned(), |version| version.replace("TLSv1_", "TLS 1."));
        let protocol = session.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned());
        let certificate = session.peer_certificates().and_then(<[_]>::first).and_then(Presented::of);
        Self { version, protocol, certificate }
    }
}

impl Wire {
    /// The bytes of the connection.
    pub fn into_stream(self) -> impl AsyncRead + AsyncWrite + Send + Unpin + 'static {
        self.transport
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Unanswered {
    /// Explains it, with advice, in the words of the log. The origin has never answered.
    #[must_use]
    pub fn words(self, origin: &Origin, named_by: NamedBy) -> String {
        let error = match self {
            Self::Closed => Error::new(ErrorType::ConnectionClosed),
            // This is the text of pingora's parser for a head that does not begin like HTTP.
            Self::NoHttp => Error::because(ErrorType::InvalidHTTPHeader, "", "invalid HTTP version"),
        };
        advised(&error, (origin, named_by), true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_without_an_answer_is_told_with_advice() {
        let (plain, tls) = (Origin::parse("http://o:81").unwrap(), Origin::parse("https://o:81").unwrap());
        let other =
            "if the origin speaks TLS, its URL must begin with https://: the route's origin is then https://o:81";
        assert_eq!(Unanswered::NoHttp.words(&plain, NamedBy::Route), format!("the answer is not HTTP: {other}"));
        assert_eq!(Unanswered::Closed.words(&plain, NamedBy::Route), format!("closed by the origin: {other}"));
        assert_eq!(Unanswered::NoHttp.words(&tls, NamedBy::Route), "the answer is not HTTP");
        assert_eq!(Unanswered::Closed.words(&tls, NamedBy::Route), "closed by the origin");
    }
}
