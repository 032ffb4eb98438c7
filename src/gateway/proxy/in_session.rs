//! Decides requests of HTTP/2, and serves streams in a pingora session.

use crate::descriptors::Promise;
use crate::gateway::Gateway;
use crate::gateway::after::After;
use crate::gateway::connection::Peer;
use crate::gateway::http2::Link;
use crate::gateway::plan::{Plan, Request};
use crate::gateway::refusal::{Refusal, Reply};
use crate::gateway::shared::NotJoined;
use crate::gateway::writer::Writer;
use crate::hub::Departure;
use http::uri::{Authority, PathAndQuery};
use pingora::protocols::http::ServerSession;
use pingora::{Error, ErrorType, Result};
use std::sync::Arc;

impl Gateway {
    /// Decides what to do with a request that the front has not read. The front reads every request of HTTP/1, so this
    /// is for HTTP/2.
    pub(super) fn plan_of(&self, session: &ServerSession) -> std::result::Result<Plan, Box<Reply>> {
        let request = session.req_header();
        let socket = session.client_addr().and_then(|address| address.as_inet()).copied();
        let peer = Link::of(session).map_or(Peer { socket, told: None, is_tls: false }, |link| *link.peer());
        let request = Request {
            method: &request.method,
            version: request.version,
            target: request.uri.path_and_query().map_or("/", PathAndQuery::as_str),
            authority: request.uri.authority().map(Authority::as_str),
            headers: &request.headers,
        };
        self.plan(&request, &peer)
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
                        let client = self.leave(engine, &ask, joined, version, is_kept && writer.is_little_ahead())?;
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
            Plan::Answer(_) | Plan::Proxy(..) => Departure::Left,
        };
        if departure.is_orderly() {
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
