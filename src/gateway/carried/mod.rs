//! Connections of HTTP/2 that the engine carries, and the requests on them.
//!
//! ```text
//!   shard ── a request, and its stream ──▶ plan ─┬─▶ the gateway's own answer
//!                                                ├─▶ a GET of a shared stream: its client goes to the shard
//!                                                └─▶ a session of pingora: StreamSession
//! ```
//!
//! Each request is decided by itself, in a task of the runtime. So a page, a stream of events and a request that is
//! proxied can share a connection.

mod heads;
mod kept;
mod session;

use super::Gateway;
use super::answered::Outcome;
use super::broken::Broken;
use super::connection::{Connection, Parts, Peer};
use super::front::Front;
use super::front_options::FrontOptions;
use super::home::Passport;
use super::http2::{Link, OpenStream};
use super::limits::Seat;
use super::places::Place;
use super::plan::{Ask, Plan, Request};
use super::refusal::Why;
use super::reply::Reply;
use super::sessions::Decided;
use super::shared::NotJoined;
use super::times::ANSWER_TIME;
use crate::config::Http2By;
use crate::fanout::h2::Unfit;
use crate::fanout::{Asked, Carried, Engine, Home, Incoming, Requests, Responder};
use crate::hub::Kept;
use crate::quoted::reason;
use crate::route::MOST_TARGET_BYTES;
pub(super) use heads::stream as stream_head;
use http::{Method, StatusCode};
use pingora::http::RequestHeader;
use pingora::protocols::http::ServerSession;
pub(super) use session::Handed;
use session::StreamSession;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;
use tokio::time::timeout;

/// Decides the requests of a connection. It keeps the front, and so the engine, until the connection is gone, because a
/// client may send a request at any time, also in a drain. A drain ends all connections.
#[derive(Debug)]
pub(super) struct Deciding {
    front: Arc<Front>,
    link: Arc<Link>,
    _place: Place,
    /// The connection counts for its address. Boxed, because few connections do.
    _seat: Option<Box<Seat>>,
}

const _: () = assert!(size_of::<Deciding>() <= 48, "there may be a hundred thousand connections");

impl Requests for Deciding {
    fn asked(&mut self, asked: Asked, responder: Responder) {
        let front = Arc::clone(&self.front);
        let link = Arc::clone(&self.link);
        self.front.runtime().spawn(async move { front.answer_on(link, asked, responder).await });
    }

    fn stalled(&mut self) {
        self.link.give_up();
    }

    fn keep(&self, bytes: usize) -> Kept {
        self.front.gateway().hub.keep(bytes)
    }

    fn passport(&self) -> Option<Vec<u8>> {
        Passport::of(&self.link.peer()).bytes()
    }
}

impl Deciding {
    /// What the streams of the connection share.
    pub(super) fn link(&self) -> &Arc<Link> {
        &self.link
    }
}

/// What a client on a stream holds outside of the engine.
#[derive(Debug)]
struct OnStream {
    _open: OpenStream,
    /// The request counts for the address that a trusted proxy told of.
    _seat: Option<Arc<Seat>>,
}

impl Home for OnStream {
    /// A stream does not come back: the connection goes on without it.
    fn take_back(self: Box<Self>, _: OwnedFd, _: Vec<u8>) {}

    /// The connection says it all.
    fn passport(&self) -> Option<Vec<u8>> {
        Some(Vec::new())
    }
}

impl Front {
    /// The engine, if it is to carry a connection of HTTP/2.
    pub(super) fn carries(&self, connection: &Connection) -> Option<&Engine> {
        let is_carried =
            self.options().get().http2 == Http2By::Engine && connection.has_place() && connection.may_leave();
        self.gateway().engine().filter(|_| is_carried)
    }

    /// Gives a connection to the engine. Its preface is still among the unread bytes. Returns the connection if it cannot be
    /// served by the keys of its TLS only, because the client has changed them, for example.
    pub(super) async fn carry(self: &Arc<Self>, mut connection: Connection, engine: &Engine) -> Option<Connection> {
        connection.bound();
        // Requests follow the preface at once, and TLS holds them.
        if !timeout(ANSWER_TIME, connection.finish_reading()).await.unwrap_or(false) {
            return None;
        }
        if !connection.can_leave() {
            return Some(connection);
        }
        let parts = connection.into_parts();
        let parts = parts.inspect_err(|error| log::debug!("cannot carry a connection why={}", reason(error)));
        let Parts { socket, channel, unread, peer, place, seat } = parts.ok()?;
        let requests = Box::new(self.deciding(peer, place, seat));
        let FrontOptions { head_time, keepalive, .. } = self.options().get();
        let carried = Carried { socket, channel, unread, head_time, keepalive, requests };
        if let Err(refused) = engine.carry(carried).await {
            log::error!("cannot carry a connection why={}", reason(refused));
        }
        None
    }

