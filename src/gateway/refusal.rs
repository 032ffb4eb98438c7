//! The one table that maps refusals and failures to HTTP responses.

use super::limits::Over;
use super::lines::come_again;
use super::permission::denied;
use super::reply::{COME_AGAIN, Reply};
use super::served::{ProxyRoute, StreamRoute, name_places};
use crate::auth::Denial;
use crate::caller::Caller;
use crate::counters::{Refused, RouteCounters, process};
use crate::downstream::{CorsAnswer, refusal_head, stream_head};
use crate::hub::{Answer, End, Failure, JoinError, Mode};
use crate::millis::millis;
use crate::route::{BadTarget, MediaType, Route};
use crate::sse::retry_line;
use http::header::{ALLOW, RETRY_AFTER};
use http::{HeaderValue, Method, StatusCode};
use std::sync::Arc;
use std::time::Duration;

/// The methods of a stream route without CORS, and with CORS.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD");
pub(super) const METHODS_WITH_PREFLIGHT: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");
const POST: HeaderValue = HeaderValue::from_static("POST, OPTIONS");

/// A request that is answered with an error.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) why: Why,
    by: By,
    /// Who the client is, if that is known already.
    caller: Option<Box<Caller>>,
    /// The client asks for an event stream, and is refused for now by one that ends at once.
    is_soft: bool,
}

/// Who refuses a request.
#[derive(Debug)]
enum By {
    /// A stream route, with its CORS answer.
    Stream(Arc<StreamRoute>, Option<CorsAnswer>),
    /// A proxy route. Its origin answers pages of other origins, so a refusal has no CORS headers.
    Proxy(Arc<ProxyRoute>),
    /// The process, before a route is known.
    Process,
}

/// What is told of a refusal for now.
pub(super) struct ForNow {
    status: StatusCode,
    /// What the client is told.
    text: &'static str,
    /// What the operator is told.
    pub(super) advice: &'static str,
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
    /// The client may not have this.
    Denied(Denial),
    /// The path of tickets got a method other than POST.
    TicketMethod,
    /// A ticket is asked for a path that the route does not serve.
    TicketPath,
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
    /// Every place for a connection is taken.
    NoPlace,
    /// The origin has `max_upstreams` connections.
    NoUpstream,
    /// The client's address is at a limit.
    Address(Over),
    /// The process is shutting down.
    Drain,
}

impl Why {
    /// The reason by which the refusal is counted.
    pub(super) fn reason(&self) -> Refused {
        match self {
            Self::Target(_) | Self::Host => Refused::Head,
            Self::NoRoute(_) => Refused::Route,
            Self::Loop(_) => Refused::Loop,
            Self::Denied(_) => Refused::Auth,
            Self::TicketPath => Refused::Route,
            Self::TicketMethod | Self::Method | Self::Tunnel | Self::OtherMethods(_) | Self::OtherTypes(_) => {
                Refused::Method
            }
            Self::Join(JoinError::TooManyStreams) => Refused::Streams,
            Self::Join(JoinError::RouteFull) => Refused::Subscribers,
            Self::Join(JoinError::StreamFull) => Refused::PerStream,
            Self::Address(Over::PerAddress(_)) => Refused::PerAddress,
            Self::Address(Over::NewPerAddress(_)) => Refused::NewPerAddress,
            Self::Drain => Refused::Drain,
            Self::NoPlace => Refused::Connections,
            Self::NoUpstream => Refused::Upstreams,
            Self::Join(JoinError::Ended(End::Failed(Failure::Full(_)) | End::HoldExpired(Failure::Full(_))))
            | Self::Ended(End::Failed(Failure::Full(_)) | End::HoldExpired(Failure::Full(_))) => Refused::Upstreams,
            Self::Join(JoinError::Ended(End::NoDescriptor)) | Self::Ended(End::NoDescriptor) => Refused::Connections,
            Self::Join(JoinError::Ended(End::Idle | End::Dismissed | End::Unshareable | End::PublisherGone))
            | Self::Ended(End::Idle | End::Dismissed | End::Unshareable | End::PublisherGone) => Refused::Ended,
            Self::Join(JoinError::Ended(_)) | Self::Ended(_) => Refused::Origin,
        }
    }
}

