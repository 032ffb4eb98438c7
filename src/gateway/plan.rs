//! Decides what to do with a request. The decision depends only on the request, the facts about the connection and
//! process, and the routing.
//!
//! ```text
//!   request ─▶ target and host ─▶ route ─┬─ none, or the request came back ────▶ Refusal
//!              (or a Refusal,            ├─ proxy ────────────────────────────▶ Plan::Proxy
//!                                        └─ stream ─▶ OPTIONS, HEAD ──────────▶ Plan::Answer
//!                                                     any other than GET ─────▶ Refusal
//!                                                     POST to its ticket path ▶ Plan::Answer
//!                                                     no permission ──────────▶ Refusal, or Plan::Asks
//!                                                     GET in a drain ─────────▶ Refusal: reconnect later
//!                                                     GET of a private route ─▶ Plan::Private
//!                                                     any other GET ──────────▶ Plan::Shared
//! ```

use super::client::{ClientFacts, Scheme};
use super::connection::Peer;
use super::head::{Head, is_host};
use super::limits::Seat;
use super::own_request::{Asked, OwnRequest};
use super::permission::{
    Admitted, Knowledge, Question, TicketUse, Unpermitted, admit, plan_proxy, plan_ticket, tickets,
};
use super::refusal::{NoRoute, Refusal, Why};
use super::reply::Reply;
use super::routing::Routing;
use super::served::{ProxyRoute, Served, StreamRoute};
use crate::caller::Caller;
use crate::config::Refuse;
use crate::downstream::{CorsAnswer, Preflight, last_event_id, stream_head, without_last_event_id};
use crate::fields::is_origin;
use crate::hub::{Mode, StreamRequest};
use crate::quoted::quoted;
use crate::route::{MediaType, Misfit, Target, Wanted, check_target};
use crate::upstream::has_come_back;
use bytes::Bytes;
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HOST, ORIGIN};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use pingora::http::RequestHeader;
use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

/// The target of an `OPTIONS` request about the server as a whole (RFC 9110, section 9.3.7). Clients send it to learn
/// whether the server answers.
const ASTERISK: &str = "*";

/// What an `EventSource` names in its `Accept`.
static EVENT_STREAM: LazyLock<MediaType> = LazyLock::new(MediaType::event_stream);

/// The parts of a request that the decision depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) method: &'a Method,
    pub(super) version: Version,
    /// The target, as the client sent it. In HTTP/2 it is the `:path`.
    pub(super) target: &'a str,
    /// The `:authority` of HTTP/2.
    pub(super) authority: Option<&'a str>,
    pub(super) headers: &'a HeaderMap,
}

impl<'a> Request<'a> {
    /// The request of a head of HTTP/1.x.
    pub(super) fn of(head: &'a Head) -> Self {
        let Head { method, version, target, headers, .. } = head;
        Self { method, version: *version, target, authority: None, headers }
    }

    /// The request of a session.
    pub(super) fn of_session(asked: &'a RequestHeader) -> Self {
        Self {
            method: &asked.method,
            version: asked.version,
            target: asked.uri.path_and_query().map_or("/", PathAndQuery::as_str),
            authority: asked.uri.authority().map(Authority::as_str),
            headers: &asked.headers,
        }
    }
}

/// The facts besides the request that the decision depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    /// Whether the process drains.
    pub(super) is_draining: bool,
    /// The peer of the connection.
    pub(super) peer: &'a Peer,
    /// How a client that asks for an event stream is refused for now.
    pub(super) refuse: Refuse,
    /// The port to which clients without TLS are sent. `None`: they are served.
    pub(super) https: Option<u16>,
    /// What is known of credentials.
    pub(super) known: Knowledge<'a>,
}

