//! A small HTTP/1.1 server for pages and figures. Its listener and its connections end together. The gateway's
//! streams do not use it.

use crate::log_limit::LogLimit;
use crate::quoted::reason;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Request, Response, StatusCode};
use http_body_util::channel::Channel;
use http_body_util::{Either, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// How long to wait when no connection can be accepted, for example because the process has no free descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The shortest time between two log lines that say that no connection can be accepted.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// The number of connections at once. Further connections wait until they are accepted.
const MAX_CONNECTIONS: usize = 256;

/// How long a request's head may take, counted from the accept or from the end of the previous exchange.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// How long open exchanges may last once no more connections are accepted.
const FINISH_TIME: Duration = Duration::from_secs(1);

/// A response whose body is sent as a whole, or as it comes.
pub(crate) type Reply = Response<Either<Full<Bytes>, Live>>;

/// Answers requests.
pub(crate) trait Answer: Send + Sync + 'static {
    /// The response to one request.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Reply> + Send;
}

/// A response with a whole body that must not be stored.
pub(crate) fn reply(status: StatusCode, content_type: &str, body: Bytes) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(body)));
    *reply.status_mut() = status;
    let headers = reply.headers_mut();
    if let Ok(content_type) = HeaderValue::from_str(&format!("{content_type}; charset=utf-8")) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    reply
}

/// The response to a request with a method other than `methods`.
pub(crate) fn not_allowed(methods: &'static str) -> Reply {
    let mut reply = reply(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "this method is not allowed here\n".into());
    reply.headers_mut().insert(ALLOW, HeaderValue::from_static(methods));
    reply
}

/// The address at which a listener on `address` can be reached on this machine. For a wildcard address, that is the
/// loopback address.
pub(crate) fn within_reach(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// A body that is sent as it comes, and a value that is dropped with the connection.
pub(crate) struct Live {
    body: Channel<Bytes, io::Error>,
    _held: Box<dyn Any + Send + Sync>,
}

impl Live {
    pub(crate) fn new(body: Channel<Bytes, io::Error>, held: impl Any + Send + Sync) -> Self {
        Self { body, _held: Box::new(held) }
    }
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").finish_non_exhaustive()
    }
}

impl Body for Live {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Where a server listens.
#[derive(Debug)]
pub enum Listener {
    /// A TCP address.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener),
}

/// An accepted connection.
enum Accepted {
    Tcp(TcpStream, SocketAddr),
    Unix(UnixStream),
}

impl Listener {
    async fn accept(&self) -> io::Result<Accepted> {
        match self {
            Self::Tcp(listener) => listener.accept().await.map(|(socket, peer)| Accepted::Tcp(socket, peer)),
            Self::Unix(listener) => listener.accept().await.map(|(socket, _)| Accepted::Unix(socket)),
        }
    }
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

/// A running server. Dropping it closes its listener and its connections.
///
/// ```text
///   Serving ── finish ──▶ Finishing: no listener, each connection ends with its exchange
///      │                      │
///      └──── stop, drop ──────┴──▶ closed
/// ```
#[derive(Debug)]
pub(crate) struct Server {
    phase: watch::Sender<Phase>,
    /// Closes when the listener is closed. Nothing is sent through it.
    listens: oneshot::Receiver<Infallible>,
    task: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    Serving,
    Finishing,
}

impl Server {
    /// Serves on `listener`.
    pub(crate) fn start<A: Answer>(listener: impl Into<Listener>, answer: Arc<A>) -> Self {
        let (phase, seen) = watch::channel(Phase::Serving);
        let (listening, listens) = oneshot::channel();
        Self { phase, listens, task: tokio::spawn(run(listener.into(), listening, answer, seen)) }
    }

    /// Closes the listener and every connection at once. Resolves when that is done.
    pub(crate) async fn stop(self) {
        drop(self.phase);
        if let Err(error) = self.task.await {
            log::warn!("a server failed: {error}");
        }
    }

    /// Closes the listener, and each connection when its exchange ends. `left` is called as soon as the listener is
    /// closed. Resolves when all is done, or [`FINISH_TIME`] after that.
    pub(crate) async fn finish(mut self, left: impl FnOnce()) {
        self.phase.send_replace(Phase::Finishing);
        // This is always an error, because nothing is ever sent.
        let _closed = (&mut self.listens).await;
        left();
        if timeout(FINISH_TIME, &mut self.task).await.is_err() {
            self.stop().await;
        }
    }
}

/// `listening` is dropped with the listener.
async fn run<A: Answer>(
    listener: Listener,
    listening: oneshot::Sender<Infallible>,
    answer: Arc<A>,
    mut phase: watch::Receiver<Phase>,
) {
    let mut connections = JoinSet::new();
    let lines = LogLimit::new(1, TOLD_EVERY);
    loop {
        tokio::select! {
            _ = phase.changed() => break,
            accepted = listener.accept(), if connections.len() < MAX_CONNECTIONS => match accepted {
                Ok(Accepted::Tcp(socket, peer)) => {
                    connections.spawn(serve(socket, Some(peer), Arc::clone(&answer), phase.clone()));
                }
                Ok(Accepted::Unix(socket)) => {
                    connections.spawn(serve(socket, None, Arc::clone(&answer), phase.clone()));
                }
                Err(error) => {
                    if lines.next(Instant::now()).is_some() {
                        log::warn!("cannot accept a connection: {error}");
                    }
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    drop(listening);
    tokio::select! {
        // The sender is dropped when everything must end at once.
        _ = phase.changed() => {}
        () = async { while connections.join_next().await.is_some() {} } => {}
    }
    connections.shutdown().await;
}

/// Serves one connection. `peer`: the client's address. A client of a Unix socket has none.
async fn serve<A: Answer, S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    socket: S,
    peer: Option<SocketAddr>,
    answer: Arc<A>,
    mut phase: watch::Receiver<Phase>,
) {
    let service = service_fn(|request| {
        let answer = Arc::clone(&answer);
        async move { Ok::<_, Infallible>(answer.answer(request).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME);
    let mut connection = pin!(http.serve_connection(TokioIo::new(socket), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = phase.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        let peer = peer.map_or_else(|| "unix".to_owned(), |peer| peer.to_string());
        log::debug!("connection ended peer={peer} why={}", reason(error));
    }
}
