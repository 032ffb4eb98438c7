//! What the engine is told of a route, and what it reports in turn.

use crate::counters::RouteCounters;
use crate::hub::{Departure, StreamKey};
use std::fmt;
use std::net::IpAddr;
use std::ops::{AddAssign, SubAssign};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// The part of the drain time over which the ends of responses are spread. In the rest of the time the last bytes
/// arrive.
pub const SPREAD_OF_DRAIN: f64 = 0.6;

/// How long a client may take to close its side after we closed ours. Then its socket is closed.
pub const LINGER: Duration = Duration::from_secs(2);

/// The most bytes that a client may send after its request, such as a stray CRLF or a pipelined request. They mean
/// nothing while the response lasts. The connection of a client that sends more is closed.
pub(super) const MOST_STRAY_BYTES: usize = 64 << 10;

/// The most bytes that are kept for the connection's next request. If the client sends more, nothing is kept, and the
/// connection closes after the response. So many such clients together do not hold much memory.
pub const MOST_KEPT_BYTES: usize = 8 << 10;

/// Takes a client's connection back after an orderly end. Dropping it frees what the connection holds outside the
/// engine, such as its place among `max_connections`.
pub trait Home: Send + fmt::Debug {
    /// The client's address, if it is known.
    fn client(&self) -> Option<IpAddr>;

    /// Serves the connection from now on. `unread`: the bytes that the client sent after its request.
    fn take_back(self: Box<Self>, socket: OwnedFd, unread: Vec<u8>);
}

/// The policy of one route.
pub trait Terms: Send + Sync + fmt::Debug {
    /// How often and how patiently clients are served.
    fn pace(&self) -> &Pace;

    /// The route's counters.
    fn counters(&self) -> &RouteCounters;

    /// The SSE text that a client is sent before its orderly end; empty for none. `origin_retry`: the reconnection
    /// time that the origin last asked for, in milliseconds.
    fn last_words(&self, departure: &Departure, origin_retry: Option<u64>) -> Vec<u8>;

    /// Counts and logs a client that departs.
    fn departed(&self, farewell: &Farewell<'_>);
}

/// A client that departs, as it is counted and logged.
#[derive(Debug)]
pub struct Farewell<'a> {
    /// The client's stream.
    pub stream: &'a StreamKey,
    /// The client's address, if it is known.
    pub client: Option<IpAddr>,
    /// What was sent to the client.
    pub sent: Sent,
    /// Why the client departs.
    pub departure: &'a Departure,
    /// The number of log entries that the client was not given.
    pub lag: u64,
}

/// How often and how patiently clients are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// A client that was sent nothing for this long is sent a comment line. `None`: no heartbeats.
    pub heartbeat: Option<Duration>,
    /// The connection of a client that accepts no byte for this long is closed.
    pub stall: Duration,
    /// Events are held for up to this long, so that several share one write. `None`: they are sent at once.
    pub flush: Option<Duration>,
    /// Whether a client that fell off the log is told of the gap and goes on. If not, its response ends.
    pub skips: bool,
}

/// What was sent to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// The bytes of SSE text.
    pub bytes: u64,
    /// The number of frames.
    pub events: u64,
}

/// Addition and subtraction wrap, because a client on the roster keeps the difference to its group's total (see
/// `Client::sent`).
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
