//! Connections of HTTP/2.
//!
//! ```text
//!                            ┌─ malformed ──────────────▶ 400 or a reset
//!   preface ▶ Connection ────┼─ no place ───────────────▶ 503
//!               │   ▲        └─ a request ──────────────▶ a session of pingora, in a task of its own
//!               │   └─ bytes, streams that end                 │
//!               │                                              ▼
//!               ├─ idle, or a drain ▶ GOAWAY; the open streams go on to their ends
//!               └─ a stalled client, an unfinished head, many malformed requests, a flood of frames ▶ closed
//! ```
//!
//! A stream gets a part of the connection's flow-control window only as far as its own window reaches, and asks for at
//! most one piece of its events at a time. So a stream that is not read holds up no neighbour, as long as the client lets
//! the connection have more than such streams. If it does not, what they took is missing for the others until the client
//! gives it back, or until the streams have stalled. The `h2` crate does not tell how much is left of the connection's
//! window, so no part of it can be kept free here.
//!
//! The `h2` crate implements the protocol, and pingora serves each request. Only the task here sees the connection as a
//! whole. So it enforces the limits of the connection: places, the time for a head, the idle time, and the time in
//! which the client must accept bytes.

mod body;
mod budget;
mod link;
mod liveness;
mod names;
mod traffic;
mod watch;
mod wire;

pub(super) use body::{Tail, await_empty};
pub(super) use link::{Link, OpenStream, StallLimit};

use super::Gateway;
use super::connection::{Connection, Peer};
use super::front_options::CurrentOptions;
use super::gate::Gate;
use super::limits::Over;
use super::places::Places;
use super::plan::Request;
use super::refusal::Why;
use super::times::{ANSWER_TIME, LAST_CALL, WITHOUT_A_PLACE};
use super::{socket, wire as responses};
use parking_lot::Mutex;
use pingora::apps::HttpServerApp;
use pingora::protocols::http::ServerSession;
use pingora::protocols::http::v2::server::{H2Accept, H2Options, HttpSession, default_h2_options, handshake};
use pingora::protocols::{Digest, GetSocketDigest, Stream};
use pingora::proxy::HttpProxy;
use pingora::server::ShutdownWatch;
use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tokio::time::timeout;
use traffic::Traffic;
use watch::{Due, Times, Watch};
use wire::Wire;

/// The most streams that one connection may have open at once.
const MOST_STREAMS: u32 = 256;

/// The most bytes of one response that wait for the socket or for the client's flow-control window. A larger buffer
/// would not be faster, because the response goes on as soon as these bytes are written. A client that does not read
/// costs this many bytes for each of its streams.
const SEND_BUFFER_BYTES: usize = 32 << 10;

/// The most malformed requests on one connection. With more, the connection is closed. The number is not small, because
/// a proxy may send the requests of many clients on one connection.
const MOST_MALFORMED: usize = 100;

type Protocol = h2::server::Connection<Stream, bytes::Bytes>;

/// Serves connections of HTTP/2.
pub(super) struct Http2 {
    proxy: Arc<HttpProxy<Gateway>>,
    gateway: Gateway,
    places: Arc<Places>,
    options: CurrentOptions,
}

impl fmt::Debug for Http2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http2").field("options", &self.options).finish_non_exhaustive()
    }
}

/// An event that the task of a connection waits for.
enum Event {
    Accepted(Box<pingora::Result<Option<H2Accept>>>),
    Due(Due),
    /// The number of streams or the stall limit changed.
    Changed,
    Drain,
}

/// How a connection ends.
enum Ending {
    /// Either side has ended it, or it failed. Nothing is left to be sent.
    Closed,
    /// The gateway ends it at once, with a GOAWAY that says why.
    Abrupt(h2::Reason),
}

impl Http2 {
    pub(super) fn new(
        proxy: Arc<HttpProxy<Gateway>>,
        gateway: Gateway,
        places: Arc<Places>,
        options: CurrentOptions,
    ) -> Self {
        Self { proxy, gateway, places, options }
    }

