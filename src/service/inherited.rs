//! The listening sockets that this process inherited, from systemd or from the process that it replaces.

use super::bound::Bound;
use super::socket_file::{Identity, SocketFile};
use crate::config::ListenAddr;
use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

/// The environment variable that tells a successor which files of Unix sockets it owns. Each file is written as
/// `device:inode`, and files are separated by commas. Files that are not listed belong to systemd.
pub(super) const OWN_FILES: &str = "MANIFOLD_SOCKET_FILES";

/// The value of [`OWN_FILES`] for these files.
pub(super) fn own_files<'f>(files: impl IntoIterator<Item = &'f SocketFile>) -> String {
    files.into_iter().map(|file| file.identity().to_string()).collect::<Vec<_>>().join(",")
}

/// The listening sockets that this process was started with.
#[derive(Debug, Default)]
pub(super) struct Inherited(Vec<Bound>);

impl Inherited {
    /// Takes the sockets from the environment. Logs those that cannot be used.
    pub(super) fn from_environment() -> Self {
        let own: Vec<_> = std::env::var(OWN_FILES).unwrap_or_default().split(',').filter_map(Identity::parse).collect();
        let mut given = ListenFd::from_env();
        let mut bound = Vec::with_capacity(given.len());
        for at in 0..given.len() {
            match taken(&mut given, at) {
                Ok(socket) => bound.push(with_its_file(socket, &own)),
                Err(error) => log::warn!("an inherited descriptor cannot be used number={at}: {error}"),
            }
        }
        Self(bound)
    }

    /// Takes the socket for a configured address.
    pub(super) fn take(&mut self, configured: &ListenAddr) -> Option<Bound> {
        let at = self.0.iter().position(|bound| serves(configured, &bound.address))?;
        // The order of the others is kept, because all addresses with port 0 match the same sockets.
        Some(self.0.remove(at))
    }

    /// Logs the sockets that no configured address took, and closes them. Clients of a socket that is open but not
    /// accepted from would wait for ever. Returns the files of these sockets, which are to be removed.
    pub(super) fn close(self) -> Vec<SocketFile> {
        let close = |Bound { address, file, .. }: Bound| {
            log::warn!(
                "an inherited socket matches no configured address, and is closed addr={address}: add the address to \
                 server.listen or server.tls.listen, or pass no socket for it"
            );
            file
        };
        self.0.into_iter().filter_map(close).collect()
    }
}

/// Takes the descriptor at this index as a listening socket. A socket of another kind is closed.
fn taken(given: &mut ListenFd, at: usize) -> io::Result<Bound> {
    if let Ok(Some(listener)) = given.take_tcp_listener(at) {
        return is_listening(&listener).and_then(|()| Bound::tcp(listener));
    }
    if let Ok(Some(listener)) = given.take_unix_listener(at) {
        return is_listening(&listener).and_then(|()| Bound::unix(listener));
    }
    let is_datagram =
        matches!(given.take_udp_socket(at), Ok(Some(_))) || matches!(given.take_unix_datagram(at), Ok(Some(_)));
    Err(io::Error::other(if is_datagram { "it is a datagram socket" } else { "it is not a stream socket" }))
}

fn is_listening(socket: impl AsFd) -> io::Result<()> {
    if socket_acceptconn(socket)? { Ok(()) } else { Err(io::Error::other("it is a socket that does not listen")) }
}

/// Adds the socket's file, if this process owns it.
fn with_its_file(mut bound: Bound, own: &[Identity]) -> Bound {
    if let ListenAddr::Unix(path) = &bound.address {
        bound.file = SocketFile::at(path).ok().filter(|file| own.contains(&file.identity()));
    }
    bound
}

/// Whether a socket at `actual` serves the address `configured`. Port 0 matches any port.
fn serves(configured: &ListenAddr, actual: &ListenAddr) -> bool {
    match (configured, actual) {
        (ListenAddr::Tcp(configured), ListenAddr::Tcp(actual)) => {
            let port = if configured.port() == 0 { actual.port() } else { configured.port() };
            SocketAddr::new(configured.ip(), port) == SocketAddr::new(actual.ip(), actual.port())
        }
        _ => configured == actual,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inherited_socket_serves_the_address_that_asks_for_it() {
        let tcp = |text: &str| ListenAddr::Tcp(text.parse().unwrap());
        for (configured, actual, is) in [
            (tcp("127.0.0.1:80"), tcp("127.0.0.1:80"), true),
            (tcp("127.0.0.1:0"), tcp("127.0.0.1:4711"), true),
            (tcp("127.0.0.1:80"), tcp("127.0.0.1:81"), false),
            (tcp("127.0.0.2:0"), tcp("127.0.0.1:81"), false),
            (ListenAddr::Unix("/a".into()), ListenAddr::Unix("/a".into()), true),
            (ListenAddr::Unix("/a".into()), ListenAddr::Unix("/b".into()), false),
            (ListenAddr::Unix("/a".into()), tcp("127.0.0.1:80"), false),
        ] {
            assert_eq!(serves(&configured, &actual), is, "{configured} {actual}");
        }
    }
}
