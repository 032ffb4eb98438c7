//! A small HTTP/1.1 server whose listener and connections end together.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::channel::Channel;
use http_body_util::{Either, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

/// How long to wait when no connection can be accepted, which is when descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A body: all at once, or as it comes.
pub(crate) type Reply = Response<Either<Full<Bytes>, Live>>;

/// Answers requests.
pub(crate) trait Answer: Send + Sync + 'static {
    /// The response to one request.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Reply> + Send;
}

/// A body as it comes, with something that is dropped with the connection.
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

/// A server that runs; its drop closes its listener and its connections.
#[derive(Debug)]
pub(crate) struct Server {
    stop: oneshot::Sender<Infallible>,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves on `listener`.
    pub(crate) fn start<A: Answer>(listener: TcpListener, answer: Arc<A>) -> Self {
        let (stop, stopped) = oneshot::channel();
        Self { stop, task: tokio::spawn(accept(listener, answer, stopped)) }
    }

    /// Closes the listener and every connection, whatever they are doing; resolves when that is done.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            log::warn!("a server failed: {error}");
        }
    }
}

async fn accept<A: Answer>(listener: TcpListener, answer: Arc<A>, mut stopped: oneshot::Receiver<Infallible>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => break,
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    connections.spawn(serve(socket, peer, Arc::clone(&answer)));
                }
                Err(error) => {
                    log::warn!("cannot accept a connection: {error}");
                    sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn serve<A: Answer>(socket: TcpStream, peer: SocketAddr, answer: Arc<A>) {
    let service = service_fn(|request| {
        let answer = Arc::clone(&answer);
        async move { Ok::<_, Infallible>(answer.answer(request).await) }
    });
    if let Err(error) = http1::Builder::new().serve_connection(TokioIo::new(socket), service).await {
        log::debug!("connection ended peer={peer} why=\"{error}\"");
    }
}
