//! Connections of HTTP/2 to an origin. A connection carries one stream, or many.
//!
//! ```text
//!              the origin's SETTINGS           GOAWAY
//!   beginning ──────────────────────▶ open ─────────────▶ retired: no new stream
//!       │                              │                        │
//!       └──────────────────────────────┴────────────────────────┴──▶ over
//!            an error, no answer to a PING, or nobody holds it any more
//! ```
//!
//! Flow control: what is received and not read counts against the window of its stream and against that of the
//! connection. The window of the connection is as large as those of all its streams together. So a stream that is not
//! read stops no other, and holds no more than its own window.

use super::socket::PROBE_AFTER;
use super::transport::Transport;
use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong, Reason, RecvStream};
use http::{Request, Response};
use std::fmt;
use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

/// The most streams that one connection carries. More would need a larger window of the connection.
const MOST_STREAMS: u32 = 100;

/// The window of a stream that shares its connection: how much of it is received before it is read.
const SHARED_WINDOW: u32 = 128 << 10;

/// The window of a stream that has its connection for itself.
const SINGLE_WINDOW: u32 = 1 << 20;

/// What the origin's small DATA frames may cost before they are read. Each that is smaller than 256 bytes costs what it
/// lacks, which is about the memory that it takes. If they cost more, the `h2` crate ends the connection with all its
/// streams. So this is enough for several streams whose windows are full of events of ten bytes. That is rare, because
/// frames are taken out even while a stream is not read (see `Response::soak`).
const SMALL_FRAMES: usize = 64 << 20;

/// The largest DATA frame. Large frames are fewer frames.
const LARGEST_FRAME: u32 = 64 << 10;

/// How long the origin may take to answer a PING.
const PONG_PATIENCE: Duration = Duration::from_secs(5);

/// A connection that carries streams. It is closed when nobody holds it any more.
pub(super) struct Carrier {
    send: SendRequest<Bytes>,
    /// The address of the origin.
    pub(super) address: SocketAddr,
    /// The most streams. It is lowered when the origin refuses one.
    most: AtomicUsize,
    taken: AtomicUsize,
    is_retired: AtomicBool,
    /// True when the origin's SETTINGS have come.
    is_open: watch::Receiver<bool>,
    /// Why the connection ended, if it did not end in order.
    why: Arc<OnceLock<Ended>>,
    /// Wakes one of those that wait for a seat.
    freed: Arc<Notify>,
}

/// Why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) words: String,
    /// Whether the origin sent something that is not HTTP/2.
    pub(super) is_foreign: bool,
}

/// The place of one stream on a connection.
#[derive(Debug)]
pub(super) struct Seat(Arc<Carrier>);

/// Why there is no response to a request of HTTP/2.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The origin has not begun to work on the request, which may be sent on another connection.
    Unsent,
    Broken(h2::Error),
}

impl Carrier {
    /// Begins HTTP/2 on a connection for one stream.
    ///
    /// # Errors
    /// Fails when the connection breaks.
    pub(super) async fn single(transport: Transport) -> Result<Arc<Self>, h2::Error> {
        let mut builder = Builder::new();
        builder.initial_window_size(SINGLE_WINDOW).initial_connection_window_size(SINGLE_WINDOW);
        Self::begin(builder, transport, 1, Arc::default()).await
    }

    /// Begins HTTP/2 on a connection for many streams, and waits for the origin's SETTINGS, which say how many it
    /// takes. `freed` wakes one of those that wait for a seat.
    ///
    /// # Errors
    /// Fails when the connection ends before.
    pub(super) async fn shared(transport: Transport, freed: Arc<Notify>) -> Result<Arc<Self>, Ended> {
        let mut builder = Builder::new();
        // No request is sent before the SETTINGS.
        builder.initial_max_send_streams(0);
        builder.initial_window_size(SHARED_WINDOW).initial_connection_window_size(SHARED_WINDOW * MOST_STREAMS);
        let carrier = Self::begin(builder, transport, MOST_STREAMS as usize, freed).await;
        let carrier = carrier.map_err(|error| Ended::of(&error))?;
        if carrier.is_open.clone().wait_for(|is_open| *is_open).await.is_err() {
            let nothing = || Ended { words: "closed by the origin".to_owned(), is_foreign: false };
            return Err(carrier.why.get().cloned().unwrap_or_else(nothing));
        }
        Ok(carrier)
    }