    fn protocol_options(&self) -> H2Options {
        // The `h2` crate itself limits attacks with many resets, with heads of many frames, with small or empty DATA
        // frames, and with PING and SETTINGS frames whose answers are not read.
        let mut options = default_h2_options();
        options
            .max_concurrent_streams(MOST_STREAMS)
            .max_send_buffer_size(SEND_BUFFER_BYTES)
            .max_header_list_size(u32::try_from(self.options.get().head_bytes).unwrap_or(u32::MAX));
        options
    }

    /// Serves a connection to its end. Its preface is still among the unread bytes.
    pub(super) async fn serve(&self, mut connection: Connection, stopping: &ShutdownWatch) {
        connection.set_gate(Gate::Open);
        socket::bound_unsent(&connection);
        let has_place = connection.has_place();
        let over = connection.over();
        let idle =
            if has_place { self.options.get().keepalive } else { WITHOUT_A_PLACE.min(self.options.get().keepalive) };
        let times = Times { head: self.options.get().head_time, idle };
        let transport = Arc::clone(connection.transport());
        let link = Link::watched(connection.peer().clone());
        let traffic = Arc::new(Mutex::new(Traffic::new(tokio::time::Instant::now())));
        let digest = Arc::new(Digest {
            proxy_digest: link.digest(),
            socket_digest: connection.get_socket_digest(),
            ..Digest::default()
        });
        let watch = Watch::new(times, Arc::clone(&transport), Arc::clone(&link), Arc::clone(&traffic));
        let wire: Stream = Box::new(Wire::new(connection, traffic, Arc::clone(&link)));
        let Ok(Ok(mut protocol)) = timeout(times.head, handshake(wire, Some(self.protocol_options()))).await else {
            return;
        };
        let pings = protocol.ping_pong();
        let (is_leaving, malformed) = (false, 0);
        let mut served =
            Served { of: self, protocol, digest, link, watch, pings, has_place, over, is_leaving, malformed };
        let ending = served.run(stopping).await;
        if let Ending::Abrupt(reason) = ending {
            served.protocol.abrupt_shutdown(reason);
            let last_words = poll_fn(|cx| served.protocol.poll_closed(cx));
            let is_told = timeout(LAST_CALL, last_words).await.is_ok();
            if !is_told || served.watch.is_blocked() {
                // A reset frees the unsent bytes at once.
                socket::reset_on_close(&*transport);
            }
        }
    }
}

/// A connection that is being served by its task.
struct Served<'a> {
    of: &'a Http2,
    protocol: Protocol,
    digest: Arc<Digest>,
    link: Arc<Link>,
    watch: Watch,
    pings: Option<h2::PingPong>,
    has_place: bool,
    /// The limit that the address of the connection is at.
    over: Option<Over>,
    /// Whether a GOAWAY was sent.
    is_leaving: bool,
    malformed: usize,
}