/// The table of the refusals that may be over soon. `None`: to come back is of no use, or it is the origin's word.
pub(super) fn for_now(reason: Refused) -> Option<ForNow> {
    use Refused as R;
    let (status, text, advice) = match reason {
        R::Connections => (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many connections",
            "raise server.max_connections and the limit of open files",
        ),
        R::Streams => (StatusCode::SERVICE_UNAVAILABLE, "too many streams", "raise share.max_streams of the route"),
        R::Subscribers => {
            (StatusCode::SERVICE_UNAVAILABLE, "too many clients", "raise limits.subscribers of the route")
        }
        R::PerStream => {
            (StatusCode::SERVICE_UNAVAILABLE, "too many clients on this stream", "raise limits.per_stream of the route")
        }
        R::Upstreams => (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many connections to the origin",
            "raise upstream.max_upstreams of the route",
        ),
        R::PerAddress => (
            StatusCode::TOO_MANY_REQUESTS,
            "too many connections from this address",
            "raise server.limits.per_address, or name the proxy in server.trusted_proxies",
        ),
        R::NewPerAddress => (
            StatusCode::TOO_MANY_REQUESTS,
            "too many new connections from this address",
            "raise server.limits.new_per_address_per_sec, or name the proxy in server.trusted_proxies",
        ),
        R::Drain => (StatusCode::SERVICE_UNAVAILABLE, "shutting down", "another process serves them"),
        R::Ended => (StatusCode::SERVICE_UNAVAILABLE, "the stream just ended", "clients come back at once"),
        R::Auth | R::Origin | R::Head | R::Route | R::Method | R::Loop => return None,
    };
    Some(ForNow { status, text, advice })
}

/// The host and path of a request that no route serves.
#[derive(Debug, Default)]
pub(super) struct NoRoute {
    pub(super) host: Option<String>,
    pub(super) path: String,
}

impl From<Why> for Refusal {
    fn from(why: Why) -> Self {
        Self { why, by: By::Process, caller: None, is_soft: false }
    }
}

impl Refusal {
    /// A refusal by a stream route.
    pub(super) fn on(served: &Arc<StreamRoute>, cors: Option<CorsAnswer>, why: Why) -> Self {
        Self { why, by: By::Stream(Arc::clone(served), cors), caller: None, is_soft: false }
    }

    /// A refusal by a proxy route.
    pub(super) fn at(served: &Arc<ProxyRoute>, why: Why) -> Self {
        Self { why, by: By::Proxy(Arc::clone(served)), caller: None, is_soft: false }
    }

    /// The same refusal. `is_soft`: to a client that asks for an event stream and may be refused by one.
    #[must_use]
    pub(super) fn softly(self, is_soft: bool) -> Self {
        Self { is_soft, ..self }
    }

    /// The same refusal, of this client.
    #[must_use]
    pub(super) fn to(self, caller: &Caller) -> Self {
        Self { caller: Some(Box::new(caller.clone())), ..self }
    }

    /// Who the client is, if that is known.
    pub(super) fn caller(&self) -> Option<&Caller> {
        self.caller.as_deref()
    }

    /// The name of the route that refuses.
    pub(super) fn route(&self) -> Option<&str> {
        match &self.by {
            By::Stream(served, _) => Some(&served.route.name),
            By::Proxy(served) => Some(&served.route.name),
            By::Process => None,
        }
    }

    fn counters(&self) -> Option<&RouteCounters> {
        match &self.by {
            By::Stream(served, _) => Some(&served.counters),
            By::Proxy(served) => Some(&served.counters),
            By::Process => None,
        }
    }

    /// Counts the refusal, for the process and for its route.
    pub(super) fn count(&self) {
        process().refused(self.counters(), self.why.reason());
    }

    /// The answer to a client that asks for an event stream, and is refused for now by one that ends at once. `None`: it
    /// is refused by a status.
    fn soft(&self, retry: Duration) -> Option<Reply> {
        let now = for_now(self.why.reason()).filter(|_| self.is_soft)?;
        let (served, cors) = match &self.by {
            By::Stream(served, cors) => (Some(served), cors.as_ref()),
            By::Proxy(_) => (None, None),
            By::Process => return None,
        };
        let body = match (&self.why, served) {
            // This process ends, and another serves already or soon. So the client comes back as after any end.
            (Why::Drain, Some(served)) => come_again(&served.policy.client),
            _ => [b": ", now.text.as_bytes(), b"\n", &retry_line(millis(retry))].concat(),
        };
        let mode = served.map_or(Mode::Private, |served| served.mode());
        let headers = stream_head(None, mode, true, cors);
        Some(Reply { status: StatusCode::OK, headers, body: body.into() }.sized())
    }

