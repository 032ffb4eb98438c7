//! One client: a socket, a place on a stream, and what it was sent.

use super::on_the_way::on_the_way;
use super::terms::{Home, MOST_KEPT_BYTES, Sent};
use super::trust::Trust;
use crate::hub::{Departure, Seat};
use crate::replay::Seq;
use bytes::{Buf, Bytes};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// A client of a shard.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) socket: OwnedFd,
    /// The group that it is in.
    pub(super) group: u32,
    pub(super) strays: Strays,
    pub(super) state: State,
    /// Its presence on the stream; none once it has departed.
    pub(super) seat: Option<Seat>,
    /// Where its connection goes back to.
    pub(super) home: Box<dyn Home>,
    /// When it last was sent something, but for what it was sent as one of those that are caught up.
    pub(super) heard: Instant,
    /// It is trusted while it is behind and reads slowly or not at all: the shard looks at what arrives.
    pub(super) trust: Trust,
    /// When its time is over, whatever it has been sent by then.
    pub(super) ends: Option<Ends>,
    /// What it was sent; of those that are caught up, less what the group was sent when they joined it.
    pub(super) sent: Sent,
}

/// What a client sent after its request.
#[derive(Debug, Default)]
pub(super) struct Strays {
    bytes: usize,
    /// They themselves, as long as the connection serves another request after an orderly end.
    unread: Option<Vec<u8>>,
}

impl Strays {
    /// `is_kept`: the head says that the connection serves another request. `unread` is what the client has sent by now.
    pub(super) fn new(is_kept: bool, unread: &[u8]) -> Self {
        let mut strays = Self { bytes: 0, unread: is_kept.then(Vec::new) };
        strays.add(unread);
        strays
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        match &mut self.unread {
            Some(unread) if self.bytes <= MOST_KEPT_BYTES => unread.extend_from_slice(bytes),
            _ => self.unread = None,
        }
    }

    /// How many bytes there were.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the connection serves another request.
    pub(super) fn is_kept(&self) -> bool {
        self.unread.is_some()
    }

    /// What the next request begins with.
    pub(super) fn into_unread(self) -> Vec<u8> {
        self.unread.unwrap_or_default()
    }
}

/// The end of a client's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) at: Instant,
    /// Its lifetime or the drain.
    pub(super) because: Because,
}

/// Why a client's time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Because {
    Lifetime,
    Drain,
}

impl From<Because> for Departure {
    fn from(because: Because) -> Self {
        match because {
            Because::Lifetime => Self::Lifetime,
            Because::Drain => Self::Drained,
        }
    }
}

/// Where a client stands.
///
/// ```text
///              ┌──────────── caught up with the group ───────────┐
///              ▼                                                 │
///   adopted ▶ Behind ◀── a send was cut short ── CaughtUp        │
///              │ ▲                                │              │
///              │ └─ the group has caught up ── Waiting ◀─ ahead of it
///              ▼
///           Parting ──── last words sent ──▶ Closing ──▶ dropped
///                                        └─▶ given back, where its connection is kept
/// ```
#[derive(Debug)]
pub(super) enum State {
    /// On the group's roster, at this index: it shares the group's cursor.
    CaughtUp { index: u32 },
    /// Caught up with the log, but not with the group, which has a pass to make first.
    Waiting { cursor: Seq },
    /// On its own.
    Behind(Box<Behind>),
    /// Departed; what is left to be said to it is on its way.
    Parting(Box<Behind>),
    /// Our side is ended; its end is waited for until then.
    Closing { until: Instant },
}

/// A client with something of its own to be sent.
#[derive(Debug)]
pub(super) struct Behind {
    /// The next position of the log that it has not been given.
    pub(super) cursor: Seq,
    /// What is to be sent before that.
    pub(super) pending: Bytes,
    /// The socket takes no more; a word of the poll is awaited. If not, the client is in the group's queue.
    pub(super) blocked: bool,
    /// Bytes on their way to it when that was last looked at. Meaningless unless it is blocked.
    pub(super) on_the_way: u32,
    /// When it last was seen to take a byte.
    pub(super) accepted: Instant,
}

impl Behind {
    /// At a place of the log, with nothing to be sent before it.
    pub(super) fn at(cursor: Seq, now: Instant) -> Self {
        Self { cursor, pending: Bytes::new(), blocked: false, on_the_way: 0, accepted: now }
    }

    /// Its socket, which takes no more, is awaited.
    pub(super) fn block(&mut self, socket: &OwnedFd) {
        self.blocked = true;
        self.on_the_way = on_the_way(socket);
    }

    /// The socket took some of what is pending.
    pub(super) fn took(&mut self, taken: usize, now: Instant) {
        if taken > 0 {
            self.pending.advance(taken);
            self.accepted = now;
        }
    }

    /// Whether it took nothing for `stall`. It is looked at that often, so it stalls for up to twice as long before it is found.
    pub(super) fn stalls(&mut self, stall: Duration, socket: &OwnedFd, now: Instant) -> bool {
        self.blocked && self.accepted + stall <= now && !self.arrived(socket, now)
    }

    /// Whether bytes arrived at it since it was last looked at, though its socket does not take more yet.
    pub(super) fn arrived(&mut self, socket: &OwnedFd, now: Instant) -> bool {
        let before = std::mem::replace(&mut self.on_the_way, on_the_way(socket));
        let has_taken = self.blocked && self.on_the_way < before;
        if has_taken {
            self.accepted = now;
        }
        has_taken
    }
}
