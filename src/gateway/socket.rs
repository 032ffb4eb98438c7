//! The options of a client's socket.

use super::transport::Transport;
use crate::fanout::{UNSENT_BYTES, on_the_way};
pub(super) use crate::fanout::{bound_stream, end_on_close, reset_on_close};
use rustix::net::sockopt;
use socket2::SockRef;
use std::os::fd::AsFd;
use std::sync::Arc;

/// The number of unsent bytes at which the socket of an HTTP/2 connection stops being writable. All streams of the
/// connection share them.
const UNSENT_BYTES_OF_MANY: u32 = 128 << 10;

/// Sets options of a TCP listener. On Linux, each connection that is accepted has them from the beginning, so no call is
/// needed for each. Small writes are sent at once, and the unsent bytes that the kernel holds are limited.
pub(super) fn hand_down(listener: impl AsFd) {
    let listener = listener.as_fd();
    if let Err(error) = sockopt::set_tcp_nodelay(listener, true) {
        log::debug!("cannot set TCP_NODELAY: {error}");
    }
    if let Err(error) = SockRef::from(&listener).set_tcp_notsent_lowat(UNSENT_BYTES) {
        log::debug!("cannot set TCP_NOTSENT_LOWAT: {error}");
    }
}

/// Lifts the limit of unsent bytes, because the response may be a download.
pub(super) fn unbound(socket: impl AsFd) {
    // With 0 the limit of the system holds. This fails on a Unix socket.
    if let Err(error) = SockRef::from(&socket.as_fd()).set_tcp_notsent_lowat(0) {
        log::trace!("cannot set TCP_NOTSENT_LOWAT: {error}");
    }
}

/// Limits the unsent bytes that the kernel holds for an HTTP/2 connection. The send buffer may still grow, because a
/// stream of the connection may be a download.
pub(super) fn bound_unsent(socket: impl AsFd) {
    let socket = socket.as_fd();
    // This fails on a Unix socket.
    if let Err(error) = SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_BYTES_OF_MANY) {
        log::trace!("cannot set TCP_NOTSENT_LOWAT: {error}");
    }
}

/// Observes whether bytes arrive at a client while a write to it waits.
#[derive(Debug)]
pub(super) struct Witness {
    transport: Arc<Transport>,
    on_the_way: u32,
}

impl Witness {
    pub(super) fn of(transport: &Arc<Transport>) -> Self {
        Self { transport: Arc::clone(transport), on_the_way: on_the_way(&**transport) }
    }

    /// Whether the number of bytes on their way has changed since the last call. Then bytes have arrived at the client,
    /// or the kernel has accepted more bytes to send.
    pub(super) fn saw_some(&mut self) -> bool {
        let before = std::mem::replace(&mut self.on_the_way, on_the_way(&*self.transport));
        self.on_the_way != before
    }
}
