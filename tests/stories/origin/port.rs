//! A port that stays reserved, whether a process listens on it or not.

use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::{TcpListener, TcpSocket};

const BACKLOG: u32 = 4096;

/// A port on 127.0.0.1, reserved by a bound socket that does not listen. A connection to it is refused. No other
/// process gets the port, and no outgoing connection of this machine uses it as its local port.
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

    /// The URL of an origin at this port.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr())
    }

    /// Starts to listen on the port.
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
