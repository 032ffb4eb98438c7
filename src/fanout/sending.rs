//! The engine's calls to the kernel.

use super::client::Client;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown, sockopt};
use slab::Slab;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

/// A client that did not take all of what it was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopped {
    pub(super) key: u32,
    /// The bytes that it took; `None`: it is gone.
    pub(super) taken: Option<usize>,
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
        if taken != Some(bytes.len()) {
            stopped.push(Stopped { key, taken });
        }
    }
}

/// Sends what the socket takes now, and says how many bytes that was; `None`: the client is gone.
pub(super) fn send_some(socket: &OwnedFd, bytes: &[u8]) -> Option<usize> {
    loop {
        match send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(taken) => return Some(taken),
            Err(Errno::AGAIN) => return Some(0),
            Err(Errno::INTR) => {}
            Err(_) => return None,
        }
    }
}

/// What a client's side of the connection says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// So many bytes, and nothing more for now.
    Bytes(usize),
    /// More than was asked for.
    TooMuch,
    /// Its end, or that the connection is broken.
    End,
}

/// Reads and drops what a client sends, up to `most` bytes.
pub(super) fn hear(socket: &OwnedFd, most: usize) -> Heard {
    let mut dropped = [0_u8; 4096];
    let mut heard = 0;
    loop {
        match recv(socket, &mut dropped[..], RecvFlags::DONTWAIT) {
            Ok((_, 0)) => return Heard::End,
            Ok((_, n)) => heard += n,
            Err(Errno::AGAIN) => return Heard::Bytes(heard),
            Err(Errno::INTR) => {}
            Err(_) => return Heard::End,
        }
        if heard > most {
            return Heard::TooMuch;
        }
    }
}

/// Ends our side of a connection.
pub(super) fn end(socket: &OwnedFd) {
    if let Err(error) = shutdown(socket, Shutdown::Write) {
        log::trace!("client gone before its end: {error}");
    }
}

/// Makes the coming close a reset: what a stalled client did not take is freed at once.
pub(super) fn reset_on_close(socket: &OwnedFd) {
    if let Err(error) = sockopt::set_socket_linger(socket.as_fd(), Some(Duration::ZERO)) {
        log::debug!("cannot reset a stalled client: {error}");
    }
}
