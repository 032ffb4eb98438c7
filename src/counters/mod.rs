//! Counters of what happened, per route or for the process, and never per stream or client. Every figure has its only
//! home here.

mod histogram;
mod labels;
mod process;
mod reloads;

pub use histogram::{Histogram, Snapshot};
pub use labels::{Backfilled, By, Close, Handshake, Label, Lost, Refused, Reload, UpstreamPhase};
pub use process::{ProcessCounters, process};
pub use reloads::{LastReload, Reloads};

use histogram::{DELAYS, EVENTS, LIFETIMES};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// The counters of every route, with the route's name.
pub type CountersByRoute = Vec<(Arc<str>, Arc<RouteCounters>)>;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident: $kind:ty = $new:expr,)*) => {
        /// The counters of one route. Those marked as gauges go up and down; the others only go up.
        #[derive(Debug)]
        pub struct RouteCounters {
            $($(#[$doc])* pub $name: $kind,)*
        }

        impl Default for RouteCounters {
            fn default() -> Self {
                Self { $($name: $new,)* }
            }
        }
    };
}

counters! {
    /// Gauge: clients on a stream.
    subscribers: Counter = Counter::default(),
    /// Clients that joined a stream.
    subscribers_total: Counter = Counter::default(),
    /// Clients that a response was begun for.
    opens: Counter = Counter::default(),
    /// Those of them whose response ended.
    closes: By<Close> = By::default(),
    /// Gauge: open streams.
    streams: Counter = Counter::default(),
    /// Gauge: what the upstreams of open streams do.
    upstreams: By<UpstreamPhase> = By::default(),
    /// Streams without subscribers that were closed to make room.
    streams_evicted: Counter = Counter::default(),
    /// Responses of the origin that were for one client alone, though that client sent no credential.
    unshareable: Counter = Counter::default(),
    /// Attempts to connect to the origin.
    upstream_attempts: Counter = Counter::default(),
    /// Attempts that failed, and connections that were lost.
    upstream_failures: Counter = Counter::default(),
    /// Responses of the origin that took the place of an earlier one of their stream.
    upstream_reconnects: Counter = Counter::default(),
    /// Events from the origin that went into a log.
    events_in: Counter = Counter::default(),
    /// Bytes of responses of the origin.
    bytes_in: Counter = Counter::default(),
    /// Events from the origin that repeated what a log held, and were dropped.
    events_repeated: Counter = Counter::default(),
    /// Events from the origin that were too large, and were dropped.
    events_refused: Counter = Counter::default(),
    /// When the last event came from the origin.
    last_event: Moment = Moment::default(),
    /// Gauge: the bytes that the logs take.
    log_bytes: Counter = Counter::default(),
    /// Events sent to clients.
    events_out: Counter = Counter::default(),
    /// Bytes of SSE text sent to clients, heartbeats included.
    bytes_out: Counter = Counter::default(),
    /// From the append of an event to the log until it was written to clients that keep up.
    delivery_lag: Histogram = Histogram::new(&DELAYS),
    /// From a client's request until its response head was written.
    time_to_head: Histogram = Histogram::new(&DELAYS),
    /// From a client's request until its first event was written.
    time_to_first_event: Histogram = Histogram::new(&DELAYS),
    /// How long clients were on a stream.
    lifetimes: Histogram = Histogram::new(&LIFETIMES),
    /// Clients that the log resumed from their `Last-Event-ID`.
    resumes: Counter = Counter::default(),
    /// Events of the past that the log held for a client when it came: for each client that came with a
    /// `Last-Event-ID`, and for each other client that got some.
    replayed: Histogram = Histogram::new(&EVENTS),
    /// Requests for what the origin sent after a client's `Last-Event-ID`.
    backfills: By<Backfilled> = By::default(),
    /// Gaps, whether clients were told of them or not.
    gaps: By<Lost> = By::default(),
    /// Gaps that clients were not told of, because of `on_gap`.
    gaps_untold: Counter = Counter::default(),
    /// Clients that were lost on the way from their session to the delivery engine.
    hand_overs_failed: Counter = Counter::default(),
    /// Requests that were refused.
    refused: By<Refused> = By::default(),
}

/// One number, counted without a lock.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Changes a gauge by the difference of two values.
    pub fn change(&self, from: u64, to: u64) {
        // Wrapping, so that one addition serves for growth and for shrinking.
        self.add(to.wrapping_sub(from));
    }

    /// Subtracts one from a gauge.
    pub fn sub_one(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// The present value.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The moment of what happened last.
#[derive(Debug, Default)]
pub struct Moment(
    /// Microseconds since the first use of [`since_start`], and one. 0: it has not happened.
    AtomicU64,
);

impl Moment {
    /// It happened at `now`.
    pub fn set(&self, now: Instant) {
        self.0.store(since_start(now).saturating_add(1), Ordering::Relaxed);
    }

    /// How long ago it was. `None`: it has not happened.
    #[must_use]
    pub fn age(&self, now: Instant) -> Option<Duration> {
        let at = self.0.load(Ordering::Relaxed).checked_sub(1)?;
        Some(Duration::from_micros(since_start(now).saturating_sub(at)))
    }
}

/// The microseconds from the first call of this function, or from the start of the process, until `at`.
pub fn since_start(at: Instant) -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let since = at.saturating_duration_since(*START.get_or_init(|| at));
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_an_age_once_it_has_happened() {
        let (moment, now) = (Moment::default(), Instant::now());
        since_start(now);
        assert_eq!(moment.age(now), None);
        moment.set(now + Duration::from_secs(1));
        assert_eq!(moment.age(now + Duration::from_secs(3)), Some(Duration::from_secs(2)));
        assert_eq!(moment.age(now), Some(Duration::ZERO));
    }

    #[test]
    fn a_gauge_grows_and_shrinks() {
        let gauge = Counter::default();
        for (from, to, value) in [(0, 7, 7), (0, 5, 12), (7, 3, 8), (5, 0, 3)] {
            gauge.change(from, to);
            assert_eq!(gauge.value(), value);
        }
    }
}
