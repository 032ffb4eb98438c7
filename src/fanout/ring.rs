//! Sends to many sockets with one system call, through io_uring.
//!
//! ```text
//!   pieces ──▶ submission queue ── one io_uring_enter ──▶ the kernel sends each ──▶ completion queue ──▶ answers
//! ```
//!
//! The kernel treats a send with `MSG_DONTWAIT` like the system call `send`: it neither waits for the socket nor leaves
//! the send to another thread. So every send is answered when the submission returns. The saving is the entry into the
//! kernel for each send.
#![allow(unsafe_code, reason = "the kernel reads the bytes of a send through a pointer")]

use bytes::Bytes;
use io_uring::{IoUring, Probe, opcode, types};
use rustix::io::Errno;
use rustix::net::SendFlags;
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// The number of sends that one system call submits.
const ENTRIES: usize = 128;

/// How often in a row the kernel may refuse a submission for want of memory. After that the ring is given up.
const TRIES: usize = 8;

/// Bytes for a socket.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) socket: &'a OwnedFd,
    pub(super) bytes: &'a Bytes,
}

/// A ring. It is made and used by one thread. `None`: the kernel refused to serve it.
pub(super) struct Ring(Option<IoUring>);

/// The kernel takes no more submissions from this ring.
#[derive(Debug)]
pub(super) struct Broken {
    /// The pieces from this one on were not sent. Those before it have their answers.
    pub(super) from: usize,
    pub(super) why: io::Error,
}

impl Ring {
    /// A ring for the calling thread.
    ///
    /// # Errors
    /// When the kernel has no io_uring of this kind, which came with Linux 6.1, or does not let the process use it.
    /// Containers often forbid it.
    pub(super) fn new() -> io::Result<Self> {
        let mut builder = IoUring::builder();
        builder.dontfork().setup_single_issuer().setup_defer_taskrun().setup_submit_all();
        let ring = builder.build(u32::try_from(ENTRIES).unwrap_or(u32::MAX))?;
        let mut probe = Probe::new();
        ring.submitter().register_probe(&mut probe)?;
        if probe.is_supported(opcode::Send::CODE) { Ok(Self(Some(ring))) } else { Err(Errno::OPNOTSUPP.into()) }
    }

