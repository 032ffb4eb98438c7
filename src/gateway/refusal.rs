//! The one table that maps refusals and failures to HTTP responses.

use super::served::{StreamRoute, name_places};
use crate::counters::{Refused, process};
use crate::downstream::{CorsAnswer, refusal_head};
use crate::hub::{Answer, End, Failure, JoinError};
use crate::route::{BadTarget, MediaType, Route};
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use std::sync::Arc;

/// The `Retry-After` of an answer to a client that may try again soon, in seconds.
const COME_AGAIN: HeaderValue = HeaderValue::from_static("1");

/// The methods of a stream route without CORS, and with CORS.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");
const METHODS_WITH_PREFLIGHT: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");

/// A request that is answered with an error.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) why: Why,
    /// The stream route that refuses the request, and its CORS answer. `None`: the request is refused for another
    /// reason than a stream route's policy.
    of: Option<(Arc<StreamRoute>, Option<CorsAnswer>)>,
}

/// Why a request is refused.
#[derive(Debug)]
pub(super) enum Why {
    /// The request target is malformed or ambiguous.
    Target(BadTarget),
    /// An HTTP/1.1 request without exactly one `Host` (RFC 9112, section 3.2).
    Host,
    /// No route serves this host and path.
    NoRoute(Box<NoRoute>),
    /// The request has passed this process before, so this route would pass it on for ever (RFC 9110, section 7.6.3).
    Loop(Arc<Route>),
    /// A stream route got a method that is neither GET nor HEAD.
    Method,
    /// The client asks for a tunnel.
    Tunnel,
    /// The path is served only with these methods.
    OtherMethods(Vec<Method>),
    /// The path is served only to requests that accept one of these types.
    OtherTypes(Vec<MediaType>),
    /// The client cannot join the stream.
    Join(JoinError),
    /// The stream ended before the client was sent a response head.
    Ended(End),
}

impl Why {
    /// The reason by which the refusal is counted.
    fn reason(&self) -> Refused {
        match self {
            Self::Target(_) | Self::Host => Refused::Head,
            Self::NoRoute(_) => Refused::Route,
            Self::Loop(_) => Refused::Loop,
            Self::Method | Self::Tunnel | Self::OtherMethods(_) | Self::OtherTypes(_) => Refused::Method,
            Self::Join(JoinError::TooManyStreams) => Refused::Streams,
            Self::Join(JoinError::Ended(End::NoDescriptor)) | Self::Ended(End::NoDescriptor) => Refused::Connections,
            Self::Join(JoinError::Ended(_)) | Self::Ended(_) => Refused::Origin,
        }
    }
}

/// The host and path of a request that no route serves.
#[derive(Debug, Default)]
pub(super) struct NoRoute {
    pub(super) host: Option<String>,
    pub(super) path: String,
}

/// A complete response.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl From<Why> for Refusal {
    fn from(why: Why) -> Self {
        Self { why, of: None }
    }
}

impl Refusal {
    /// A refusal by a stream route.
    pub(super) fn on(served: &Arc<StreamRoute>, cors: Option<CorsAnswer>, why: Why) -> Self {
        Self { why, of: Some((Arc::clone(served), cors)) }
    }

    /// Counts the refusal, for the process and for its route.
    pub(super) fn count(&self) {
        if let Some((served, _)) = &self.of {
            served.counters.refused.add(1);
        }
        process().refusals.add_one(self.why.reason());
    }