impl Served<'_> {
    async fn run(&mut self, stopping: &ShutdownWatch) -> Ending {
        loop {
            if self.malformed > MOST_MALFORMED {
                return Ending::Abrupt(h2::Reason::ENHANCE_YOUR_CALM);
            }
            match self.next(stopping.clone()).await {
                Event::Changed => {}
                Event::Drain => self.leave(),
                Event::Accepted(accepted) => match *accepted {
                    Ok(Some(H2Accept::Session(session))) => self.begin(session, stopping),
                    Ok(Some(H2Accept::Rejected)) => self.malformed += 1,
                    Ok(None) => return Ending::Closed,
                    Err(error) => {
                        log::debug!("HTTP/2 connection ended: {error}");
                        return Ending::Closed;
                    }
                },
                Event::Due(Due::Idle) if !self.is_leaving => self.leave(),
                Event::Due(Due::Idle) => return Ending::Abrupt(h2::Reason::NO_ERROR),
                Event::Due(Due::Ping) => self.ping(),
                Event::Due(Due::Dead) => {
                    log::debug!("HTTP/2 client does not answer");
                    return Ending::Abrupt(h2::Reason::NO_ERROR);
                }
                Event::Due(Due::Head | Due::Malformed) => return Ending::Abrupt(h2::Reason::PROTOCOL_ERROR),
                Event::Due(Due::Flood) => return Ending::Abrupt(h2::Reason::ENHANCE_YOUR_CALM),
                Event::Due(Due::Stall) => {
                    self.link.give_up();
                    return Ending::Abrupt(h2::Reason::ENHANCE_YOUR_CALM);
                }
            }
        }
    }

    fn ping(&mut self) {
        if let Some(pings) = &mut self.pings {
            // The answer to the one before must be taken first. Any byte counts as an answer.
            let _answered = pings.poll_pong(&mut Context::from_waker(Waker::noop()));
            if let Err(error) = pings.send_ping(h2::Ping::opaque()) {
                log::debug!("cannot send a PING: {error}");
            }
        }
    }

    async fn next(&mut self, mut stopping: ShutdownWatch) -> Event {
        let Self { protocol, digest, link, watch, is_leaving, .. } = self;
        let mut accept = pin!(HttpSession::from_h2_conn(protocol, Arc::clone(digest)));
        let accepted_or_due = poll_fn(|cx| match accept.as_mut().poll(cx) {
            Poll::Ready(accepted) => Poll::Ready(Event::Accepted(Box::new(accepted))),
            Poll::Pending => watch.poll_due(cx).map(Event::Due),
        });
        tokio::select! {
            biased;
            Ok(_) = stopping.wait_for(|stopping| *stopping), if !*is_leaving => Event::Drain,
            event = accepted_or_due => event,
            () = link.changed() => Event::Changed,
        }
    }

    /// Tells the client to open no more streams. Streams that the client has opened by now are served.
    fn leave(&mut self) {
        self.is_leaving = true;
        self.protocol.graceful_shutdown();
        self.watch.times.idle = LAST_CALL;
        self.link.count_anew();
    }

    fn begin(&mut self, mut session: HttpSession, stopping: &ShutdownWatch) {
        let opened = self.has_place.then(|| self.link.open(|| self.of.places.take())).flatten();
        let Some(open) = opened else {
            let why = self.over.map_or(Why::NoPlace, Why::Address);
            let mut refusing = Box::pin(refuse(session, self.of.gateway.clone(), self.link.peer(), why));
            // Most answers are taken at once. So they go out before a GOAWAY.
            if refusing.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending() {
                tokio::spawn(refusing);
            }
            if !self.has_place && !self.is_leaving {
                // No request will be served on this connection. So it counts as idle at once, and ends with a GOAWAY.
                self.watch.times.idle = Duration::ZERO;
            }
            return;
        };
        session.set_write_timeout(Some(ANSWER_TIME));
        tokio::spawn(serve_stream(Arc::clone(&self.of.proxy), session, open, stopping.clone()));
    }
}

async fn serve_stream(
    proxy: Arc<HttpProxy<Gateway>>,
    session: HttpSession,
    _open: OpenStream,
    stopping: ShutdownWatch,
) {
    let session = ServerSession::new_http2(session);
    // A session of HTTP/2 gives no connection back.
    let _none = HttpServerApp::process_new_http(&proxy, session, &stopping).await;
}

/// Refuses a request for lack of a place, or because of a limit of the client's address.
async fn refuse(mut session: HttpSession, gateway: Gateway, peer: Peer, why: Why) {
    let asked = session.req_header();
    let request = Request::of_session(asked);
    let is_head = asked.method == http::Method::HEAD;
    let reply = gateway.turned_away(&request, &peer, why);
    let has_body = !is_head && !reply.body.is_empty();
    let sent = async {
        let head = responses::response_head(reply.status, &reply.headers)?;
        session.write_response_header(Box::new(head), !has_body)?;
        if has_body { session.write_body(reply.body.clone(), true).await } else { Ok(()) }
    };
    match timeout(ANSWER_TIME, sent).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => log::debug!("client gone before its {}: {error}", reply.status),
        Err(_) => log::debug!("client took no {}", reply.status),
    }
}
