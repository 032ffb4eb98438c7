//! A socket that listens, and its real address.

use crate::config::ListenAddr;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

/// A socket and its address; the port is the real one.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) address: ListenAddr,
    pub(super) socket: Socket,
}

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Bound {
    pub(super) fn tcp(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { address: ListenAddr::Tcp(listener.local_addr()?), socket: Socket::Tcp(listener) })
    }

    pub(super) fn unix(listener: UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let path = address.as_pathname().ok_or_else(|| io::Error::other("a Unix socket without a path"))?;
        Ok(Self { address: ListenAddr::Unix(path.to_owned()), socket: Socket::Unix(listener) })
    }

    /// Another descriptor of the same socket.
    pub(super) fn duplicate(&self) -> io::Result<OwnedFd> {
        match &self.socket {
            Socket::Tcp(listener) => listener.try_clone().map(OwnedFd::from),
            Socket::Unix(listener) => listener.try_clone().map(OwnedFd::from),
        }
    }

    /// The TCP listener; `None` of a Unix socket.
    pub(super) fn into_tcp(self) -> Option<TcpListener> {
        match self.socket {
            Socket::Tcp(listener) => Some(listener),
            Socket::Unix(_) => None,
        }
    }
}
