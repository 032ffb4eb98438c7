//! A connection to an origin on which the caller itself speaks HTTP.

use super::dial::Usage;
use super::reason::advised;
use super::transport::Transport;
use super::{ConnectError, Connector};
use crate::upstream::{Origin, UpstreamOptions};
use pingora::{Error, ErrorType};
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
    /// The version of TLS. `None`: the connection is in the clear.
    pub tls: Option<String>,
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

impl Connector {
    /// Makes a connection of its own to any address of the origin, as for a stream.
    ///
    /// # Errors
    /// Why no address was connected, with advice, in the words of the log.
    pub async fn wire(&self, origin: &Origin, options: &UpstreamOptions) -> Result<Wire, String> {
        let begun = Instant::now();
        let reach = self.reaches.to(origin, options.trusted.as_ref());
        let dial = self.resolved(origin, options, Usage::Stream).await?;
        let slot = self.turn_at(&reach, options, None).await.map_err(|error: ConnectError| error.to_string())?;
        dial.hold(slot);
        while dial.has_more() {
            match self.transport(&dial, &reach, origin, options).await {
                Ok(transport) => {
                    let (address, tls, is_http2) =
                        (transport.address, transport.tls_version(), transport.speaks_http2());
                    return Ok(Wire { transport, address, took: begun.elapsed(), tls, is_http2 });
                }
                Err(error) => dial.failed(&error, origin),
            }
        }
        Err(dial.failures().unwrap_or_else(|| "the origin has no address".to_owned()))
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
    pub fn words(self, origin: &Origin) -> String {
        let error = match self {
            Self::Closed => Error::new(ErrorType::ConnectionClosed),
            // This is the text of pingora's parser for a head that does not begin like HTTP.
            Self::NoHttp => Error::because(ErrorType::InvalidHTTPHeader, "", "invalid HTTP version"),
        };
        advised(&error, origin, true)
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
        assert_eq!(Unanswered::NoHttp.words(&plain), format!("the answer is not HTTP: {other}"));
        assert_eq!(Unanswered::Closed.words(&plain), format!("closed by the origin: {other}"));
        assert_eq!(Unanswered::NoHttp.words(&tls), "the answer is not HTTP");
        assert_eq!(Unanswered::Closed.words(&tls), "closed by the origin");
    }
}
