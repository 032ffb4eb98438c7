//! The front: reads the request heads of a connection one after another, and passes each request to what serves it.
//!
//! ```text
//!               ┌───────────────────── Next ─────────────────────────┐
//!               ▼                                                    │
//!   accepted ▶ Waiting ─ a head ▶ plan ─┬▶ the gateway's own answer ─┤
//!               │                       ├▶ a session of pingora ─────┤
//!               │                       └▶ the engine ── took it ────┴▶ (it comes back after an orderly end)
//!               ├─ a preface ▶ HTTP/2, to its end
//!               └─ too large, too slow, malformed, the client's end, a drain ▶ closed
//! ```
//!
//! The front reads heads itself, because the limits of pingora are too weak. pingora waits for the HTTP/2 preface
//! without a time limit. It accepts a head of up to 1 MiB. It limits the time of each read, but not of a whole head.
//! The limits of the front hold for every HTTP/1 head of a connection.

mod request;
mod secure;

use super::Gateway;
use super::after::After;
use super::answers::refuse;
use super::connection::Connection;
use super::first::{Judgement, is_blank, judge};
use super::front_options::{CurrentOptions, FrontOptions};
use super::handshakes::Handshakes;
use super::http2::Http2;
use super::introduction::Introductions;
use super::permission::Permissions;
use super::places::Places;
use super::refusal::Why;
use super::sessions::{Sessions, close};
use super::times::{LAST_CALL, WITHOUT_A_PLACE, without_a_clock_thread};
use super::transport::Transport;
use crate::fanout::h2::PREFACE;
use crate::upstream::MAX_PEERS;
use http::StatusCode;
use pingora::apps::HttpServerOptions;
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use pingora::server::configuration::ServerConf;
use std::pin::pin;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

/// Serves the connections of one process.
#[derive(Debug)]
pub struct Front {
    options: CurrentOptions,
    sessions: Sessions,
    http2: Http2,
    places: Arc<Places>,
    gateway: Gateway,
    /// True from the beginning of the drain on. No connection then serves another request.
    stopping: ShutdownWatch,
    introductions: Introductions,
    /// `None`: no client is to use TLS.
    handshakes: Option<Handshakes>,
    runtime: Handle,
}

/// What the client's next bytes are.
#[derive(Debug, PartialEq, Eq)]
enum First {
    /// A head of this many bytes.
    Http1(usize),
    Http2,
    LineTooLong,
    TooLarge,
    TooSlow,
    /// Anything or nothing: the connection must go, because its place is needed.
    Full,
    /// Nothing: the client left or sent no byte.
    Nothing,
}

/// How long to wait for a head.
#[derive(Debug, Clone, Copy)]
struct Wait {
    /// Whether this is the first head of the connection.
    is_first: bool,
    /// The end of the wait, unless a later head begins before it.
    until: Instant,
}

impl Front {
    /// A front for a gateway, on the current runtime. Its connections and those to origins share the descriptors.
    /// `alive` is dropped when the front and the last connection are gone, wherever that connection is served.
    /// `stopping` becomes true when the drain begins.
    #[must_use]
    pub fn new(options: FrontOptions, gateway: Gateway, alive: mpsc::Sender<()>, stopping: ShutdownWatch) -> Self {
        without_a_clock_thread();
        let ca_file = gateway.connector.system().instead();
        let conf = ServerConf { max_retries: MAX_PEERS, ca_file, ..ServerConf::default() };
        let mut proxy = HttpProxy::new(gateway.clone(), Arc::new(conf));
        // The plan refuses CONNECT. Without this option, pingora would answer it in another way.
        let mut server_options = HttpServerOptions::default();
        server_options.allow_connect_method_proxying = true;
        proxy.server_options = Some(server_options);
        proxy.handle_init_modules();
        let places = Places::new(options.max_connections, gateway.connector.descriptors().clone(), alive);
        let (proxy, options) = (Arc::new(proxy), CurrentOptions::new(options));
        let http2 = Http2::new(Arc::clone(&proxy), gateway.clone(), Arc::clone(&places), options.clone());
        let (sessions, introductions, runtime) = (Sessions::new(proxy), Introductions::new(), Handle::current());
        Self { options, sessions, http2, places, gateway, stopping, introductions, handshakes: None, runtime }
    }

