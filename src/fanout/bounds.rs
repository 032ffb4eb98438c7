//! Bounds of what the kernel holds for the client of a stream.

use rustix::net::sockopt;
use socket2::SockRef;
use std::os::fd::AsFd;

/// The number of unsent bytes at which the socket of one TCP client stops being writable (TCP_NOTSENT_LOWAT). With this
/// limit a slow reader costs a cursor in the log and about 45 KB of kernel memory. A limit by the size of the send
/// buffer would be worse: 128 KiB would cost 270 KB, because small events take several times their size in a buffer. A
/// small buffer would also slow down distant clients.
pub const UNSENT_BYTES: u32 = 32 << 10;

/// The size of the send buffer of one TCP client, as the kernel counts it. It limits the bytes that were sent and not
/// acknowledged, which [`UNSENT_BYTES`] does not limit. A client that vanishes while it is catching up then holds 1 MB
/// instead of 4 MB until it counts as stalled.
const SEND_BUFFER_BYTES: usize = 512 << 10;

/// The size of the send buffer of a Unix socket. Unix sockets have no limit like [`UNSENT_BYTES`].
const UNIX_SEND_BUFFER_BYTES: usize = 128 << 10;

/// Limits the bytes that the kernel holds for the client of a stream. It is not called for other responses. Those are
/// sent as fast as possible, and the kernel sizes their buffers itself.
pub fn bound_stream(socket: impl AsFd) {
    let socket = socket.as_fd();
    if !bound_unacknowledged(socket) {
        set_buffer(socket, UNIX_SEND_BUFFER_BYTES);
    }
}

/// Limits the bytes that the kernel holds for a TCP client, also those that were sent and not acknowledged. Returns
/// false, and does nothing, if it is a Unix socket.
pub(super) fn bound_unacknowledged(socket: impl AsFd) -> bool {
    let socket = socket.as_fd();
    let is_tcp = SockRef::from(&socket).set_tcp_notsent_lowat(UNSENT_BYTES).is_ok();
    if is_tcp {
        set_buffer(socket, SEND_BUFFER_BYTES);
    }
    is_tcp
}

fn set_buffer(socket: impl AsFd, bytes: usize) {
    if let Err(error) = sockopt::set_socket_send_buffer_size(socket, bytes) {
        log::debug!("cannot bound a send buffer: {error}");
    }
}
