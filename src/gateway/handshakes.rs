//! The TLS handshakes of clients.
//!
//! ```text
//!   the client's first byte ─▶ Waiting ─ its turn ─▶ Begun ─┬─ done ──────────────────────▶ Secured
//!                                 │                         ├─ failed, or the time is over ─▶ closed
//!                                 │                         └─ slow, while others wait ─────▶ closed
//!                                 └─ the time is over ─▶ closed
//! ```
//!
//! A handshake costs about as much time as fifty sends of an event. So handshakes run on threads of their own, at a lower
//! priority than everything else. The tasks that bring events to the clients never wait behind them. The connections are
//! accepted on these threads too: a thread that woke for each of them only to pass it on cost a fifth of the handshakes.

use super::secured::{Secured, Socket};
use super::transport::Transport;
use crate::counters::{Handshake, process};
use crate::log_limit::LogLimit;
use crate::quoted::reason;
use crate::tls::{Capture, RecordIo};
use arc_swap::ArcSwap;
use bytes::BytesMut;
use rustls::ServerConfig;
use std::fmt;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_rustls::TlsAcceptor;

/// The most handshakes at once. Each of them takes about 30 KiB of memory. Further clients wait for their turn, in the
/// order in which they came.
const MOST_AT_ONCE: usize = 512;

/// How long a handshake may take while others wait for their turn.
const SLOW: Duration = Duration::from_secs(3);

/// How often a slow handshake is asked whether others wait.
const LOOKS_EVERY: Duration = Duration::from_millis(250);

/// How much lower the priority of the threads is, as for nice(2).
const NICENESS: i32 = 10;

/// The most log lines about handshakes that fail, and the period for which this holds.
const LINES: (u32, Duration) = (3, Duration::from_secs(10));

/// The TLS settings in force. All clones of this value see new settings at once.
#[derive(Clone)]
pub struct CurrentTls(Arc<ArcSwap<ServerConfig>>);

/// Does the handshakes of clients.
pub struct Handshakes {
    settings: CurrentTls,
    room: Semaphore,
    /// `None` while it is dropped.
    runtime: Option<Runtime>,
    lines: LogLimit,
}

/// Why a handshake did not succeed.
enum Failure {
    /// The client or its bytes.
    Client(io::Error),
    /// The time is over.
    Time,
    /// It was slow, and others waited.
    Slow,
}

impl CurrentTls {
    /// These settings.
    #[must_use]
    pub fn new(settings: Arc<ServerConfig>) -> Self {
        Self(Arc::new(ArcSwap::new(settings)))
    }

    /// Puts other settings in force. Connections whose handshake is over keep theirs.
    pub fn set(&self, settings: Arc<ServerConfig>) {
        self.0.store(settings);
    }
}

impl fmt::Debug for CurrentTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CurrentTls").finish_non_exhaustive()
    }
}

impl Handshakes {
    /// Starts `threads` threads for handshakes.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(settings: CurrentTls, threads: NonZeroUsize) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.get())
            .thread_name("handshakes")
            .on_thread_start(lower_priority)
            .enable_all()
            .build()?;
        let lines = LogLimit::new(LINES.0, LINES.1);
        Ok(Self { settings, room: Semaphore::new(MOST_AT_ONCE), runtime: Some(runtime), lines })
    }

    /// The runtime whose threads are those of the handshakes. `None` while it is dropped.
    pub(super) fn runtime(&self) -> Option<&Handle> {
        self.runtime.as_ref().map(Runtime::handle)
    }

    /// Does the handshake of a connection by `until`, on the current thread, which is to be one of the handshakes.
    /// `before`: the bytes that were read from it. Returns `None` if the handshake does not succeed. If the future is
    /// dropped, the connection is closed.
    pub(super) async fn take(&self, transport: Transport, before: BytesMut, until: Instant) -> Option<Secured> {
        let peer = transport.peer();
        let done = match timeout_at(until, self.room.acquire()).await {
            Ok(Ok(_turn)) => self.shake_hands(Socket::new(transport, before), until).await,
            Ok(Err(_)) | Err(_) => Err(Failure::Time),
        };
        let (result, why) = match done {
            Ok(secured) => {
                process().handshakes.add_one(secured.how());
                return Some(secured);
            }
            Err(Failure::Client(error)) => (Handshake::Failed, error.to_string()),
            Err(Failure::Time) => (Handshake::TooSlow, "it took too long".to_owned()),
            Err(Failure::Slow) => (Handshake::TooSlow, "it was slow, and other clients waited".to_owned()),
        };
        process().handshakes.add_one(result);
        if let Some(untold) = self.lines.next(std::time::Instant::now()) {
            let peer = peer.map_or_else(|| "-".to_owned(), |peer| peer.to_string());
            log::info!("TLS handshake failed peer={peer} why={}{untold}", reason(why));
        }
        None
    }

    async fn shake_hands(&self, socket: Socket, until: Instant) -> Result<Secured, Failure> {
        let capture = Arc::new(Capture::default());
        // The secrets of each connection are taken apart from those of all others.
        let mut settings = ServerConfig::clone(&self.settings.0.load());
        settings.key_log = Arc::clone(&capture) as _;
        let accept = TlsAcceptor::from(Arc::new(settings)).accept(RecordIo::new(socket));
        tokio::select! {
            biased;
            done = accept => done.map(|stream| Secured::new(stream, capture)).map_err(Failure::Client),
            () = sleep_until(until) => Err(Failure::Time),
            () = is_in_the_way(&self.room) => Err(Failure::Slow),
        }
    }
}

/// Resolves when a handshake that began at this moment has become slow, and others wait.
async fn is_in_the_way(room: &Semaphore) {
    sleep(SLOW).await;
    while room.available_permits() > 0 {
        sleep(LOOKS_EVERY).await;
    }
}

fn lower_priority() {
    // On Linux this concerns the calling thread alone.
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        log::debug!("cannot lower the priority of the handshakes: {error}");
    }
}

impl Drop for Handshakes {
    fn drop(&mut self) {
        // A runtime that is dropped within another waits for its threads, which is not allowed there.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for Handshakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshakes").field("free", &self.room.available_permits()).finish_non_exhaustive()
    }
}
