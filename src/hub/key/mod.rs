//! The part of a client's request that may reach the origin, and the key that decides who shares a stream.
//!
//! Sharing a private response is the worst thing that this program could do. It is impossible because the upstream
//! request is a function of the [`StreamKey`]. [`StreamRequest::new`] alone takes anything out of a client's request,
//! and the key is the digest of what it took. What it does not take cannot reach the origin, and what it takes makes
//! another stream. There is one exception, which is not part of this module: the `Last-Event-ID` of the client that
//! opens a stream. On a private route nobody shares, the request of the client goes to the origin
//! another way, and the key only names the client's stream in the log.

mod forwarded;
#[cfg(test)]
mod tests;

use super::{QueryPolicy, ShareOptions};
use crate::digest::Sha256;
use crate::quoted::Word;
pub(super) use forwarded::Forwarded;

use http::{HeaderMap, HeaderName, HeaderValue};
use std::fmt;
use std::sync::{Arc, LazyLock};
use url::form_urlencoded;

/// The bytes of a key's variant that are shown: enough to tell the streams of one path apart in a log.
const SHOWN_VARIANT_BYTES: usize = 4;

/// The number of a route. No other route ever gets it, so a change of the configuration cannot make routes share a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteId(pub u32);

/// The name of a stream. Requests with equal keys are the same request to the origin, and only they share a stream.
///
/// It is displayed without its query and without anything from its headers.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct StreamKey {
    pub(super) route: RouteId,
    /// The path and query that the origin sees.
    pub(super) target: Arc<str>,
    /// SHA-256 over the forwarded headers; see [`variant_of`].
    pub(super) variant: [u8; 32],
}

/// The part of the upstream request that comes from the client.
///
/// The method is always GET. The headers that manifold sets itself are not here: `Accept-Encoding`, those of
/// `[routes.upstream]`, and, unless [`StreamRequest::with_fields`] gives one, `Host`. A forwarded header replaces a
/// default header of the same name (`Accept`, `User-Agent`, `Cache-Control`).
#[derive(Clone)]
pub struct StreamRequest {
    key: StreamKey,
    /// Shared with the stream.
    pub(super) forwarded: Arc<Forwarded>,
}

impl StreamRequest {
    /// Takes what the route's policy lets through out of a client's request.
    ///
    /// `path` is the raw path as the origin will see it (prefix stripped, base path added); `query` is the raw query
    /// without the question mark and without `lastEventId`; `headers` are all the client's headers.
    #[must_use]
    pub fn new(route: RouteId, options: &ShareOptions, path: &str, query: Option<&str>, headers: &HeaderMap) -> Self {
        let forwarded = Forwarded::new(options, headers);
        let variant = variant_of(&forwarded.headers);
        let key = StreamKey { route, target: target(path, query, &options.query), variant };
        Self { key, forwarded: Arc::new(forwarded) }
    }

    /// A request that another process took out of a client's.
    pub(super) fn adopted(route: RouteId, target: &str, forwarded: Forwarded) -> Self {
        let variant = variant_of(&forwarded.headers);
        Self { key: StreamKey { route, target: Arc::from(target), variant }, forwarded: Arc::new(forwarded) }
    }

    /// The same request with fields that the client did not send so: what its credential says, and a `Host` that it chose,
    /// which the origin sees in place of its own. None of them is a credential.
    #[must_use]
    pub fn with_fields(mut self, fields: impl IntoIterator<Item = (HeaderName, HeaderValue)>) -> Self {
        let mut fields = fields.into_iter().peekable();
        if fields.peek().is_some() {
            Arc::make_mut(&mut self.forwarded).headers.extend(fields);
            self.key.variant = variant_of(&self.forwarded.headers);
        }
        self
    }

    /// The name of the stream that this request belongs to.
    #[must_use]
    pub fn key(&self) -> &StreamKey {
        &self.key
    }

    /// The path and query for the origin.
    #[must_use]
    pub fn path_and_query(&self) -> &Arc<str> {
        &self.key.target
    }

    /// The client's headers that go to the origin. Credentials among them are marked sensitive.
    #[must_use]
    pub fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.forwarded.headers
    }

    /// The number of bytes kept of the client's request.
    pub(super) fn len(&self) -> usize {
        self.headers().iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
            + self.key.target.len()
    }

    /// Whether one of the headers is a credential: a cookie, `Authorization`, or a header that the route names as
    /// one.
    #[must_use]
    pub fn has_credentials(&self) -> bool {
        self.forwarded.has_credentials
    }
}

impl StreamKey {
    /// The route that the stream belongs to.
    #[must_use]
    pub fn route(&self) -> RouteId {
        self.route
    }

    /// The path and query that the origin sees. The query may hold secrets.
    #[must_use]
    pub fn target(&self) -> &Arc<str> {
        &self.target
    }

    /// The first digits of the variant.
    pub(super) fn variant_digits(&self) -> String {
        self.variant.iter().take(SHOWN_VARIANT_BYTES).map(|byte| format!("{byte:02x}")).collect()
    }

    /// The path that the origin sees, without the query: fit for a log.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(&*self.target, |(path, _)| path)
    }
}

/// `/path#1a2b3c4d`: the path and the first digits of the variant, as one word.
impl fmt::Display for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#", Word(self.path()))?;
        self.variant.iter().take(SHOWN_VARIANT_BYTES).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamKey({} {self})", self.route.0)
    }
}

impl fmt::Display for StreamRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(f)
    }
}

/// Names of headers are shown, values are not.
impl fmt::Debug for StreamRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.forwarded.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("StreamRequest").field("key", &self.key).field("headers", &names).finish()
    }
}

/// The path, with the part of the query that the policy lets through. Both are as the client wrote them.
fn target(path: &str, query: Option<&str>, policy: &QueryPolicy) -> Arc<str> {
    let query = query.and_then(|query| match policy {
        QueryPolicy::All => Some(query.to_owned()),
        QueryPolicy::None => None,
        QueryPolicy::Only(names) => {
            let kept: Vec<&str> = query.split('&').filter(|pair| is_named(pair, names)).collect();
            (!kept.is_empty()).then(|| kept.join("&"))
        }
    });
    match query {
        Some(query) => Arc::from(format!("{path}?{query}")),
        None => Arc::from(path),
    }
}

/// Whether the decoded name of a `name=value` pair is in the list.
fn is_named(pair: &str, names: &[String]) -> bool {
    form_urlencoded::parse(pair.as_bytes()).next().is_some_and(|(name, _)| names.iter().any(|listed| *listed == name))
}

/// The digest of the forwarded headers.
///
/// Names and values are each preceded by their length, so that no two different lists are the same bytes.
fn variant_of(headers: &[(HeaderName, HeaderValue)]) -> [u8; 32] {
    // Most clients of most routes send nothing that is forwarded.
    static OF_NOTHING: LazyLock<[u8; 32]> = LazyLock::new(|| Sha256::new().finish());
    if headers.is_empty() {
        return *OF_NOTHING;
    }
    let mut digest = Sha256::new();
    for (name, value) in headers {
        for part in [name.as_str().as_bytes(), value.as_bytes()] {
            digest.update(&(part.len() as u64).to_be_bytes());
            digest.update(part);
        }
    }
    digest.finish()
}
