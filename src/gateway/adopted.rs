//! Clients of another process that go on in this one.
//!
//! ```text
//!   a passage ── prepare ──▶ Prepared: it has its place here, and nobody serves it ─┬─ serve ──▶ the engine
//!                                                                                   └─ dropped: as if it had not come
//! ```

use super::connection::Peer;
use super::front::Front;
use super::front_options::FrontOptions;
use super::home::{AtTheFront, Passport, socket_peer};
use super::limits::Seat;
use super::places::Place;
use crate::fanout::{
    CarrierPassage, ClientPassage, MovingCarrier, MovingClient, MovingSocket, Returning, SocketPassage,
};
use crate::hub::{RouteId, Subscription};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

/// Where a stream of another process is here: its route, and its number.
pub type Adopted = (RouteId, usize);

/// What came from another process and is not served yet.
#[derive(Debug)]
pub enum Prepared {
    /// A client with a connection of its own.
    Socket(Box<MovingSocket>),
    /// A connection of HTTP/2, and its clients.
    Carrier(Box<MovingCarrier>),
}

impl Prepared {
    /// The number of clients.
    #[must_use]
    pub fn clients(&self) -> usize {
        match self {
            Self::Socket(_) => 1,
            Self::Carrier(carrier) => carrier.clients.len(),
        }
    }
}

impl Front {
    /// Gives a client of another process its place here. `of`: where its stream is here, by the number that it had there.
    /// `None`: it cannot be served here.
    pub fn prepare_socket(
        self: &Arc<Self>,
        socket: OwnedFd,
        passage: SocketPassage,
        of: &dyn Fn(usize) -> Option<Adopted>,
    ) -> Option<Prepared> {
        let (peer, place, seat) = self.arrives(&socket, passage.client().passport())?;
        let moving = passage.arrives(socket, |passage| {
            let of_request = self.seat_of_request(&peer, &passage);
            let home = AtTheFront::new(Arc::downgrade(self), place, &peer).seated(seat, of_request);
            self.client(passage, of, |_| Some(Box::new(home)))
        })?;
        Some(Prepared::Socket(Box::new(moving)))
    }

    /// The same for a connection of HTTP/2 and its clients.
    pub fn prepare_carrier(
        self: &Arc<Self>,
        socket: OwnedFd,
        passage: CarrierPassage,
        of: &dyn Fn(usize) -> Option<Adopted>,
    ) -> Option<Prepared> {
        let (peer, place, seat) = self.arrives(&socket, passage.passport())?;
        let FrontOptions { head_time, keepalive, .. } = self.options().get();
        let deciding = self.deciding(peer, place, seat);
        let link = Arc::clone(deciding.link());
        let moving = passage.arrives(socket, (head_time, keepalive), Box::new(deciding), |passage| {
            let seat = self.seat_of_request(&peer, &passage);
            self.client(passage, of, |front| front.on_stream(&link, seat))
        })?;
        Some(Prepared::Carrier(Box::new(moving)))
    }

    /// Serves all of them from now on.
    pub fn serve_prepared(&self, all: Vec<Prepared>) {
        let gateway = self.gateway();
        let Some(engine) = gateway.engine() else { return };
        let mut returning = Returning::default();
        for prepared in all {
            match prepared {
                Prepared::Socket(moving) => {
                    let place = gateway.place_of(&moving.client);
                    returning.sockets.extend(place.map(|place| moving.goes_on(place, Instant::now())));
                }
                Prepared::Carrier(moving) => {
                    returning.carriers.push(moving.goes_on(|client| gateway.place_of(client), Instant::now()));
                }
            }
        }
        engine.return_all(returning);
    }

    /// A connection's peer, its place here, and what it counts for.
    fn arrives(&self, socket: &OwnedFd, passport: &[u8]) -> Option<(Peer, Place, Option<Seat>)> {
        let Passport { told, is_tls } = rmp_serde::from_slice(passport).ok()?;
        let peer = Peer { socket: socket_peer(socket).ok()?, told, is_tls };
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
        home: impl FnOnce(&Self) -> Option<Box<dyn crate::fanout::Home>>,
    ) -> Option<MovingClient> {
        let (route, stream) = of(passage.stream())?;
        let served = self.gateway().routing.stream(route)?;
        Some(passage.arrives(stream, served, home(self)?))
    }
}

impl super::Gateway {
    /// The place of a client on its stream. `None`: the stream is over.
    fn place_of(&self, client: &MovingClient) -> Option<Subscription> {
        self.hub.again(client.stream, client.cursor, client.caller.clone(), client.course)
    }
}
