//! How the driver of a stream treats its origin.

use http::{HeaderName, HeaderValue};
use std::time::Duration;

/// The policy toward one route's origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamOptions {
    /// Time for the TCP connection and, apart, for the TLS handshake.
    pub connect_timeout: Duration,
    /// Time for the response head, from the request's last byte.
    pub head_timeout: Duration,
    /// A connection on which nothing was read for this long is given up; `None` is never.
    pub idle_timeout: Option<Duration>,
    /// The delays between attempts.
    pub backoff: Backoff,
    /// What follows when the origin ends the response.
    pub on_close: OnClose,
    /// What clients see while the origin fails.
    pub on_error: OnError,
    /// How long a failing origin is hidden from clients under [`OnError::Hold`].
    pub hold: Duration,
    /// A larger event is refused, logged and counted.
    pub max_event_bytes: usize,
    /// Headers of manifold's own, sent with every upstream request. Values are marked sensitive.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The DER certificates trusted instead of the system's; `None` is the system's.
    pub trusted: Option<Vec<Vec<u8>>>,
}

impl Default for UpstreamOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            head_timeout: Duration::from_secs(30),
            idle_timeout: Some(Duration::from_secs(90)),
            backoff: Backoff::DEFAULT,
            on_close: OnClose::Reconnect,
            on_error: OnError::Hold,
            hold: Duration::from_secs(300),
            max_event_bytes: 16 << 20,
            headers: Vec::new(),
            trusted: None,
        }
    }
}

/// What follows when the origin ends the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnClose {
    /// manifold connects again; clients do not notice.
    Reconnect,
    /// The clients are closed too.
    Close,
}

/// What clients see while the origin fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// 200 and heartbeats while manifold keeps trying.
    Hold,
    /// 502, 504 or the origin's status.
    Reflect,
}

/// Exponential backoff with full jitter between two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    min: Duration,
    max: Duration,
}

/// Why two durations make no [`Backoff`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBackoff {
    /// The lower bound is zero.
    #[error("the minimum must be more than zero")]
    ZeroMinimum,
    /// The bounds are crossed.
    #[error("the minimum must not be above the maximum")]
    MinimumAboveMaximum,
}

impl Backoff {
    const DEFAULT: Self = Self { min: Duration::from_millis(500), max: Duration::from_secs(30) };

    /// A backoff between `min` and `max`.
    ///
    /// # Errors
    /// When `min` is zero or above `max`.
    pub fn try_new(min: Duration, max: Duration) -> Result<Self, InvalidBackoff> {
        if min.is_zero() {
            return Err(InvalidBackoff::ZeroMinimum);
        }
        if min > max {
            return Err(InvalidBackoff::MinimumAboveMaximum);
        }
        Ok(Self { min, max })
    }

    /// The shortest delay.
    #[must_use]
    pub fn min(&self) -> Duration {
        self.min
    }

    /// The longest delay.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }

    /// The delay before the attempt that follows `failures` failures in a row, `random` being in `0.0..1.0`.
    ///
    /// Full jitter (between zero and the exponential ceiling), but never under the minimum: a fast failing
    /// origin is not hammered. An origin's `retry:` raises the floor.
    #[must_use]
    pub fn delay(&self, failures: u32, retry: Option<Duration>, random: f64) -> Duration {
        let floor = retry.map_or(self.min, |retry| retry.clamp(self.min, self.max));
        let ceiling = self.min.saturating_mul(2_u32.saturating_pow(failures.min(31))).min(self.max).max(floor);
        floor + (ceiling - floor).mul_f64(random.clamp(0.0, 1.0))
    }
}
