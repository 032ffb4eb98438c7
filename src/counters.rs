//! Counters of what happened, per route and never per stream. Every figure has its only home here.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of one route. Those marked as gauges go up and down; the others only go up.
        #[derive(Debug, Default)]
        pub struct RouteCounters {
            $($(#[$doc])* pub $name: Counter,)*
        }

        impl RouteCounters {
            /// The name and the present value of every counter.
            pub fn snapshot(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.value()),)*]
            }
        }
    };
}

counters! {
    /// Gauge: clients on a stream.
    subscribers,
    /// Clients that joined a stream.
    subscribers_total,
    /// Gauge: open streams.
    streams,
    /// Streams without subscribers that were closed to make room.
    streams_evicted,
    /// Responses of the origin that were for one client alone, though that client sent no credential.
    unshareable,
    /// Attempts to connect to the origin.
    upstream_attempts,
    /// Attempts that failed, and connections that were lost.
    upstream_failures,
    /// Events from the origin that went into a log.
    events_in,
    /// Events from the origin that repeated what a log held, and were dropped.
    events_repeated,
    /// Events from the origin that were too large, and were dropped.
    events_refused,
    /// Events sent to clients.
    events_out,
    /// Bytes of SSE text sent to clients, heartbeats included.
    bytes_out,
    /// Clients that the log resumed from their `Last-Event-ID`.
    resumes,
    /// Gaps, whether clients were told of them or not.
    gaps,
    /// Gaps that clients were not told of, because of `on_gap`.
    gaps_untold,
    /// Clients that fell off the log because they were too slow.
    lagged,
    /// Clients that were closed because they took no byte for too long.
    stalled,
    /// Clients that were lost on the way from their session to the delivery engine.
    hand_overs_failed,
    /// Requests that were answered with an error instead of a stream.
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

    /// Subtracts one from a gauge.
    pub fn sub_one(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// The present value.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
