//! Clients of another process that go on in this one.
//!
//! ```text
//!   a passage ── prepare ──▶ it has its place here, and nobody serves it ─┬─ serve ──▶ the engine
//!                                                                         └─ dropped: as if it had not come
//! ```

use super::connection::Peer;
use super::front::Front;
use super::front_options::FrontOptions;
use super::home::{AtTheFront, Passport, socket_peer};
use super::limits::Seat;
use super::places::Place;
use crate::fanout::{
    CarrierPassage, ClientPassage, Home, MovingCarrier, MovingClient, MovingSocket, Released, SocketPassage,
};
use crate::hub::RouteId;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

/// Where a stream of another process is here: its route, and its number.
pub type Adopted = (RouteId, usize);

impl Front {
    /// Gives a client of another process its place here. `of`: where its stream is here, by the number that it had there.
    /// `None`: it cannot be served here.
    pub fn prepare_socket(
        self: &Arc<Self>,
        socket: OwnedFd,
        passage: SocketPassage,
        of: &dyn Fn(usize) -> Option<Adopted>,
    ) -> Option<MovingSocket> {
        let (peer, place, seat) = self.arrives(&socket, passage.client().passport())?;
        passage.arrives(socket, |passage| {
            let of_request = self.seat_of_request(&peer, &passage);
            let home = AtTheFront::new(Arc::downgrade(self), place, &peer).seated(seat, of_request);
            self.client(passage, of, |_| Some(Box::new(home)))
        })
    }

    /// The same for a connection of HTTP/2 and its clients.
    pub fn prepare_carrier(
        self: &Arc<Self>,
        socket: OwnedFd,
        passage: CarrierPassage,
        of: &dyn Fn(usize) -> Option<Adopted>,
    ) -> Option<MovingCarrier> {
        let (peer, place, seat) = self.arrives(&socket, passage.passport())?;
        let FrontOptions { head_time, keepalive, .. } = self.options().get();
        let deciding = self.deciding(peer.clone(), place, seat);
        let link = Arc::clone(deciding.link());
        passage.arrives(socket, (head_time, keepalive), Box::new(deciding), |passage| {
            let seat = self.seat_of_request(&peer, &passage);
            self.client(passage, of, |front| front.on_stream(&link, seat))
        })
    }

    /// Serves all of them from now on.
    pub fn serve_prepared(&self, prepared: Vec<Released>) {
        let gateway = self.gateway();
        if let Some(engine) = gateway.engine() {
            engine.return_all(prepared.into_iter().map(|part| part.returning(&gateway.hub, Instant::now())));
        }
    }

    /// A connection's peer, its place here, and what it counts for.
    fn arrives(&self, socket: &OwnedFd, passport: &[u8]) -> Option<(Peer, Place, Option<Seat>)> {
        let Passport { told, is_tls, certificate } = rmp_serde::from_slice(passport).ok()?;
        let certificate = certificate.map(Arc::new);
        let peer = Peer { socket: socket_peer(socket).ok()?, told, is_tls, certificate };
        let place = self.places().take_over()?;
        let gateway = self.gateway();
        let seat = if gateway.trusts(&peer) { None } else { self.seat(peer.address()) };
        Some((peer, place, seat))
    }

    /// What a request counts for that came through a trusted proxy.
    fn seat_of_request(&self, peer: &Peer, passage: &ClientPassage) -> Option<Arc<Seat>> {
        if self.gateway().trusts(peer) { self.seat(passage.caller().address()).map(Arc::new) } else { None }
    }

    /// The client was let in, so a limit that it is beyond now does not send it away.
    fn seat(&self, address: Option<IpAddr>) -> Option<Seat> {
        self.gateway().limits.take(address).ok().flatten()
    }

    /// A client of a stream that is here.
    fn client(
        &self,
        passage: ClientPassage,
        of: &dyn Fn(usize) -> Option<Adopted>,
        home: impl FnOnce(&Self) -> Option<Box<dyn Home>>,
    ) -> Option<MovingClient> {
        let (route, stream) = of(passage.stream())?;
        let served = self.gateway().routing.stream(route)?;
        Some(passage.arrives(stream, served, home(self)?))
    }
}
