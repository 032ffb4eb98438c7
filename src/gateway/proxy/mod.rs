//! pingora's callbacks: the way into the gateway, and plain proxying.

mod in_session;

use super::Gateway;
use super::after::After;
use super::client::ClientFacts;
use super::plan::Plan;
use super::served::{ProxyRoute, name_places};
use super::sessions::Decided;
use super::writer::Writer;
use crate::upstream::{Dial, Usage, advised, hide_origin, request_via};
use async_trait::async_trait;
use http::header::{CONTENT_LOCATION, HOST, LOCATION, VIA};
use http::uri::PathAndQuery;
use http::{HeaderMap, StatusCode};
use parking_lot::Mutex;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};
use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

/// On a plain proxy route: a side that accepts nothing for this long is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// What is known of a request between pingora's callbacks.
#[derive(Debug, Default)]
pub struct Exchange {
    /// The route, if the request is proxied.
    proxied: Option<Arc<ProxyRoute>>,
    /// Whom it comes from.
    client: Option<ClientFacts>,
    /// The origin's addresses that are left.
    dial: Option<Arc<Dial>>,
    /// The path and query that the origin is asked for.
    target: String,
    /// What the front decided, for a request that it has seen.
    decided: Option<Box<Decided>>,
    /// What the connection is for when the request is over.
    after: Mutex<Option<After>>,
}

impl Exchange {
    /// Whether another address is left, after this error with one.
    fn goes_on(&self, error: &Error) -> bool {
        let (Some(served), Some(dial)) = (&self.proxied, &self.dial) else { return false };
        dial.note(advised(error, &served.route.origin));
        dial.has_more()
    }
}

