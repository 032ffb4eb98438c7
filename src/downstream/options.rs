//! The policy of a route for its clients, and for pages of other origins.

use std::time::Duration;

/// The policy for each client of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientOptions {
    /// When a client was sent nothing for this long, it is sent a comment line. `None`: never.
    pub heartbeat: Option<Duration>,
    /// The reconnection time that clients are told.
    pub retry: RetryPolicy,
    /// How far the reconnection time is spread. With 0.5, clients are told from 50 % to 150 % of it.
    pub retry_jitter: f64,
    /// The longest lifetime. A client is closed at 80 to 100 % of it. `None`: no limit.
    pub max_lifetime: Option<Duration>,
    /// What happens to a client whose next event is not in the log any more.
    pub on_lag: OnLag,
    /// When a client accepted no byte for this long, it is closed.
    pub stall: Duration,
    /// How long events may be held to share a write. `None`: they are sent at once.
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
    /// The origin's reconnection time, unchanged.
    Origin,
    /// This reconnection time, spread by jitter.
    Fixed(Duration),
}

/// What happens to a client whose next event is not in the log any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLag {
    /// The client is closed. It comes back with its `Last-Event-ID`.
    Disconnect,
    /// The client is told a gap and goes on with the oldest event in the log.
    Skip,
}

/// Cross-origin access to a route (the Fetch standard's CORS protocol).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsOptions {
    /// The origins whose pages may read the stream.
    pub origins: AllowedOrigins,
    /// Whether those pages may send cookies. Never together with [`AllowedOrigins::Any`].
    pub credentials: bool,
    /// How long a browser may remember a preflight's answer.
    pub max_age: Duration,
}

impl Default for CorsOptions {
    fn default() -> Self {
        Self { origins: AllowedOrigins::Any, credentials: false, max_age: Duration::from_secs(600) }
    }
}

/// The origins whose pages may read a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// All origins: `*`.
    Any,
    /// Exactly these origins, such as `https://example.com`, without a path.
    Only(Vec<String>),
}
