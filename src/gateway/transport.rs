//! The socket of a connection, registered with the runtime. Its methods take a shared reference, so that other code can
//! look at the socket while a session reads or writes.

use bytes::BytesMut;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Context, Poll, ready};
use tokio::net::{TcpStream, UnixStream};

/// A client's socket.
#[derive(Debug)]
pub enum Transport {
    /// A TCP socket.
    Tcp(TcpStream),
    /// A Unix socket.
    Unix(UnixStream),
}

/// Tries an operation each time the runtime reports the socket ready, until it succeeds or fails.
macro_rules! when_ready {
    ($stream:expr, $cx:expr, $poll_ready:ident, $try:expr) => {
        loop {
            ready!($stream.$poll_ready($cx))?;
            match $try {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    };
}

impl Transport {
    /// A socket from a descriptor, registered with the runtime.
    ///
    /// # Errors
    /// When the descriptor is not a socket of this kind, or when the runtime cannot watch it.
    pub(super) fn from_descriptor(socket: OwnedFd, is_tcp: bool) -> io::Result<Self> {
        if is_tcp {
            Ok(Self::Tcp(TcpStream::from_std(socket.into())?))
        } else {
            Ok(Self::Unix(UnixStream::from_std(socket.into())?))
        }
    }

    /// The socket as a descriptor, no longer registered with the runtime.
    pub(super) fn into_descriptor(self) -> io::Result<OwnedFd> {
        match self {
            Self::Tcp(stream) => stream.into_std().map(OwnedFd::from),
            Self::Unix(stream) => stream.into_std().map(OwnedFd::from),
        }
    }

    /// The address of the peer. `None`: a Unix socket.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(stream) => stream.peer_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// Appends the bytes that have come to `bytes`. 0: the peer has closed its side. There is made room for `room` bytes
    /// when some have come, so that a connection that waits for them needs no memory for them.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, bytes: &mut BytesMut, room: usize) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => when_ready!(stream, cx, poll_read_ready, {
                bytes.reserve(room);
                stream.try_read_buf(bytes)
            }),
            Self::Unix(stream) => when_ready!(stream, cx, poll_read_ready, {
                bytes.reserve(room);
                stream.try_read_buf(bytes)
            }),
        }
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Tcp(stream) => when_ready!(stream, cx, poll_write_ready, stream.try_write(bytes)),
            Self::Unix(stream) => when_ready!(stream, cx, poll_write_ready, stream.try_write(bytes)),
        }
    }

    /// Sends the last bytes, closes our side and drops what the peer has sent. It waits for nothing.
    pub(super) fn say_and_end(&self, bytes: &[u8]) {
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        // A peer that is gone or takes nothing is not told.
        let _sent = send(self, bytes, flags).and_then(|_| shutdown(self.as_fd(), Shutdown::Write));
        // A socket that is closed with unread bytes sends a reset, which may destroy what was said.
        let mut dropped = [0; 4096];
        while recv(self, &mut dropped[..], RecvFlags::DONTWAIT).is_ok_and(|(_, n)| n > 0) {}
    }

    /// Closes our side of the connection.
    pub(super) fn end(&self) -> io::Result<()> {
        Ok(shutdown(self.as_fd(), Shutdown::Write)?)
    }
}

impl AsFd for Transport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}
