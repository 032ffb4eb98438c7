//! Sends the same bytes to many clients: through io_uring if it is there, or else with a call for each client.
//!
//! ```text
//!   ─▶ Ring ── the kernel refuses to serve the ring ──▶ Loop
//! ```

use super::keys::ClientKey;
use super::ring::{Broken, Piece, Ring};
use super::sending::{gone, send_some};
use crate::hub::Departure;
use bytes::Bytes;
use rustix::io::Errno;
use std::io;
use std::os::fd::OwnedFd;

/// The system calls by which a shard sends to many clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// `io_uring_enter` for many clients at once.
    Ring,
    /// `send` for each client.
    Loop,
}

impl Sending {
    /// Finds out whether this process can send through io_uring.
    ///
    /// # Errors
    /// When it cannot: the kernel is older than Linux 6.1, or forbids io_uring to the process, as it does in many
    /// containers.
    pub fn by_ring() -> io::Result<Self> {
        Ring::new().map(|_| Self::Ring)
    }
}

/// A client that did not take a whole batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stopped {
    pub(super) key: ClientKey,
    /// The number of bytes that it took, or why it departs.
    pub(super) taken: Result<usize, Departure>,
}

/// Sends one batch to many clients. Every send of the same bytes to many clients is made here: the batches of passes,
/// and heartbeats.
#[derive(Debug, Default)]
pub(super) struct Sender {
    /// `None`: each client is sent to with a call of its own.
    ring: Option<Ring>,
}

impl Sender {
    /// A sender for the calling thread.
    pub(super) fn new(sending: Sending) -> Self {
        let ring = match sending {
            Sending::Ring => Ring::new().inspect_err(|why| log::warn!("a shard sends without io_uring: {why}")).ok(),
            Sending::Loop => None,
        };
        Self { ring }
    }

    /// Sends `batch` to each of `sockets`, which is a slice of at most some hundred. When it returns, all sends are
    /// done. Returns the clients that did not take all of it.
    pub(super) fn send_to_each<'a>(
        &mut self,
        sockets: impl Iterator<Item = (ClientKey, &'a OwnedFd)>,
        batch: &Bytes,
    ) -> Vec<Stopped> {
        let mut stopped = Vec::new();
        let mut answered = |key, taken| {
            if taken != Ok(batch.len()) {
                stopped.push(Stopped { key, taken });
            }
        };
        let Some(ring) = &mut self.ring else {
            sockets.for_each(|(key, socket)| answered(key, send_some(socket, batch)));
            return stopped;
        };
        let sockets: Vec<_> = sockets.collect();
        let pieces: Vec<_> = sockets.iter().map(|(_, socket)| Piece { socket, bytes: batch }).collect();
        let sent = ring.send(&pieces, |index, taken| {
            let Some((key, socket)) = sockets.get(index) else { return };
            let taken = match taken {
                Ok(taken) => Ok(taken),
                Err(Errno::AGAIN) => Ok(0),
                Err(Errno::INTR) => send_some(socket, batch),
                Err(error) => Err(gone(error)),
            };
            answered(*key, taken);
        });
        if let Err(Broken { from, why }) = sent {
            log::error!("io_uring failed, the shard sends without it from now on: {why}");
            self.ring = None;
            sockets.iter().skip(from).for_each(|(key, socket)| answered(*key, send_some(socket, batch)));
        }
        stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fanout::keys::Key;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    /// A sender of each kind that there is here.
    fn senders() -> Vec<Sender> {
        let broken = Sender { ring: Some(Ring::broken()) };
        let kinds = [Ok(Sending::Loop), Sending::by_ring()];
        kinds.into_iter().flatten().map(Sender::new).chain([broken]).collect()
    }

    #[test]
    fn those_that_do_not_take_all_are_returned_whatever_sends() {
        for mut sender in senders() {
            let batch = Bytes::from(vec![b'x'; 1 << 10]);
            let (ours, mut theirs): (Vec<_>, Vec<_>) = (0..3).map(|_| UnixStream::pair().unwrap()).unzip();
            let ours: Vec<OwnedFd> = ours.into_iter().map(OwnedFd::from).collect();
            while send_some(&ours[1], &batch).unwrap() > 0 {}
            drop(theirs.remove(2));
            let sockets = (0..).map(ClientKey::of).zip(&ours);
            let stopped = sender.send_to_each(sockets, &batch);
            let expected = [(1, Ok(0)), (2, Err(Departure::Left))];
            let expected: Vec<_> = expected.map(|(key, taken)| Stopped { key: ClientKey::of(key), taken }).into();
            assert_eq!(stopped, expected, "{sender:?}");
            let mut read = vec![0; batch.len()];
            theirs[0].read_exact(&mut read).unwrap();
            assert_eq!(read, batch);
            theirs[0].set_nonblocking(true).unwrap();
            assert!(theirs[0].read(&mut read).is_err(), "it is sent once");
        }
    }
}