/// What to do with a request.
#[derive(Debug)]
pub(super) enum Plan {
    /// Send this answer.
    Answer(Reply),
    /// Serve a shared stream.
    Shared(Box<Ask>),
    /// Serve a stream with an upstream of its own, which gets this request.
    Private(Box<Ask>, Box<OwnRequest>),
    /// Proxy the request.
    Proxy(Arc<ProxyRoute>, ClientFacts, Option<Seat>),
    /// Find this out, and decide again.
    Asks(Question),
}

/// A request for a stream.
#[derive(Debug)]
pub(super) struct Ask {
    pub(super) served: Arc<StreamRoute>,
    /// Everything of the request that may reach the origin of a shared stream.
    pub(super) request: StreamRequest,
    pub(super) last_event_id: Option<Bytes>,
    pub(super) cors: Option<CorsAnswer>,
    /// Who the client is.
    pub(super) caller: Caller,
    /// The origin of the page that sent the request, if the browser will keep the response from the page.
    pub(super) unreadable: Option<HeaderValue>,
    /// A client that is refused for now is sent an event stream that ends at once.
    pub(super) is_soft: bool,
    /// The request counts for the address that a trusted proxy told of.
    pub(super) seat: Option<Arc<Seat>>,
    /// The ticket with which the client comes.
    pub(super) ticket: Option<TicketUse>,
}

impl Plan {
    /// The request for a stream, if this plan serves one.
    pub(super) fn ask(&self) -> Option<&Ask> {
        match self {
            Self::Shared(ask) | Self::Private(ask, _) => Some(ask),
            Self::Answer(_) | Self::Proxy(..) | Self::Asks(_) => None,
        }
    }
}

/// Decides what to do with a request.
pub(super) fn plan(request: &Request<'_>, facts: Facts<'_>, routing: &Routing) -> Result<Plan, Refusal> {
    if request.method == Method::CONNECT {
        return Err(Why::Tunnel.into());
    }
    let (target, host) = look(request)?;
    let client = ClientFacts::of(facts.peer, request.headers, host, routing.trusted());
    if target.path == ASTERISK {
        return Ok(Plan::Answer(Reply::no_content()));
    }
    if let Some(port) = facts.https.filter(|_| client.scheme == Scheme::Http) {
        let location = over_tls(client.host.as_deref(), port, &target).ok_or(Why::Host)?;
        return Ok(Plan::Answer(Reply::moved(location)));
    }
    let givers = routing.tickets_of(host, target.path);
    if let Some(first) = givers.first() {
        let (served, path) = match tickets::wanted(&givers, &target, host, routing) {
            Ok((served, path)) => (served, Ok(path)),
            Err(why) => (*first, Err(why)),
        };
        return plan_ticket(request, facts, served, path, &target, &client);
    }
    let wanted = Wanted { host, path: target.path, method: request.method, headers: request.headers };
    match routing.find(&wanted) {
        Err(misfit) => Err(Refusal::from(no_route(misfit, &wanted)).to(&client.caller)),
        Ok(served) if has_come_back(request.headers) => {
            Err(Refusal::from(Why::Loop(served.shared_route())).to(&client.caller))
        }
        Ok(Served::Proxy(served)) => plan_proxy(request, facts, served, &target, client),
        Ok(Served::Stream(served)) => plan_stream(request, facts, served, &target, client),
    }
}

/// The URL of a target over TLS. A client that named no port used port 80, so it is sent to port 443, which is then named
/// neither. Any other client is sent to `port`. `None`: no host was asked for.
fn over_tls(host: Option<&str>, port: u16, target: &Target<'_>) -> Option<HeaderValue> {
    let host: Authority = host?.parse().ok()?;
    let port = host.port().map(|_| format!(":{port}")).unwrap_or_default();
    let query = target.query.map(|query| format!("?{query}")).unwrap_or_default();
    HeaderValue::try_from(format!("https://{}{port}{}{query}", host.host(), target.path)).ok()
}

