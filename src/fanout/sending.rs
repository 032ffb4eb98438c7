//! The engine's calls to the kernel.

use super::batch::Framing;
use super::client::Client;
use crate::hub::Departure;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};
use slab::Slab;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// A client that did not take all of what it was sent.
#[derive(Debug)]
pub(super) struct Stopped {
    pub(super) key: u32,
    /// The bytes that it took, or how it is gone.
    pub(super) taken: Result<usize, Departure>,
}

/// Sends one batch to many clients, each in one call; adds those to `stopped` that did not take all of it.
///
/// The one place that does: whatever can submit many sends at once would go here.
pub(super) fn send_to_each(
    clients: &Slab<Client>,
    keys: impl Iterator<Item = u32>,
    bytes: &[u8],
    stopped: &mut Vec<Stopped>,
) {
    for key in keys {
        let Some(client) = clients.get(key as usize) else { continue };
        let taken = send_some(&client.socket, bytes);
        if taken != Ok(bytes.len()) {
            stopped.push(Stopped { key, taken });
        }
    }
}

/// Sends what the socket takes now, and says how many bytes that was, or how the client is gone.
pub(super) fn send_some(socket: &OwnedFd, bytes: &[u8]) -> Result<usize, Departure> {
    send_with(socket, bytes, SendFlags::empty())
}

/// As [`send_some`], of the last bytes: they wait for [`end`] to go out together with it. A client that would use its
/// connection again then finds it closed, and not between the two.
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

/// How a client is gone. The kernel's word after `TCP_USER_TIMEOUT` is the first that is heard of one that stalls on a quiet
/// stream: what it does not take fits into its send buffer.
fn gone(error: Errno) -> Departure {
    if error == Errno::TIMEDOUT { Departure::Stalled } else { Departure::Left }
}

/// Reads what a client sends; an error is how the client is gone. One that sends more than `most` is no client.
pub(super) fn hear(socket: &OwnedFd, most: usize, mut said: impl FnMut(&[u8])) -> Result<(), Departure> {
    let mut buffer = [0_u8; 4096];
    let mut heard = 0;
    loop {
        match recv(socket, &mut buffer[..], RecvFlags::DONTWAIT) {
            Ok((_, 0)) => return Err(Departure::Left),
            Ok((_, n)) => {
                heard += n;
                said(buffer.get(..n).unwrap_or_default());
            }
            Err(Errno::AGAIN) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(gone(error)),
        }
        if heard > most {
            return Err(Departure::Left);
        }
    }
}

/// Ends our side of a connection in an orderly way.
pub(super) fn end(socket: &OwnedFd, framing: Framing) {
    if framing == Framing::UntilClose {
        set_linger(socket, None);
    }
    if let Err(error) = shutdown(socket, Shutdown::Write) {
        log::trace!("client gone before its end: {error}");
    }
}

/// Has the kernel give a client up when it acknowledged nothing for `stall`; `None`: when it has done so for very long. The
/// kernel is wrong about one that takes what is on its way in small steps: while no piece that it has queued fits into the
/// window of the other side, it takes the whole time for one without an answer.
pub fn limit_stall(socket: impl AsFd, stall: Option<Duration>) {
    let millis = stall.map_or(0, |stall| u32::try_from(stall.as_millis()).unwrap_or(u32::MAX));
    // Fails on a Unix socket, whose peer cannot vanish.
    if let Err(error) = sockopt::set_tcp_user_timeout(socket, millis) {
        log::trace!("no TCP_USER_TIMEOUT: {error}");
    }
}

/// Makes the coming close a reset: what a stalled client did not take is freed at once, and what is framed until its
/// connection ends does not look whole.
pub(super) fn reset_on_close(socket: &OwnedFd) {
    set_linger(socket, Some(Duration::ZERO));
}

fn set_linger(socket: &OwnedFd, linger: Option<Duration>) {
    if let Err(error) = sockopt::set_socket_linger(socket.as_fd(), linger) {
        log::debug!("cannot say how a connection is to be closed: {error}");
    }
}
