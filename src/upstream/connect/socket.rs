//! The TCP socket of a connection to an origin.

use super::reason::NamedBy;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a connection to an origin may be quiet before TCP, and HTTP/2 as well, probe whether the other side is
/// still there.
pub(super) const PROBE_AFTER: Duration = Duration::from_secs(30);

/// The pause between two TCP probes, and the number of unanswered probes after which the origin counts as gone.
const PROBE_EVERY: Duration = Duration::from_secs(10);
const PROBES: u32 = 3;

/// How long the origin's host may leave sent bytes unacknowledged. It is as long as the probes take.
const UNACKNOWLEDGED: Duration = Duration::from_secs(60);

/// The explanation when there is no place for a connection.
pub(super) const NO_PLACE: &str = "no descriptor is left for a connection to the origin";

/// Why no TCP connection was made.
#[derive(Debug)]
pub(super) enum Unconnected {
    Io(io::Error),
    Late,
    NoPlace,
}

impl Unconnected {
    /// Explains it for one log line, with advice if there is any.
    pub(super) fn words(&self, named_by: NamedBy) -> String {
        match self {
            Self::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                format!("connection refused: start the origin, or correct {}", named_by.place())
            }
            Self::Io(error) => error.to_string(),
            Self::Late => "connect timed out".to_owned(),
            Self::NoPlace => NO_PLACE.to_owned(),
        }
    }
}

/// Connects to an address.
///
/// # Errors
/// When it is not connected in time.
pub(super) async fn connect(address: SocketAddr, patience: Duration) -> Result<TcpStream, Unconnected> {
    let stream = match timeout(patience, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(Unconnected::Io(error)),
        Err(_) => return Err(Unconnected::Late),
    };
    stream.set_nodelay(true).and_then(|()| keep_alive(&stream)).map_err(Unconnected::Io)?;
    Ok(stream)
}

/// Sets the TCP probes that find out whether the other side of a quiet connection is dead. They are needed because
/// connections may be quiet for hours.
fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let probes = TcpKeepalive::new().with_time(PROBE_AFTER).with_interval(PROBE_EVERY).with_retries(PROBES);
    socket.set_tcp_keepalive(&probes)?;
    socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_connection_may_be_quiet_for_hours_and_a_dead_peer_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = connect(address, Duration::from_secs(60)).await.unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap());
        let probes = (
            socket.tcp_keepalive_time().unwrap(),
            socket.tcp_keepalive_interval().unwrap(),
            socket.tcp_keepalive_retries().unwrap(),
        );
        assert_eq!(probes, (PROBE_AFTER, PROBE_EVERY, PROBES));
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(UNACKNOWLEDGED));
    }
}