#[async_trait]
impl ProxyHttp for Gateway {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        Exchange::default()
    }

    /// Nothing of ours changes a response on its way: no downstream modules.
    fn init_downstream_modules(&self, _: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        let session = session.as_downstream_mut();
        let (planned, is_kept) = match exchange.decided.take() {
            Some(decided) => (Ok(decided.plan), decided.is_kept),
            None => (self.plan_of(session), false),
        };
        let refusal = match planned {
            Ok(Plan::Proxy(served, client)) => {
                session.set_write_timeout(Some(WRITE_TIMEOUT));
                (exchange.proxied, exchange.client) = (Some(served), Some(client));
                return Ok(false);
            }
            Ok(Plan::Answer(reply)) => {
                Writer::new(session).reply(reply).await?;
                return Ok(true);
            }
            Ok(plan) => match Box::pin(self.serve(session, plan, is_kept)).await? {
                Ok(after) => {
                    exchange.after = Mutex::new(Some(after));
                    return Ok(true);
                }
                Err(refusal) => {
                    self.tell(&refusal);
                    refusal
                }
            },
            Err(refusal) => refusal,
        };
        Writer::new(session).reply(refusal.reply()).await?;
        Ok(true)
    }

    async fn upstream_peer(&self, _: &mut Session, exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
        let Some(served) = &exchange.proxied else { return Error::e_explain(ErrorType::InternalError, "no route") };
        let (origin, options) = (&served.route.origin, &served.options);
        let dial = match &exchange.dial {
            Some(dial) => dial,
            None => {
                let resolved = self.connector.dial(origin, options, Usage::Kept).await;
                exchange.dial.insert(resolved.map_err(|why| Error::explain(ErrorType::ConnectError, why).into_up())?)
            }
        };
        let Some(mut peer) = dial.peer(origin, options) else {
            return Err(Error::explain(ErrorType::ConnectError, "the origin has no other address").into_up());
        };
        peer.options.read_timeout = options.idle_timeout;
        peer.options.write_timeout = Some(WRITE_TIMEOUT);
        Ok(Box::new(peer))
    }

    /// The next address is tried, if there is one.
    fn fail_to_connect(
        &self,
        _: &mut Session,
        _: &HttpPeer,
        exchange: &mut Exchange,
        mut error: Box<Error>,
    ) -> Box<Error> {
        error.set_retry(exchange.goes_on(&error));
        error
    }

    /// The next address is tried too where a request that may be repeated got no answer from one that took it.
    fn error_while_proxy(
        &self,
        _: &HttpPeer,
        session: &mut Session,
        mut error: Box<Error>,
        exchange: &mut Exchange,
        is_kept: bool,
    ) -> Box<Error> {
        let may_repeat =
            session.req_header().method.is_idempotent() && !session.as_downstream().retry_buffer_truncated();
        if !may_repeat {
            error.set_retry(false);
            return error;
        }
        // A kept connection may have been closed while nobody used it.
        error.retry.decide_reuse(is_kept);
        let is_late = matches!(error.etype(), ErrorType::ReadTimedout | ErrorType::WriteTimedout);
        let is_unanswered = session.response_written().is_none() && *error.esource() == ErrorSource::Upstream;
        match &exchange.dial {
            // pingora asks the same address in another way, as HTTP/1.1 instead of HTTP/2.
            Some(dial) if error.retry() => dial.again(),
            _ if is_unanswered && !is_late && exchange.goes_on(&error) => error.set_retry(true),
            _ => {}
        }
        error
    }

    async fn upstream_request_filter(
        &self,
        _: &mut Session,
        request: &mut RequestHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let Some(served) = &exchange.proxied else { return Ok(()) };
        let route = &served.route;
        let path_and_query = request.uri.path_and_query();
        let path = route.upstream_path(path_and_query.map_or("/", PathAndQuery::path));
        let target = match path_and_query.and_then(PathAndQuery::query) {
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
        request.set_raw_path(target.as_bytes())?;
        request.insert_header(HOST, route.origin.authority())?;
        let via = request_via(&request.headers);
        request.insert_header(VIA, via)?;
        for (name, value) in &served.options.headers {
            request.insert_header(name, value.now())?;
        }
        exchange.target = target;
        Ok(())
    }

    async fn response_filter(
        &self,
        _: &mut Session,
        response: &mut ResponseHeader,
        exchange: &mut Exchange,
    ) -> Result<()> {
        let Some(served) = &exchange.proxied else { return Ok(()) };
        if response.status == StatusCode::UNAUTHORIZED {
            // For the next request: the body of this one may be gone.
            let options = &served.options;
            let is_changed = options.read_headers_anew(&options.header_values());
            log::debug!("origin answered 401 route={} header_changed={is_changed}", served.route.name);
        }
        // Only these: to take all headers out and put them back would cost the case of their names.
        let mut places = HeaderMap::new();
        for name in [LOCATION, CONTENT_LOCATION] {
            if let Some(value) = response.headers.get(&name) {
                places.insert(name, value.clone());
            }
        }
        if places.is_empty() {
            return Ok(());
        }
        hide_origin(&served.route.origin, &exchange.target, &mut places);
        name_places(&served.route, &mut places);
        for (name, value) in &places {
            response.insert_header(name, value)?;
        }
        Ok(())
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, exchange: &mut Exchange) -> FailToProxy {
        let status = match (error.esource(), error.etype()) {
            (_, ErrorType::HTTPStatus(status)) => *status,
            (ErrorSource::Upstream, ErrorType::ReadTimedout | ErrorType::ConnectTimedout) => 504,
            (ErrorSource::Upstream, _) => 502,
            (ErrorSource::Internal, _) => 500,
            // The client is gone.
            (ErrorSource::Downstream | ErrorSource::Unset, _) => 0,
        };
        if let Some(served) = exchange.proxied.as_ref().filter(|_| status >= 500) {
            served.counters.upstream_failures.add(1);
            let (route, origin) = (&served.route.name, &served.route.origin);
            let of_all = exchange.dial.as_ref().filter(|_| session.response_written().is_none());
            let of_all = of_all.and_then(|dial| dial.failures());
            let why = of_all.unwrap_or_else(|| advised(error, origin));
            log::warn!("proxying failed route={route} origin={origin} status={status} why=\"{why}\"");
        }
        if status > 0
            && session.response_written().is_none()
            && let Err(error) = session.respond_error(status).await
        {
            log::debug!("client gone before its {status}: {error}");
        }
        FailToProxy { error_code: status, can_reuse_downstream: false }
    }

    /// pingora's own line would repeat what [`Self::fail_to_proxy`] says, and call a client that leaves an error.
    fn suppress_error_log(&self, _: &Session, _: &Exchange, _: &Error) -> bool {
        true
    }

    /// Never the query: it may hold credentials.
    fn request_summary(&self, session: &Session, _: &Exchange) -> String {
        let request = session.req_header();
        format!("{} {}", request.method, request.uri.path())
    }

    fn persist_connection_context(&self, _: &Session, exchange: &Exchange) -> Option<Box<dyn Any + Send + Sync>> {
        exchange.after.lock().take().map(After::persisted)
    }

    /// The front hands over what it decided.
    fn on_connection_reuse(&self, _: &mut Session, exchange: &mut Exchange, context: Box<dyn Any + Send + Sync>) {
        exchange.decided = Decided::handed_over(context);
    }
}
