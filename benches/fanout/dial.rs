//! Connections of clients.

use rustix::io::Errno;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, sockopt};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// Addresses that clients come from: a search for a free port takes long where half of them are taken.
const SOURCES: usize = 8;

/// Receive buffer of a slow client: what it does not read shall be the server's burden soon.
const SLOW_BUFFER: usize = 4096;

/// Begins a connection of client `number`.
pub(crate) fn dial(server: SocketAddr, number: usize, slow: bool) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    // Closed by a reset: no port waits for its last packets when the next run begins.
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

/// Asks for `path` on a connection that is there.
pub(crate) fn ask(socket: &OwnedFd, path: &str) -> io::Result<()> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n");
    let sent = rustix::net::send(socket, request.as_bytes(), SendFlags::NOSIGNAL)?;
    // The first bytes of a connection fit into its buffer.
    if sent == request.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}
