//! Who shares a stream with whom, and how long a stream outlives its last subscriber.

use http::HeaderName;
use std::time::Duration;

/// The sharing policy of one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareOptions {
    /// Whether clients share an upstream at all.
    pub mode: Mode,
    /// Which query parameters reach the origin, and so make another stream.
    pub query: QueryPolicy,
    /// Request headers that reach the origin, and so make another stream.
    pub headers: Vec<HeaderName>,
    /// Whether a client's credentials reach the origin.
    pub credentials: Credentials,
    /// The headers that are credentials, beside cookies.
    pub credential_headers: Vec<HeaderName>,
    /// The cookies that are credentials.
    pub cookies: CookiePolicy,
    /// Share a response although it says that it is private.
    pub trust_origin: bool,
    /// How long a stream is kept after its last subscriber left.
    pub linger: Duration,
    /// Streams of this route that may be open at once.
    pub max_streams: usize,
}

impl Default for ShareOptions {
    fn default() -> Self {
        Self {
            mode: Mode::Shared,
            query: QueryPolicy::All,
            headers: Vec::new(),
            credentials: Credentials::Isolate,
            credential_headers: vec![
                http::header::AUTHORIZATION,
                HeaderName::from_static("x-api-key"),
                HeaderName::from_static("api-key"),
            ],
            cookies: CookiePolicy::All,
            trust_origin: false,
            linger: Duration::from_secs(120),
            max_streams: 10_000,
        }
    }
}

/// Whether clients share an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One upstream per `StreamKey`.
    Shared,
    /// One upstream per client, no log.
    Private,
}

/// Which query parameters reach the origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryPolicy {
    /// All of them, as written.
    All,
    /// None.
    None,
    /// Those of these (decoded) names, as written and in the order written.
    Only(Vec<String>),
}

/// Whether a client's credentials reach the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// They do, and only clients with the same credentials share.
    Isolate,
    /// They do not: all clients share.
    Share,
}

/// Which cookies are credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CookiePolicy {
    /// The whole `Cookie` header.
    All,
    /// The cookies of these names.
    Only(Vec<String>),
}