    async fn begin(
        mut builder: Builder,
        transport: Transport,
        most: usize,
        freed: Arc<Notify>,
    ) -> Result<Arc<Self>, h2::Error> {
        let address = transport.address;
        // A server that pushes is refused, so the number of its streams does not matter.
        builder.enable_push(false).max_concurrent_streams(1).max_frame_size(LARGEST_FRAME);
        let (send, connection) = builder.data_frame_budget(SMALL_FRAMES).handshake(transport).await?;
        let (why, (opened, is_open)) = (Arc::default(), watch::channel(false));
        tokio::spawn(drive(connection, opened, Arc::clone(&why)));
        let (most, taken, is_retired) = (AtomicUsize::new(most), AtomicUsize::new(0), AtomicBool::new(false));
        Ok(Arc::new(Self { send, address, most, taken, is_retired, is_open, why, freed }))
    }

    /// A seat for a stream. `None`: all are taken, or the connection takes no more streams.
    pub(super) fn seat(self: &Arc<Self>) -> Option<Seat> {
        let most = self.most();
        let one_more = |taken| (taken < most).then_some(taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more).ok().map(|_| Seat(Arc::clone(self)))
    }

    /// Whether a seat is free.
    pub(super) fn has_seat(&self) -> bool {
        self.taken.load(Ordering::Acquire) < self.most()
    }

    /// The most streams that the connection takes now.
    fn most(&self) -> usize {
        if self.is_retired() {
            return 0;
        }
        self.most.load(Ordering::Relaxed).min(self.send.current_max_send_streams())
    }

    /// Whether the connection takes no more streams: it has ended, or the origin has sent a GOAWAY.
    fn is_retired(&self) -> bool {
        if !self.is_retired.load(Ordering::Relaxed) {
            let ready = self.send.clone().poll_ready(&mut Context::from_waker(Waker::noop()));
            if !matches!(ready, Poll::Ready(Err(_))) {
                return false;
            }
            self.is_retired.store(true, Ordering::Relaxed);
        }
        true
    }

    /// An error of a stream on this connection, in words.
    pub(super) fn words(&self, error: &h2::Error) -> String {
        self.why.get().map_or_else(|| error.to_string(), |ended| ended.words.clone())
    }
}

impl Seat {
    /// The connection.
    pub(super) fn carrier(&self) -> &Carrier {
        &self.0
    }

    /// Sends a request without a body, and waits for the head of its response.
    ///
    /// # Errors
    /// When none comes.
    pub(super) async fn ask(&self, request: Request<()>) -> Result<Response<RecvStream>, Unanswered> {
        let mut send = self.0.send.clone().ready().await.map_err(|_| Unanswered::Unsent)?;
        let (response, _) = send.send_request(request, true).map_err(Unanswered::Broken)?;
        response.await.map_err(|error| {
            let is_unsent = match error.reason() {
                // RFC 9113 section 8.7.
                Some(Reason::REFUSED_STREAM) if error.is_reset() && error.is_remote() => {
                    // This stream was one too many. One may always be tried.
                    let taken = self.0.taken.load(Ordering::Acquire);
                    self.0.most.fetch_min(taken.saturating_sub(1).max(1), Ordering::Relaxed);
                    true
                }
                // The number of the stream is above those that the GOAWAY lets go on.
                Some(Reason::NO_ERROR) => error.is_go_away() && error.is_remote(),
                _ => false,
            };
            if is_unsent { Unanswered::Unsent } else { Unanswered::Broken(error) }
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
        self.0.freed.notify_one();
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrier").field("address", &self.address).field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Ended {
    fn of(error: &h2::Error) -> Self {
        Self { words: error.to_string(), is_foreign: !error.is_io() }
    }
}

/// Reads and writes a connection until it ends.
async fn drive(mut connection: Connection<Transport, Bytes>, opened: watch::Sender<bool>, why: Arc<OnceLock<Ended>>) {
    let pings = connection.ping_pong();
    let driven = poll_fn(|context| {
        let polled = Pin::new(&mut connection).poll(context);
        let is_open = connection.max_concurrent_send_streams() > 0;
        opened.send_if_modified(|was_open| is_open && !std::mem::replace(was_open, true));
        polled
    });
    let ended = tokio::select! {
        ended = driven => ended.err().map(|error| Ended::of(&error)),
        () = silent(pings) => {
            Some(Ended { words: "the origin did not answer a PING".to_owned(), is_foreign: false })
        }
    };
    if let Some(ended) = ended {
        log::debug!("HTTP/2 connection to an origin ended why={}", crate::quoted::reason(&ended.words));
        why.get_or_init(|| ended);
    }
}

/// Sends a PING now and then. Resolves when one is not answered.
async fn silent(pings: Option<PingPong>) {
    let Some(mut pings) = pings else { return pending().await };
    loop {
        sleep(PROBE_AFTER).await;
        match timeout(PONG_PATIENCE, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            // The connection has ended.
            Ok(Err(_)) => return pending().await,
            Err(_) => return,
        }
    }
}
