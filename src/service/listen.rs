//! The listening sockets: bound here, so that a taken address is an error that names it and the port of `:0` is known.

use super::bound::Bound;
use super::inherited::Inherited;
use crate::config::{ListenAddr, ServerConfig};
use std::fmt;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

/// An address that cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    /// Of the configuration.
    key: &'static str,
    address: ListenAddr,
    source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}", self.address, self.source)?;
        match self.source.kind() {
            io::ErrorKind::AddrInUse => {
                write!(f, ": stop what listens there, or choose another address in {}", self.key)
            }
            io::ErrorKind::AddrNotAvailable => write!(f, ": {} must name an address of this machine", self.key),
            io::ErrorKind::PermissionDenied => {
                write!(f, ": choose another address in {}, such as a port above 1023", self.key)
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

/// The sockets of a configuration.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) clients: Vec<Bound>,
    pub(super) admin: Option<Bound>,
}

/// Binds every address, or none; those that this process inherited are bound already.
pub(super) fn bind(server: &ServerConfig) -> Result<Sockets, BindError> {
    let mut inherited = Inherited::from_environment();
    let mut bind = |key, address: &ListenAddr| match inherited.take(address) {
        Some(bound) => Ok(bound),
        None => bind_one(address).map_err(|source| BindError { key, address: address.clone(), source }),
    };
    let clients = server.listen.iter().map(|address| bind("server.listen", address)).collect::<Result<_, _>>()?;
    let admin = server.admin.map(|address| bind("server.admin", &ListenAddr::Tcp(address))).transpose()?;
    Ok(Sockets { clients, admin })
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
