//! A client's connection: its socket, and the channel through which everything goes if it is TLS.

use super::sending::{gone, receive, send_last, send_some};
use super::strays::Strays;
use crate::hub::{Departure, Feed, Kept};
use crate::tls::{Channel, Over};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use std::cell::{RefCell, RefMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The most bytes that are read at a time.
const READ_BYTES: usize = 16 << 10;

/// A client's connection.
#[derive(Debug)]
pub(super) struct Link {
    socket: OwnedFd,
    /// `None`: the connection is plain.
    secured: Option<Box<Secured>>,
}

/// What belongs to a connection of TLS.
#[derive(Debug)]
struct Secured {
    /// A wave borrows the links of many clients at a time and seals for each of them, so the channel is in a cell.
    channel: RefCell<Channel>,
    /// What the channel kept when it was last counted. `None`: nothing.
    kept: Option<Box<Kept>>,
}

// The allocator gives 192 or 224 bytes.
const _: () = assert!(size_of::<Secured>() <= 192);

/// How bytes are sent to a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// At once.
    Now,
    /// Together with the end of the connection. See [`send_last`].
    Last,
}

/// What a socket took of bytes that were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    /// The number of bytes that were taken. On TLS these are the bytes of the records that were begun. The channel keeps
    /// the rest of the last one.
    pub(super) bytes: usize,
    /// The socket took something.
    pub(super) any: bool,
    /// The socket accepts no more: some of the bytes were not taken, or the channel keeps some that were.
    pub(super) is_cut_short: bool,
}

/// What a read found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Read {
    /// So many bytes came.
    Some(usize),
    /// Nothing more came.
    Nothing,
    /// The client has closed its side, broke the protocol, or is gone.
    Gone(Departure),
}

impl Link {
    pub(super) fn new(socket: OwnedFd, channel: Option<Box<Channel>>) -> Self {
        let secured = channel.map(|channel| Box::new(Secured { channel: RefCell::new(*channel), kept: None }));
        Self { socket, secured }
    }

    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// The channel, if the connection is TLS. It must not be kept while the link is used otherwise.
    pub(super) fn channel(&self) -> Option<RefMut<'_, Channel>> {
        self.secured.as_ref().map(|secured| secured.channel.borrow_mut())
    }

    /// Whether the connection is TLS.
    pub(super) fn is_sealed(&self) -> bool {
        self.secured.is_some()
    }

    /// Whether sealed bytes wait to be sent.
    pub(super) fn has_pending(&self) -> bool {
        self.secured.as_ref().is_some_and(|secured| secured.channel.borrow().has_pending())
    }

    /// The bytes that the channel keeps in memory at present.
    pub(super) fn kept(&self) -> usize {
        self.channel().map_or(0, |channel| channel.kept())
    }

    /// Counts what the channel keeps in memory at present. It is called whenever that may have become more, and when a client
    /// goes on that kept something. Returns whether such clients keep too much together.
    pub(super) fn count_kept(&mut self, feed: &Feed) -> bool {
        let bytes = self.kept();
        let Some(secured) = &mut self.secured else { return false };
        if secured.kept.as_ref().map_or(0, |kept| kept.bytes()) != bytes {
            secured.kept = (bytes > 0).then(|| Box::new(feed.keep(bytes)));
        }
        secured.kept.as_ref().is_some_and(|kept| kept.is_too_much())
    }

    /// Sends what the socket takes now, after what is pending. `scratch` is where it is sealed. Returns why the client
    /// departs if it does.
    pub(super) fn send(&self, manner: Manner, bytes: &[u8], scratch: &mut Vec<u8>) -> Result<Taken, Departure> {
        let Some(mut channel) = self.channel() else {
            let taken = self.send_wire(manner, bytes)?;
            return Ok(Taken { bytes: taken, any: taken > 0, is_cut_short: taken < bytes.len() });
        };
        let mut sum = Taken { bytes: 0, any: false, is_cut_short: false };
        loop {
            let rest = bytes.get(sum.bytes..).unwrap_or_default();
            scratch.clear();
            let sealed = channel.seal(rest, scratch);
            if scratch.is_empty() {
                // Only a channel that was closed seals nothing.
                return if rest.is_empty() { Ok(sum) } else { Err(Departure::Left) };
            }
            let taken = self.send_wire(manner, scratch)?;
            sum.bytes += channel.settle(sealed, scratch, taken);
            sum.any |= taken > 0;
            sum.is_cut_short = taken < scratch.len();
            if sum.is_cut_short || sum.bytes == bytes.len() {
                return Ok(sum);
            }
        }
    }

    /// Sends bytes as they are. On TLS they must have been sealed.
    pub(super) fn send_wire(&self, manner: Manner, wire: &[u8]) -> Result<usize, Departure> {
        match manner {
            Manner::Now => send_some(&self.socket, wire),
            Manner::Last => send_last(&self.socket, wire),
        }
    }

    /// Reads what the client sent. What it said is added to its strays. More than `most` bytes mean that it is gone, and
    /// so do the end of its side and, on TLS, a record that it must not send: then an alert is pending.
    pub(super) fn receive(&self, most: usize, strays: &mut Strays) -> Result<(), Departure> {
        receive(&self.socket, most, |bytes| self.open(bytes, |said| strays.add(said)))
    }

    /// Reads some of what the client sent, and adds it to `said`.
    pub(super) fn read(&self, said: &mut Vec<u8>) -> Read {
        let mut buffer = [0_u8; READ_BYTES];
        let bytes = loop {
            match recv(&self.socket, &mut buffer[..], RecvFlags::DONTWAIT) {
                Ok((_, 0)) => return Read::Gone(Departure::Left),
                Ok((_, bytes)) => break bytes,
                Err(Errno::AGAIN) => return Read::Nothing,
                Err(Errno::INTR) => {}
                Err(error) => return Read::Gone(gone(error)),
            }
        };
        match self.open(buffer.get_mut(..bytes).unwrap_or_default(), |came| said.extend_from_slice(came)) {
            Ok(()) => Read::Some(bytes),
            Err(why) => Read::Gone(why),
        }
    }

    /// Passes what came to `said`, decrypted if the connection is TLS. An error says why the client is gone: on TLS, a record
    /// that it must not send. Then an alert is pending.
    fn open(&self, came: &mut [u8], mut said: impl FnMut(&[u8])) -> Result<(), Departure> {
        let Some(mut channel) = self.channel().filter(|channel| !channel.is_closed()) else {
            said(came);
            return Ok(());
        };
        channel.receive(came, said).map_err(|over| {
            if let Over::Broken(alert) = over {
                channel.fail(alert);
            }
            gone(Errno::PIPE)
        })
    }

    /// Whether a TLS record has arrived in part.
    pub(super) fn is_within_record(&self) -> bool {
        self.secured.as_ref().is_some_and(|secured| secured.channel.borrow().is_within_record())
    }

    /// The response has ended in order. On TLS, close_notify is pending.
    pub(super) fn close(&self) {
        if let Some(mut channel) = self.channel() {
            channel.close();
        }
    }

    /// The socket, and the channel if the connection is TLS.
    pub(super) fn into_parts(self) -> (OwnedFd, Option<Box<Channel>>) {
        (self.socket, self.secured.map(|secured| Box::new(secured.channel.into_inner())))
    }

    /// The socket of a plain connection. A connection of TLS cannot serve another request, because its channel is gone.
    pub(super) fn into_plain(self) -> Option<OwnedFd> {
        self.secured.is_none().then_some(self.socket)
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
