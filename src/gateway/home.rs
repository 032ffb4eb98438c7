//! What is kept of a client's connection while the engine has its socket: the way back, in few bytes, because there is
//! one for every client.

use super::connection::{Connection, Peer};
use super::front::Front;
use super::limits::Seat;
use super::places::Place;
use super::transport::Transport;
use crate::fanout::Home;
use std::net::{SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

/// Takes connections back from the engine to the front.
#[derive(Debug)]
pub(super) struct AtTheFront {
    front: Weak<Front>,
    place: Place,
    socket: SocketPeer,
    /// `None`: nobody told anything of the connection.
    told: Option<Box<Told>>,
}

/// The peer of a socket.
#[derive(Debug)]
enum SocketPeer {
    Unix,
    /// TCP, and the peer is gone already.
    Gone,
    V4(SocketAddrV4),
    Other(Box<SocketAddr>),
}

/// What is known of a connection besides its socket.
#[derive(Debug)]
struct Told {
    peer: Option<SocketAddr>,
    is_tls: bool,
    /// The connection counts for its address.
    seat: Option<Seat>,
    /// The request counts for the address that a trusted proxy told of.
    _of_request: Option<Arc<Seat>>,
}

impl SocketPeer {
    fn new(address: Option<SocketAddr>, is_tcp: bool) -> Self {
        match address {
            None if is_tcp => Self::Gone,
            None => Self::Unix,
            Some(SocketAddr::V4(address)) => Self::V4(address),
            Some(address) => Self::Other(Box::new(address)),
        }
    }

    fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Unix | Self::Gone => None,
            Self::V4(address) => Some(SocketAddr::V4(*address)),
            Self::Other(address) => Some(**address),
        }
    }
}

impl AtTheFront {
    /// The way back to `front`.
    pub(super) fn new(front: Weak<Front>, place: Place, peer: &Peer, is_tcp: bool) -> Self {
        let Peer { socket, told, is_tls } = *peer;
        let is_told = told.is_some() || is_tls;
        Self {
            front,
            place,
            socket: SocketPeer::new(socket, is_tcp),
            told: is_told.then(|| Box::new(Told { peer: told, is_tls, seat: None, _of_request: None })),
        }
    }

    /// Keeps what the connection and the request count for. Without limits there is nothing to keep.
    pub(super) fn seated(mut self, seat: Option<Seat>, of_request: Option<Arc<Seat>>) -> Self {
        if seat.is_some() || of_request.is_some() {
            let (peer, is_tls) = self.told.map_or((None, false), |it| (it.peer, it.is_tls));
            self.told = Some(Box::new(Told { peer, is_tls, seat, _of_request: of_request }));
        }
        self
    }

    fn peer(&self) -> Peer {
        let (told, is_tls) = self.told.as_ref().map_or((None, false), |it| (it.peer, it.is_tls));
        Peer { socket: self.socket.address(), told, is_tls }
    }
}

impl Home for AtTheFront {
    fn take_back(self: Box<Self>, socket: OwnedFd, unread: Vec<u8>) {
        let (peer, is_tcp) = (self.peer(), !matches!(self.socket, SocketPeer::Unix));
        let Self { front, place, told, .. } = *self;
        let seat = told.and_then(|told| told.seat);
        // The front is gone only when the process ends. The socket is then closed.
        let Some(front) = front.upgrade() else { return };
        let transport = Transport::new(socket, is_tcp, peer.socket);
        let connection = Connection::taken_back(transport, peer, (place, seat), &unread);
        front.serve_again(connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptors::Descriptors;
    use crate::gateway::places::Places;
    use tokio::sync::mpsc;

    fn address(text: &str) -> Option<SocketAddr> {
        Some(text.parse().unwrap())
    }

    #[tokio::test]
    async fn what_is_known_of_a_client_comes_back() {
        let places = Places::new(100, Descriptors::unlimited(), mpsc::channel(1).0);
        let (v4, v6) = (address("192.0.2.1:1"), address("[2001:db8::1]:2"));
        for socket in [None, v4, v6] {
            for (told, is_tls) in [(None, false), (None, true), (v4, false), (v6, true)] {
                let peer = Peer { socket, told, is_tls };
                let home = AtTheFront::new(Weak::new(), places.take().unwrap(), &peer, socket.is_some());
                assert_eq!(home.peer(), peer);
            }
        }
    }

    #[tokio::test]
    async fn a_client_of_which_nobody_told_anything_takes_one_small_allocation() {
        assert!(size_of::<AtTheFront>() <= 48, "{} bytes", size_of::<AtTheFront>());
        let places = Places::new(1, Descriptors::unlimited(), mpsc::channel(1).0);
        let peer = Peer { socket: address("192.0.2.1:1"), told: None, is_tls: false };
        let home = AtTheFront::new(Weak::new(), places.take().unwrap(), &peer, true);
        assert!(home.told.is_none() && matches!(home.socket, SocketPeer::V4(_)));
    }
}
