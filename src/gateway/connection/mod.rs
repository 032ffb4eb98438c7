//! A client's connection. It owns the socket from the accept to the close.
//!
//! ```text
//!            accept                 a plain GET of a shared stream
//!   kernel ─────────▶ Connection ───────────────────────────────▶ engine
//!                      │      ▲                                      │
//!         other heads  │      │ taken back whole                     │ an orderly end
//!                      ▼      │                                      ▼
//!                  pingora's session                             Connection, for the next head
//! ```
//!
//! pingora serves any stream that implements its public traits, and a `Connection` implements them. It gives a session
//! the bytes of one request and no more. Bytes that the client sends after the request stay in the `Connection`, and
//! the next request begins with them.

mod kept_peer;
mod stream;
#[cfg(test)]
mod tests;

pub(super) use kept_peer::KeptPeer;

use super::first::begins_http2;
use super::gate::Gate;
use super::handshakes::Handshakes;
use super::limits::{Over, Seat};
use super::places::{Admission, Place, Places};
use super::refusal::Why;
use super::secured::Secured;
use super::socket;
use super::transport::{READ_BYTES, Transport};
use crate::auth::Certificate;
use crate::descriptors::Promise;
use crate::fanout::MOST_KEPT_BYTES;
use crate::tls::Channel;
use bytes::{Buf, BytesMut};
use pingora::protocols::Stream;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::time::Instant;

/// The most bytes that are kept for the next request. When there are as many, the connection is not read any more until
/// the present request is over.
const MOST_AHEAD: usize = 16 << 10;

/// A client's connection.
#[derive(Debug)]
pub(super) struct Connection {
    /// Shared with code that looks at the socket while a session writes to it.
    transport: Arc<Transport>,
    /// `None`: the client does not use TLS, or its handshake has not begun.
    tls: Option<Box<Secured>>,
    /// The bytes that the client has sent and that no reader of this connection got.
    unread: BytesMut,
    /// The last read took all that the kernel had.
    is_drained: bool,
    /// The bytes that the kernel holds unsent for the client are limited.
    is_bounded: bool,
    gate: Gate,
    peer: Peer,
    admission: Admission,
    /// The connection counts for its address.
    seat: Option<Seat>,
    /// The address is at a limit, so no request is served.
    over: Option<Over>,
}

/// The peer of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peer {
    /// The address of the socket's peer. `None`: a Unix socket.
    pub(super) socket: Option<SocketAddr>,
    /// The client that a trusted proxy told of by the PROXY protocol.
    pub(super) told: Option<SocketAddr>,
    /// Whether the client uses TLS, to this process or to that proxy.
    pub(super) is_tls: bool,
    /// The certificate that the client showed in the handshake, which was checked.
    pub(super) certificate: Option<Arc<Certificate>>,
}

impl Peer {
    /// The address of the nearest hop that sends HTTP. `None`: a Unix socket.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.told.or(self.socket).map(|address| address.ip().to_canonical())
    }
}

impl Connection {
    /// A connection that was just accepted.
    pub(super) fn new(transport: Transport, admission: Admission) -> Self {
        let peer = Peer { socket: transport.peer(), told: None, is_tls: false, certificate: None };
        Self::around(Arc::new(transport), BytesMut::new(), peer, admission)
    }

    /// A connection that the engine gives back. `unread`: the bytes that the client sent while the engine served it.
    pub(super) fn taken_back(
        transport: Transport,
        peer: Peer,
        (place, seat): (Place, Option<Seat>),
        unread: &[u8],
    ) -> Self {
        let admission = Admission::Client(place, None);
        Self { seat, ..Self::around(Arc::new(transport), BytesMut::from(unread), peer, admission) }
    }

    fn around(transport: Arc<Transport>, unread: BytesMut, peer: Peer, admission: Admission) -> Self {
        let is_bounded = transport.is_bounded();
        Self {
            transport,
            tls: None,
            unread,
            is_drained: false,
            is_bounded,
            gate: Gate::Open,
            peer,
            admission,
            seat: None,
            over: None,
        }
    }

    /// The connection in a stream that pingora gives back. `None`: the stream is not a `Connection`.
    pub(super) fn of(stream: Stream) -> Option<Self> {
        stream.into_any().downcast::<Self>().ok().map(|connection| *connection)
    }

