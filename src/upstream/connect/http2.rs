//! Connections of HTTP/2 to an origin.

use super::dial::PROBE_AFTER;
use super::transport::Transport;
use bytes::Bytes;
use h2::client::{Builder, Connection, SendRequest};
use h2::{Ping, PingPong, Reason, RecvStream};
use http::{Request, Response};
use std::fmt;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The window of a stream that has its connection for itself.
const SINGLE_WINDOW: u32 = 1 << 20;

/// What the origin's small DATA frames may cost before they are read: each that is smaller than 256 bytes costs what it
/// lacks. The `h2` crate ends the connection when they cost more, because each takes about 256 bytes of memory.
const SMALL_FRAMES: usize = 4 << 20;

/// The largest DATA frame. Large frames are fewer frames.
const LARGEST_FRAME: u32 = 64 << 10;

/// How long the origin may take to answer a PING.
const PONG_PATIENCE: Duration = Duration::from_secs(5);

/// A connection that carries streams. It is closed when nobody holds it any more.
pub(super) struct Carrier {
    send: SendRequest<Bytes>,
    /// The address of the origin.
    pub(super) address: SocketAddr,
    most: usize,
    taken: AtomicUsize,
    is_retired: AtomicBool,
    /// Why the connection ended, if it did not end in order.
    why: Arc<OnceLock<String>>,
}

/// The place of one stream on a connection.
#[derive(Debug)]
pub(super) struct Seat(Arc<Carrier>);

/// Why there is no response to a request of HTTP/2.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The origin has not begun to work on the request. It may be sent on another connection.
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
        Self::begin(builder, transport, 1).await
    }

    async fn begin(mut builder: Builder, transport: Transport, most: usize) -> Result<Arc<Self>, h2::Error> {
        let address = transport.address;
        // A server that pushes is refused, so the number of its streams does not matter.
        builder.enable_push(false).max_concurrent_streams(1).max_frame_size(LARGEST_FRAME);
        let (send, connection) = builder.data_frame_budget(SMALL_FRAMES).handshake(transport).await?;
        let why = Arc::default();
        tokio::spawn(drive(connection, Arc::clone(&why)));
        let (taken, is_retired) = (AtomicUsize::new(0), AtomicBool::new(false));
        Ok(Arc::new(Self { send, address, most, taken, is_retired, why }))
    }

    /// A seat for a stream. `None`: all are taken, or the connection takes no more streams.
    pub(super) fn seat(self: &Arc<Self>) -> Option<Seat> {
        if self.is_retired() {
            return None;
        }
        let most = self.most.min(self.send.current_max_send_streams());
        let seat = Seat(Arc::clone(self));
        (self.taken.fetch_add(1, Ordering::AcqRel) < most).then_some(seat)
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
        self.why.get().cloned().unwrap_or_else(|| error.to_string())
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
                Some(Reason::REFUSED_STREAM) => error.is_reset() && error.is_remote(),
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
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrier").field("address", &self.address).field("taken", &self.taken).finish_non_exhaustive()
    }
}

/// Reads and writes a connection until it ends.
async fn drive(connection: Connection<Transport, Bytes>, why: Arc<OnceLock<String>>) {
    let mut connection = connection;
    let pings = connection.ping_pong();
    let ended = tokio::select! {
        ended = connection => ended.err().map(|error| error.to_string()),
        () = silent(pings) => Some("the origin did not answer a PING".to_owned()),
    };
    if let Some(ended) = ended {
        log::debug!("HTTP/2 connection to an origin ended why={}", crate::quoted::reason(&ended));
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