fn no_route(misfit: Misfit, wanted: &Wanted<'_>) -> Why {
    match misfit {
        Misfit::Target(why) => Why::Target(why),
        Misfit::Method(methods) => Why::OtherMethods(methods),
        Misfit::Accept(types) => Why::OtherTypes(types),
        Misfit::Path => {
            Why::NoRoute(Box::new(NoRoute { host: wanted.host.map(str::to_owned), path: wanted.path.to_owned() }))
        }
    }
}

/// Decides what to do with a request on a stream route.
fn plan_stream(
    request: &Request<'_>,
    facts: Facts<'_>,
    served: &Arc<StreamRoute>,
    target: &Target<'_>,
    client: ClientFacts,
) -> Result<Plan, Refusal> {
    let Request { method, .. } = *request;
    let headers = &told(request.headers, served, &client);
    let is_private = served.mode() == Mode::Private;
    let cors = served.cors().map(|options| options.answer(headers));
    let refused = |why| Refusal::on(served, cors.clone(), why).to(&client.caller);
    if *method == Method::OPTIONS
        && let Some(plan) = plan_options(headers, served, cors.as_ref(), &client)
    {
        return Ok(plan);
    }
    let path = served.route.upstream_path(target.path);
    let kept_host = kept_host(served, &client);
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Err(refused(Why::Method));
    }
    let Admitted { grant, ticket, query: client_query, claims } = match admit(request, facts, served, target, &client) {
        Ok(admitted) => admitted,
        Err(Unpermitted::Asks(question)) => return Ok(Plan::Asks(question)),
        Err(Unpermitted::Denied(denial)) => return Err(refused(Why::Denied(denial))),
    };
    let asks = |query| {
        let asked = StreamRequest::new(served.id, &served.policy.share, &path, query, headers);
        asked.with_fields(claims.iter().chain(&kept_host).cloned())
    };
    if *method == Method::HEAD {
        let unstorable = asks(client_query.as_deref()).has_credentials() || is_private || grant.is_some();
        let head = stream_head(None, served.mode(), unstorable, cors.as_ref());
        return Ok(Plan::Answer(Reply { status: StatusCode::OK, headers: head, body: Bytes::new() }));
    }
    if facts.is_draining {
        // Every GET is asked back, also one that does not name the media type of event streams.
        return Err(refused(Why::Drain).softly(facts.refuse == Refuse::Retry));
    }
    let is_unreadable = match &cors {
        None => !is_private && crosses(headers, client.host.as_deref()),
        Some(answer) => *answer == CorsAnswer::Refused,
    };
    let query = without_last_event_id(client_query.as_deref());
    let last_event_id = last_event_id(headers, target.query);
    let own = is_private.then(|| {
        let (path, query) = (target.path, client_query.as_deref());
        let asked = Asked { headers, path, query, last_event_id: last_event_id.as_ref(), claims: &claims };
        Box::new(OwnRequest::new(asked, &served.route, &client))
    });
    let ask = Box::new(Ask {
        served: Arc::clone(served),
        request: asks(query.as_deref()),
        caller: client.caller.resuming(last_event_id.as_ref()).granted(grant),
        last_event_id,
        unreadable: headers.get(ORIGIN).filter(|_| is_unreadable).cloned(),
        cors,
        is_soft: is_soft(request, facts.refuse),
        seat: None,
        ticket,
    });
    Ok(match own {
        Some(own) => Plan::Private(ask, own),
        None => Plan::Shared(ask),
    })
}

/// Decides what to do with an OPTIONS request on a stream route. `None`: the method is refused.
fn plan_options(
    headers: &HeaderMap,
    served: &StreamRoute,
    cors: Option<&CorsAnswer>,
    client: &ClientFacts,
) -> Option<Plan> {
    match (Preflight::of(&Method::OPTIONS, headers), served.cors().zip(cors)) {
        (Some(preflight), Some((options, cors))) => Some(Plan::Answer(Reply::preflight(preflight.head(options, cors)))),
        // On a private route without CORS of its own, the origin answers the preflight.
        (Some(_), None) if served.mode() == Mode::Private => {
            Some(Plan::Proxy(Arc::clone(&served.preflights), client.clone(), None))
        }
        (None, Some((_, cors))) => Some(Plan::Answer(Reply::allowed(cors))),
        (_, None) => None,
    }
}

