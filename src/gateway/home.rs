//! What is kept of a client's connection while the engine has its socket: the way back, in few bytes, because there is
//! one for every client.

use super::connection::{Connection, Peer};
use super::front::Front;
use super::limits::Seat;
use super::places::Place;
use super::transport::Transport;
use crate::auth::Certificate;
use crate::fanout::Home;
use rustix::net::getpeername;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};

/// Takes connections back from the engine to the front.
#[derive(Debug)]
pub(super) struct AtTheFront {
    front: Weak<Front>,
    place: Place,
    /// `None`: nobody told anything of the connection.
    told: Option<Box<Told>>,
}

/// What another process is told of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Passport {
    /// The client that a trusted proxy told of.
    pub(super) told: Option<SocketAddr>,
    pub(super) is_tls: bool,
    /// The certificate that the client showed.
    pub(super) certificate: Option<Certificate>,
}

impl Passport {
    pub(super) fn of(peer: &Peer) -> Self {
        let certificate = peer.certificate.as_deref().cloned();
        Self { told: peer.told, is_tls: peer.is_tls, certificate }
    }

    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        rmp_serde::to_vec(self).ok()
    }
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

impl AtTheFront {
    /// The way back to `front`.
    pub(super) fn new(front: Weak<Front>, place: Place, peer: &Peer) -> Self {
        let Peer { told, is_tls, .. } = *peer;
        let is_told = told.is_some() || is_tls;
        let told = is_told.then(|| Box::new(Told { peer: told, is_tls, seat: None, _of_request: None }));
        Self { front, place, told }
    }

    /// Keeps what the connection and the request count for. Without limits there is nothing to keep.
    pub(super) fn seated(mut self, seat: Option<Seat>, of_request: Option<Arc<Seat>>) -> Self {
        if seat.is_some() || of_request.is_some() {
            let (peer, is_tls) = self.told.map_or((None, false), |it| (it.peer, it.is_tls));
            self.told = Some(Box::new(Told { peer, is_tls, seat, _of_request: of_request }));
        }
        self
    }

    /// The peer of the connection, whose socket has this peer.
    fn peer(&self, socket: Option<SocketAddr>) -> Peer {
        let (told, is_tls) = self.told.as_ref().map_or((None, false), |it| (it.peer, it.is_tls));
        // A connection with TLS does not come back, so nobody asks for the client's certificate.
        Peer { socket, told, is_tls, certificate: None }
    }
}

/// The peer of a TCP socket. `None`: a Unix socket. The kernel knows it, so it is not kept for every client.
///
/// # Errors
/// When the connection is over: then there is no peer.
pub(super) fn socket_peer(socket: &OwnedFd) -> io::Result<Option<SocketAddr>> {
    Ok(getpeername(socket)?.and_then(|peer| SocketAddr::try_from(peer).ok()))
}

impl Home for AtTheFront {
    fn passport(&self) -> Option<Vec<u8>> {
        Passport::of(&self.peer(None)).bytes()
    }

    fn take_back(self: Box<Self>, socket: OwnedFd, unread: Vec<u8>) {
        // Without its peer, a client would be taken for one that came through a Unix socket.
        let Ok(address) = socket_peer(&socket) else { return };
        let peer = self.peer(address);
        let Self { front, place, told } = *self;
        let seat = told.and_then(|told| told.seat);
        // The front is gone only when the process ends. The socket is then closed.
        let Some(front) = front.upgrade() else { return };
        let transport = Transport::new(socket, address);
        let connection = Connection::taken_back(transport, peer, (place, seat), &unread);
        front.serve_again(connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptors::Descriptors;
    use crate::gateway::places::Places;
    use rustix::net::{AddressFamily, SocketType};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;
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
                let peer = Peer { socket, told, is_tls, certificate: None };
                let home = AtTheFront::new(Weak::new(), places.take().unwrap(), &peer);
                assert_eq!(home.peer(socket), peer);
            }
        }
    }

    #[tokio::test]
    async fn a_client_of_which_nobody_told_anything_takes_one_small_allocation() {
        assert!(size_of::<AtTheFront>() <= 32, "{} bytes", size_of::<AtTheFront>());
        let places = Places::new(1, Descriptors::unlimited(), mpsc::channel(1).0);
        let peer = Peer { socket: address("192.0.2.1:1"), told: None, is_tls: false, certificate: None };
        let home = AtTheFront::new(Weak::new(), places.take().unwrap(), &peer);
        assert!(home.told.is_none());
    }

    #[test]
    fn the_kernel_knows_the_peer_of_a_socket_as_long_as_there_is_one() {
        let (unix, _other) = UnixStream::pair().unwrap();
        assert_eq!(socket_peer(&unix.into()).unwrap(), None);
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(listener) = TcpListener::bind(local) else { continue };
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (socket, address) = listener.accept().unwrap();
            assert_eq!(socket_peer(&socket.into()).unwrap(), Some(address));
            assert_eq!(client.local_addr().unwrap(), address);
        }
        let unconnected = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        assert!(socket_peer(&unconnected).is_err(), "a client that is gone is nobody");
    }
}
