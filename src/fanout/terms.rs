//! On which terms a client is served: what the engine is told of a route, and what it tells in turn.

use crate::counters::RouteCounters;
use crate::hub::{Departure, StreamKey};
use std::fmt;
use std::net::IpAddr;
use std::ops::{AddAssign, SubAssign};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Of the drain time, the part over which ends are spread; the rest is for the last bytes to arrive.
pub const SPREAD_OF_DRAIN: f64 = 0.6;

/// How long a client may take to close after our end, before its socket is closed in its face.
pub const LINGER: Duration = Duration::from_secs(2);

/// Bytes that a client may send after its request: a stray CRLF, a request that it pipelined. They have no meaning while its
/// response lasts; who sends more is no client.
pub const MOST_STRAY_BYTES: usize = 16 << 10;

/// Of these, the bytes that are kept for its connection's next request. Whoever sent more finds the connection closed after
/// the response: a crowd of such clients must not hold much memory.
pub(super) const MOST_KEPT_BYTES: usize = 2 << 10;

/// Where a client's connection is at home, and goes back to after an orderly end. Its drop frees what the connection holds
/// there, such as its place.
pub trait Home: Send + fmt::Debug {
    /// The client's address, as far as it is known.
    fn client(&self) -> Option<IpAddr>;

    /// Serves the connection from now on. `unread` is what the client has sent after its request.
    fn take_back(self: Box<Self>, socket: OwnedFd, unread: Vec<u8>);
}

/// The terms of one route.
pub trait Terms: Send + Sync + fmt::Debug {
    /// How clients are paced.
    fn pace(&self) -> &Pace;

    /// The route's counters.
    fn counters(&self) -> &RouteCounters;

    /// What a client is told before its orderly end, as text; empty for nothing. `origin_retry`: the reconnection time that
    /// the origin last asked for, in milliseconds.
    fn last_words(&self, departure: &Departure, origin_retry: Option<u64>) -> Vec<u8>;

    /// A client departs: it is to be counted and logged.
    fn departed(&self, farewell: &Farewell<'_>);
}

/// A client that departs.
#[derive(Debug)]
pub struct Farewell<'a> {
    /// The stream that it was on.
    pub stream: &'a StreamKey,
    /// Its address, as far as it is known.
    pub client: Option<IpAddr>,
    /// What it was sent.
    pub sent: Sent,
    /// Why it departs.
    pub departure: &'a Departure,
    /// Entries of the log that it was not given.
    pub lag: u64,
}

/// How clients are paced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// A comment line is sent to a client that heard nothing for this long; `None` is off.
    pub heartbeat: Option<Duration>,
    /// A client that takes no byte for this long is closed.
    pub stall: Duration,
    /// Events are held up to this long to share a write; `None` is off.
    pub flush: Option<Duration>,
    /// A client that fell off the log is told of the gap and goes on, instead of being closed.
    pub skips: bool,
}

/// What a client was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// SSE text, in bytes.
    pub bytes: u64,
    /// Frames.
    pub events: u64,
}

/// Both wrap: a client's share of what its group was sent is kept as a difference.
impl AddAssign for Sent {
    fn add_assign(&mut self, other: Self) {
        self.bytes = self.bytes.wrapping_add(other.bytes);
        self.events = self.events.wrapping_add(other.events);
    }
}

impl SubAssign for Sent {
    fn sub_assign(&mut self, other: Self) {
        self.bytes = self.bytes.wrapping_sub(other.bytes);
        self.events = self.events.wrapping_sub(other.events);
    }
}
