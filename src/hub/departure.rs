//! Why a client left its stream, or was taken off it.

use super::End;
use crate::counters::RouteCounters;
use std::fmt;

/// Why a client left its stream, or was taken off it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Departure {
    /// The client closed or reset its connection.
    Left,
    /// The client took no byte for `stall_secs`.
    Stalled,
    /// The client fell off the log, and the route has `on_lag = "disconnect"`.
    Lagged,
    /// The client's `max_lifetime_secs` are over.
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

    /// Whether the response must look complete. That is so if the origin ended it in order or said that nothing more
    /// comes, and if the client is asked to come back. Every other departure must look like a cut, because many
    /// clients take an orderly end for success.
    #[must_use]
    pub fn is_orderly(&self) -> bool {
        match self {
            Self::Lifetime | Self::Drained | Self::Ended(End::OriginClosed | End::NoContent) => true,
            Self::Left | Self::Stalled | Self::Lagged | Self::Ended(_) => false,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::{Answer, Failure};
    use bytes::Bytes;
    use http::{HeaderMap, StatusCode};
    use std::sync::Arc;

    #[test]
    fn what_is_cut_does_not_look_whole() {
        let answer = Answer { status: StatusCode::FORBIDDEN, headers: HeaderMap::new(), body: Bytes::new() };
        let lost = || Failure::Lost("reset".to_owned());
        for (departure, is_orderly) in [
            (Departure::Lifetime, true),
            (Departure::Drained, true),
            (Departure::Ended(End::OriginClosed), true),
            (Departure::Ended(End::NoContent), true),
            (Departure::Left, false),
            (Departure::Stalled, false),
            (Departure::Lagged, false),
            (Departure::Ended(End::HoldExpired(lost())), false),
            (Departure::Ended(End::Failed(lost())), false),
            (Departure::Ended(End::Refused(Arc::new(answer))), false),
            (Departure::Ended(End::Unusable(String::new())), false),
            (Departure::Ended(End::Unshareable), false),
            (Departure::Ended(End::Idle), false),
            (Departure::Ended(End::PublisherGone), false),
        ] {
            assert_eq!(departure.is_orderly(), is_orderly, "{departure:?}");
        }
    }
}