    /// The response to the refused request. `retry`: when a client that is refused for now is to come back.
    pub(super) fn reply(&self, retry: Duration) -> Reply {
        if let Some(reply) = self.soft(retry) {
            return reply;
        }
        let (served, cors) = match &self.by {
            By::Stream(served, cors) => (Some(served), cors.as_ref()),
            By::Proxy(_) | By::Process => (None, None),
        };
        let mut reply = match &self.why {
            Why::Target(why) => of_target(*why),
            Why::Host => Reply::text(StatusCode::BAD_REQUEST, "a request needs one Host header that names a host"),
            Why::Tunnel => {
                let reply = Reply::text(StatusCode::METHOD_NOT_ALLOWED, "this gateway does not open tunnels");
                reply.with(ALLOW, METHODS_WITH_PREFLIGHT)
            }
            Why::NoRoute(_) => Reply::text(StatusCode::NOT_FOUND, "no route serves this path"),
            Why::Loop(_) => Reply::text(StatusCode::LOOP_DETECTED, "the request leads back to this gateway"),
            Why::Method => {
                let with_cors = served.is_some_and(|served| served.cors().is_some());
                let methods = if with_cors { METHODS_WITH_PREFLIGHT } else { METHODS };
                Reply::text(StatusCode::METHOD_NOT_ALLOWED, "a stream is read with GET").with(ALLOW, methods)
            }
            Why::Denied(denial) => denied(denial, cors),
            Why::TicketPath => {
                Reply::text(StatusCode::BAD_REQUEST, "name the path of a stream that gives tickets here: ?path=/..")
            }
            Why::TicketMethod => {
                Reply::text(StatusCode::METHOD_NOT_ALLOWED, "a ticket is asked for with POST").with(ALLOW, POST)
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
                let text = format!("this path serves only requests whose Accept names {}", types.join(" or "));
                Reply::text(StatusCode::NOT_ACCEPTABLE, &text)
            }
            Why::Join(JoinError::Ended(end)) | Why::Ended(end) if for_now(self.why.reason()).is_none() => {
                of_end(end, cors)
            }
            Why::Join(_) | Why::Ended(_) | Why::NoPlace | Why::NoUpstream | Why::Address(_) | Why::Drain => {
                for_now(self.why.reason()).map_or_else(
                    || Reply::come_again(StatusCode::SERVICE_UNAVAILABLE),
                    |now| Reply::text(now.status, now.text).with(RETRY_AFTER, COME_AGAIN),
                )
            }
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

fn of_target(why: BadTarget) -> Reply {
    let status = if why == BadTarget::TooLong { StatusCode::URI_TOO_LONG } else { StatusCode::BAD_REQUEST };
    Reply::text(status, &format!("the request target {why}"))
}

fn of_end(end: &End, cors: Option<&CorsAnswer>) -> Reply {
    match end {
        End::NoContent => Reply::empty(StatusCode::NO_CONTENT),
        End::Refused(answer) => reflected(answer, cors),
        End::Failed(failure) | End::HoldExpired(failure) => of_failure(failure, cors),
        End::Unusable(_) => {
            Reply::text(StatusCode::BAD_GATEWAY, "the origin's answer is not an event stream that can be passed on")
        }
        End::OriginClosed => Reply::text(StatusCode::BAD_GATEWAY, "the origin ended the stream"),
        // Those are refusals for now, which have a table of their own.
        End::NoDescriptor | End::Idle | End::Dismissed | End::Unshareable | End::PublisherGone => {
            Reply::come_again(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

fn of_failure(failure: &Failure, cors: Option<&CorsAnswer>) -> Reply {
    match failure {
        Failure::HeadTimeout => Reply::text(StatusCode::GATEWAY_TIMEOUT, "the origin did not answer in time"),
        // This is a refusal for now, which has a table of its own.
        Failure::Full(_) => Reply::come_again(StatusCode::SERVICE_UNAVAILABLE),
        Failure::Unreachable(_) => Reply::text(StatusCode::BAD_GATEWAY, "the origin cannot be reached"),
        Failure::NoStream(_) => {
            Reply::text(StatusCode::BAD_GATEWAY, "the origin's answer is not an event stream that can be passed on")
        }
        Failure::Ended | Failure::Dropped | Failure::Lost(_) | Failure::Silent(_) => {
            Reply::text(StatusCode::BAD_GATEWAY, "the connection to the origin was lost")
        }
        Failure::Status(answer) => reflected(answer, cors),
    }
}

fn reflected(answer: &Answer, cors: Option<&CorsAnswer>) -> Reply {
    Reply { status: answer.status, headers: refusal_head(&answer.headers, cors), body: answer.body.clone() }.sized()
}