    /// Borrows the connection in a stream of pingora.
    pub(super) fn within(stream: &Stream) -> Option<&Self> {
        stream.as_any().downcast_ref::<Self>()
    }

    /// The bytes that the client has sent and that no reader of this connection got.
    pub(super) fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// Drops the first `bytes` of the unread bytes.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.unread.advance(bytes.min(self.unread.len()));
    }

    /// Puts bytes before the unread bytes.
    pub(super) fn put_back(&mut self, bytes: &[u8]) {
        let mut unread = BytesMut::with_capacity(bytes.len() + self.unread.len());
        unread.extend_from_slice(bytes);
        unread.extend_from_slice(&self.unread);
        self.unread = unread;
    }

    /// Limits the bytes that the kernel holds for the client of a stream, unless they are limited.
    pub(super) fn bound(&mut self) {
        if !std::mem::replace(&mut self.is_bounded, true) {
            socket::bound_stream(&*self);
        }
    }

    /// Lifts the limit of the unsent bytes that the kernel holds, because the response may be a download.
    pub(super) fn unbound(&mut self) {
        self.is_bounded = false;
        socket::unbound(&*self);
    }

    /// Limits what a reader gets from now on.
    pub(super) fn set_gate(&mut self, gate: Gate) {
        self.gate = gate;
    }

    pub(super) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Notes the client that a trusted proxy told of.
    pub(super) fn told(&mut self, client: Option<SocketAddr>, is_tls: bool) {
        (self.peer.told, self.peer.is_tls) = (client, is_tls);
    }

    /// Notes whether the connection counts for its address, or may not be served because of it.
    pub(super) fn seat_at(&mut self, seat: Result<Option<Seat>, Over>) {
        match seat {
            Ok(seat) => self.seat = seat,
            Err(over) => self.over = Some(over),
        }
    }

    /// The limit that the address is at.
    pub(super) fn over(&self) -> Option<Over> {
        self.over
    }

    /// Why requests on this connection are not served, if it has no place.
    pub(super) fn why_no_place(&self) -> Why {
        self.over.map_or(Why::NoPlace, Why::Address)
    }

    pub(super) fn has_place(&self) -> bool {
        self.over.is_none() && matches!(self.admission, Admission::Client(..))
    }

    /// Whether the connection may be silent for as long as any client.
    pub(super) fn may_stay(&self) -> bool {
        matches!(self.admission, Admission::Client(..) | Admission::Guest(..))
    }

    /// Gives a connection without a place of its own another chance, now that its request has come.
    pub(super) async fn settle(mut self, places: &Arc<Places>) -> Self {
        if self.over.is_none() {
            self.admission = self.admission.settle(places).await;
        }
        self
    }

    /// Resolves when the connection is a guest whose place is needed. Otherwise it never resolves.
    pub(super) fn place_is_needed(&self) -> impl Future<Output = ()> + use<> {
        let guest_of = match &self.admission {
            Admission::Guest(_, guest) => Some(guest.of().clone()),
            Admission::Client(..) | Admission::Late(_) => None,
        };
        async move {
            match &guest_of {
                Some(descriptors) => descriptors.needed().await,
                None => std::future::pending().await,
            }
        }
    }

    /// Takes the promise of a place for the stream that the client may open.
    pub(super) fn promise(&mut self) -> Option<Promise> {
        match &mut self.admission {
            Admission::Client(_, promise) => promise.take(),
            Admission::Guest(..) | Admission::Late(_) => None,
        }
    }

    /// Does the TLS handshake of a connection by `until`, and waits for the first request or for `other_news`. Then the
    /// connection may be served in another runtime. Returns `None` if the handshake does not succeed, or if the client
    /// leaves before it sends anything.
    pub(super) async fn secured(
        self,
        handshakes: &Handshakes,
        until: Instant,
        other_news: impl Future<Output = ()>,
    ) -> Option<Self> {
        let Self { transport, unread, is_bounded, mut peer, admission, seat, over, .. } = self;
        let mut tls = Box::new(handshakes.take(Arc::into_inner(transport)?, unread, until).await?);
        let mut unread = BytesMut::new();
        tokio::select! {
            biased;
            read = poll_fn(|cx| tls.poll_read(cx, &mut unread)) => if !read.is_ok_and(|bytes| bytes > 0) {
                return None;
            },
            () = other_news => {}
        }
        tls.leave_runtime();
        let transport = Arc::clone(tls.transport());
        peer.is_tls = true;
        peer.certificate = tls.certificate();
        let secured = Self::around(transport, unread, peer, admission);
        Some(Self { tls: Some(tls), is_bounded, seat, over, ..secured })
    }

    /// Whether the client uses TLS to this process.
    pub(super) fn is_secured(&self) -> bool {
        self.tls.is_some()
    }

    /// Whether the client speaks HTTP/2: it agreed on that in its handshake, or its first bytes are those of the preface. A
    /// client that has sent nothing in the clear may speak either.
    pub(super) fn speaks_http2(&self) -> bool {
        match &self.tls {
            Some(tls) => tls.is_http2(),
            None if self.unread.is_empty() => self.transport.begins_http2(),
            None => begins_http2(&self.unread),
        }
    }

    /// Whether it can be served without the runtime when all is [read](Self::finish_reading) that it holds.
    pub(super) fn may_leave(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| tls.may_leave())
    }

    /// Whether the connection can be served without the runtime.
    pub(super) fn can_leave(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| tls.can_leave())
    }

    /// Whether the engine can give the connection back after an orderly end. It keeps only so many of the bytes that the
    /// client has sent ahead, and the state of TLS is gone by then.
    pub(super) fn comes_back(&self) -> bool {
        !self.is_secured() && self.ahead() <= MOST_KEPT_BYTES as u64
    }

    /// Reads what TLS holds of the client, and the rest of the record that is on its way. False: the client has left.
    pub(super) async fn finish_reading(&mut self) -> bool {
        if let Some(tls) = &mut self.tls {
            tls.stop_reading_ahead();
        }
        while self.tls.as_mut().is_some_and(|tls| tls.holds_unread()) {
            if !self.fill().await.is_ok_and(|bytes| bytes > 0) {
                return false;
            }
        }
        true
    }

    /// The socket, for code that looks at it while a session writes to it.
    pub(super) fn transport(&self) -> &Arc<Transport> {
        &self.transport
    }

    /// Reads more of the client's bytes, without regard to the gate. 0: the client has closed its side.
    pub(super) async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// Resolves when the client has closed its side or is gone. It reads and keeps what the client sends ahead. Once
    /// the client has sent [`MOST_AHEAD`] bytes ahead, it reads no more and never resolves.
    pub(super) async fn left(&mut self) {
        while self.unread.len() < MOST_AHEAD {
            match self.fill().await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
        std::future::pending().await
    }

    /// The number of bytes that the client has sent ahead, including those that the kernel held at the last read.
    pub(super) fn ahead(&self) -> u64 {
        let held = if self.is_drained { 0 } else { rustix::io::ioctl_fionread(&*self.transport).unwrap_or(0) };
        self.unread.len() as u64 + held
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Some(tls) = &mut self.tls {
            return tls.poll_read(cx, &mut self.unread);
        }
        let read = ready!(self.transport.poll_read(cx, &mut self.unread));
        self.is_drained = read.as_ref().is_ok_and(|read| *read < READ_BYTES);
        Poll::Ready(read)
    }

    /// Takes the connection apart, for code that serves it without a runtime.
    pub(super) fn into_parts(self) -> io::Result<Parts> {
        let Self { transport, tls, unread, peer, admission, seat, .. } = self;
        let Admission::Client(place, _) = admission else {
            return Err(io::Error::other("the connection has no place"));
        };
        let (transport, channel) = match tls {
            None => (transport, None),
            Some(tls) => {
                drop(transport);
                let (transport, channel) = tls.into_channel().map_err(io::Error::other)?;
                (transport, Some(Box::new(channel)))
            }
        };
        let transport = Arc::into_inner(transport).ok_or_else(|| io::Error::other("the socket is in use"))?;
        Ok(Parts { socket: transport.into_descriptor(), channel, unread: unread.to_vec(), peer, place, seat })
    }
}

/// The parts of a connection.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) socket: OwnedFd,
    /// The keys of its TLS. `None`: the client does not use TLS.
    pub(super) channel: Option<Box<Channel>>,
    pub(super) unread: Vec<u8>,
    pub(super) peer: Peer,
    pub(super) place: Place,
    pub(super) seat: Option<Seat>,
}
