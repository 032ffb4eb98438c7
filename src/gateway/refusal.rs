//! The one table that maps what is known below to HTTP.

use super::served::Served;
use crate::downstream::{CorsAnswer, InvalidLastEventId, refusal_head};
use crate::hub::{Answer, End, Failure, JoinError, Mode};
use crate::route::BadTarget;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};

/// Seconds after which a client that found manifold full may come again.
const COME_AGAIN: HeaderValue = HeaderValue::from_static("1");

/// The methods of a stream route without CORS, and with.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");
const METHODS_WITH_PREFLIGHT: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// Why a request gets no stream.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The request target is malformed or ambiguous.
    Target(BadTarget),
    /// HTTP/1.1 without exactly one `Host` (RFC 9112 section 3.2).
    Host,
    /// The `Last-Event-ID` cannot be one.
    LastEventId(InvalidLastEventId),
    /// No route for this host and path.
    NoRoute,
    /// Not GET or HEAD on a stream route.
    Method,
    /// The stream cannot be joined.
    Join(JoinError),
    /// The stream ended before it began.
    Ended(End),
}

/// A whole response.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Refusal {
    /// The response. `served` is the route, where there is one; `cors` its answer to the request.
    pub(super) fn reply(&self, served: Option<&Served>, cors: Option<&CorsAnswer>) -> Reply {
        let mode = served.map_or(Mode::Shared, Served::mode);
        let mut reply = match self {
            Self::Target(why) => Reply::text(StatusCode::BAD_REQUEST, &format!("the request target {why}")),
            Self::Host => Reply::text(StatusCode::BAD_REQUEST, "HTTP/1.1 needs one Host header"),
            Self::LastEventId(why) => Reply::text(StatusCode::BAD_REQUEST, &why.to_string()),
            Self::NoRoute => Reply::text(StatusCode::NOT_FOUND, "no route serves this path"),
            Self::Method => {
                let with_cors = served.and_then(Served::cors).is_some();
                let methods = if with_cors { METHODS_WITH_PREFLIGHT } else { METHODS };
                Reply::text(StatusCode::METHOD_NOT_ALLOWED, "a stream is read with GET").with(ALLOW, methods)
            }
            Self::Join(JoinError::TooManyStreams) => {
                Reply::text(StatusCode::SERVICE_UNAVAILABLE, "too many streams").with(RETRY_AFTER, COME_AGAIN)
            }
            Self::Join(JoinError::Ended(end)) | Self::Ended(end) => of_end(end, mode, cors),
        };
        if let Some(cors) = cors {
            cors.apply(&mut reply.headers);
        }
        reply
    }
}

fn of_end(end: &End, mode: Mode, cors: Option<&CorsAnswer>) -> Reply {
    match end {
        End::NoContent => Reply::empty(StatusCode::NO_CONTENT),
        End::Refused(answer) => reflected(answer, mode, cors),
        End::Failed(failure) | End::HoldExpired(failure) => of_failure(failure, mode, cors),
        End::Unusable(_) => Reply::text(StatusCode::BAD_GATEWAY, "the origin's answer is no event stream to pass on"),
        End::OriginClosed => Reply::text(StatusCode::BAD_GATEWAY, "the origin ended the stream"),
        End::Idle | End::PublisherGone => {
            Reply::text(StatusCode::SERVICE_UNAVAILABLE, "the stream just ended").with(RETRY_AFTER, COME_AGAIN)
        }
    }
}

fn of_failure(failure: &Failure, mode: Mode, cors: Option<&CorsAnswer>) -> Reply {
    match failure {
        Failure::HeadTimeout => Reply::text(StatusCode::GATEWAY_TIMEOUT, "the origin did not answer in time"),
        Failure::Unreachable(_) => Reply::text(StatusCode::BAD_GATEWAY, "the origin cannot be reached"),
        Failure::Ended | Failure::Lost(_) | Failure::Silent(_) => {
            Reply::text(StatusCode::BAD_GATEWAY, "the connection to the origin was lost")
        }
        Failure::Status(answer) => reflected(answer, mode, cors),
    }
}

fn reflected(answer: &Answer, mode: Mode, cors: Option<&CorsAnswer>) -> Reply {
    Reply { status: answer.status, headers: refusal_head(&answer.headers, mode, cors), body: answer.body.clone() }
        .sized()
}

impl Reply {
    /// A line of text; nothing of the configuration or of the origin's place is in it.
    fn text(status: StatusCode, text: &str) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        Self { status, headers, body: Bytes::from(format!("{text}\n")) }.sized()
    }

    fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// Nothing to say but that all is well.
    pub(super) fn no_content() -> Self {
        Self::empty(StatusCode::NO_CONTENT)
    }

    /// The answer to a preflight.
    pub(super) fn preflight(headers: HeaderMap) -> Self {
        Self { status: StatusCode::NO_CONTENT, headers, body: Bytes::new() }
    }

    fn with(mut self, name: http::HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    fn sized(mut self) -> Self {
        // RFC 9110 section 8.6: none with a 204.
        if self.status == StatusCode::NO_CONTENT {
            return self;
        }
        self.headers.insert(CONTENT_LENGTH, HeaderValue::from(self.body.len()));
        self
    }
}
