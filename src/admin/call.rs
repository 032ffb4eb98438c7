//! One exchange with a running process, over HTTP/1.1.

use super::unverified;
use crate::config::{ListenAddr, Networks};
use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::io;
use std::net::IpAddr;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// The header of the PROXY protocol with which a health check begins: the connection is not for a client.
const INTRODUCTION: &[u8] = b"PROXY UNKNOWN\r\n";

/// Where a process listens, and what it expects of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Listener<'a> {
    pub(super) address: &'a ListenAddr,
    /// The address speaks TLS, and is a TCP address.
    pub(super) is_tls: bool,
    /// The peers whose connections begin with a header of the PROXY protocol.
    pub(super) introduced: &'a Networks,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// No process listens on the address, or it cannot be reached.
    Unreachable(io::Error),
    /// The address did not answer in TLS, or closed the connection.
    NoHandshake(io::Error),
    /// The answer was not HTTP, or the connection was lost.
    NoAnswer(hyper::Error),
}

/// Sends a request to a listener, and returns the status and the text of the answer. At most `most` bytes of the text are
/// read.
pub(super) async fn call(
    listener: Listener<'_>,
    request: Request<Empty<Bytes>>,
    most: usize,
) -> Result<(StatusCode, String), Unanswered> {
    match listener.address {
        ListenAddr::Tcp(address) => {
            let mut stream = TcpStream::connect(address).await.map_err(Unanswered::Unreachable)?;
            let own = stream.local_addr().map_err(Unanswered::Unreachable)?;
            introduce(&mut stream, Some(own.ip()), listener.introduced).await?;
            let host = address.to_string();
            if !listener.is_tls {
                return exchange(stream, &host, request, most).await;
            }
            let secured = unverified::handshake(stream, address.ip()).await.map_err(Unanswered::NoHandshake)?;
            exchange(secured, &host, request, most).await
        }
        ListenAddr::Unix(path) => {
            let mut stream = UnixStream::connect(path).await.map_err(Unanswered::Unreachable)?;
            introduce(&mut stream, None, listener.introduced).await?;
            exchange(stream, "localhost", request, most).await
        }
    }
}

/// Says the header of the PROXY protocol, if the listener expects it of this peer. `own`: the address of this side of the
/// connection. A Unix socket has none.
async fn introduce(
    socket: &mut (impl AsyncWrite + Unpin),
    own: Option<IpAddr>,
    introduced: &Networks,
) -> Result<(), Unanswered> {
    if introduced.trusts(own) { socket.write_all(INTRODUCTION).await.map_err(Unanswered::Unreachable) } else { Ok(()) }
}

async fn exchange<S>(
    socket: S,
    host: &str,
    mut request: Request<Empty<Bytes>>,
    most: usize,
) -> Result<(StatusCode, String), Unanswered>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut requests, connection) = http1::handshake(TokioIo::new(socket)).await.map_err(Unanswered::NoAnswer)?;
    if let Ok(host) = host.parse() {
        request.headers_mut().insert(HOST, host);
    }
    request.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    let answer = async {
        let response = requests.send_request(request).await?;
        let status = response.status();
        // A long or broken body does not change what the status says.
        let body = Limited::new(response.into_body(), most).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Ok((status, String::from_utf8_lossy(&body).trim().to_owned()))
    };
    tokio::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer.map_err(Unanswered::NoAnswer),
        Err(error) = connection => Err(Unanswered::NoAnswer(error)),
    }
}
