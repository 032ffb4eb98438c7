//! The demo's origin, as simple as people write one: the right content type, a loop and a flush.

use super::ticker::Ticker;
use crate::web::{Answer, Live, Reply, Server};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::channel::{Channel, Sender};
use http_body_util::{Either, Full};
use hyper::body::Incoming;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};

/// The largest number of events that a resuming client is sent: those of one day. A client that missed more begins
/// with the newest event.
const LONGEST_RESUME: u64 = 86_400;

/// The number of events that one response may hold in its queue.
const QUEUE: usize = 16;

/// The number of flushes after which the flaky stream breaks off. Each new response makes up for one missed flush, so
/// the stream keeps up.
const FLAKY_FLUSHES: u64 = 8;

/// One of this many requests to the flaky stream is answered 503.
const FLAKY_REFUSES_EVERY: u64 = 3;

/// The number of events that the stream without ids misses when a gap is provoked.
const MISSED: u64 = 3;

/// The length of the padding in each large event.
const PADDING: usize = 64 << 10;

/// The origin's streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Events without ids.
    Ticker,
    /// Events with ids, and resumes from them.
    Numbered,
    /// Like `Numbered`, but breaks off and refuses requests now and then.
    Flaky,
    /// Like `Numbered`, with large events. A client that reads slowly falls behind soon.
    Wide,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Ticker, Self::Numbered, Self::Flaky, Self::Wide];

    /// The streams that the page shows, and that the crowd reads.
    pub(super) const SHOWN: [Self; 3] = [Self::Ticker, Self::Numbered, Self::Flaky];

    /// The name of the stream's route.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ticker => "ticker",
            Self::Numbered => "numbered",
            Self::Flaky => "flaky",
            Self::Wide => "wide",
        }
    }

    /// The stream's path, the same at the origin and at the gateway.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Ticker => "/ticker",
            Self::Numbered => "/numbered",
            Self::Flaky => "/flaky",
            Self::Wide => "/wide",
        }
    }

    /// What the stream is, as a comment in the configuration.
    pub(super) fn comment(self) -> &'static str {
        match self {
            Self::Ticker => "no ids: manifold gives them",
            Self::Numbered => "ids, and resumes from them",
            Self::Flaky => "the same, and fails now and then",
            Self::Wide => "the same, with large events for a slow client",
        }
    }
}

/// The origin's streams, and the number of open responses of each.
#[derive(Debug)]
pub(super) struct Origin {
    ticker: Arc<Ticker>,
    open: [Arc<AtomicUsize>; 4],
    flaky_requests: AtomicU64,
    /// The stream without ids is not sent as long as the newest event is not past this number.
    missing: watch::Sender<u64>,
}

impl Origin {
    /// The number of responses on which this stream is being sent.
    pub(super) fn open(&self, kind: Kind) -> usize {
        self.open[kind as usize].load(Ordering::Relaxed)
    }

    /// Breaks off the stream without ids, and refuses it until it has missed [`MISSED`] events.
    pub(super) fn miss(&self) {
        let newest = *self.ticker.newest().borrow();
        self.missing.send_replace(newest.saturating_add(MISSED));
    }

    fn stream(&self, kind: Kind, last_event_id: Option<&str>) -> Reply {
        let newest = *self.ticker.newest().borrow();
        let asked = last_event_id.and_then(|id| self.ticker.number(id));
        let told = match asked.filter(|_| kind != Kind::Ticker) {
            Some(n) if newest.saturating_sub(n) <= LONGEST_RESUME => n,
            _ => newest,
        };
        let (sender, body) = Channel::new(QUEUE);
        tokio::spawn(tell(sender, Arc::clone(&self.ticker), self.missing.subscribe(), kind, told));
        let live = Live::new(body, Open::new(&self.open[kind as usize]));
        let mut reply = Response::new(Either::Right(live));
        reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        reply
    }
}

