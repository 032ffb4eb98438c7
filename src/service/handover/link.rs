//! The way between two processes: messages, and descriptors beside them.
//!
//! A message is a head of eight bytes, and then its content. The descriptors go with the head.

use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// The most descriptors beside a message. The kernel takes 253.
pub(super) const MOST_DESCRIPTORS: usize = 128;

/// The most bytes of a message.
const MOST_BYTES: usize = 1 << 30;

/// Few messages are longer. Room for a longer one is made as it comes, because only its head says how long it is.
const USUAL_BYTES: usize = 1 << 18;

/// How long the other process may take for a message.
const PATIENCE: Duration = Duration::from_secs(10);

/// One end of the way.
#[derive(Debug)]
pub(in crate::service) struct Link(UnixStream);

impl Link {
    pub(in crate::service) fn over(socket: OwnedFd) -> io::Result<Self> {
        let socket = UnixStream::from(socket);
        socket.set_nonblocking(false)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(socket))
    }

    /// The other process may take so long for its first message.
    pub(in crate::service) fn wait_for(&self, patience: Duration) -> io::Result<()> {
        self.0.set_read_timeout(Some(patience))
    }

    /// Waits for the first byte, and leaves it there. `None`: the other process has closed its end.
    pub(in crate::service) fn first_byte(&self) -> io::Result<Option<u8>> {
        let mut byte = [0];
        let (came, _) = rustix::net::recv(&self.0, &mut byte[..], RecvFlags::PEEK)?;
        let [byte] = byte;
        Ok((came > 0).then_some(byte))
    }

    /// Nothing more is sent. The other process may still say something.
    pub(super) fn finish(&self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }

    /// Sends a message, and descriptors beside it.
    pub(super) fn send(&self, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let bytes = u32::try_from(message.len()).map_err(io::Error::other)?;
        let count = u32::try_from(descriptors.len()).map_err(io::Error::other)?;
        let mut head = [0; 8];
        let (first, second) = head.split_at_mut(4);
        first.copy_from_slice(&bytes.to_be_bytes());
        second.copy_from_slice(&count.to_be_bytes());
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut beside = SendAncillaryBuffer::new(&mut room);
        let is_too_many = descriptors.len() > MOST_DESCRIPTORS;
        if is_too_many || !descriptors.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(io::Error::other("too many descriptors for a message"));
        }
        let sent = loop {
            match sendmsg(&self.0, &[IoSlice::new(&head)], &mut beside, SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                sent => break sent?,
            }
        };
        // The head is smaller than any buffer of a socket, so it goes whole.
        if sent != head.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        (&self.0).write_all(message)
    }

    /// The next message, and the descriptors beside it. `None`: the other process has closed its end.
    pub(super) fn receive(&self) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
        let (mut head, mut descriptors) = ([0; 8], Vec::new());
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST_DESCRIPTORS))];
        let mut beside = RecvAncillaryBuffer::new(&mut room);
        let came = loop {
            match recvmsg(&self.0, &mut [IoSliceMut::new(&mut head)], &mut beside, RecvFlags::CMSG_CLOEXEC) {
                Err(Errno::INTR) => {}
                came => break came?.bytes,
            }
        };
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        if came == 0 {
            return Ok(None);
        }
        let (_, rest) = head.split_at_mut(came);
        (&self.0).read_exact(rest)?;
        let [a, b, c, d, e, f, g, h] = head;
        let (bytes, count) = (u32::from_be_bytes([a, b, c, d]) as usize, u32::from_be_bytes([e, f, g, h]) as usize);
        if bytes > MOST_BYTES || count != descriptors.len() {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut message = Vec::with_capacity(bytes.min(USUAL_BYTES));
        (&self.0).take(bytes as u64).read_to_end(&mut message)?;
        if message.len() < bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some((message, descriptors)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    fn pair() -> (Link, Link) {
        let (one, other) = UnixStream::pair().unwrap();
        (Link::over(one.into()).unwrap(), Link::over(other.into()).unwrap())
    }

    #[test]
    fn messages_of_any_length_arrive_with_their_descriptors() {
        let (one, other) = pair();
        let (sockets, theirs): (Vec<_>, Vec<_>) = (0..MOST_DESCRIPTORS).map(|_| UnixStream::pair().unwrap()).unzip();
        let sender = std::thread::spawn(move || {
            one.send(b"", &[]).unwrap();
            let all: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
            one.send(&vec![7; 3 << 20], &all).unwrap();
            one.send(b"last", &all[..1]).unwrap();
            let more = [all[0]; MOST_DESCRIPTORS + 1];
            assert!(one.send(b"x", &more).is_err());
        });
        assert_eq!(other.receive().unwrap().unwrap().0, b"");
        let (message, descriptors) = other.receive().unwrap().unwrap();
        assert_eq!((message.len(), descriptors.len()), (3 << 20, MOST_DESCRIPTORS));
        for (n, (descriptor, mut their)) in descriptors.into_iter().zip(theirs).enumerate() {
            UnixStream::from(descriptor).write_all(&[u8::try_from(n).unwrap()]).unwrap();
            let mut said = [0];
            their.read_exact(&mut said).unwrap();
            assert_eq!(usize::from(said[0]), n);
        }
        let (message, descriptors) = other.receive().unwrap().unwrap();
        assert_eq!((&message[..], descriptors.len()), (&b"last"[..], 1));
        sender.join().unwrap();
        assert!(other.receive().unwrap().is_none(), "the end");
    }

    #[test]
    fn a_message_that_breaks_off_or_is_too_long_is_an_error() {
        for wire in [&b"\0\0"[..], b"\0\0\0\x05\0\0\0\0abc", b"\xff\xff\xff\xff\0\0\0\0", b"\0\0\0\0\0\0\0\x01"] {
            let (one, other) = UnixStream::pair().unwrap();
            (&one).write_all(wire).unwrap();
            drop(one);
            assert!(Link::over(other.into()).unwrap().receive().is_err(), "{wire:?}");
        }
    }
}
