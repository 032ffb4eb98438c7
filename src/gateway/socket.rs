//! The options of a client's socket.

use super::transport::Transport;
use crate::fanout::on_the_way;
use rustix::net::sockopt;
use socket2::SockRef;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

/// The unsent bytes of one TCP client from which on its socket is not writable. With this limit a slow reader costs a
/// cursor in the log and about 45 KB of kernel memory. A send buffer of 128 KiB alone would cost 270 KB, because
/// small events take several times their size in it. It would also slow down distant clients.
const UNSENT_BYTES: u32 = 32 << 10;

/// The same for an HTTP/2 connection, whose streams share it.
const UNSENT_BYTES_OF_MANY: u32 = 128 << 10;

/// The size of the send buffer of one TCP client, as the kernel counts it. It limits the bytes that are on their way,
/// which [`UNSENT_BYTES`] does not limit. A client that vanishes while it is catching up holds 1 MB until it counts
/// as stalled, and not 4 MB.
const SEND_BUFFER_BYTES: usize = 512 << 10;

/// The size of the send buffer of a Unix socket, which has no other limit.
const UNIX_SEND_BUFFER_BYTES: usize = 128 << 10;

/// Sets the options of a new connection, so that small writes are sent at once.
pub(super) fn prepare(socket: impl AsFd) {
    // This fails on a Unix socket, which has no such delay.
    if let Err(error) = sockopt::set_tcp_nodelay(socket, true) {
        log::trace!("no TCP_NODELAY: {error}");
    }
}

/// Limits what the kernel holds for the client of a stream. Other responses are sent as fast as possible, and the
/// kernel sizes their buffers itself.
pub(super) fn bound_stream(socket: impl AsFd) {
    let socket = socket.as_fd();
    // This fails on a Unix socket.
    let is_tcp = SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_BYTES).is_ok();
    let buffer = if is_tcp { SEND_BUFFER_BYTES } else { UNIX_SEND_BUFFER_BYTES };
    if let Err(error) = sockopt::set_socket_send_buffer_size(socket, buffer) {
        log::debug!("cannot bound a send buffer: {error}");
    }
}

/// Limits the unsent bytes that the kernel holds for an HTTP/2 connection. Its send buffer may grow, because a stream may
/// be a download.
pub(super) fn bound_unsent(socket: impl AsFd) {
    let socket = socket.as_fd();
    // This fails on a Unix socket.
    if let Err(error) = SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_BYTES_OF_MANY) {
        log::trace!("no TCP_NOTSENT_LOWAT: {error}");
    }
}

/// Observes a client's connection while a write waits: whether bytes arrive at the client.
#[derive(Debug)]
pub(super) struct Witness {
    transport: Arc<Transport>,
    on_the_way: u32,
}

impl Witness {
    pub(super) fn of(transport: &Arc<Transport>) -> Self {
        Self { transport: Arc::clone(transport), on_the_way: on_the_way(&**transport) }
    }

    /// Whether, since the last call, bytes have arrived at the client or the kernel has taken some to be sent.
    pub(super) fn saw_some(&mut self) -> bool {
        let before = std::mem::replace(&mut self.on_the_way, on_the_way(&*self.transport));
        self.on_the_way != before
    }
}

/// Makes the close of the socket a reset. It frees at once what a stalled client did not take. A response that is
/// framed by the end of its connection then does not look complete.
pub(super) fn reset_on_close(socket: impl AsFd) {
    set_linger(socket, Some(Duration::ZERO));
}

/// Makes the close of the socket an orderly one.
pub(super) fn end_on_close(socket: impl AsFd) {
    set_linger(socket, None);
}

fn set_linger(socket: impl AsFd, linger: Option<Duration>) {
    if let Err(error) = sockopt::set_socket_linger(socket, linger) {
        log::debug!("cannot say how a connection is to be closed: {error}");
    }
}
