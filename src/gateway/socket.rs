//! The options of a client's socket.

use super::transport::Transport;
use crate::fanout::on_the_way;
pub(super) use crate::fanout::{end_on_close, reset_on_close};
use rustix::net::sockopt;
use socket2::SockRef;
use std::os::fd::AsFd;
use std::sync::Arc;

/// The number of unsent bytes at which the socket of one TCP client stops being writable (TCP_NOTSENT_LOWAT). With this
/// limit a slow reader costs a cursor in the log and about 45 KB of kernel memory. A limit by the size of the send
/// buffer would be worse: 128 KiB would cost 270 KB, because small events take several times their size in a buffer. A
/// small buffer would also slow down distant clients.
const UNSENT_BYTES: u32 = 32 << 10;

/// The number of unsent bytes at which the socket of an HTTP/2 connection stops being writable. All streams of the
/// connection share them.
const UNSENT_BYTES_OF_MANY: u32 = 128 << 10;

/// The size of the send buffer of one TCP client, as the kernel counts it. It limits the bytes that were sent and not
/// acknowledged, which [`UNSENT_BYTES`] does not limit. A client that vanishes while it is catching up then holds 1 MB
/// instead of 4 MB until it counts as stalled.
const SEND_BUFFER_BYTES: usize = 512 << 10;

/// The size of the send buffer of a Unix socket. Unix sockets have no limit like [`UNSENT_BYTES`].
const UNIX_SEND_BUFFER_BYTES: usize = 128 << 10;

/// Sets the options of a new connection, so that small writes are sent at once.
pub(super) fn prepare(socket: impl AsFd) {
    // This fails on a Unix socket, which has no such delay.
    if let Err(error) = sockopt::set_tcp_nodelay(socket, true) {
        log::trace!("no TCP_NODELAY: {error}");
    }
}

/// Limits the bytes that the kernel holds for the client of a stream. It is not called for other responses. Those are
/// sent as fast as possible, and the kernel sizes their buffers itself.
pub(super) fn bound_stream(socket: impl AsFd) {
    let socket = socket.as_fd();
    // This fails on a Unix socket.
    let is_tcp = SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_BYTES).is_ok();
    let buffer = if is_tcp { SEND_BUFFER_BYTES } else { UNIX_SEND_BUFFER_BYTES };
    if let Err(error) = sockopt::set_socket_send_buffer_size(socket, buffer) {
        log::debug!("cannot bound a send buffer: {error}");
    }
}

/// Limits the unsent bytes that the kernel holds for an HTTP/2 connection. The send buffer may still grow, because a
/// stream of the connection may be a download.
pub(super) fn bound_unsent(socket: impl AsFd) {
    let socket = socket.as_fd();
    // This fails on a Unix socket.
    if let Err(error) = SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_BYTES_OF_MANY) {
        log::trace!("no TCP_NOTSENT_LOWAT: {error}");
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