/// Whether a client that is refused for now is sent an event stream that ends at once: it asks for an event stream.
pub(super) fn is_soft(request: &Request<'_>, refuse: Refuse) -> bool {
    refuse == Refuse::Retry && *request.method == Method::GET && EVENT_STREAM.is_named_by(request.headers)
}

/// The host for the origin, if the route keeps the client's.
fn kept_host(served: &StreamRoute, client: &ClientFacts) -> Option<(HeaderName, HeaderValue)> {
    let host = client.host.as_deref().filter(|host| served.route.preserve_host && !host.is_empty())?;
    Some((HOST, HeaderValue::from_str(host).ok()?))
}

/// The fields of a request. If the route forwards fields about the client on its shared streams, these fields are set
/// here. A client cannot choose their values.
fn told<'a>(headers: &'a HeaderMap, served: &StreamRoute, client: &ClientFacts) -> Cow<'a, HeaderMap> {
    let share = &served.policy.share;
    let passes_on = share.mode == Mode::Shared && share.headers.iter().any(ClientFacts::is_told_in);
    if passes_on { Cow::Owned(client.applied(headers)) } else { Cow::Borrowed(headers) }
}

/// The target and the host of a request.
fn look<'a>(request: &Request<'a>) -> Result<(Target<'a>, Option<&'a str>), Refusal> {
    let mut hosts = request.headers.get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    // The front has checked the field of an HTTP/1 head.
    let is_malformed = request.version == Version::HTTP_2 && host.is_some_and(|host| !is_host(host.as_bytes()));
    if second.is_some() || is_malformed || (host.is_none() && request.version == Version::HTTP_11) {
        return Err(Why::Host.into());
    }
    let target = check_target(request.method, request.target).map_err(Why::Target)?;
    let host = target.authority.or(request.authority).or_else(|| host.and_then(|host| host.to_str().ok()));
    Ok((target, host))
}

impl Ask {
    /// The refusal of this request.
    pub(super) fn refused(&self, why: Why) -> Refusal {
        Refusal::on(&self.served, self.cors.clone(), why).to(&self.caller).softly(self.is_soft)
    }

    /// Logs that a page may not read the stream, with the key that would allow it. `head` is the head of the origin's
    /// response, if there is one.
    pub(super) fn tell_unreadable(&self, head: Option<&HeaderMap>) {
        let Some(origin) = &self.unreadable else { return };
        let origin = String::from_utf8_lossy(origin.as_bytes());
        let route = &self.served.route.name;
        let shown = quoted(&origin);
        // What a stranger made up is not for pasting.
        let paste = if is_origin(&origin) { format!("[\"{origin}\"]") } else { "[\"https://..\"]".to_owned() };
        let advice = if self.cors.is_some() {
            format!("to allow it, add it to cors.origins of the route: {paste}")
        } else {
            format!("the route has no [routes.cors]: to allow it, write into the route: cors.origins = {paste}")
        };
        let sent = head.and_then(|head| head.get(ACCESS_CONTROL_ALLOW_ORIGIN)).map(|allowed| {
            let allowed = String::from_utf8_lossy(allowed.as_bytes());
            format!(" (the origin sent Access-Control-Allow-Origin: {}, which is not passed on)", quoted(&allowed))
        });
        log::info!("cors_origin_refused route={route} origin={shown}: {advice}{}", sent.unwrap_or_default());
    }
}

/// Whether a page of another origin sent the request. The browser then keeps the response from the page, unless the
/// response has CORS headers.
fn crosses(headers: &HeaderMap, host: Option<&str>) -> bool {
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let Some((origin, host)) = origin.zip(host) else { return false };
    origin.split_once("://").map_or(origin, |(_, authority)| authority) != host
}
