//! Why a client left its stream, or was taken off it.

use super::{End, Failure};
use crate::counters::Close;
use http::StatusCode;
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
    /// The client's permission ended.
    Expired,
    /// The client's permission was taken back.
    Revoked,
    /// manifold is shutting down.
    Drained,
    /// The stream is over, or an operator ended it for this client.
    Ended(End),
}

impl Departure {
    /// The reason by which the departure is counted.
    #[must_use]
    pub fn close(&self) -> Close {
        match self {
            Self::Left => Close::Client,
            Self::Stalled => Close::Stall,
            Self::Lagged => Close::Lag,
            Self::Lifetime => Close::Lifetime,
            Self::Drained => Close::Drain,
            Self::Expired | Self::Revoked => Close::Auth,
            Self::Ended(End::Dismissed) => Close::Closed,
            Self::Ended(End::NoDescriptor | End::Idle | End::Failed(Failure::Full(_))) => Close::Limit,
            Self::Ended(End::HoldExpired(Failure::Full(_))) => Close::Limit,
            Self::Ended(End::Refused(answer)) if is_of_access(answer.status) => Close::Auth,
            Self::Ended(_) => Close::Origin,
        }
    }

    /// Whether the response must look complete. That is so if the origin ended it in order or said that nothing more
    /// comes, and if the client is asked to come back. Every other departure must look like a cut, because many
    /// clients take an orderly end for success.
    #[must_use]
    pub fn is_orderly(&self) -> bool {
        match self {
            Self::Lifetime | Self::Drained | Self::Expired | Self::Revoked => true,
            Self::Ended(End::OriginClosed | End::NoContent | End::Dismissed) => true,
            Self::Left | Self::Stalled | Self::Lagged | Self::Ended(_) => false,
        }
    }
}

/// Whether a status says that the client may not have the stream.
fn is_of_access(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

impl fmt::Display for Departure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Left => f.write_str("left"),
            Self::Stalled => f.write_str("stalled"),
            Self::Lagged => f.write_str("lagged"),
            Self::Lifetime => f.write_str("lifetime"),
            Self::Drained => f.write_str("drained"),
            Self::Expired => f.write_str("expired"),
            Self::Revoked => f.write_str("revoked"),
            Self::Ended(end) => end.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::counters::Label;
    use crate::hub::Answer;
    use bytes::Bytes;
    use http::HeaderMap;
    use std::sync::Arc;

    fn refused(status: StatusCode) -> End {
        End::Refused(Arc::new(Answer { status, headers: HeaderMap::new(), body: Bytes::new() }))
    }

    #[test]
    fn each_departure_is_counted_by_one_reason() {
        for (departure, close) in [
            (Departure::Left, "client"),
            (Departure::Lagged, "lag"),
            (Departure::Stalled, "stall"),
            (Departure::Lifetime, "lifetime"),
            (Departure::Drained, "drain"),
            (Departure::Expired, "auth"),
            (Departure::Revoked, "auth"),
            (Departure::Ended(refused(StatusCode::UNAUTHORIZED)), "auth"),
            (Departure::Ended(refused(StatusCode::FORBIDDEN)), "auth"),
            (Departure::Ended(refused(StatusCode::GONE)), "origin"),
            (Departure::Ended(End::OriginClosed), "origin"),
            (Departure::Ended(End::HoldExpired(Failure::Ended)), "origin"),
            (Departure::Ended(End::NoDescriptor), "limit"),
            (Departure::Ended(End::Idle), "limit"),
            (Departure::Ended(End::Failed(Failure::Full(2))), "limit"),
            (Departure::Ended(End::HoldExpired(Failure::Full(2))), "limit"),
            (Departure::Ended(End::Dismissed), "closed"),
        ] {
            assert_eq!(departure.close().word(), close, "{departure:?}");
        }
    }

    #[test]
    fn what_is_cut_does_not_look_whole() {
        let lost = || Failure::Lost("reset".to_owned());
        for (departure, is_orderly) in [
            (Departure::Lifetime, true),
            (Departure::Drained, true),
            (Departure::Expired, true),
            (Departure::Revoked, true),
            (Departure::Ended(End::OriginClosed), true),
            (Departure::Ended(End::NoContent), true),
            (Departure::Ended(End::Dismissed), true),
            (Departure::Left, false),
            (Departure::Stalled, false),
            (Departure::Lagged, false),
            (Departure::Ended(End::HoldExpired(lost())), false),
            (Departure::Ended(End::Failed(lost())), false),
            (Departure::Ended(refused(StatusCode::FORBIDDEN)), false),
            (Departure::Ended(End::Unusable(String::new())), false),
            (Departure::Ended(End::Unshareable), false),
            (Departure::Ended(End::Idle), false),
            (Departure::Ended(End::PublisherGone), false),
        ] {
            assert_eq!(departure.is_orderly(), is_orderly, "{departure:?}");
        }
    }
}
