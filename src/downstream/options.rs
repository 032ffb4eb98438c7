//! How a client is treated once it is on a stream, and what other origins' pages may do.

use std::time::Duration;

/// The policy for each client of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientOptions {
    /// A comment line is sent to a client that heard nothing for this long; `None` is off.
    pub heartbeat: Option<Duration>,
    /// The reconnection time that clients are told.
    pub retry: RetryPolicy,
    /// How far a told reconnection time is spread: 0.5 is from 50 % to 150 % of it.
    pub retry_jitter: f64,
    /// A client is closed at 80 to 100 % of this; `None` is never.
    pub max_lifetime: Option<Duration>,
    /// What happens to a client that fell off the log.
    pub on_lag: OnLag,
    /// A client that accepted no byte for this long is closed.
    pub stall: Duration,
    /// Events are held up to this long to share a write; `None` is off.
    pub flush: Option<Duration>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            heartbeat: Some(Duration::from_secs(15)),
            retry: RetryPolicy::Origin,
            retry_jitter: 0.5,
            max_lifetime: None,
            on_lag: OnLag::Disconnect,
            stall: Duration::from_secs(30),
            flush: None,
        }
    }
}

/// The reconnection time that clients are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryPolicy {
    /// What the origin said, unchanged.
    Origin,
    /// This, spread by jitter.
    Fixed(Duration),
}

/// What happens to a client that fell off the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLag {
    /// It is closed; it comes back with its `Last-Event-ID`.
    Disconnect,
    /// It is told a gap and goes on with the oldest event held.
    Skip,
}

/// Cross-origin access to a route (the Fetch standard's CORS protocol).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsOptions {
    /// Whose pages may read the stream.
    pub origins: AllowedOrigins,
    /// Whether those pages may send cookies; never together with [`AllowedOrigins::Any`].
    pub credentials: bool,
    /// How long a browser may remember a preflight's answer.
    pub max_age: Duration,
}

impl Default for CorsOptions {
    fn default() -> Self {
        Self { origins: AllowedOrigins::Any, credentials: false, max_age: Duration::from_secs(600) }
    }
}

/// Whose pages may read a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Everybody's: `*`.
    Any,
    /// Those of exactly these origins (`https://example.com`, no path).
    Only(Vec<String>),
}
