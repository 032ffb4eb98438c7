//! A port that stays ours, whether somebody listens on it or not.

use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::{TcpListener, TcpSocket};

const BACKLOG: u32 = 4096;

/// A port on 127.0.0.1, held by a bound socket that does not listen: a connection to it is refused, nobody else is given
/// it, and no outgoing connection of this machine takes it as its own end.
#[derive(Debug)]
pub struct Port {
    reservation: TcpSocket,
}

impl Port {
    /// A port where nothing listens.
    pub fn reserve() -> Self {
        Self { reservation: bound(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))) }
    }

    /// Its address.
    pub fn addr(&self) -> SocketAddr {
        self.reservation.local_addr().unwrap()
    }

    /// The same as an origin's URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// Listens.
    pub fn listen(&self) -> TcpListener {
        bound(self.addr()).listen(BACKLOG).unwrap()
    }
}

fn bound(addr: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(addr).unwrap_or_else(|error| panic!("cannot bind {addr}: {error}"));
    socket
}
