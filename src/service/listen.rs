//! The listening sockets: bound here, so that a taken address is an error that names it and the port of `:0` is known.

use super::upgrade::Inherited;
use crate::config::ListenAddr;
use pingora::listeners::{L4BufferSettings, ListenerConfig, Listeners};
use pingora::server::Fds;
use std::fmt;
use std::io;
use std::net::TcpListener;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// An address that cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    address: ListenAddr,
    source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}", self.address, self.source)
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// A socket that listens.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A socket and its address; the port is the real one.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) address: ListenAddr,
    socket: Socket,
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
}

/// Binds every address, or none; those that this process inherited are bound already.
pub(super) fn bind(addresses: &[ListenAddr]) -> Result<Vec<Bound>, BindError> {
    let mut inherited = Inherited::from_environment();
    let bound = addresses.iter().map(|address| match inherited.take(address) {
        Some(bound) => Ok(bound),
        None => bind_one(address).map_err(|source| BindError { address: address.clone(), source }),
    });
    bound.collect()
}

fn bind_one(address: &ListenAddr) -> io::Result<Bound> {
    match address {
        ListenAddr::Tcp(address) => Bound::tcp(TcpListener::bind(address)?),
        ListenAddr::Unix(path) => {
            remove_stale(path)?;
            Bound::unix(UnixListener::bind(path)?)
        }
    }
}

/// Removes a socket's file that a process left which is gone: nobody answers there.
fn remove_stale(path: &Path) -> io::Result<()> {
    match UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path),
        Err(_) => Ok(()),
    }
}

/// Hands the sockets to pingora, which takes them from a table by address and closes them when it stops listening.
pub(super) fn hand_over(bound: Vec<Bound>) -> (Listeners, Fds) {
    let mut listeners = Listeners::new();
    let mut table = Fds::new();
    for Bound { address, socket } in bound {
        let (key, config) = match &address {
            ListenAddr::Tcp(address) => (address.to_string(), ListenerConfig::tcp(address.to_string())),
            ListenAddr::Unix(path) => {
                let path = path.to_string_lossy().into_owned();
                (path.clone(), ListenerConfig::uds(path))
            }
        };
        let descriptor = match socket {
            Socket::Tcp(listener) => listener.into_raw_fd(),
            Socket::Unix(listener) => listener.into_raw_fd(),
        };
        table.add(key, descriptor);
        // Without a write buffer a head is on the wire before the first event; the read buffers would cost 64 KiB each.
        listeners.add_listener(config.l4_buffer(L4BufferSettings::unbuffered()));
    }
    (listeners, table)
}

/// Removes the files of Unix sockets.
pub(super) fn remove_files(addresses: &[ListenAddr]) {
    for address in addresses {
        if let ListenAddr::Unix(path) = address
            && let Err(error) = std::fs::remove_file(path)
        {
            log::debug!("cannot remove {}: {error}", path.display());
        }
    }
}
