//! Which clients share a stream, and how long a stream outlives its last subscriber.

use http::HeaderName;
use std::time::Duration;

/// The sharing policy of one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShareOptions {
    /// Whether clients share an upstream connection.
    pub mode: Mode,
    /// Which query parameters reach the origin. Requests that differ in them get different streams.
    pub query: QueryPolicy,
    /// Request headers that reach the origin. Requests that differ in them get different streams.
    pub headers: Vec<HeaderName>,
    /// Whether a client's credentials reach the origin.
    pub credentials: Credentials,
    /// The headers that are credentials, in addition to cookies.
    pub credential_headers: Vec<HeaderName>,
    /// The cookies that are credentials.
    pub cookies: CookiePolicy,
    /// What a client's credential says that reaches the origin, each in a header field. Requests that differ in it get
    /// different streams.
    pub claims: Vec<ClaimField>,
    /// Share a response even if it says that it is private.
    pub trust_origin: bool,
    /// How long a stream is kept after its last subscriber left.
    pub linger: Duration,
    /// The number of streams of the route that may be open at once.
    pub max_streams: usize,
}

/// A claim, and the header field that tells the origin of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimField {
    /// The name of the claim.
    pub claim: String,
    /// The field.
    pub field: HeaderName,
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
            claims: Vec::new(),
            trust_origin: false,
            linger: Duration::from_secs(120),
            max_streams: 10_000,
        }
    }
}

/// Whether clients share an upstream connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// One upstream connection per `StreamKey`.
    Shared,
    /// One upstream connection per client, without a replay log.
    Private,
}

/// Which query parameters reach the origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryPolicy {
    /// All parameters, as the client wrote them.
    All,
    /// No parameters.
    None,
    /// The parameters with these (decoded) names, as written and in the order written.
    Only(Vec<String>),
}

/// Whether a client's credentials reach the origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credentials {
    /// They reach the origin, and only clients with the same credentials share a stream.
    Isolate,
    /// They do not reach the origin, and all clients share.
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

/// How many clients of a route may be on streams at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SubscriberLimits {
    /// Clients of the route. `None`: no limit.
    pub subscribers: Option<usize>,
    /// Clients of each stream. `None`: no limit.
    pub per_stream: Option<usize>,
}
