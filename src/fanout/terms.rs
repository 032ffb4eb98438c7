//! What the engine is told of a route, and what it reports in turn.

use super::policy::Pace;
use crate::caller::Caller;
use crate::counters::RouteCounters;
use crate::hub::{Course, Departure, Seat, StreamKey};
use crate::replay::{Epoch, Seq};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{AddAssign, SubAssign};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most bytes that a client may send after its request, such as a stray CRLF or a pipelined request. They mean
/// nothing while the response lasts. The connection of a client that sends more is closed.
pub(super) const MOST_STRAY_BYTES: usize = 64 << 10;

/// The most bytes that are kept for the connection's next request. If the client sends more, nothing is kept, and the
/// connection closes after the response. So many such clients together do not hold much memory.
pub const MOST_KEPT_BYTES: usize = 8 << 10;

/// Takes a client's connection back after an orderly end. Dropping it frees what the connection holds outside the
/// engine, such as its place among `max_connections`.
pub trait Home: Send + fmt::Debug {
    /// Serves the connection from now on. `unread`: the bytes that the client sent after its request.
    fn take_back(self: Box<Self>, socket: OwnedFd, unread: Vec<u8>);

    /// What another process needs to hold the same. `None`: the client cannot go there.
    fn passport(&self) -> Option<Vec<u8>> {
        None
    }
}

/// What has become of the policy of a route since its clients came.
#[derive(Debug)]
pub enum Renewal {
    /// It still holds.
    None,
    /// This one holds now.
    Terms(Arc<dyn Terms>),
    /// The route is gone. Its clients are given their end by this time.
    Over(Instant),
}

/// The policy of one route.
pub trait Terms: Send + Sync + fmt::Debug {
    /// How often and how patiently clients are served.
    fn pace(&self) -> &Pace;

    /// What has become of the policy. It is asked when the [engine is told](super::Engine::renew) of a change.
    fn renewed(&self) -> Renewal {
        Renewal::None
    }

    /// How long a client may stay. `None`: no limit. `random` is in `0.0..1.0`: the lives of clients differ.
    fn lifetime(&self, _random: f64) -> Option<Duration> {
        None
    }

    /// Whether a client still may listen. It is asked when the client comes, and when the
    /// [engine is told](super::Engine::renew) of a change.
    fn permits(&self, _caller: &Caller) -> bool {
        true
    }

    /// The route's counters.
    fn counters(&self) -> &RouteCounters;

    /// The SSE text that a client is sent before its orderly end; empty for none. `origin_retry`: the reconnection
    /// time that the origin last asked for, in milliseconds.
    fn last_words(&self, departure: &Departure, origin_retry: Option<u64>) -> Vec<u8>;

    /// Logs a client whose response begins.
    fn came(&self, seat: &Seat);

    /// Logs a client that stays, from time to time.
    fn stays(&self, seat: &Seat, sent: Sent, stayed: Duration, lag: u64);

    /// Counts and logs a client that departs.
    fn departed(&self, farewell: &Farewell<'_>);
}

/// A client that departs, as it is counted and logged.
#[derive(Debug)]
pub struct Farewell<'a> {
    /// The client's stream.
    pub stream: &'a StreamKey,
    /// Who the client is.
    pub caller: &'a Caller,
    /// What the client met.
    pub course: Course,
    /// What was sent to the client.
    pub sent: Sent,
    /// How long the client was there.
    pub stayed: Duration,
    /// Why the client departs.
    pub departure: &'a Departure,
    /// The number of log entries that the client was not given.
    pub lag: u64,
    /// The log that the client read, and the position of the next frame for it. `None`: there is no log.
    pub place: Option<(Epoch, Seq)>,
}

/// What was sent to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Sent {
    /// The bytes of SSE text.
    pub bytes: u64,
    /// The number of frames.
    pub events: u64,
}

impl Sent {
    /// Both together.
    #[must_use]
    pub(super) fn and(mut self, other: Self) -> Self {
        self += other;
        self
    }
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
