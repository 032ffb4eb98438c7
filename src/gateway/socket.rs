//! Options of a client's socket, and one of the two `unsafe` of the crate.
#![allow(unsafe_code, reason = "pingora's stream gives its descriptor as a raw number only")]

use crate::fanout::{self, Trust, on_the_way};
use pingora::protocols::Stream;
use pingora::protocols::l4::stream::Stream as L4Stream;
use rustix::net::sockopt;
use socket2::SockRef;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

/// Bytes that the kernel may queue unsent for one TCP client before its socket stops being writable: one that reads slowly
/// costs a cursor in the log and some 45 KB of kernel memory, where a send buffer of 128 KiB alone costs 270 KB, and slows
/// down whoever is far away: small events take up several times their size in it.
const UNSENT_BYTES: u32 = 32 << 10;

/// Bytes, as the kernel counts them, that may be on their way to one TCP client, which [`UNSENT_BYTES`] does not bound: one
/// that vanishes while it is catching up holds 1 MB until it has stalled, and not 4.
const SEND_BUFFER_BYTES: usize = 512 << 10;

/// The one bound that a Unix socket has.
const UNIX_SEND_BUFFER_BYTES: usize = 128 << 10;

/// Runs `with` on the descriptor of a plain TCP or Unix connection; `None` for any other stream.
fn with_descriptor<T>(stream: &Stream, with: impl FnOnce(BorrowedFd<'_>) -> T) -> Option<T> {
    // `id()` alone would not do: it is 0 for streams that have no descriptor.
    let stream = stream.as_any().downcast_ref::<L4Stream>()?;
    // SAFETY: the descriptor belongs to `stream`, which is borrowed until after `with` returns, so it is open for all of the
    // borrow; it is not -1, because the stream holds a connection.
    let descriptor = unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) };
    Some(with(descriptor))
}

/// Whether a stream is a plain TCP or Unix connection.
pub(super) fn has_descriptor(stream: &Stream) -> bool {
    with_descriptor(stream, |_| ()).is_some()
}

/// The connection of a plain stream, which is pingora's no more.
pub(super) fn detach(stream: Stream) -> io::Result<OwnedFd> {
    let socket = with_descriptor(&stream, |fd| fd.try_clone_to_owned());
    drop(stream);
    socket.unwrap_or_else(|| Err(io::Error::other("the stream has no descriptor")))
}

/// Sets the options of a new connection.
///
/// `TCP_NODELAY` is pingora's doing.
pub(super) fn prepare(stream: &Stream) {
    let bounded = with_descriptor(stream, |fd| {
        // Fails on a Unix socket.
        let is_tcp = SockRef::from(&fd).set_tcp_notsent_lowat(UNSENT_BYTES).is_ok();
        let buffer = if is_tcp { SEND_BUFFER_BYTES } else { UNIX_SEND_BUFFER_BYTES };
        sockopt::set_socket_send_buffer_size(fd, buffer)
    });
    if let Some(Err(error)) = bounded {
        log::debug!("cannot bound a send buffer: {error}");
    }
}

/// A second descriptor of a client's connection, which shows whether bytes arrive there while a write waits.
#[derive(Debug)]
pub(super) struct Witness {
    socket: OwnedFd,
    on_the_way: u32,
}

impl Witness {
    /// Of a plain stream, as long as there are descriptors.
    pub(super) fn of(stream: &Stream) -> Option<Self> {
        let socket = with_descriptor(stream, |fd| fd.try_clone_to_owned())?.ok()?;
        let on_the_way = on_the_way(&socket);
        Some(Self { socket, on_the_way })
    }

    /// Whether bytes arrived since this was last asked, or were taken by the kernel to be sent.
    pub(super) fn saw_some(&mut self) -> bool {
        let before = std::mem::replace(&mut self.on_the_way, on_the_way(&self.socket));
        self.on_the_way != before
    }
}

/// Gives a connection up when the client acknowledged nothing for `stall`: a phone that vanished would otherwise keep
/// heartbeats in the send buffer for a quarter of an hour. See [`fanout::limit_stall`].
pub(super) fn limit_stall(stream: &Stream, stall: Duration) {
    with_descriptor(stream, |fd| fanout::limit_stall(fd, Some(stall)));
}

/// As [`Trust::begin`], of a plain stream; the others as their namesakes.
pub(super) fn begin_trust(stream: &Stream, trust: &mut Trust) {
    with_descriptor(stream, |fd| trust.begin(fd, Instant::now()));
}

pub(super) fn end_trust(stream: &Stream, trust: &mut Trust, stall: Duration) {
    with_descriptor(stream, |fd| trust.end(fd, stall, Instant::now()));
}

pub(super) fn forgive(stream: &Stream, trust: &mut Trust, stall: Duration) {
    with_descriptor(stream, |fd| trust.forgive(fd, stall));
}

/// Makes the coming close a reset: what a stalled client did not take is freed at once, and what is framed until its
/// connection ends does not look whole.
pub(super) fn reset_on_close(stream: &Stream) {
    set_linger(stream, Some(Duration::ZERO));
}

/// Makes the coming close an orderly one.
pub(super) fn end_on_close(stream: &Stream) {
    set_linger(stream, None);
}

fn set_linger(stream: &Stream, linger: Option<Duration>) {
    if let Some(Err(error)) = with_descriptor(stream, |fd| sockopt::set_socket_linger(fd, linger)) {
        log::debug!("cannot say how a connection is to be closed: {error}");
    }
}
