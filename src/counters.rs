//! What happened, counted per route (never per stream): the one home of every figure.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of one route. Gauges go up and down, the others only up.
        #[derive(Debug, Default)]
        pub struct RouteCounters {
            $($(#[$doc])* pub $name: Counter,)*
        }

        impl RouteCounters {
            /// Every counter with its name, as they stand now.
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.value()),)*]
            }
        }
    };
}

counters! {
    /// Gauge: clients on a stream now.
    subscribers,
    /// Clients that were ever on a stream.
    subscribers_total,
    /// Gauge: streams open now.
    streams,
    /// Streams that nobody was on and that gave way to others.
    streams_evicted,
    /// Responses of the origin that one client alone may have, though it bore no credential.
    unshareable,
    /// Attempts to connect to the origin.
    upstream_attempts,
    /// Attempts that failed, and connections that were lost.
    upstream_failures,
    /// Events that came from the origin and were kept.
    events_in,
    /// Events of the origin that were repeats and dropped.
    events_repeated,
    /// Events of the origin that were too large.
    events_refused,
    /// Events delivered to clients.
    events_out,
    /// Bytes of SSE text delivered to clients, heartbeats included.
    bytes_out,
    /// Resumes that the log served.
    resumes,
    /// Clients told a gap or, where the route says so, not told.
    gaps,
    /// Gaps that clients were not told of, because `on_gap` says so.
    gaps_untold,
    /// Clients that fell off the log.
    lagged,
    /// Clients closed because they accepted no byte for too long.
    stalled,
    /// Clients lost on the way from their session to the delivery engine.
    hand_overs_failed,
    /// Requests answered with an error instead of a stream.
    refused,
}

/// One number, counted without a lock.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `n`.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Takes one off a gauge.
    pub fn sub_one(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// The number now.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
