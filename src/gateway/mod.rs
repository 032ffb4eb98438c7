//! pingora's downstream side: who comes in, what is decided, and the way back to each client.
//!
//! ```text
//!   Front (ServerApp)         the first bytes: preface or head, limits       front
//!     └ Sessions (HttpServerApp)   wraps pingora's proxy; orderly ends       sessions
//!         └ Gateway (ProxyHttp)    decides everything in `request_filter`    here
//!             ├ shared stream                                                shared
//!             ├ private stream                                               private
//!             └ plain proxy                                                  proxy
//! ```

mod deadlines;
mod front;
mod handover;
mod lines;
mod places;
mod private;
mod proxy;
mod refusal;
mod served;
mod sessions;
mod shared;
mod socket;
#[cfg(test)]
mod tests;
mod writer;

pub use deadlines::Lifecycle;
pub use front::{Front, FrontOptions};
pub use proxy::Exchange;
pub use served::Served;

use crate::downstream::{CorsAnswer, Preflight, last_event_id, stream_head, without_last_event_id};
use crate::fanout::Engine;
use crate::hub::{Departure, Hub, Mode, StreamRequest};
use crate::route::{RouteTable, StreamPolicy, Target, check_target};
use crate::upstream::Connector;
use bytes::Bytes;
use handover::HandOver;
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Method, Version};
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorType};
use refusal::{Refusal, Reply};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;
use writer::Writer;

/// Characters in the log of what strangers choose.
const SHOWN: usize = 200;

/// The target of an `OPTIONS` that is for the server as a whole: it shows that the server answers (RFC 9110 section 9.3.7).
const ASTERISK: &str = "*";

/// Decides what becomes of each request, and serves the streams.
#[derive(Debug)]
pub struct Gateway {
    table: RouteTable,
    served: HashMap<Arc<str>, Arc<Served>>,
    hub: Hub,
    connector: Connector,
    /// None: every client stays in its session.
    engine: Option<Engine>,
    lifecycle: watch::Receiver<Lifecycle>,
}

/// A client's request for a stream, taken apart.
struct Asked<'a> {
    path: &'a str,
    /// Without `lastEventId`.
    query: Option<Cow<'a, str>>,
    headers: &'a HeaderMap,
    last_event_id: Option<Bytes>,
    cors: Option<CorsAnswer>,
}

impl Asked<'_> {
    /// All of the request that may reach the origin.
    fn stream_request(&self, served: &Served, policy: &StreamPolicy) -> StreamRequest {
        let path = served.route.upstream_path(self.path);
        StreamRequest::new(served.id, &policy.share, &path, self.query.as_deref(), self.headers)
    }
}

/// How serving a stream came to its end.
enum Outcome {
    /// No stream: this is to be answered.
    Refused(Refusal),
    /// The response was begun and is over.
    Done(Departure),
    /// The response is the engine's.
    HandedOver(Box<HandOver>),
}

/// What a request turned out to be.
enum Decision {
    /// Answered, and the connection may serve another request.
    Answered,
    /// A stream that was begun and is over.
    Streamed(Departure),
    /// A stream that the engine is to begin.
    HandedOver(Box<HandOver>),
    /// To be proxied.
    Proxy(Arc<Served>),
}

impl Gateway {
    /// A gateway for these routes; the table holds the same.
    #[must_use]
    pub fn new(
        table: RouteTable,
        served: Vec<Arc<Served>>,
        hub: Hub,
        connector: Connector,
        engine: Option<Engine>,
        lifecycle: watch::Receiver<Lifecycle>,
    ) -> Self {
        let served = served.into_iter().map(|served| (Arc::clone(&served.route.name), served)).collect();
        Self { table, served, hub, connector, engine, lifecycle }
    }

    /// Decides a request, and serves it unless it is to be proxied.
    async fn decide(&self, session: &mut ServerSession) -> pingora::Result<Decision> {
        // The session is written to while the request is looked at.
        let request = session.req_header().clone();
        let target_text = target_of(&request);
        let (target, host) = match look(&request, &target_text) {
            Ok(looked) => looked,
            Err(refusal) => return self.refuse(session, &refusal, None, None).await,
        };
        if target.path == ASTERISK {
            Writer::new(session).reply(Reply::no_content()).await?;
            return Ok(Decision::Answered);
        }
        let route = self.table.find(host, target.path);
        let Some(served) = route.and_then(|route| self.served.get(&route.name)) else {
            let (host, path) = (shown(host.unwrap_or_default()), shown(target.path));
            log::info!("no_route host={host:?} path={path:?}: no [[routes]] path serves it");
            return self.refuse(session, &Refusal::NoRoute, None, None).await;
        };
        let Some(policy) = served.route.stream() else { return Ok(Decision::Proxy(Arc::clone(served))) };
        let cors = served.cors().map(|options| options.answer(&request.headers));
        let nobody_answers = cors.is_none() && policy.share.mode == Mode::Shared;
        if cors == Some(CorsAnswer::Refused) || (nobody_answers && crosses(&request.headers, host)) {
            log_refused_origin(&served.route.name, request.headers.get(ORIGIN), cors.is_some());
        }
        match self.stream(session, served, policy, &request, target, cors.clone()).await? {
            Ok(decision) => Ok(decision),
            Err(refusal) => self.refuse(session, &refusal, Some(served), cors.as_ref()).await,
        }
    }

