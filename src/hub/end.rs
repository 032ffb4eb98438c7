//! Why attempts fail and streams end. These are small facts, which the gateway maps to HTTP in one table.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// An origin's answer that is not an event stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, as the origin sent them.
    pub headers: HeaderMap,
    /// Its body, cut at a limit.
    pub body: Bytes,
}

/// Why an attempt to reach the origin failed, or why a connection to it ended. Each may be over at the next attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// No connection: the name did not resolve, the address did not answer, or the handshake failed.
    Unreachable(String),
    /// As many connections to the origin are open as the route's `max_upstreams` allows, and none ended in time. The
    /// origin was not asked.
    Full(usize),
    /// The origin sent no response head in time.
    HeadTimeout,
    /// The origin answered with a status that asks to try again: 5xx, 408, 425 or 429.
    Status(Arc<Answer>),
    /// The origin answered with something that is not an event stream, after an event stream before.
    NoStream(String),
    /// The origin ended the response in an orderly way.
    Ended,
    /// The response broke off.
    Lost(String),
    /// An operator wants the origin to be asked again. The response was dropped for that.
    Dropped,
    /// The origin sent nothing for this long.
    Silent(Duration),
}

impl Failure {
    /// Whether the origin failed. If not, it was not even asked.
    #[must_use]
    pub fn is_of_origin(&self) -> bool {
        !matches!(self, Self::Full(_))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(why) => write!(f, "no answer from the origin: {why}"),
            Self::Full(most) => write!(f, "max_upstreams ({most}) connections are open"),
            Self::HeadTimeout => f.write_str("origin sent no response head in time"),
            Self::Status(answer) => write!(f, "origin answered {}", answer.status.as_u16()),
            Self::NoStream(why) => f.write_str(why),
            Self::Dropped => f.write_str("an operator dropped the response"),
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
    /// The origin answered 204, which tells clients not to reconnect (HTML standard, section 9.2).
    NoContent,
    /// The origin's own answer to the clients: a 4xx, or a redirect that is not followed.
    Refused(Arc<Answer>),
    /// The origin's answer cannot be shared, or is not an event stream.
    Unusable(String),
    /// The origin failed, and `on_error = "reflect"`.
    Failed(Failure),
    /// The origin failed for longer than `hold_secs`.
    HoldExpired(Failure),
    /// The response is for another client alone. A client that asks again gets a stream of its own.
    Unshareable,
    /// The process has no descriptor for a connection to the origin.
    NoDescriptor,
    /// An operator closed the stream, or ended it for one client.
    Dismissed,
    /// No client subscribed for `linger_secs`, or the stream gave way to others.
    Idle,
    /// The publisher was dropped without closing the stream. This is a defect, but it leaves no client waiting.
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
            Self::Unshareable => f.write_str("unshareable"),
            Self::NoDescriptor => f.write_str("no_descriptor"),
            Self::Dismissed => f.write_str("dismissed"),
            Self::Idle => f.write_str("idle"),
            Self::PublisherGone => f.write_str("publisher_gone"),
        }
    }
}