    /// The same front with TLS. `None`: no client is to use TLS.
    #[must_use]
    pub fn with_tls(self, handshakes: Option<Handshakes>) -> Self {
        Self { handshakes, ..self }
    }

    /// The limits of connections, which can be changed.
    #[must_use]
    pub fn options(&self) -> CurrentOptions {
        self.options.clone()
    }

    /// The permissions of all clients.
    #[must_use]
    pub fn permissions(&self) -> &Permissions {
        self.gateway.permissions()
    }

    pub(super) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(super) fn places(&self) -> &Arc<Places> {
        &self.places
    }

    pub(super) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub(super) fn stopping(&self) -> &ShutdownWatch {
        &self.stopping
    }

    /// Begins to serve a connection that was just accepted, on the current runtime. It is served until it ends or goes to
    /// the engine. If no place is free, it is told so. Returns the task that serves it.
    pub fn accept(self: &Arc<Self>, transport: Transport) -> Option<JoinHandle<()>> {
        self.admit(transport, false)
    }

    /// The same for a connection that is to begin with a TLS handshake.
    pub fn accept_tls(self: &Arc<Self>, transport: Transport) -> Option<JoinHandle<()>> {
        self.admit(transport, true)
    }

    fn admit(self: &Arc<Self>, transport: Transport, is_tls: bool) -> Option<JoinHandle<()>> {
        // What a trusted proxy sends counts for the clients that it tells of.
        let peer = transport.peer().map(|peer| peer.ip().to_canonical());
        let is_counted = self.gateway.limits.are_of_addresses() && !self.gateway.routing.get().trusted().trusts(peer);
        let seat = if is_counted { self.gateway.limits.take(peer) } else { Ok(None) };
        let admission = if seat.is_ok() { self.places.admit() } else { self.places.admit_over() };
        let Some(admission) = admission else {
            self.gateway.turn_away((!is_tls).then_some(&transport), seat.err().map_or(Why::NoPlace, Why::Address));
            return None;
        };
        let (front, mut connection) = (Arc::clone(self), Connection::new(transport, admission));
        connection.seat_at(seat);
        let longest = self.options.get().head_time;
        let time = if connection.may_stay() { longest } else { WITHOUT_A_PLACE.min(longest) };
        let wait = Wait { is_first: true, until: Instant::now() + time };
        let is_introduced = self.options.get().proxy_protocol && self.gateway.trusts(connection.peer());
        Some(if is_introduced {
            tokio::spawn(front.serve_introduced(connection, wait, is_tls))
        } else if is_tls {
            return front.begin_secured(connection, wait);
        } else {
            tokio::spawn(front.serve_from(connection, wait))
        })
    }

    /// Serves a connection that begins with a header of the PROXY protocol.
    async fn serve_introduced(self: Arc<Self>, mut connection: Connection, wait: Wait, is_tls: bool) {
        tokio::select! {
            introduced = timeout_at(wait.until, self.introductions.take(&mut connection)) => match introduced {
                Ok(true) => {
                    let peer = connection.peer().clone();
                    if self.gateway.limits.are_of_addresses() && !self.gateway.trusts(&peer) {
                        connection.seat_at(self.gateway.limits.take(peer.address()));
                    }
                }
                Ok(false) | Err(_) => return,
            },
            () = self.last_call() => return,
        }
        if is_tls {
            drop(self.begin_secured(connection, wait));
        } else {
            self.serve_from(connection, wait).await;
        }
    }

    /// Resolves a moment after the beginning of a drain.
    async fn last_call(&self) {
        let mut stopping = self.stopping.clone();
        // An error means that the process is at its end.
        stopping.wait_for(|stopping| *stopping).await.map(drop).unwrap_or_default();
        sleep(LAST_CALL).await;
    }

    /// Serves a connection whose response has ended. The caller need not be on the runtime.
    pub(super) fn serve_again(self: Arc<Self>, connection: Connection) {
        let wait = self.between_requests();
        self.runtime.clone().spawn(self.serve_from(connection, wait));
    }

    fn between_requests(&self) -> Wait {
        Wait { is_first: false, until: Instant::now() + self.options.get().keepalive }
    }

