//! The engine's system calls on sockets.

use super::batch::Framing;
use crate::hub::Departure;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// Sends what the socket takes now. Returns the number of bytes taken, or why the client departs.
pub(super) fn send_some(socket: &OwnedFd, bytes: &[u8]) -> Result<usize, Departure> {
    send_with(socket, bytes, SendFlags::empty())
}

/// Sends the last bytes of a response. The kernel keeps them until [`end`] closes our side, and sends both together.
/// So the client sees the end of the response and of the connection at once, and sends no request in between.
pub(super) fn send_last(socket: &OwnedFd, bytes: &[u8]) -> Result<usize, Departure> {
    send_with(socket, bytes, SendFlags::MORE)
}

fn send_with(socket: &OwnedFd, bytes: &[u8], flags: SendFlags) -> Result<usize, Departure> {
    loop {
        match send(socket, bytes, flags | SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(taken) => return Ok(taken),
            Err(Errno::AGAIN) => return Ok(0),
            Err(Errno::INTR) => {}
            Err(error) => return Err(gone(error)),
        }
    }
}

/// Why a client departs after a socket error. `ETIMEDOUT` is the effect of `TCP_USER_TIMEOUT`. On a quiet stream it
/// is the only sign of a stalled client, because the few bytes sent to it fit into the send buffer.
pub(super) fn gone(error: Errno) -> Departure {
    if error == Errno::TIMEDOUT { Departure::Stalled } else { Departure::Left }
}

/// Reads what a client sent and passes it to `said`. An error says why the client departs. A client that sent more
/// than `most` bytes is taken for gone.
pub(super) fn receive(
    socket: &OwnedFd,
    most: usize,
    mut said: impl FnMut(&mut [u8]) -> Result<(), Departure>,
) -> Result<(), Departure> {
    let mut buffer = [0_u8; 4096];
    let mut received = 0;
    loop {
        match recv(socket, &mut buffer[..], RecvFlags::DONTWAIT) {
            Ok((_, 0)) => return Err(Departure::Left),
            Ok((_, n)) => {
                received += n;
                said(buffer.get_mut(..n).unwrap_or_default())?;
            }
            Err(Errno::AGAIN) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(gone(error)),
        }
        if received > most {
            return Err(Departure::Left);
        }
    }
}

/// Closes our side of a connection in an orderly way.
pub(super) fn end(socket: impl AsFd, framing: Framing) {
    if framing == Framing::UntilClose {
        end_on_close(&socket);
    }
    if let Err(error) = shutdown(socket, Shutdown::Write) {
        log::trace!("cannot close our side of a connection: {error}");
    }
}

/// Makes the kernel close the connection when the client acknowledges nothing for `stall`. `None` restores the
/// kernel's default, about 15 minutes.
///
/// The kernel misjudges a client that reads slowly. It sends data in pieces. A client that reads in small steps may
/// have a receive window that is too small for a whole piece. The kernel counts the time in which it waits for the
/// window as time without an answer.
pub fn limit_stall(socket: impl AsFd, stall: Option<Duration>) {
    // This fails on a Unix socket, whose peer cannot vanish.
    if let Err(error) = sockopt::set_tcp_user_timeout(socket, stall_millis(stall)) {
        log::trace!("cannot set TCP_USER_TIMEOUT: {error}");
    }
}

/// The same time as the kernel counts it, in milliseconds. 0: no time is said.
pub(super) fn stall_millis(stall: Option<Duration>) -> u32 {
    stall.map_or(0, |stall| u32::try_from(stall.as_millis()).unwrap_or(u32::MAX))
}

/// Makes the close of the socket a reset. A reset frees at once the bytes that a stalled client did not take. A response
/// that ends with its connection does not look complete after a reset.
pub fn reset_on_close(socket: impl AsFd) {
    set_linger(socket, Some(Duration::ZERO));
}

/// Makes the close of the socket an orderly one, in case it was to be a reset.
pub fn end_on_close(socket: impl AsFd) {
    set_linger(socket, None);
}

fn set_linger(socket: impl AsFd, linger: Option<Duration>) {
    if let Err(error) = sockopt::set_socket_linger(socket, linger) {
        log::debug!("cannot set SO_LINGER: {error}");
    }
}
