//! How attempts fail and how streams end: small facts, which the gateway maps to HTTP in one table.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// An origin's answer that is no stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, as the origin sent them.
    pub headers: HeaderMap,
    /// Its body, cut at a limit.
    pub body: Bytes,
}

/// Why an attempt to reach the origin, or a connection to it, came to nothing. All of these may heal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// No connection: the name, the address, the handshake.
    Unreachable(String),
    /// No response head in time.
    HeadTimeout,
    /// A status that asks to come again: 5xx, 408, 425, 429.
    Status(Arc<Answer>),
    /// The origin ended the response in an orderly way.
    Ended,
    /// The response broke off.
    Lost(String),
    /// Nothing was read for this long.
    Silent(Duration),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "origin unreachable: {why}"),
            Self::HeadTimeout => f.write_str("origin sent no response head in time"),
            Self::Status(answer) => write!(f, "origin answered {}", answer.status.as_u16()),
            Self::Ended => f.write_str("origin ended the response"),
            Self::Silent(time) => write!(f, "nothing came from the origin for {time:?}"),
            Self::Lost(why) => write!(f, "connection to the origin lost: {why}"),
        }
    }
}

/// Why a stream is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The origin ended the response, and `on_close = "close"`.
    OriginClosed,
    /// The origin answered 204: it wants no client to come back.
    NoContent,
    /// The origin's own answer to those who asked: a 4xx, or a redirect that is not followed.
    Refused(Arc<Answer>),
    /// The origin's answer cannot be shared or is no event stream.
    Unusable(String),
    /// The origin failed, and `on_error = "reflect"`.
    Failed(Failure),
    /// The origin failed for longer than `hold_secs`.
    HoldExpired(Failure),
    /// Nobody subscribed for `linger_secs`.
    Idle,
    /// The driver ended without a word: a defect, but nobody waits for it.
    PublisherGone,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OriginClosed => f.write_str("origin_closed"),
            Self::NoContent => f.write_str("no_content"),
            Self::Refused(answer) => write!(f, "refused_{}", answer.status.as_u16()),
            Self::Unusable(_) => f.write_str("unusable"),
            Self::Failed(_) => f.write_str("origin_failed"),
            Self::HoldExpired(_) => f.write_str("hold_expired"),
            Self::Idle => f.write_str("idle"),
            Self::PublisherGone => f.write_str("publisher_gone"),
        }
    }
}
