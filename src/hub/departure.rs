//! Departure a client is no longer on its stream.

use super::End;
use crate::counters::RouteCounters;
use std::fmt;

/// Why a client is no longer on its stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Departure {
    /// It closed or reset its connection.
    Left,
    /// It accepted no byte for `stall_secs`.
    Stalled,
    /// It fell off the log, and `on_lag = "disconnect"`.
    Lagged,
    /// Its `max_lifetime_secs` are over.
    Lifetime,
    /// manifold is shutting down.
    Drained,
    /// The stream is over.
    Ended(End),
}

impl Departure {
    /// Counts a client that could not keep up.
    pub fn count(&self, counters: &RouteCounters) {
        match self {
            Self::Stalled => counters.stalled.add(1),
            Self::Lagged => counters.lagged.add(1),
            Self::Left | Self::Lifetime | Self::Drained | Self::Ended(_) => {}
        }
    }

    /// Whether the response is to look whole. There is nobody to send an end to who left or stalled, and what broke off
    /// upstream must break off downstream too.
    #[must_use]
    pub fn is_orderly(&self) -> bool {
        match self {
            Self::Left | Self::Stalled | Self::Ended(End::Failed(_)) => false,
            Self::Lagged | Self::Lifetime | Self::Drained | Self::Ended(_) => true,
        }
    }
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left => f.write_str("left"),
            Self::Stalled => f.write_str("stalled"),
            Self::Lagged => f.write_str("lagged"),
            Self::Lifetime => f.write_str("lifetime"),
            Self::Drained => f.write_str("drained"),
            Self::Ended(end) => end.fmt(f),
        }
    }
}
