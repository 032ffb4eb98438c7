//! A listening socket, and what it hands down to the connections that are accepted at it.

use super::socket::hand_down;
use super::transport::Transport;
use super::watched::Watched;
use rustix::io::Errno;
use rustix::net::{SocketFlags, acceptfrom_with};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    watched: Watched,
    is_tcp: bool,
}

impl Listener {
    /// A listening socket in non-blocking mode. `is_tcp`: it is not a Unix socket.
    #[must_use]
    pub fn new(socket: OwnedFd, is_tcp: bool) -> Self {
        if is_tcp {
            hand_down(&socket);
        }
        Self { watched: Watched::new(socket), is_tcp }
    }

    /// Accepts the next connection.
    ///
    /// # Errors
    /// Those of accept(2), and when the runtime cannot watch the socket.
    pub async fn accept(&self) -> io::Result<Transport> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Transport>> {
        let registration = self.watched.register()?;
        loop {
            let mut guard = ready!(registration.poll_read_ready(cx))?;
            match self.next() {
                Err(Errno::AGAIN) => guard.clear_ready(),
                done => return Poll::Ready(done.map_err(io::Error::from)),
            }
        }
    }

    /// Accepts a connection that waits in the kernel's queue. The kernel is asked directly, because the runtime may not
    /// know of the connection yet.
    ///
    /// # Errors
    /// Those of accept(2). `EAGAIN`: the queue is empty.
    pub fn next(&self) -> Result<Transport, Errno> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (socket, peer) = acceptfrom_with(self.watched.socket(), flags)?;
        let peer = peer.filter(|_| self.is_tcp).and_then(|peer| SocketAddr::try_from(peer).ok());
        Ok(Transport::accepted(socket, self.is_tcp, peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::net::sockopt;
    use socket2::SockRef;
    use std::net::{TcpListener, TcpStream};

    #[tokio::test]
    async fn a_connection_has_the_options_of_its_listener_and_knows_its_peer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let listener = Listener::new(listener.into(), true);
        assert_eq!(listener.next().unwrap_err(), Errno::AGAIN);
        let client = TcpStream::connect(address).unwrap();
        let accepted = listener.accept().await.unwrap();
        assert!(sockopt::tcp_nodelay(&accepted).unwrap());
        assert_eq!(SockRef::from(&accepted).tcp_notsent_lowat().unwrap(), 32 << 10);
        assert_eq!(accepted.peer(), client.local_addr().ok());
    }
}
