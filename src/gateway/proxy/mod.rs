//! The callbacks of pingora's proxy. They proxy plain requests, serve streams in sessions, and decide requests of
//! HTTP/2.

mod attempt;
mod client_side;
mod early;
mod exchange;
mod faults;
mod fields;
mod in_session;
mod kept;
mod patience;
mod references;
mod retries;

pub use exchange::Exchange;
pub(super) use kept::Habit;
pub(super) use references::{Names, host};

use super::Gateway;
use super::after::After;
use super::answered::Outcome;
use super::carried::Handed;
use super::http2::Tail;
use super::plan::Plan;
use super::sessions::Decided;
use super::writer::Writer;
use crate::quoted;
use crate::sse::is_event_stream;
use crate::upstream::{Line, Usage, reason};
use async_trait::async_trait;
use bytes::Bytes;
use early::EarlyAnswer;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, TRANSFER_ENCODING};
use http::uri::PathAndQuery;
use parking_lot::Mutex;
use patience::Patience;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorType, Result};
use retries::Next;
use std::any::Any;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// How long the connection of a request that must not share it is kept open. No other request uses it. The time is
/// enough to see whether the origin keeps connections open (see [`Habit`]).
const ALONE_FOR: Duration = Duration::from_secs(1);

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        Exchange::default()
    }

    /// Adds no downstream modules. pingora's default would add one for compression.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        let session = session.as_downstream_mut();
        let (planned, is_kept, promise) = match exchange.decided.take().or_else(|| Handed::of(session.req_header())) {
            Some(decided) => (Ok(decided.plan), decided.is_kept, decided.promise),
            None => (self.plan_of(session).await, false, None),
        };
        let came = Instant::now();
        exchange.came = Some(came);
        let refusal = match planned {
            Ok(Plan::Proxy(served, client, seat)) => {
                exchange.seat = seat;
                (exchange.proxied, exchange.client) = (Some(served), Some(client));
                return Ok(false);
            }
            Ok(Plan::Answer(reply)) => {
                self.answered_in(session, Outcome::of(None, &reply, came));
                Writer::new(session).reply(reply).await?;
                return Ok(true);
            }
            Ok(plan) => match Box::pin(self.serve(session, plan, is_kept, promise)).await? {
                Ok(after) => {
                    exchange.after = Mutex::new(Some(after));
                    return Ok(true);
                }
                Err(refusal) => refusal,
            },
            Err(refusal) => refusal,
        };
        let reply = self.refused(&refusal);
        self.answered_in(session, Outcome::of(Some(&refusal), &reply, came));
        Writer::new(session).reply(reply).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, session: &mut Session, exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
        let Some(served) = &exchange.proxied else { return Error::e_explain(ErrorType::InternalError, "no route") };
        let (origin, options, policy) = (&served.route.origin, &served.options, &served.policy);
        let attempt = &mut exchange.attempt;
        let may_upgrade = client_side::asked(session).upgrade().is_some();
        let dial = match &attempt.dial {
            Some(dial) => dial,
            None => {
                attempt.stall_limit = client_side::prepare(session, policy).await?;
                let usage = if may_upgrade { Usage::Upgrade } else { Usage::Kept };
                let resolved = self.connector.dial(origin, options, usage).await;
                attempt.dial.insert(resolved.map_err(|why| Error::explain(ErrorType::ConnectError, why).into_up())?)
            }
        };
        let Some(mut peer) = dial.peer(origin, options) else {
            return Err(Error::explain(ErrorType::ConnectError, "the origin has no other address").into_up());
        };
        let is_alone = std::mem::take(&mut attempt.is_unsent) || !served.habit.allows(session.req_header());
        if is_alone && !may_upgrade {
            // Kept connections are found by this key. With a random one, no other request shares this connection.
            peer.group_key = fastrand::u64(..);
            peer.options.idle_timeout = Some(ALONE_FOR);
        }
        attempt.begin();
        if attempt.by_http1 {
            peer.options.set_http_version(1, 1);
        }
        let is_h2 = !may_upgrade && !attempt.by_http1 && served.by_http2.load(Ordering::Relaxed);
        peer.options.read_timeout = patience::fixed_limit(&session.req_header().headers, is_h2, policy.idle_timeout);
        peer.options.write_timeout = policy.write_timeout.or(policy.idle_timeout);
        Ok(Box::new(peer))
    }

    /// Decides whether another try to connect follows: with HTTP/1.1 if HTTP/2 failed, or else with the next address.
    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        exchange: &mut Exchange,
        mut error: Box<Error>,
    ) -> Box<Error> {
        let is_of_h2 = matches!(error.etype(), ErrorType::H2Error | ErrorType::InvalidH2 | ErrorType::H2Downgrade);
        let retry = if is_of_h2 && !std::mem::replace(&mut exchange.attempt.by_http1, true) {
            exchange.again();
            true
        } else {
            exchange.goes_on(&error)
        };
        error.set_retry(retry);
        error
    }

    /// Refuses an origin whose certificate does not verify it, before anything is sent to the origin.
    async fn connected_to_upstream(
        &self,
        _: &mut Session,
        is_kept: bool,
        peer: &HttpPeer,
        _: std::os::fd::RawFd,
        connection: Option<&Digest>,
        exchange: &mut Exchange,
    ) -> Result<()> {
        exchange.attempt.line = connection.and_then(Line::carried_by);
        exchange.attempt.is_kept = is_kept;
        let Some(dial) = &exchange.attempt.dial else { return Error::e_explain(ErrorType::InternalError, "no origin") };
        let admitted = dial.admit(peer, connection);
        exchange.attempt.is_unsent |= admitted.is_err();
        admitted
    }

    /// Decides whether another try follows a failed exchange.
    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        exchange: &mut Exchange,
        is_kept: bool,
    ) -> Box<Error> {
        if let Some(error) = exchange.given_up() {
            return error;
        }
        exchange.attempt.unwatch();
        error.retry.decide_reuse(is_kept);
        let next = exchange.attempt.next(session, &error, is_kept);
        if let Some(served) = exchange.proxied.as_ref().filter(|_| next == Next::Same && !exchange.attempt.is_unsent) {
            served.habit.broke();
        }
        let retry = match next {
            Next::Nothing => false,
            Next::Same => {
                exchange.again();
                true
            }
            Next::Http1 => {
                exchange.attempt.by_http1 = true;
                exchange.again();
                true
            }
            Next::Another => exchange.goes_on(&error),
        };
        error.set_retry(retry);
        error
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let Some(served) = &exchange.proxied else { return Ok(()) };
        exchange.attempt.begin_on(request.version)?;
        let route = &served.route;
        let path_and_query = request.uri.path_and_query();
        let path = route.upstream_path(path_and_query.map_or("/", PathAndQuery::path));
        let query = path_and_query.and_then(PathAndQuery::query);
        let target = match served.without_credentials(query) {
            Some(query) => format!("{path}?{query}"),
            None => path,
        };
        let told = exchange.client.as_ref().map(|client| client.fields(&request.headers));
        for (name, value) in told.into_iter().flatten() {
            request.remove_header(&name);
            if let Some(value) = value {
                request.insert_header(name, value)?;
            }
        }
        if fields::for_origin(request, client_side::asked(session))? {
            served.warn_of_odd_names();
        }
        request.set_raw_path(target.as_bytes())?;
        let attempt = &mut exchange.attempt;
        let (host, names) = host(route, exchange.client.as_ref());
        request.insert_header(HOST, host)?;
        attempt.names = names;
        for (name, value) in &served.options.headers {
            request.insert_header(name, value.now())?;
        }
        attempt.target = target;
        attempt.tail = Tail::of(session.req_header());
        attempt.patience =
            attempt.line.clone().zip(served.policy.idle_timeout).map(|(line, limit)| Patience::with(line, limit));
        Ok(())
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        is_end: bool,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let Some(served) = exchange.proxied.as_ref().filter(|_| !session.was_upgraded()) else { return Ok(()) };
        let attempt = &mut exchange.attempt;
        attempt.is_whole |= is_end;
        attempt.body += body.as_ref().map_or(0, Bytes::len) as u64;
        if served.policy.max_body.is_some_and(|most| attempt.body > most) {
            return Err(Error::new(ErrorType::HTTPStatus(413)).into_down());
        }
        attempt.early.sends(attempt.line.as_ref().filter(|_| !served.route.origin.is_tls()), is_end);
        if let Some(tail) = &mut attempt.tail {
            *body = tail.pass(body.take(), is_end);
        }
        if is_end {
            // At the end, pingora would send an empty part as a chunk, and an empty chunk is the end of a body (RFC 9112
            // section 7.1). Before the end, no part would be the end, and an empty one is passed over.
            *body = body.take().filter(|part| !part.is_empty());
        }
        Ok(())
    }

    async fn upstream_response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let Some(served) = &exchange.proxied else { return Ok(()) };
        let client = client_side::asked(session);
        if let Some(fault) = fields::fault_of_response(response, client.upgrade().is_some()) {
            return Err(Error::explain(ErrorType::InvalidHTTPHeader, fault.text()).into_up());
        }
        let attempt = &mut exchange.attempt;
        attempt.counts(response.status)?;
        if let Some(dial) = &attempt.dial {
            dial.answered(&served.route.origin);
        }
        served.by_http2.store(attempt.is_h2, Ordering::Relaxed);
        // An HTTP/2 origin announces that it ends a connection, so it counts as one that keeps its connections open.
        served.habit.answered(attempt.is_kept || attempt.is_h2, &response.headers);
        let is_framed = [CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|name| response.headers.contains_key(name));
        if !response.status.is_informational() {
            attempt.early = EarlyAnswer::Over;
        }
        attempt.until_close = !is_framed && !attempt.is_h2;
        let is_upgraded = response.status == StatusCode::SWITCHING_PROTOCOLS;
        if is_upgraded || response.headers.get(CONTENT_TYPE).is_some_and(is_event_stream) {
            // Upgraded connections and event streams may be silent for any time.
            attempt.patience = None;
        }
        fields::for_client(response, client.version)
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let Some(served) = &exchange.proxied else { return Ok(()) };
        if response.status == StatusCode::UNAUTHORIZED {
            // The origin may have got a new secret. The files of headers are read again for the next request. This
            // request is not repeated, because its body may be gone.
            let options = &served.options;
            let is_changed = options.read_headers_anew(&options.header_values());
            log::debug!("origin answered 401 route={} header_changed={is_changed}", served.route.name);
        }
        client_side::frame(session, response, &mut exchange.attempt);
        if self.is_draining() {
            // The connection does not serve another request, and the head says so.
            session.as_downstream_mut().set_keepalive(None);
        }
        references::map_back(&served.route, &exchange.attempt.target, &exchange.attempt.names, response)
    }

    /// Reports an error if the end of a response is only the cut of a silent origin's connection. The response is then
    /// not complete. It is one, too, if more of a response comes after the client's permission has ended.
    fn response_body_filter(
        &self,
        _: &mut Session,
        _: &mut Option<Bytes>,
        is_end: bool,
        exchange: &mut Exchange,
    ) -> Result<Option<Duration>> {
        if !is_end {
            return match &exchange.client {
                Some(client) if client.caller.left().is_some_and(|left| left.is_zero()) => {
                    Error::e_explain(ErrorType::ConnectionClosed, "the client's permission has ended")
                }
                _ => Ok(None),
            };
        }
        if let Some(error) = exchange.given_up().filter(|_| exchange.attempt.until_close) {
            return Err(error);
        }
        exchange.attempt.patience = None;
        Ok(None)
    }

    async fn logging(&self, session: &mut Session, error: Option<&Error>, exchange: &mut Exchange) {
        self.proxied(session, error, exchange);
        let attempt = &mut exchange.attempt;
        if error.is_some() {
            return;
        }
        if attempt.is_marked {
            // The end of the client's connection is the end of the response. The connection was set to close by a
            // reset. The response is complete, so it now closes in an orderly way.
            client_side::end_on_close(session);
        }
        if let Some((served, line)) = exchange.proxied.as_ref().zip(attempt.line.take()) {
            served.habit.watch(line);
        }
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, exchange: &mut Exchange) -> FailToProxy {
        client_side::note_stall(session, error);
        let (status, reply) = self.failed(session, error, exchange);
        if let Some(reply) = reply {
            let status = reply.status;
            session.as_downstream_mut().set_keepalive(None);
            match Writer::new(session.as_downstream_mut()).reply(reply).await {
                Ok(()) => client_side::linger(session).await,
                Err(error) => log::debug!("client gone before its {status} why={}", quoted::reason(reason(&error))),
            }
        }
        FailToProxy { error_code: status.unwrap_or_default(), can_reuse_downstream: false }
    }

    /// Suppresses pingora's own log line about a failure. That line would repeat the one of [`Self::fail_to_proxy`],
    /// and it would report a client that leaves as an error.
    fn suppress_error_log(&self, _: &Session, _: &Exchange, _: &Error) -> bool {
        true
    }

    /// Names a request in log lines of pingora. The query is left out, because it may hold credentials.
    fn request_summary(&self, session: &Session, _: &Exchange) -> String {
        let request = session.req_header();
        format!("{} {}", request.method, request.uri.path())
    }

    fn persist_connection_context(&self, _: &Session, exchange: &Exchange) -> Option<Box<dyn Any + Send + Sync>> {
        exchange.after.lock().take().map(After::persisted)
    }

    /// Takes the decision of the front. pingora calls this with the context that the session was given, as if it came
    /// from an earlier request on the connection.
    fn on_connection_reuse(&self, _: &mut Session, exchange: &mut Exchange, context: Box<dyn Any + Send + Sync>) {
        exchange.decided = Decided::handed_over(context);
    }
}
