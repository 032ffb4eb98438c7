//! Two clients of one stream of large events: one reads as fast as it can, the other takes one event in a while.
//!
//! They read the lines of the response from a socket of their own, as curl would show them.

use super::origin::Kind;
use super::ticker::Ticker;
use crate::web::within_reach;
use parking_lot::Mutex;
use serde_json::{Value, json};
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpSocket;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// The slow client rests for this many periods of the origin after each event.
const REST_PERIODS: u32 = 3;

/// The receive buffer of the slow client, so that what it has not read waits in the gateway and not in the kernel.
const SLOW_BUFFER: usize = 4096;

/// How long a client waits before it reconnects.
const PAUSE: Duration = Duration::from_secs(1);

/// What a client has got.
#[derive(Debug, Default)]
struct Got {
    newest: AtomicU64,
    received: AtomicU64,
    reported: AtomicU64,
    unreported: AtomicU64,
}

/// The two clients, which can be opened and closed.
#[derive(Debug)]
pub(super) struct Pair {
    gateway: SocketAddr,
    ticker: Arc<Ticker>,
    rest: Duration,
    open: Mutex<Option<Clients>>,
}

#[derive(Debug)]
struct Clients {
    fast: Arc<Got>,
    slow: Arc<Got>,
    _tasks: JoinSet<()>,
}

impl Pair {
    /// Two clients that are not open yet. They will connect to `gateway`. `period`: the time between two events.
    pub(super) fn new(gateway: SocketAddr, ticker: Arc<Ticker>, period: Duration) -> Self {
        let rest = period.saturating_mul(REST_PERIODS);
        Self { gateway: within_reach(gateway), ticker, rest, open: Mutex::default() }
    }

    /// Opens both clients. Clients that are open stay.
    pub(super) fn open(&self) {
        let mut open = self.open.lock();
        if open.is_some() {
            return;
        }
        let mut tasks = JoinSet::new();
        let [fast, slow] = [None, Some(self.rest)].map(|rest| {
            let got = Arc::<Got>::default();
            tasks.spawn(stay(self.gateway, Arc::clone(&self.ticker), Arc::clone(&got), rest));
            got
        });
        *open = Some(Clients { fast, slow, _tasks: tasks });
    }

    /// Closes both clients.
    pub(super) fn close(&self) {
        *self.open.lock() = None;
    }

    /// What both clients have got, as JSON. Null: they are closed.
    pub(super) fn state(&self) -> Value {
        let newest = *self.ticker.newest().borrow();
        let of = |got: &Got| {
            let [at, received, reported, unreported] =
                [&got.newest, &got.received, &got.reported, &got.unreported].map(|n| n.load(Ordering::Relaxed));
            let behind = if received == 0 { 0 } else { newest.saturating_sub(at) };
            json!({ "n": at, "received": received, "behind": behind, "reported": reported, "unreported": unreported })
        };
        self.open
            .lock()
            .as_ref()
            .map_or(Value::Null, |clients| json!({ "fast": of(&clients.fast), "slow": of(&clients.slow) }))
    }
}

/// Reads the stream forever, and reconnects when it ends. `rest`: the pause after each event.
async fn stay(gateway: SocketAddr, ticker: Arc<Ticker>, got: Arc<Got>, rest: Option<Duration>) {
    loop {
        if let Err(error) = read(gateway, &ticker, &got, rest).await {
            log::debug!("client of the demo lost its stream: {error}");
        }
        sleep(PAUSE).await;
    }
}

async fn read(gateway: SocketAddr, ticker: &Ticker, got: &Got, rest: Option<Duration>) -> io::Result<()> {
    let socket = if gateway.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if rest.is_some() {
        SockRef::from(&socket).set_recv_buffer_size(SLOW_BUFFER)?;
    }
    let mut socket = socket.connect(gateway).await?;
    // A response of HTTP/1.0 is not chunked, so its lines are those of the stream.
    let last = match got.newest.load(Ordering::Relaxed) {
        0 => String::new(),
        n => format!("Last-Event-ID: {}\r\n", ticker.id(n)),
    };
    let head =
        format!("GET {} HTTP/1.0\r\nHost: {gateway}\r\nAccept: text/event-stream\r\n{last}\r\n", Kind::Wide.path());
    socket.write_all(head.as_bytes()).await?;
    let mut lines = BufReader::with_capacity(SLOW_BUFFER, socket).lines();
    let mut told = false;
    while let Some(line) = lines.next_line().await? {
        if line == "event: gap" {
            told = true;
        } else if let Some(n) = line.strip_prefix("id: ").and_then(|id| ticker.number(id)).filter(|n| *n > 0) {
            take(got, n, told);
            told = false;
            if let Some(rest) = rest {
                sleep(rest).await;
            }
        }
    }
    Ok(())
}

/// Counts event `n`. `told`: whether a gap was reported before it.
fn take(got: &Got, n: u64, told: bool) {
    let before = got.newest.swap(n, Ordering::Relaxed);
    let missing = if before == 0 { 0 } else { n.saturating_sub(before).saturating_sub(1) };
    let lost = if told { &got.reported } else { &got.unreported };
    lost.fetch_add(missing, Ordering::Relaxed);
    got.received.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_counts_as_reported_only_after_a_gap() {
        let got = Got::default();
        for (n, told) in [(7, false), (8, false), (11, true), (13, false)] {
            take(&got, n, told);
        }
        let counts = [&got.newest, &got.received, &got.reported, &got.unreported].map(|n| n.load(Ordering::Relaxed));
        assert_eq!(counts, [13, 4, 2, 1]);
    }
}