    /// The response to the refused request.
    pub(super) fn reply(&self) -> Reply {
        let served = self.of.as_ref().map(|(served, _)| served);
        let cors = self.of.as_ref().and_then(|(_, cors)| cors.as_ref());
        let mut reply = match &self.why {
            Why::Target(why) => Reply::text(StatusCode::BAD_REQUEST, &format!("the request target {why}")),
            Why::Host => Reply::text(StatusCode::BAD_REQUEST, "a request needs one Host header that names a host"),
            Why::Tunnel => {
                let reply = Reply::text(StatusCode::METHOD_NOT_ALLOWED, "this gateway makes no tunnels");
                reply.with(ALLOW, METHODS_WITH_PREFLIGHT)
            }
            Why::NoRoute(_) => Reply::text(StatusCode::NOT_FOUND, "no route serves this path"),
            Why::Loop(_) => Reply::text(StatusCode::LOOP_DETECTED, "the request leads back to this gateway"),
            Why::Method => {
                let with_cors = served.is_some_and(|served| served.cors().is_some());
                let methods = if with_cors { METHODS_WITH_PREFLIGHT } else { METHODS };
                Reply::text(StatusCode::METHOD_NOT_ALLOWED, "a stream is read with GET").with(ALLOW, methods)
            }
            Why::OtherMethods(methods) => {
                let methods: Vec<_> = methods.iter().map(Method::as_str).collect();
                let reply = Reply::text(StatusCode::METHOD_NOT_ALLOWED, "no route serves this path with this method");
                match HeaderValue::from_str(&methods.join(", ")) {
                    Ok(methods) => reply.with(ALLOW, methods),
                    Err(_) => reply,
                }
            }
            Why::OtherTypes(types) => {
                let types: Vec<_> = types.iter().map(ToString::to_string).collect();
                let text = format!("this path is for requests whose Accept names {}", types.join(" or "));
                Reply::text(StatusCode::NOT_ACCEPTABLE, &text)
            }
            Why::Join(JoinError::TooManyStreams) => {
                Reply::text(StatusCode::SERVICE_UNAVAILABLE, "too many streams").with(RETRY_AFTER, COME_AGAIN)
            }
            Why::Join(JoinError::Ended(end)) | Why::Ended(end) => of_end(end, cors),
        };
        if let Some(served) = served {
            name_places(&served.route, &mut reply.headers);
        }
        if let Some(cors) = cors {
            cors.apply(&mut reply.headers);
        }
        reply
    }
}

fn of_end(end: &End, cors: Option<&CorsAnswer>) -> Reply {
    match end {
        End::NoContent => Reply::empty(StatusCode::NO_CONTENT),
        End::Refused(answer) => reflected(answer, cors),
        End::Failed(failure) | End::HoldExpired(failure) => of_failure(failure, cors),
        End::Unusable(_) => Reply::text(StatusCode::BAD_GATEWAY, "the origin's answer is no event stream to pass on"),
        End::OriginClosed => Reply::text(StatusCode::BAD_GATEWAY, "the origin ended the stream"),
        End::NoDescriptor => {
            Reply::text(StatusCode::SERVICE_UNAVAILABLE, "too many connections").with(RETRY_AFTER, COME_AGAIN)
        }
        End::Idle | End::Unshareable | End::PublisherGone => {
            Reply::text(StatusCode::SERVICE_UNAVAILABLE, "the stream just ended").with(RETRY_AFTER, COME_AGAIN)
        }
    }
}

fn of_failure(failure: &Failure, cors: Option<&CorsAnswer>) -> Reply {
    match failure {
        Failure::HeadTimeout => Reply::text(StatusCode::GATEWAY_TIMEOUT, "the origin did not answer in time"),
        Failure::Unreachable(_) => Reply::text(StatusCode::BAD_GATEWAY, "the origin cannot be reached"),
        Failure::NoStream(_) => {
            Reply::text(StatusCode::BAD_GATEWAY, "the origin's answer is no event stream to pass on")
        }
        Failure::Ended | Failure::Lost(_) | Failure::Silent(_) => {
            Reply::text(StatusCode::BAD_GATEWAY, "the connection to the origin was lost")
        }
        Failure::Status(answer) => reflected(answer, cors),
    }
}

fn reflected(answer: &Answer, cors: Option<&CorsAnswer>) -> Reply {
    Reply { status: answer.status, headers: refusal_head(&answer.headers, cors), body: answer.body.clone() }.sized()
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

    fn empty(status: StatusCode) -> Self {
        Self { status, headers: HeaderMap::new(), body: Bytes::new() }
    }

    /// A 204 without header fields.
    pub(super) fn no_content() -> Self {
        Self::empty(StatusCode::NO_CONTENT)
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

    fn with(mut self, name: http::HeaderName, value: HeaderValue) -> Self {
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