    async fn serve_from(self: Arc<Self>, mut connection: Connection, mut wait: Wait) {
        // Futures that are large or seldom needed are boxed. A client that connects waits for its turn here, so all the
        // clients of a crowd hold this future at the same time.
        loop {
            let first = self.first(&mut connection, wait).await;
            if !connection.has_place() && matches!(first, First::Http1(_) | First::Http2) {
                connection = Box::pin(connection.settle(&self.places)).await;
            }
            let (back, after) = match first {
                First::Nothing => return,
                First::Full if connection.is_secured() || !connection.unread().is_empty() => {
                    return Box::pin(self.refuse_unread(connection)).await;
                }
                First::Full => return self.gateway.turn_away(Some(connection.transport()), Why::NoPlace),
                First::TooLarge => {
                    return Box::pin(refuse(connection, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)).await;
                }
                First::LineTooLong => return Box::pin(refuse(connection, StatusCode::URI_TOO_LONG)).await,
                First::TooSlow => return Box::pin(refuse(connection, StatusCode::REQUEST_TIMEOUT)).await,
                First::Http2 if wait.is_first => {
                    drop(connection.promise());
                    return Box::pin(self.serve_http2(connection)).await;
                }
                First::Http1(end) if !connection.has_place() => {
                    return Box::pin(self.turn_away(connection, end)).await;
                }
                First::Http2 => {
                    // The client has spoken HTTP/1.1 so far, and is told in it.
                    connection.consume(PREFACE.len());
                    if !connection.has_place() {
                        return Box::pin(self.refuse_unread(connection)).await;
                    }
                    return Box::pin(refuse(connection, StatusCode::BAD_REQUEST)).await;
                }
                First::Http1(end) => match Box::pin(self.request(connection, end)).await {
                    None => return,
                    Some(back) => back,
                },
            };
            match after {
                After::HandOver(client) => return Box::pin(client.complete(back, &self)).await,
                After::Next if !*self.stopping.borrow() => {
                    connection = back;
                    wait = self.between_requests();
                }
                After::Next | After::Close => return Box::pin(close(back)).await,
            }
        }
    }

    /// Serves a connection that began with the preface of HTTP/2.
    async fn serve_http2(self: &Arc<Self>, connection: Connection) {
        let stays = match self.carries(&connection) {
            Some(engine) => self.carry(connection, engine).await,
            None => Some(connection),
        };
        if let Some(connection) = stays {
            self.http2.serve(connection, &self.stopping).await;
        }
    }

    /// Reads until a head or a preface is complete, or until it is clear that none will be.
    async fn first(&self, connection: &mut Connection, wait: Wait) -> First {
        let Wait { is_first, mut until } = wait;
        let mut stopping = self.stopping.clone();
        let mut last_call = false;
        let mut scanned = 0;
        let mut had_none = true;
        let mut needed = pin!(connection.place_is_needed());
        loop {
            match judge(connection.unread(), scanned, self.options.get().head_bytes) {
                Judgement::Incomplete => {}
                Judgement::Preface => return First::Http2,
                Judgement::Head { blank, end } => {
                    connection.consume(blank);
                    return First::Http1(end - blank);
                }
                Judgement::LineTooLong => return First::LineTooLong,
                Judgement::TooLarge => return First::TooLarge,
            }
            let unread = connection.unread();
            scanned = unread.len();
            // Between two requests, empty lines do not count as the beginning of a head.
            let has_none = unread.iter().all(|byte| !is_first && is_blank(*byte));
            if had_none && !has_none && !is_first {
                until = Instant::now() + self.options.get().head_time;
            }
            had_none = has_none;
            tokio::select! {
                biased;
                read = connection.fill() => match read {
                    Ok(0) | Err(_) => return First::Nothing,
                    Ok(_) => {}
                },
                () = &mut needed => return First::Full,
                () = sleep_until(until) => return if has_none { First::Nothing } else { First::TooSlow },
                _ = stopping.wait_for(|stopping| *stopping), if has_none && !last_call => {
                    if !is_first {
                        return First::Nothing;
                    }
                    last_call = true;
                    until = until.min(Instant::now() + LAST_CALL);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of the future that a function of three arguments returns.
    fn size<F, A, B, C>(_: impl FnOnce(A, B, C) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_client_that_is_waited_for_takes_little_memory() {
        assert!(size(Front::serve_from) <= 1_110, "{} bytes", size(Front::serve_from));
        assert!(size(Front::serve_secured) <= 1_110, "{} bytes", size(Front::serve_secured));
    }
}
