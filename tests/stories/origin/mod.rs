//! An origin on a port of its own. The story controls every byte of its answers.

mod connection;
mod exchange;
mod port;
mod resuming;
mod state;
mod tls;

pub use exchange::{Body, Coding, Exchange, over};
pub use port::Port;
pub use resuming::ResumingOrigin;
pub use state::Request;
pub use tls::{Authority, Version};

use crate::guard::guarded;
use connection::Serving;
use state::{State, Watched};
use std::future::Future;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// More requests than any story leaves unanswered.
const UNANSWERED: usize = 4096;

/// The protocol of an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// HTTP/1.x in the clear.
    Http1,
    /// HTTP/2 in the clear, with prior knowledge.
    H2c,
    /// The same, with at most this many streams on a connection.
    H2cAtMost(u32),
    /// TLS, with these protocols to choose from.
    Tls(&'static [&'static str]),
}

/// A listener and the task that serves it.
struct Listening {
    task: JoinHandle<()>,
    socket: OwnedFd,
}

/// A real origin on a socket.
pub struct Origin {
    port: Port,
    serving: Serving,
    listener: Mutex<Option<Listening>>,
    exchanges: tokio::sync::Mutex<mpsc::Receiver<Exchange>>,
}

impl Origin {
    /// An origin whose requests wait for the story to [`accept`](Self::accept) them.
    pub fn start() -> Self {
        Self::speaking(Speech::Http1)
    }

    /// An origin with another protocol, whose requests wait in the same way.
    pub fn speaking(speech: Speech) -> Self {
        let (queue, exchanges) = mpsc::channel(UNANSWERED);
        let handler = move |exchange| {
            let queue = queue.clone();
            async move { queue.try_send(exchange).expect("the story left too many requests unanswered") }
        };
        Self::build(speech, handler, exchanges)
    }

    /// An origin that answers every request by itself.
    pub fn answering<F, A>(answer: F) -> Self
    where
        F: Fn(Exchange) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let (_, nothing) = mpsc::channel(1);
        Self::build(Speech::Http1, answer, nothing)
    }

    fn build<F, A>(speech: Speech, answer: F, exchanges: mpsc::Receiver<Exchange>) -> Self
    where
        F: Fn(Exchange) -> A + Send + Sync + 'static,
        A: Future<Output = ()> + Send + 'static,
    {
        let (authority, acceptor) = match speech {
            Speech::Tls(protocols) => {
                let authority = Authority::new();
                let acceptor = authority.acceptor(protocols);
                (Some(Arc::new(authority)), Some(acceptor))
            }
            Speech::Http1 | Speech::H2c | Speech::H2cAtMost(_) => (None, None),
        };
        let answer = Arc::new(move |exchange| -> connection::Answer { Box::pin(answer(exchange)) });
        let serving = Serving { state: Watched::default(), speech, authority, acceptor, answer };
        let origin = Self {
            port: Port::reserve(),
            serving,
            listener: Mutex::new(None),
            exchanges: tokio::sync::Mutex::new(exchanges),
        };
        origin.restart();
        origin
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// Its URL, as a configuration names it.
    pub fn url(&self) -> String {
        match self.serving.speech {
            Speech::Http1 | Speech::H2c | Speech::H2cAtMost(_) => format!("http://{}", self.addr()),
            Speech::Tls(_) => format!("https://localhost:{}", self.addr().port()),
        }
    }

    /// The authority that signed its certificate.
    pub fn authority(&self) -> &Authority {
        self.serving.authority.as_deref().expect("this origin speaks in the clear")
    }

    /// The next request, to be answered by the story.
    pub async fn accept(&self) -> Exchange {
        let next = async { self.exchanges.lock().await.recv().await };
        guarded("a request at the origin", next).await.expect("this origin answers by itself")
    }

    /// The next request, answered at once with a stream.
    pub async fn stream(&self) -> Body {
        self.accept().await.sse().await
    }

    /// The `n`-th request since the origin started, counted from 1. Waits until it has come.
    pub async fn request(&self, n: usize) -> Arc<Request> {
        self.until(format!("request {n} at the origin"), |state| state.requests.len() >= n).await;
        self.requests()[n - 1].clone()
    }

    /// Every request so far.
    pub fn requests(&self) -> Vec<Arc<Request>> {
        self.serving.state.lock().requests.clone()
    }

    /// The number of connections so far.
    pub fn connections(&self) -> usize {
        self.serving.state.lock().accepted
    }

    /// The numbers of full TLS handshakes so far, and of those that resumed a session.
    pub fn handshakes(&self) -> (usize, usize) {
        self.serving.state.lock().handshakes
    }

    /// The number of connections that are open now.
    pub fn open(&self) -> usize {
        self.serving.state.lock().open.len()
    }

    /// Waits until this many connections are open.
    pub async fn open_connections(&self, n: usize) {
        self.until(format!("{n} open connections at the origin"), |state| state.open.len() == n).await;
    }

    async fn until(&self, what: String, reached: impl Fn(&State) -> bool) {
        guarded(what, self.serving.state.until(reached)).await;
    }

    /// Stops listening and resets every connection. The port stays reserved, so no other process gets it.
    pub async fn kill(&self) {
        let Listening { task, socket } = self.listener.lock().unwrap().take().expect("the origin is dead already");
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled(), "the listener failed");
        // Closing the socket is not enough: a child process of another story holds it too, until it runs its own
        // program.
        state::reset(&socket);
        self.serving.state.lock().reset_all();
    }

    /// Listens again on the same port.
    pub fn restart(&self) {
        let listener = self.port.listen();
        let socket = listener.as_fd().try_clone_to_owned().unwrap();
        let task = tokio::spawn(self.serving.clone().listen(listener));
        let before = self.listener.lock().unwrap().replace(Listening { task, socket });
        assert!(before.is_none(), "the origin lives already");
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        if let Some(listening) = self.listener.lock().unwrap().take() {
            listening.task.abort();
        }
    }
}