    /// Decides the requests of a connection.
    pub(super) fn deciding(self: &Arc<Self>, peer: Peer, place: Place, seat: Option<Seat>) -> Deciding {
        Deciding { front: Arc::clone(self), link: Link::carried(peer), _place: place, _seat: seat.map(Box::new) }
    }

    /// What a client holds that goes on on a stream of this connection. `None`: there is no place for it.
    pub(super) fn on_stream(&self, link: &Arc<Link>, seat: Option<Arc<Seat>>) -> Option<Box<dyn Home>> {
        Some(Box::new(OnStream { _open: link.open(|| self.places().take())?, _seat: seat }))
    }

    /// Answers a request that came on a stream.
    async fn answer_on(self: Arc<Self>, link: Arc<Link>, asked: Asked, responder: Responder) {
        let most = self.options().get().head_bytes;
        let is_line_too_long =
            asked.request.as_ref().is_ok_and(|request| request.path().len() > most.min(MOST_TARGET_BYTES));
        let request =
            asked.request.and_then(|request| if request.size() > most { Err(Unfit::TooLarge) } else { Ok(request) });
        let head = match request.map(|request| heads::request(&request)) {
            Ok(Some(head)) => head,
            unfit => {
                let status = match unfit {
                    _ if is_line_too_long => StatusCode::URI_TOO_LONG,
                    Err(Unfit::TooLarge) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                    Ok(_) | Err(Unfit::Malformed) => StatusCode::BAD_REQUEST,
                };
                return respond_without_body(responder, status);
            }
        };
        let (gateway, peer, is_head) = (self.gateway(), link.peer(), head.method == Method::HEAD);
        let request = Request::of_session(&head);
        let Some(open) = link.open(|| self.places().take()) else {
            let reply = gateway.turned_away(&request, &peer, Why::NoPlace);
            return respond(responder, &reply, is_head).await;
        };
        let came = Instant::now();
        let reply = match gateway.plan(&request, &peer).await {
            Ok(Plan::Answer(reply)) => {
                gateway.answered(&request, &peer, Outcome::of(None, &reply, came));
                reply
            }
            Ok(Plan::Shared(ask)) if asked.ends => {
                return Box::pin(self.join_on(responder, &head, &ask, open, &link)).await;
            }
            Ok(plan) => {
                let session = StreamSession::new(head, responder, asked.ends, Arc::clone(&link));
                return Box::pin(self.serve_on(session, plan, open)).await;
            }
            Err(refusal) => {
                let reply = gateway.refused(&refusal);
                gateway.answered(&request, &peer, Outcome::of(Some(&refusal), &reply, came));
                reply
            }
        };
        respond(responder, &reply, is_head).await;
    }

    /// Lets the client of a stream join its stream of events, and hands it over to the engine.
    async fn join_on(&self, mut responder: Responder, head: &RequestHeader, ask: &Ask, open: OpenStream, link: &Link) {
        let came = Instant::now();
        let left = async {
            while !matches!(responder.next().await, Incoming::Gone) {}
            Broken::Left
        };
        let gateway = self.gateway();
        let joined = match gateway.join(ask, None, left).await {
            Ok(joined) => joined,
            Err(NotJoined::Broken(_)) => return,
            Err(NotJoined::Refused(refusal)) => {
                let reply = gateway.refused(&refusal);
                let outcome = Outcome::of(Some(&refusal), &reply, came);
                gateway.answered(&Request::of_session(head), &link.peer(), outcome);
                return respond(responder, &reply, false).await;
            }
        };
        let home = Box::new(OnStream { _open: open, _seat: ask.seat.clone() });
        match Gateway::joining(ask, joined, home) {
            Ok(joining) => responder.adopt(joining),
            Err(error) => log::error!("cannot write a head why={}", reason(error)),
        }
    }

    /// Serves a request in a session of pingora.
    async fn serve_on(&self, session: StreamSession, plan: Plan, _open: OpenStream) {
        session.is_decided(Decided { plan, is_kept: false, promise: None });
        let session = ServerSession::new_custom(Box::new(session));
        self.sessions().serve(session, self.stopping()).await;
    }
}

/// Answers a request that cannot be read.
fn respond_without_body(mut responder: Responder, status: StatusCode) {
    if let Ok(block) = heads::bare(status) {
        responder.head(block, true);
    }
}

/// Sends a whole answer.
async fn respond(mut responder: Responder, reply: &Reply, is_head: bool) {
    let Ok(block) = heads::reply(reply) else { return };
    let has_body = !is_head && !reply.body.is_empty();
    responder.head(block, !has_body);
    if has_body {
        match timeout(ANSWER_TIME, responder.data(reply.body.clone())).await {
            Ok(Ok(())) => responder.end(),
            Ok(Err(gone)) => log::debug!("client gone before its {}: {gone}", reply.status),
            Err(_) => {
                log::debug!("client took no {}", reply.status);
                responder.stalled();
            }
        }
    }
}