    /// Sends each piece to its socket, as far as the socket takes it now. Calls `answered` for each piece with its index
    /// and with what `send` would return.
    ///
    /// # Errors
    /// When the kernel takes no more submissions.
    pub(super) fn send(
        &mut self,
        pieces: &[Piece<'_>],
        mut answered: impl FnMut(usize, Result<usize, Errno>),
    ) -> Result<(), Broken> {
        for (number, chunk) in pieces.chunks(ENTRIES).enumerate() {
            let first = number * ENTRIES;
            let sent = self.submit(chunk, |index, taken| answered(first + index, taken));
            sent.map_err(|Broken { from, why }| Broken { from: first + from, why })?;
        }
        Ok(())
    }

    /// Sends at most [`ENTRIES`] pieces.
    fn submit(
        &mut self,
        pieces: &[Piece<'_>],
        mut answered: impl FnMut(usize, Result<usize, Errno>),
    ) -> Result<(), Broken> {
        let Some(ring) = &mut self.0 else { return Err(Broken { from: 0, why: Errno::NXIO.into() }) };
        let mut queue = ring.submission();
        for (index, Piece { socket, bytes }) in pieces.iter().enumerate() {
            let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            let send = opcode::Send::new(types::Fd(socket.as_raw_fd()), bytes.as_ptr(), length)
                .flags((SendFlags::DONTWAIT | SendFlags::NOSIGNAL).bits().cast_signed())
                .build()
                .user_data(index as u64);
            // SAFETY: The bytes must be valid until the send is answered. This function returns before that only when it
            // gives the ring up. Then a send that was not taken is never made, and the bytes of the others are leaked.
            let pushed = unsafe { queue.push(&send) };
            debug_assert!(pushed.is_ok(), "each submission leaves the queue empty");
        }
        drop(queue);
        // A bit for each piece that has no answer.
        let mut missing = pieces.iter().fold(0_u128, |bits, _| bits << 1 | 1);
        let mut refusals = 0;
        while missing != 0 {
            let submitted = ring.submit_and_wait(missing.count_ones() as usize);
            for answer in ring.completion() {
                missing &= !(1 << answer.user_data());
                let index = usize::try_from(answer.user_data()).unwrap_or(usize::MAX);
                answered(index, taken(answer.result()));
            }
            match submitted {
                Ok(_) => refusals = 0,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) if refusals < TRIES => refusals += 1,
                Err(why) => {
                    let from = pieces.len().saturating_sub(ring.submission().len());
                    self.0 = None;
                    for (index, piece) in pieces.iter().enumerate().take(from).filter(|(n, _)| missing >> n & 1 == 1) {
                        std::mem::forget(piece.bytes.clone());
                        answered(index, Err(Errno::IO));
                    }
                    return Err(Broken { from, why });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
impl Ring {
    /// A ring that the kernel does not serve any more.
    pub(super) fn broken() -> Self {
        Self(None)
    }
}

/// The answer to a send, as the system call would return it.
fn taken(result: i32) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno::from_raw_os_error(result.saturating_neg()))
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Ring").field(&self.0.is_some()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    /// What the ring answers, and what the system call answers for sockets in the same state.
    fn both(prepare: impl Fn(&UnixStream), bytes: &Bytes) -> [Result<usize, Errno>; 2] {
        let (one, _theirs) = UnixStream::pair().unwrap();
        let (other, _others) = UnixStream::pair().unwrap();
        prepare(&one);
        prepare(&other);
        let (one, other) = (OwnedFd::from(one), OwnedFd::from(other));
        let mut answers = Vec::new();
        let piece = Piece { socket: &one, bytes };
        Ring::new().unwrap().send(&[piece], |_, taken| answers.push(taken)).unwrap();
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        [answers.remove(0), rustix::net::send(&other, bytes, flags)]
    }

    #[test]
    fn every_socket_gets_its_piece_in_order() {
        let Ok(mut ring) = Ring::new() else { return };
        let n = 2 * ENTRIES + 3;
        let (ours, theirs): (Vec<_>, Vec<_>) = (0..n).map(|_| UnixStream::pair().unwrap()).unzip();
        let ours: Vec<OwnedFd> = ours.into_iter().map(OwnedFd::from).collect();
        let texts: Vec<Bytes> = (0..n).map(|n| Bytes::from(format!("{n} "))).collect();
        for _ in 0..2 {
            let mut taken = vec![None; n];
            let pieces: Vec<_> = ours.iter().zip(&texts).map(|(socket, bytes)| Piece { socket, bytes }).collect();
            ring.send(&pieces, |index, answer| taken[index] = Some(answer)).unwrap();
            assert!(texts.iter().zip(taken).all(|(text, taken)| taken == Some(Ok(text.len()))));
        }
        drop(ours);
        for (text, mut client) in texts.iter().zip(theirs) {
            let mut read = Vec::new();
            client.read_to_end(&mut read).unwrap();
            assert_eq!(read, [&text[..], &text[..]].concat());
        }
    }

    #[test]
    fn the_answers_are_those_of_the_system_call() {
        let fill = |socket: &UnixStream| {
            socket.set_nonblocking(true).unwrap();
            while (&*socket).write_all(&[0; 4096]).is_ok() {}
            socket.set_nonblocking(false).unwrap();
        };
        let small = Bytes::from_static(b"data: 1\n\n");
        if Ring::new().is_err() {
            return;
        }
        for (answers, expected) in [
            (both(|_| {}, &small), Ok(small.len())),
            (both(fill, &small), Err(Errno::AGAIN)),
            (both(|socket| socket.shutdown(std::net::Shutdown::Both).unwrap(), &small), Err(Errno::PIPE)),
        ] {
            assert_eq!(answers, [expected; 2]);
        }
        let large = Bytes::from(vec![b'x'; 4 << 20]);
        let [ring, call] = both(|_| {}, &large);
        assert_eq!(ring, call);
        assert!(ring.is_ok_and(|taken| taken > 0 && taken < large.len()), "a part is taken: {ring:?}");
    }

    #[test]
    fn nothing_to_send_needs_no_call() {
        let Ok(mut ring) = Ring::new() else { return };
        ring.send(&[], |_, _| panic!("no answer")).unwrap();
    }

    #[test]
    fn a_ring_that_was_given_up_sends_nothing() {
        let (socket, _client) = UnixStream::pair().unwrap();
        let (socket, bytes) = (OwnedFd::from(socket), Bytes::from_static(b"a"));
        let broken = Ring::broken().send(&[Piece { socket: &socket, bytes: &bytes }], |_, _| panic!("no answer"));
        assert_eq!(broken.unwrap_err().from, 0);
    }
}