impl Answer for Origin {
    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let Some(kind) = Kind::ALL.into_iter().find(|kind| kind.path() == request.uri().path()) else {
            return refusal(StatusCode::NOT_FOUND, "no such stream\n");
        };
        if kind == Kind::Flaky {
            let requests = self.flaky_requests.fetch_add(1, Ordering::Relaxed) + 1;
            if requests.is_multiple_of(FLAKY_REFUSES_EVERY) {
                return refusal(StatusCode::SERVICE_UNAVAILABLE, "not now\n");
            }
        }
        if kind == Kind::Ticker && *self.ticker.newest().borrow() <= *self.missing.borrow() {
            return refusal(StatusCode::SERVICE_UNAVAILABLE, "not now\n");
        }
        self.stream(kind, request.headers().get("last-event-id").and_then(|id| id.to_str().ok()))
    }
}

fn refusal(status: StatusCode, text: &'static str) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(Bytes::from_static(text.as_bytes()))));
    *reply.status_mut() = status;
    reply
}

/// The loop and the flush: sends every event after `told`, as it comes.
async fn tell(
    mut body: Sender<Bytes, io::Error>,
    ticker: Arc<Ticker>,
    mut missing: watch::Receiver<u64>,
    kind: Kind,
    mut told: u64,
) {
    let mut newest = ticker.newest();
    let mut flushes_left = if kind == Kind::Flaky { FLAKY_FLUSHES } else { u64::MAX };
    loop {
        let upto = *newest.borrow_and_update();
        if told < upto {
            if flushes_left == 0 {
                body.abort(io::Error::other("the flaky stream breaks off"));
                return;
            }
            flushes_left -= 1;
        }
        while told < upto {
            told += 1;
            if body.send_data(event(&ticker, kind, told)).await.is_err() {
                return;
            }
        }
        let changed = tokio::select! {
            changed = newest.changed() => changed,
            _ = missing.changed(), if kind == Kind::Ticker => {
                body.abort(io::Error::other("a gap is provoked"));
                return;
            }
        };
        if changed.is_err() {
            return;
        }
    }
}

fn event(ticker: &Ticker, kind: Kind, n: u64) -> Bytes {
    let data = ticker.data(n);
    Bytes::from(match kind {
        Kind::Ticker => format!("data: {data}\n\n"),
        Kind::Numbered | Kind::Flaky => format!("id: {}\ndata: {data}\n\n", ticker.id(n)),
        Kind::Wide => format!("id: {}\ndata: {data}\ndata: {}\n\n", ticker.id(n), "x".repeat(PADDING)),
    })
}

/// Counts one open response.
struct Open(Arc<AtomicUsize>);

impl Open {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The origin's server, which can be stopped and started. Its address stays the same.
#[derive(Debug)]
pub(super) struct Switch {
    address: SocketAddr,
    origin: Arc<Origin>,
    server: Mutex<Option<Server>>,
}

impl Switch {
    /// Starts an origin on any free port of the loopback address.
    pub(super) async fn start(ticker: Arc<Ticker>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let origin = Arc::new(Origin {
            ticker,
            open: Default::default(),
            flaky_requests: AtomicU64::new(0),
            missing: watch::channel(0).0,
        });
        let server = Mutex::new(Some(Server::start(listener, Arc::clone(&origin))));
        Ok(Self { address, origin, server })
    }

    /// The address where the server listens while it runs.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The origin that the server serves.
    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whether the server runs.
    pub(super) async fn is_on(&self) -> bool {
        self.server.lock().await.is_some()
    }

    /// Starts the server again.
    ///
    /// # Errors
    /// Fails when another program has taken the port.
    pub(super) async fn turn_on(&self) -> io::Result<()> {
        let mut server = self.server.lock().await;
        if server.is_none() {
            let listener = TcpListener::bind(self.address).await?;
            *server = Some(Server::start(listener, Arc::clone(&self.origin)));
        }
        Ok(())
    }

    /// Stops the server: closes the listener and every connection.
    pub(super) async fn turn_off(&self) {
        let mut server = self.server.lock().await;
        if let Some(server) = server.take() {
            server.stop().await;
        }
    }
}
