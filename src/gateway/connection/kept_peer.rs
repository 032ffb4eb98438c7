//! The peer of a connection, as it is kept for as long as the connection lasts.

use super::Peer;
use std::net::{SocketAddr, SocketAddrV4};

/// The peer of a connection, in few bytes, because there is one for every connection of HTTP/2.
#[derive(Debug)]
pub(in crate::gateway) enum KeptPeer {
    /// A client with an IPv4 address, of which nobody told anything, and which showed no certificate.
    V4 { socket: SocketAddrV4, is_tls: bool },
    /// Any other one.
    Other(Box<Peer>),
}

const _: () = assert!(size_of::<KeptPeer>() <= 16);

impl KeptPeer {
    /// The peer itself.
    pub(in crate::gateway) fn peer(&self) -> Peer {
        match self {
            Self::V4 { socket, is_tls } => {
                Peer { socket: Some(SocketAddr::V4(*socket)), told: None, is_tls: *is_tls, certificate: None }
            }
            Self::Other(peer) => Peer::clone(peer),
        }
    }
}

impl From<Peer> for KeptPeer {
    fn from(peer: Peer) -> Self {
        match peer {
            Peer { socket: Some(SocketAddr::V4(socket)), told: None, is_tls, certificate: None } => {
                Self::V4 { socket, is_tls }
            }
            other => Self::Other(Box::new(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Certificate;
    use crate::certificates::Subject;
    use std::sync::Arc;
    use std::time::SystemTime;

    #[test]
    fn each_peer_comes_back_as_it_was() {
        let (v4, v6) = (Some("192.0.2.1:1".parse().unwrap()), Some("[2001:db8::1]:2".parse().unwrap()));
        for socket in [None, v4, v6] {
            for told in [None, v4, v6] {
                for is_tls in [false, true] {
                    let peer = Peer { socket, told, is_tls, certificate: None };
                    let kept = KeptPeer::from(peer.clone());
                    assert_eq!(kept.peer(), peer);
                    assert_eq!(matches!(kept, KeptPeer::V4 { .. }), socket == v4 && told.is_none());
                }
            }
        }
        let certificate =
            Certificate { subject: Subject::default(), digest: [7; 32], not_after: SystemTime::UNIX_EPOCH };
        let certificate = Some(Arc::new(certificate));
        let peer = Peer { socket: v4, told: None, is_tls: true, certificate };
        assert_eq!(KeptPeer::from(peer.clone()).peer(), peer);
    }
}
