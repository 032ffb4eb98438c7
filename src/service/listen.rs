//! Binds the listening sockets. manifold binds them itself and does not leave that to pingora, so that an error names
//! the address, and so that the port that was chosen for `:0` is known.

use super::bound::Bound;
use super::inherited::Inherited;
use super::socket_file::{SocketFile, cannot_set};
use crate::config::{ListenAddr, ServerConfig};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// An address that cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    /// The configuration key that names the address.
    key: &'static str,
    address: ListenAddr,
    source: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: {}", self.address, self.source)?;
        match (&self.address, self.source.kind()) {
            (_, io::ErrorKind::AddrInUse) => {
                write!(f, ": stop what listens there, or choose another address in {}", self.key)
            }
            (ListenAddr::Unix(_), io::ErrorKind::NotFound) => f.write_str(": its directory must exist"),
            (ListenAddr::Unix(_), io::ErrorKind::PermissionDenied) => {
                f.write_str(": the user that manifold runs as must be allowed to write in its directory")
            }
            (_, io::ErrorKind::AddrNotAvailable) => write!(f, ": {} must name an address of this machine", self.key),
            (ListenAddr::Tcp(_), io::ErrorKind::PermissionDenied) => {
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

/// The keys of the addresses for clients.
const LISTEN: &str = "server.listen";
const LISTEN_TLS: &str = "server.tls.listen";

/// The sockets of a configuration.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) clients: Vec<Bound>,
    pub(super) admin: Option<Bound>,
    /// The files of inherited sockets that are at no address of this configuration. They are removed once this process
    /// serves.
    pub(super) abandoned: Vec<SocketFile>,
}

/// What a service keeps of its sockets.
#[derive(Debug)]
pub(super) struct Listening {
    /// The addresses for clients, with the real ports.
    pub(super) addresses: Vec<ListenAddr>,
    /// The admin address, with the real port.
    pub(super) admin: Option<ListenAddr>,
    /// Duplicates of the sockets, which are passed to a new process. Emptied when this process stops listening.
    pub(super) spares: Vec<OwnedFd>,
    /// The files of Unix sockets that this process owns. Emptied when it stops listening, or when a new process owns
    /// them.
    pub(super) files: Vec<SocketFile>,
}

impl Sockets {
    pub(super) fn listening(&self) -> Listening {
        let all = || self.clients.iter().chain(&self.admin);
        Listening {
            addresses: self.clients.iter().map(|bound| bound.address.clone()).collect(),
            admin: self.admin.as_ref().map(|bound| bound.address.clone()),
            spares: all().filter_map(Bound::spare).collect(),
            files: all().filter_map(|bound| bound.file.clone()).collect(),
        }
    }
}

/// Binds every address, or none. An inherited socket is bound already.
pub(super) fn bind(server: &ServerConfig) -> Result<Sockets, BindError> {
    let mut inherited = Inherited::from_environment();
    let admin = server.admin.clone();
    let secured: Vec<_> = server.tls.iter().flat_map(|tls| &tls.listen).copied().map(ListenAddr::Tcp).collect();
    let clients = server.listen.iter().map(|address| (LISTEN, address));
    let wanted = clients.chain(secured.iter().map(|address| (LISTEN_TLS, address)));
    let wanted: Vec<_> = wanted.chain(admin.iter().map(|address| ("server.admin", address))).collect();
    let taken: Vec<_> = wanted.iter().map(|(_, address)| inherited.take(address)).collect();
    // The other inherited sockets are closed before anything is bound, because one of them may occupy an address that
    // is to be bound.
    let abandoned = inherited.close();
    // The files that this call has made. They are removed if a later address cannot be bound.
    let mut made = Vec::new();
    let bound = wanted.into_iter().zip(taken).map(|((key, address), taken)| {
        let is_made = taken.is_none();
        let bound = match taken {
            Some(bound) => with_mode(bound, server.unix_mode),
            None => bind_one(address, server.unix_mode),
        };
        let bound = bound.map_err(|source| BindError { key, address: address.clone(), source })?;
        made.extend(bound.file.clone().filter(|_| is_made));
        Ok(Bound { is_tls: key == LISTEN_TLS, ..bound })
    });
    match bound.collect::<Result<Vec<_>, _>>() {
        Ok(mut clients) => {
            let admin = admin.and_then(|_| clients.pop());
            Ok(Sockets { clients, admin, abandoned })
        }
        Err(error) => {
            made.into_iter().for_each(SocketFile::remove);
            Err(error)
        }
    }
}

/// Gives the file of an inherited socket the configured permissions, if this process owns the file.
fn with_mode(bound: Bound, mode: u32) -> io::Result<Bound> {
    if let Some(file) = &bound.file {
        file.set_mode(mode).map_err(|error| cannot_set(mode, &error))?;
    }
    Ok(bound)
}

fn bind_one(address: &ListenAddr, unix_mode: u32) -> io::Result<Bound> {
    match address {
        ListenAddr::Tcp(address) => Bound::bind_tcp(*address),
        ListenAddr::Unix(path) => {
            remove_stale(path)?;
            Bound::bind_unix(path, unix_mode)
        }
    }
}

/// Removes the socket file that a process left behind, if no process listens at it any more.
fn remove_stale(path: &Path) -> io::Result<()> {
    let asking = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    // A blocking connect would wait for ever if a stuck process listens there and its queue is full.
    asking.set_nonblocking(true)?;
    match asking.connect(&SockAddr::unix(path)?) {
        Ok(()) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there")),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there, and its queue is full"))
        }
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            if std::fs::symlink_metadata(path)?.file_type().is_socket() {
                return std::fs::remove_file(path);
            }
            Err(io::Error::new(io::ErrorKind::AlreadyExists, "the file there is not a socket"))
        }
        Err(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn an_inherited_file_gets_the_configured_rights_only_if_it_is_this_processs() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let mode = || std::fs::metadata(&path).unwrap().mode() & 0o7777;
        let own = with_mode(Bound::bind_unix(&path, 0o660).unwrap(), 0o600).unwrap();
        assert_eq!(mode(), 0o600);
        let mut of_systemd = own;
        of_systemd.file = None;
        with_mode(of_systemd, 0o666).unwrap();
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn rights_that_cannot_be_set_are_an_error_that_names_address_and_key() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let bound = Bound::bind_unix(&path, 0o660).unwrap();
        std::fs::remove_file(&path).unwrap();
        let address = bound.address.clone();
        let source = with_mode(bound, 0o600).unwrap_err();
        let error = BindError { key: "server.listen", address, source }.to_string();
        let expected = format!("cannot listen on unix:{}: its file cannot be given the mode 0600", path.display());
        assert!(error.starts_with(&expected) && error.contains("server.unix_mode"), "{error}");
    }

    #[test]
    fn what_can_be_done_about_an_address_is_said() {
        let tcp = ListenAddr::Tcp(([127, 0, 0, 1], 80).into());
        let unix = ListenAddr::Unix("/run/a/socket".into());
        for (address, kind, advice) in [
            (&tcp, io::ErrorKind::AddrInUse, "stop what listens there"),
            (&unix, io::ErrorKind::AddrInUse, "stop what listens there"),
            (&tcp, io::ErrorKind::PermissionDenied, "a port above 1023"),
            (&unix, io::ErrorKind::PermissionDenied, "write in its directory"),
            (&unix, io::ErrorKind::NotFound, "its directory must exist"),
            (&tcp, io::ErrorKind::AddrNotAvailable, "an address of this machine"),
        ] {
            let error = BindError { key: "server.listen", address: address.clone(), source: kind.into() }.to_string();
            assert!(error.starts_with(&format!("cannot listen on {address}: ")) && error.contains(advice), "{error}");
        }
    }
}
