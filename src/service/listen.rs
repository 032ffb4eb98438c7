//! The listening sockets: bound here, so that a taken address is an error that names it and the port of `:0` is known.

use super::bound::Bound;
use super::upgrade::Inherited;
use crate::config::ListenAddr;
use pingora::listeners::{L4BufferSettings, ListenerConfig, Listeners};
use pingora::server::Fds;
use std::fmt;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::FileTypeExt;
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
        write!(f, "cannot listen on {}: {}", self.address, self.source)?;
        match self.source.kind() {
            io::ErrorKind::AddrInUse => {
                f.write_str(": stop what listens there, or choose another address in server.listen")
            }
            io::ErrorKind::AddrNotAvailable => f.write_str(": server.listen must name an address of this machine"),
            io::ErrorKind::PermissionDenied => {
                f.write_str(": choose another address in server.listen, such as a port above 1023")
            }
            _ => Ok(()),
        }
    }
}

impl std::error::Error for BindError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
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
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            if std::fs::symlink_metadata(path)?.file_type().is_socket() {
                return std::fs::remove_file(path);
            }
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file there is no socket"))
        }
        Err(_) => Ok(()),
    }
}

/// Hands the sockets to pingora, which takes them from a table by address and closes them when it stops listening.
pub(super) fn hand_over(bound: Vec<Bound>) -> (Listeners, Fds) {
    let mut listeners = Listeners::new();
    let mut table = Fds::new();
    for bound in bound {
        let (key, config) = match &bound.address {
            ListenAddr::Tcp(address) => (address.to_string(), ListenerConfig::tcp(address.to_string())),
            ListenAddr::Unix(path) => {
                let path = path.to_string_lossy().into_owned();
                (path.clone(), ListenerConfig::uds(path))
            }
        };
        table.add(key, bound.into_descriptor());
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
