//! Complete responses of the gateway itself.

use super::refusal::METHODS_WITH_PREFLIGHT;
use crate::downstream::CorsAnswer;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};

/// The `Retry-After` of an answer to a client that may try again soon, in seconds.
pub(super) const COME_AGAIN: HeaderValue = HeaderValue::from_static("1");

/// A complete response.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Reply {
    /// A response with one line of text. The text must not reveal the configuration or where the origin is.
    pub(super) fn text(status: StatusCode, text: &str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Self { status, headers, body: Bytes::from(format!("{text}\n")) }.sized()
    }

    /// The answer to a proxied request that failed. A 503 asks the client to try again soon.
    pub(super) fn failed(status: StatusCode) -> Self {
        let reply = Self::text(status, &status.canonical_reason().unwrap_or_default().to_lowercase());
        if status == StatusCode::SERVICE_UNAVAILABLE { reply.with(RETRY_AFTER, COME_AGAIN) } else { reply }
    }

    /// A response without a body that asks the client to try again soon.
    pub(super) fn come_again(status: StatusCode) -> Self {
        Self::empty(status).with(RETRY_AFTER, COME_AGAIN).sized()
    }

    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// A 204 without header fields.
    pub(super) fn no_content() -> Self {
        Self::empty(StatusCode::NO_CONTENT)
    }

    /// Sends the client to another URL, with the same method.
    pub(super) fn moved(location: HeaderValue) -> Self {
        Self::empty(StatusCode::PERMANENT_REDIRECT).with(LOCATION, location).sized()
    }

    /// The methods of a stream route with CORS, for an OPTIONS request that is not a preflight.
    pub(super) fn allowed(cors: &CorsAnswer) -> Self {
        let mut reply = Self::no_content().with(ALLOW, METHODS_WITH_PREFLIGHT);
        cors.apply(&mut reply.headers);
        reply
    }

    /// The answer to a preflight.
    pub(super) fn preflight(headers: HeaderMap) -> Self {
        Self { status: StatusCode::NO_CONTENT, headers, body: Bytes::new() }
    }

    pub(super) fn with(mut self, name: http::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets the length of the body.
    pub(super) fn sized(mut self) -> Self {
        // A 204 has no Content-Length (RFC 9110, section 8.6).
        if self.status == StatusCode::NO_CONTENT {
            return self;
        }
        self.headers.insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        self
    }
}
