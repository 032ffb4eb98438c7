//! Sends to many clients: through io_uring if it is there, or else with a call for each client.
//!
//! ```text
//!   ─▶ Ring ── the kernel refuses to serve the ring ──▶ Loop
//! ```

use super::ring::{Broken, Ring};
use super::sending::{gone, send_some};

pub(super) use super::ring::Piece;
use crate::hub::Departure;
use rustix::io::Errno;
use std::io;

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

/// A client that did not take all of its bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stopped<C> {
    /// What the caller calls the client.
    pub(super) client: C,
    /// The number of bytes that it took, or why it departs.
    pub(super) taken: Result<usize, Departure>,
}

/// Sends to many clients. The batches of passes and heartbeats are sent here.
#[derive(Debug, Default)]
pub(super) struct Sender {
    /// `None`: each client is sent to with a call of its own.
    ring: Option<Ring>,
    /// How often it was called.
    #[cfg(test)]
    pub(super) calls: usize,
}

impl Sender {
    /// A sender for the calling thread.
    pub(super) fn new(sending: Sending) -> Self {
        let ring = match sending {
            Sending::Ring => Ring::new().inspect_err(|why| log::warn!("a shard sends without io_uring: {why}")).ok(),
            Sending::Loop => None,
        };
        Self {
            ring,
            #[cfg(test)]
            calls: 0,
        }
    }

    /// Sends each piece, of which there are at most some hundred, to its client. No two are for the same client. When
    /// it returns, all sends are done. Returns the clients that did not take all of theirs.
    pub(super) fn send_to_each<'a, C: Copy>(
        &mut self,
        pieces: impl Iterator<Item = (C, Piece<'a>)>,
    ) -> Vec<Stopped<C>> {
        #[cfg(test)]
        {
            self.calls += 1;
        }
        let mut stopped = Vec::new();
        let mut answered = |client, piece: &Piece<'_>, taken| {
            if taken != Ok(piece.bytes.len()) {
                stopped.push(Stopped { client, taken });
            }
        };
        let send = |piece: &Piece<'_>| send_some(piece.socket, piece.bytes);
        let Some(ring) = &mut self.ring else {
            pieces.for_each(|(client, piece)| answered(client, &piece, send(&piece)));
            return stopped;
        };
        let (clients, pieces): (Vec<_>, Vec<_>) = pieces.unzip();
        let sent = ring.send(&pieces, |index, taken| {
            let (Some(client), Some(piece)) = (clients.get(index), pieces.get(index)) else { return };
            let taken = match taken {
                Ok(taken) => Ok(taken),
                Err(Errno::AGAIN) => Ok(0),
                Err(Errno::INTR) => send(piece),
                Err(error) => Err(gone(error)),
            };
            answered(*client, piece, taken);
        });
        if let Err(Broken { from, why }) = sent {
            log::error!("io_uring failed, the shard sends without it from now on: {why}");
            self.ring = None;
            let not_sent = clients.iter().zip(&pieces).skip(from);
            not_sent.for_each(|(client, piece)| answered(*client, piece, send(piece)));
        }
        stopped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use std::io::Read;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    /// A sender of each kind that there is here.
    fn senders() -> Vec<Sender> {
        let broken = Sender { ring: Some(Ring::broken()), ..Sender::default() };
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
            let pieces = ours.iter().map(|socket| Piece { socket, bytes: &batch });
            let stopped = sender.send_to_each(('a'..).zip(pieces));
            let expected = [('b', Ok(0)), ('c', Err(Departure::Left))];
            let expected: Vec<_> = expected.map(|(client, taken)| Stopped { client, taken }).into();
            assert_eq!(stopped, expected, "{sender:?}");
            let mut read = vec![0; batch.len()];
            theirs[0].read_exact(&mut read).unwrap();
            assert_eq!(read, batch);
            theirs[0].set_nonblocking(true).unwrap();
            assert!(theirs[0].read(&mut read).is_err(), "it is sent once");
        }
    }
}
