//! Sends to many clients: through io_uring if it is there, or else with a call for each client.
//!
//! ```text
//!   ─▶ Ring ── the kernel refuses to serve the ring ──▶ Loop
//! ```

use super::link::{Link, Manner, Taken};
use super::ring::{self, Broken, Ring};
use super::sending::{gone, send_some};
use crate::hub::Departure;
use crate::tls::Sealed;
use bytes::Bytes;
use rustix::io::Errno;
use std::io;
use std::ops::Range;

/// The number of sealed bytes at which those who get them are sent to before more is sealed. They are still in the
/// processor's cache then.
const MOST_SEALED_BYTES: usize = 128 << 10;

/// The room for sealed bytes that is kept. A wave of small events fits into it.
const KEPT_BYTES: usize = 96 << 10;

/// Bytes for a client.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) link: &'a Link,
    pub(super) bytes: &'a Bytes,
}

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
    /// Where bytes are sealed before they are sent.
    scratch: Vec<u8>,
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
            scratch: Vec::new(),
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
        if self.ring.is_none() {
            pieces.for_each(|(client, piece)| stopped.extend(self.send_one(client, piece, 0)));
            return stopped;
        }
        let pieces: Vec<_> = pieces.collect();
        let mut rest = &pieces[..];
        while self.ring.is_some() && !rest.is_empty() {
            rest = self.send_by_ring(rest, &mut stopped);
        }
        // The ring has failed.
        rest.iter().for_each(|(client, piece)| stopped.extend(self.send_one(*client, *piece, 0)));
        stopped
    }

    /// Sends a client what its socket takes now. Returns why it departs if it does.
    pub(super) fn send(&mut self, link: &Link, manner: Manner, bytes: &[u8]) -> Result<Taken, Departure> {
        let taken = link.send(manner, bytes, &mut self.scratch);
        self.shrink();
        taken
    }

    /// Sends a client what follows the first `from` bytes, which it took.
    fn send_one<C>(&mut self, client: C, piece: Piece<'_>, from: usize) -> Option<Stopped<C>> {
        match self.send(piece.link, Manner::Now, piece.bytes.get(from..).unwrap_or_default()) {
            Ok(taken) if !taken.is_cut_short => None,
            Ok(taken) => Some(Stopped { client, taken: Ok(from + taken.bytes) }),
            Err(departure) => Some(Stopped { client, taken: Err(departure) }),
        }
    }

    /// Sends pieces through the ring, as many as are sealed at a time. Returns the pieces after them.
    fn send_by_ring<'p, 'a, C: Copy>(
        &mut self,
        pieces: &'p [(C, Piece<'a>)],
        stopped: &mut Vec<Stopped<C>>,
    ) -> &'p [(C, Piece<'a>)] {
        let (count, sealed) = self.seal(pieces);
        let (pieces, later) = pieces.split_at(count);
        let all = Bytes::from(std::mem::take(&mut self.scratch));
        let wire: Vec<Bytes> = sealed.iter().map(|(_, range, _)| all.slice(range.clone())).collect();
        let (mut next, nothing) = (wire.iter(), Bytes::new());
        // What is not sealed must not be sent over TLS, so a channel without sealed bytes gets none.
        let of_link = |(_, piece): &(C, Piece<'a>)| -> ring::Piece<'_> {
            let is_plain = piece.link.channel().is_none();
            let bytes = if is_plain { piece.bytes } else { next.next().unwrap_or(&nothing) };
            ring::Piece { socket: piece.link.socket(), bytes }
        };
        let on_wire: Vec<_> = pieces.iter().map(of_link).collect();
        let mut unfinished = Vec::new();
        let mut answered = |index: usize, taken: Result<usize, Departure>| {
            let (Some((client, piece)), Some(ring::Piece { bytes, .. })) = (pieces.get(index), on_wire.get(index))
            else {
                return;
            };
            let is_cut_short = taken != Ok(bytes.len());
            let taken = match (taken, piece.link.channel()) {
                (Ok(taken), Some(mut channel)) => {
                    let found = sealed.binary_search_by_key(&index, |(index, ..)| *index);
                    let Some((_, _, sealed)) = found.ok().and_then(|place| sealed.get(place)) else { return };
                    Ok(channel.settle(*sealed, bytes, taken))
                }
                (taken, _) => taken,
            };
            match taken {
                Ok(taken) if !is_cut_short => {
                    if taken < piece.bytes.len() {
                        unfinished.push((*client, *piece, taken));
                    }
                }
                taken => stopped.push(Stopped { client: *client, taken }),
            }
        };
        let by_itself = |piece: &ring::Piece<'_>| send_some(piece.socket, piece.bytes);
        let Some(ring) = &mut self.ring else { return later };
        let sent = ring.send(&on_wire, |index, taken| {
            let taken = match taken {
                Ok(taken) => Ok(taken),
                Err(Errno::AGAIN) => Ok(0),
                Err(Errno::INTR) => on_wire.get(index).map_or(Ok(0), by_itself),
                Err(error) => Err(gone(error)),
            };
            answered(index, taken);
        });
        if let Err(Broken { from, why }) = sent {
            log::error!("io_uring failed, the shard sends without it from now on: {why}");
            self.ring = None;
            on_wire.iter().enumerate().skip(from).for_each(|(index, piece)| answered(index, by_itself(piece)));
        }
        drop(on_wire);
        drop(wire);
        // It is the same memory, unless the ring failed and left some of it to the kernel.
        self.scratch = Vec::from(all);
        self.shrink();
        for (client, piece, taken) in unfinished {
            stopped.extend(self.send_one(client, piece, taken));
        }
        later
    }

    /// Seals what goes over TLS, up to some size. Returns the number of pieces that can be sent then. For each that was
    /// sealed there is its index, its place in the scratch, and what to settle.
    fn seal<C>(&mut self, pieces: &[(C, Piece<'_>)]) -> (usize, Vec<(usize, Range<usize>, Sealed)>) {
        let mut sealed = Vec::new();
        self.scratch.clear();
        for (index, (_, piece)) in pieces.iter().enumerate() {
            let Some(mut channel) = piece.link.channel() else { continue };
            if self.scratch.len() >= MOST_SEALED_BYTES {
                return (index, sealed);
            }
            let from = self.scratch.len();
            let what = channel.seal(piece.bytes, &mut self.scratch);
            sealed.push((index, from..self.scratch.len(), what));
        }
        (pieces.len(), sealed)
    }

    /// Frees the scratch if it is large.
    fn shrink(&mut self) {
        if self.scratch.capacity() > KEPT_BYTES {
            self.scratch = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
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
            let ours: Vec<Link> = ours.into_iter().map(|socket| Link::new(socket.into(), None)).collect();
            while send_some(ours[1].socket(), &batch).unwrap() > 0 {}
            drop(theirs.remove(2));
            let pieces = ours.iter().map(|link| Piece { link, bytes: &batch });
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
