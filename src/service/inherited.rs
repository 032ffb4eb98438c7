//! The listening sockets that this process was started with: of systemd, or of the process whose place it takes.

use super::bound::Bound;
use crate::config::ListenAddr;
use listenfd::ListenFd;
use std::net::SocketAddr;

/// The listening sockets that this process was started with.
#[derive(Debug, Default)]
pub(super) struct Inherited(Vec<Bound>);

impl Inherited {
    /// Takes them from the environment.
    pub(super) fn from_environment() -> Self {
        let mut given = ListenFd::from_env();
        let bound = (0..given.len()).filter_map(|at| {
            let tcp = given.take_tcp_listener(at).ok().flatten().map(Bound::tcp);
            let bound = tcp.or_else(|| given.take_unix_listener(at).ok().flatten().map(Bound::unix));
            match bound {
                Some(Ok(bound)) => Some(bound),
                Some(Err(error)) => {
                    log::warn!("an inherited socket cannot be used: {error}");
                    None
                }
                None => None,
            }
        });
        Self(bound.collect())
    }

    /// The one for a configured address. Those that nobody takes are closed with this value: open without anyone who
    /// accepts, they would swallow clients.
    pub(super) fn take(&mut self, configured: &ListenAddr) -> Option<Bound> {
        let at = self.0.iter().position(|bound| serves(configured, &bound.address))?;
        // In order: addresses with port 0 are alike.
        Some(self.0.remove(at))
    }
}

/// Whether a socket at `actual` is what `configured` asks for: port 0 is any.
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
