//! Options of a client's socket.

use super::transport::Transport;
use crate::fanout::on_the_way;
use rustix::net::sockopt;
use socket2::SockRef;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

/// Bytes that the kernel may queue unsent for one TCP client before its socket stops being writable: one that reads slowly
/// costs a cursor in the log and some 45 KB of kernel memory, where a send buffer of 128 KiB alone costs 270 KB, and slows
/// down whoever is far away: small events take up several times their size in it.
const UNSENT_BYTES: u32 = 32 << 10;

/// Bytes, as the kernel counts them, that may be on their way to one TCP client, which [`UNSENT_BYTES`] does not bound: one
/// that vanishes while it is catching up holds 1 MB until it has stalled, and not 4.
const SEND_BUFFER_BYTES: usize = 512 << 10;

/// The one bound that a Unix socket has.
const UNIX_SEND_BUFFER_BYTES: usize = 128 << 10;

/// Sets the options of a new connection: small writes are sent at once.
pub(super) fn prepare(socket: impl AsFd) {
    // Fails on a Unix socket, which has no such delay.
    if let Err(error) = sockopt::set_tcp_nodelay(socket, true) {
        log::trace!("no TCP_NODELAY: {error}");
    }
}

/// Bounds what the kernel holds for the client of a stream. Other responses are sent as fast as the kernel can: it finds the
/// size of their buffer by itself.
pub(super) fn bound_stream(socket: impl AsFd) {
    let socket = socket.as_fd();
    // Fails on a Unix socket.
    let is_tcp = SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_BYTES).is_ok();
    let buffer = if is_tcp { SEND_BUFFER_BYTES } else { UNIX_SEND_BUFFER_BYTES };
    if let Err(error) = sockopt::set_socket_send_buffer_size(socket, buffer) {
        log::debug!("cannot bound a send buffer: {error}");
    }
}

/// A look at a client's connection while a write waits: whether bytes arrive there.
#[derive(Debug)]
pub(super) struct Witness {
    transport: Arc<Transport>,
    on_the_way: u32,
}

impl Witness {
    pub(super) fn of(transport: &Arc<Transport>) -> Self {
        Self { transport: Arc::clone(transport), on_the_way: on_the_way(&**transport) }
    }

    /// Whether bytes arrived since this was last asked, or were taken by the kernel to be sent.
    pub(super) fn saw_some(&mut self) -> bool {
        let before = std::mem::replace(&mut self.on_the_way, on_the_way(&*self.transport));
        self.on_the_way != before
    }
}

/// Makes the coming close a reset: what a stalled client did not take is freed at once, and what is framed until its
/// connection ends does not look whole.
pub(super) fn reset_on_close(socket: impl AsFd) {
    set_linger(socket, Some(Duration::ZERO));
}

/// Makes the coming close an orderly one.
pub(super) fn end_on_close(socket: impl AsFd) {
    set_linger(socket, None);
}

fn set_linger(socket: impl AsFd, linger: Option<Duration>) {
    if let Err(error) = sockopt::set_socket_linger(socket, linger) {
        log::debug!("cannot say how a connection is to be closed: {error}");
    }
}
