//! The socket of a connection. Its methods take a shared reference, so that other code can look at the socket while a
//! session reads or writes.

use super::first::begins_http2;
use super::watched::Watched;
use crate::fanout::h2::PREFACE;
use bytes::BytesMut;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, send, sendmsg, shutdown};
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::ReadBuf;

/// The most bytes that are read from a socket at a time.
pub(super) const READ_BYTES: usize = 4 << 10;

/// The most buffers that are written at a time. Linux takes 1,024 of them.
const MOST_PARTS: usize = 64;

/// A send takes what the socket takes at once, and an error is no signal.
const AT_ONCE: SendFlags = SendFlags::DONTWAIT.union(SendFlags::NOSIGNAL);

/// A client's socket. It is registered with the runtime when it is waited for.
#[derive(Debug)]
pub struct Transport {
    watched: Watched,
    /// The address of the peer, as it was when the connection was accepted. `None`: a Unix socket.
    peer: Option<SocketAddr>,
    /// The listener has handed down the bound of unsent bytes.
    is_bounded: bool,
}

/// What a socket is waited for to be ready for.
#[derive(Debug, Clone, Copy)]
enum Ready {
    Read,
    Write,
}

impl Transport {
    /// A socket in non-blocking mode.
    #[must_use]
    pub fn new(socket: OwnedFd, peer: Option<SocketAddr>) -> Self {
        Self { watched: Watched::new(socket), peer, is_bounded: false }
    }

    /// The socket of a connection that has the options of its listener.
    pub(super) fn accepted(socket: OwnedFd, is_tcp: bool, peer: Option<SocketAddr>) -> Self {
        Self { is_bounded: is_tcp, ..Self::new(socket, peer) }
    }

    /// Ends what ties the socket to the runtime in which it was waited for. Another runtime may wait for it next. It does
    /// nothing while others use the socket.
    pub(super) fn leave_runtime(this: &mut Arc<Self>) {
        if let Some(this) = Arc::get_mut(this) {
            this.watched.unregister();
        }
    }

    /// Whether the listener has handed down the bound of unsent bytes.
    pub(super) fn is_bounded(&self) -> bool {
        self.is_bounded
    }

    /// The socket as a descriptor, no longer registered with the runtime.
    pub(super) fn into_descriptor(self) -> OwnedFd {
        self.watched.into_socket()
    }

    /// The address of the peer. `None`: a Unix socket.
    pub(super) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Appends the bytes that have come to `bytes`, at most [`READ_BYTES`]. 0: the peer has closed its side. Room is made
    /// for no more than has come, so that a connection that waits needs no memory.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>, bytes: &mut BytesMut) -> Poll<io::Result<usize>> {
        self.when_ready(cx, Ready::Read, || {
            let mut room = [MaybeUninit::uninit(); READ_BYTES];
            let ((came, _), _) = recv(self, &mut room, RecvFlags::DONTWAIT)?;
            bytes.extend_from_slice(came);
            Ok(came.len())
        })
    }

    /// Reads bytes that have come into `room`. None: the peer has closed its side.
    pub(super) fn poll_receive(&self, cx: &mut Context<'_>, room: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.when_ready(cx, Ready::Read, || {
            let (_, came) = recv(self, room.initialize_unfilled(), RecvFlags::DONTWAIT)?;
            room.advance(came);
            Ok(())
        })
    }

    pub(super) fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.when_ready(cx, Ready::Write, || send(self, bytes, AT_ONCE))
    }

    /// Writes from several buffers at once.
    pub(super) fn poll_write_vectored(&self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        // The system refuses more of them at once.
        let parts = parts.get(..MOST_PARTS).unwrap_or(parts);
        self.when_ready(cx, Ready::Write, || sendmsg(self, parts, &mut SendAncillaryBuffer::default(), AT_ONCE))
    }

    /// Tries an operation until it succeeds or fails. The first time, it is tried before the runtime watches the socket.
    /// After that, it is tried each time when the runtime reports the socket ready.
    fn when_ready<T>(
        &self,
        cx: &mut Context<'_>,
        ready: Ready,
        mut attempt: impl FnMut() -> Result<T, Errno>,
    ) -> Poll<io::Result<T>> {
        if self.watched.registration().is_none() {
            match attempt() {
                Err(Errno::AGAIN | Errno::INTR) => {}
                done => return Poll::Ready(done.map_err(io::Error::from)),
            }
        }
        let registration = self.watched.register()?;
        loop {
            let mut guard = ready!(match ready {
                Ready::Read => registration.poll_read_ready(cx),
                Ready::Write => registration.poll_write_ready(cx),
            })?;
            match attempt() {
                Err(Errno::AGAIN) => guard.clear_ready(),
                Err(Errno::INTR) => guard.retain_ready(),
                done => return Poll::Ready(done.map_err(io::Error::from)),
            }
        }
    }

    /// Whether the next bytes of the client are those of HTTP/2. False too if none have come.
    pub(super) fn begins_http2(&self) -> bool {
        let mut first = [0; PREFACE.len()];
        let peeked = recv(self, &mut first[..], RecvFlags::PEEK.union(RecvFlags::DONTWAIT));
        peeked.is_ok_and(|(_, bytes)| first.get(..bytes).is_some_and(begins_http2))
    }

    /// Sends the last bytes, closes our side and drops what the peer has sent. It waits for nothing.
    pub(super) fn say_and_end(&self, bytes: &[u8]) {
        // A peer that is gone or takes nothing is not told.
        let _sent = send(self, bytes, AT_ONCE).and_then(|_| shutdown(self.as_fd(), Shutdown::Write));
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
        self.watched.socket().as_fd()
    }
}
