//! Decides requests of HTTP/2, and serves streams in a pingora session.

use super::attempt::is_answered;
use super::exchange::Exchange;
use super::faults;
use crate::access::Answered;
use crate::counters::{Close, Label};
use crate::descriptors::Promise;
use crate::gateway::Gateway;
use crate::gateway::after::After;
use crate::gateway::answered::{DONE, Outcome};
use crate::gateway::connection::{Connection, Peer};
use crate::gateway::http2::Link;
use crate::gateway::plan::{Plan, Request};
use crate::gateway::refusal::Refusal;
use crate::gateway::reply::Reply;
use crate::gateway::shared::NotJoined;
use crate::gateway::writer::Writer;
use crate::hub::Departure;
use http::StatusCode;
use pingora::protocols::http::ServerSession;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType, Result};
use std::sync::Arc;

impl Gateway {
    /// Decides what to do with a request that the front has not read. The front reads every request of HTTP/1, so this
    /// is for HTTP/2.
    pub(super) async fn plan_of(&self, session: &ServerSession) -> std::result::Result<Plan, Refusal> {
        self.plan(&Request::of_session(session.req_header()), &peer_of(session)).await
    }

    /// Writes the access line of a request that was answered in its session.
    pub(super) fn answered_in(&self, session: &ServerSession, outcome: Outcome<'_>) {
        self.answered(&Request::of_session(session.req_header()), &peer_of(session), outcome);
    }

    /// Writes the access line of a proxied request, if this is one.
    pub(super) fn proxied(&self, session: &Session, error: Option<&Error>, exchange: &Exchange) {
        let Some((served, client)) = exchange.proxied.as_ref().zip(exchange.client.as_ref()) else { return };
        let request = session.req_header();
        let why = match (error.map(|error| error.esource()), exchange.shortage()) {
            (None, _) => DONE,
            (Some(_), Some((_, shortage))) => shortage.reason().word(),
            (Some(ErrorSource::Downstream), None) => Close::Client.word(),
            (Some(_), None) => Close::Origin.word(),
        };
        let answered = Answered {
            route: Some(&served.route.name),
            method: request.method.as_str(),
            path: request.uri.path(),
            status: session.response_written().map(|head| head.status.as_u16()),
            caller: &client.caller,
            why,
            took: exchange.came.map(|came| came.elapsed()).unwrap_or_default(),
            bytes: session.body_bytes_sent() as u64,
        };
        answered.ends();
    }

    /// Counts and logs that a proxied request failed, or is refused for now. Returns the status for it, and the answer if
    /// the client was sent none.
    pub(super) fn failed(&self, session: &Session, error: &Error, exchange: &Exchange) -> (Option<u16>, Option<Reply>) {
        let status = faults::status(error, exchange.attempt.is_whole);
        let is_open = status.is_some() && !is_answered(session);
        if let Some((served, why)) = exchange.shortage() {
            let refusal = self.refused_by_proxy(served, why, &Request::of_session(session.req_header()));
            let reply = self.refused(&refusal);
            return (status, Some(reply).filter(|_| is_open));
        }
        exchange.tell_failure(session, error, status);
        let status_of = |status| StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        (status, status.filter(|_| is_open).map(|status| Reply::failed(status_of(status))))
    }

    /// Serves a stream in its session, or prepares the hand-over of its client to the engine. Returns what happens to
    /// the connection, or the refusal that the client is to be sent. `promise`: held until the stream is open.
    pub(super) async fn serve(
        &self,
        session: &mut ServerSession,
        plan: Plan,
        is_kept: bool,
        promise: Option<Promise>,
    ) -> Result<std::result::Result<After, Refusal>> {
        let Some(counters) = plan.ask().map(|ask| Arc::clone(&ask.served.counters)) else {
            return Error::e_explain(ErrorType::InternalError, "not a stream");
        };
        let mut writer = Writer::of_stream(session, &counters, &self.lifecycle);
        let departure = match plan {
            Plan::Shared(ask) => match self.join(&ask, promise, writer.left()).await {
                Err(NotJoined::Refused(refusal)) => return Ok(Err(refusal)),
                Err(NotJoined::Broken(broken)) => broken.into(),
                Ok(joined) => {
                    let engine = self.engine.as_ref().zip(writer.can_hand_over());
                    if let Some((engine, version)) = engine {
                        let client = self.leave(engine, &ask, joined, version, is_kept && writer.comes_back())?;
                        writer.hand_over();
                        return Ok(Ok(After::HandOver(Box::new(client))));
                    }
                    self.serve_shared(&ask, joined, &mut writer).await
                }
            },
            Plan::Private(ask, headers) => match self.serve_private(&ask, &headers, &mut writer).await {
                Err(refusal) => return Ok(Err(refusal)),
                Ok(departure) => departure,
            },
            Plan::Answer(_) | Plan::Proxy(..) | Plan::Asks(_) => Departure::Left,
        };
        if departure.is_orderly() && !writer.is_cut() {
            writer.end();
            let is_kept = is_kept && writer.is_kept() && !self.is_draining();
            return Ok(Ok(if is_kept { After::Next } else { After::Close }));
        }
        // After any other departure the error makes pingora drop the connection.
        if departure == Departure::Stalled {
            writer.reset();
        }
        Error::e_explain(ErrorType::ConnectionClosed, departure.to_string())
    }
}

fn peer_of(session: &ServerSession) -> Peer {
    if let Some(link) = Link::of(session) {
        return link.peer();
    }
    if let Some(connection) = session.stream().and_then(Connection::within) {
        return connection.peer().clone();
    }
    let socket = session.client_addr().and_then(|address| address.as_inet()).copied();
    Peer { socket, told: None, is_tls: false, certificate: None }
}