    /// A request on a stream route.
    async fn stream(
        &self,
        session: &mut ServerSession,
        served: &Arc<Served>,
        policy: &StreamPolicy,
        request: &RequestHeader,
        target: Target<'_>,
        cors: Option<CorsAnswer>,
    ) -> pingora::Result<Result<Decision, Refusal>> {
        if let Some(preflight) = Preflight::of(&request.method, &request.headers) {
            match (served.cors(), &cors) {
                (Some(options), Some(cors)) => {
                    Writer::new(session).reply(Reply::preflight(preflight.head(options, cors))).await?;
                    return Ok(Ok(Decision::Answered));
                }
                // Where nothing is shared and CORS is the origin's, so is the answer.
                _ if policy.share.mode == Mode::Private => return Ok(Ok(Decision::Proxy(Arc::clone(served)))),
                _ => return Ok(Err(Refusal::Method)),
            }
        }
        match request.method {
            Method::GET => {}
            Method::HEAD => {
                let path = served.route.upstream_path(target.path);
                let asks = StreamRequest::new(served.id, &policy.share, &path, target.query, &request.headers);
                let unstorable = asks.has_credentials() || policy.share.mode == Mode::Private;
                let head = stream_head(None, policy.share.mode, unstorable, cors.as_ref());
                Writer::new(session)
                    .reply(Reply { status: http::StatusCode::OK, headers: head, body: Bytes::new() })
                    .await?;
                return Ok(Ok(Decision::Answered));
            }
            _ => return Ok(Err(Refusal::Method)),
        }
        if *self.lifecycle.borrow() != Lifecycle::Running {
            // An EventSource gives up for good at a 503, and comes back when its connection is lost.
            return Error::e_explain(ErrorType::ConnectionClosed, "draining");
        }
        let last_event_id = match last_event_id(&request.headers, target.query) {
            Ok(id) => id,
            Err(invalid) => return Ok(Err(Refusal::LastEventId(invalid))),
        };
        let query = without_last_event_id(target.query);
        let asked = Asked { path: target.path, query, headers: &request.headers, last_event_id, cors };
        let mut writer = Writer::of_stream(session, &served.counters);
        let outcome = match policy.share.mode {
            Mode::Shared => Box::pin(self.serve_shared(served, policy, &asked, &mut writer)).await,
            Mode::Private => Box::pin(self.serve_private(served, policy, &asked, &mut writer)).await,
        };
        Ok(match outcome {
            Outcome::Refused(refusal) => Err(refusal),
            Outcome::Done(why) => Ok(Decision::Streamed(why)),
            Outcome::HandedOver(client) => Ok(Decision::HandedOver(client)),
        })
    }

    async fn refuse(
        &self,
        session: &mut ServerSession,
        refusal: &Refusal,
        served: Option<&Served>,
        cors: Option<&CorsAnswer>,
    ) -> pingora::Result<Decision> {
        if let Some(served) = served {
            served.counters.refused.add(1);
        }
        Writer::new(session).reply(refusal.reply(served, cors)).await?;
        Ok(Decision::Answered)
    }
}

/// The request target as it was sent; of HTTP/2 its `:path`.
fn target_of(request: &RequestHeader) -> Cow<'_, str> {
    if request.version == Version::HTTP_2 {
        Cow::Borrowed(request.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str))
    } else {
        String::from_utf8_lossy(request.raw_path())
    }
}

/// The target and the host of a request.
fn look<'a>(request: &'a RequestHeader, target: &'a str) -> Result<(Target<'a>, Option<&'a str>), Refusal> {
    let mut hosts = request.headers.get_all(HOST).iter();
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() || (host.is_none() && request.version == Version::HTTP_11) {
        return Err(Refusal::Host);
    }
    let target = check_target(&request.method, target).map_err(Refusal::Target)?;
    let of_h2 =
        request.uri.authority().filter(|_| request.version == Version::HTTP_2).map(http::uri::Authority::as_str);
    let host = target.authority.or(of_h2).or_else(|| host.and_then(|host| host.to_str().ok()));
    Ok((target, host))
}

/// The beginning of a text.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

/// Names the page that may not read a stream, and the key that would allow it.
fn log_refused_origin(route: &str, origin: Option<&HeaderValue>, listed: bool) {
    let Some(origin) = origin.map(|origin| String::from_utf8_lossy(origin.as_bytes())) else { return };
    let origin = shown(&origin);
    let advice =
        if listed { "to allow it, add it to" } else { "the route has no [routes.cors]: to allow it, name it in" };
    log::info!("cors_origin_refused route={route} origin={origin:?}: {advice} cors.origins of the route");
}

/// Whether a page of another origin asks, so that the lack of CORS headers will keep the answer from it.
fn crosses(headers: &HeaderMap, host: Option<&str>) -> bool {
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let Some((origin, host)) = origin.zip(host) else { return false };
    origin.split_once("://").map_or(origin, |(_, authority)| authority) != host
}
