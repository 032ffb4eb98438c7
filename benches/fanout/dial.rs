//! Connections of the clients.

use super::identity::NAME;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, sockopt};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// The number of addresses that clients connect from. With one address the search for a free port takes long, once
/// half of the ports are taken.
const SOURCES: usize = 8;

/// The receive buffer of a slow client. It is small, so that what the client does not read soon fills the server's
/// buffers.
const SLOW_BUFFER: usize = 4096;

/// Begins the connection of client `number`.
pub(crate) fn dial(server: SocketAddr, number: usize, slow: bool) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    // The close is a reset, so that no port is still waiting for last packets when the next run begins.
    sockopt::set_socket_linger(&socket, Some(Duration::ZERO))?;
    if slow {
        sockopt::set_socket_recv_buffer_size(&socket, SLOW_BUFFER)?;
    }
    let source = Ipv4Addr::new(127, 0, 0, u8::try_from(2 + number % SOURCES).unwrap_or(2));
    rustix::net::bind(&socket, &SocketAddrV4::new(source, 0))?;
    match rustix::net::connect(&socket, &server) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// The request for `path`. `last_event_id`: the id of the newest event that the client got.
pub(crate) fn request(path: &str, last_event_id: Option<&str>) -> String {
    let resume = last_event_id.map_or_else(String::new, |id| format!("Last-Event-ID: {id}\r\n"));
    format!("GET {path} HTTP/1.1\r\nHost: {NAME}\r\nAccept: text/event-stream\r\n{resume}\r\n")
}

/// Sends the first bytes of an established connection, which always fit into its send buffer.
pub(crate) fn send(socket: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    let sent = rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)?;
    if sent == bytes.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}
