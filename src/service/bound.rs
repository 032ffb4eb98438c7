//! A listening socket and its real address.

use super::socket_file::{self, SocketFile};
use crate::config::ListenAddr;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;

/// The number of connections that may wait to be accepted. The kernel lowers it to its own limit (listen(2)).
pub(super) const BACKLOG: u16 = 65_535;

/// A socket and its address, with the real port.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) address: ListenAddr,
    pub(super) socket: Socket,
    /// Its clients are to use TLS.
    pub(super) is_tls: bool,
    /// The file of a Unix socket, if this process owns it and removes it in the end. A file that systemd made is not
    /// owned.
    pub(super) file: Option<SocketFile>,
}

#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Bound {
    /// Binds a TCP address.
    pub(super) fn bind_tcp(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        rustix::net::listen(&listener, BACKLOG.into())?;
        Self::tcp(listener)
    }

    /// Binds the path of a Unix socket and gives its file the permissions `mode`.
    pub(super) fn bind_unix(path: &Path, mode: u32) -> io::Result<Self> {
        let (listener, file) = socket_file::bind(path, mode)?;
        Ok(Self { file: Some(file), ..Self::unix(listener)? })
    }

    pub(super) fn tcp(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = ListenAddr::Tcp(listener.local_addr()?);
        Ok(Self { address, socket: Socket::Tcp(listener), is_tls: false, file: None })
    }

    /// A Unix socket whose file this process does not own.
    pub(super) fn unix(listener: UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let path = address.as_pathname().ok_or_else(|| io::Error::other("a Unix socket without a path"))?;
        let address = ListenAddr::Unix(path.to_owned());
        Ok(Self { address, socket: Socket::Unix(listener), is_tls: false, file: None })
    }

    /// The socket as the log tells of it.
    pub(super) fn told(&self) -> String {
        format!("addr={}{}", self.address, if self.is_tls { " tls=on" } else { "" })
    }

    /// Another descriptor of the same socket, for a process that takes this one's place. `None`, with a log line: no
    /// descriptor is left.
    pub(super) fn spare(&self) -> Option<OwnedFd> {
        let duplicate = match &self.socket {
            Socket::Tcp(listener) => listener.try_clone().map(OwnedFd::from),
            Socket::Unix(listener) => listener.try_clone().map(OwnedFd::from),
        };
        let told = |error| log::warn!("SIGQUIT will not pass on this socket addr={}: {error}", self.address);
        duplicate.map_err(told).ok()
    }
}
