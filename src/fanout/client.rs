//! One client of a shard: its socket, its subscription and what was sent to it.

use super::keys::GroupKey;
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
    pub(super) group: GroupKey,
    pub(super) strays: Strays,
    pub(super) state: State,
    /// The client's subscription to the stream. `None` once the client has departed.
    pub(super) seat: Option<Seat>,
    /// Takes the connection back after an orderly end.
    pub(super) home: Box<dyn Home>,
    /// When something was last sent to this client alone. For sends to the whole roster see the `last_sent` of the group.
    pub(super) last_sent: Instant,
    /// Says whether the shard or the kernel judges that the client stalls.
    pub(super) trust: Trust,
    /// When the client's response ends. It ends then even if the client is not caught up.
    pub(super) ends: Option<Ends>,
    /// What was sent to the client. For a client on the roster, the group's total at the time it joined is
    /// subtracted, so that adding the group's present total gives the sum.
    pub(super) sent: Sent,
}

/// The bytes that a client sent after its request.
#[derive(Debug, Default)]
pub(super) struct Strays {
    /// The number of all these bytes, whether they were kept or not.
    bytes: usize,
    /// The bytes themselves, for the next request. `None`: the connection does not serve another request.
    unread: Option<Vec<u8>>,
}

impl Strays {
    /// `is_kept`: the response's head promises that the connection serves another request. `unread`: the bytes that
    /// the client has sent by now.
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

    /// The number of bytes that the client sent.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the connection serves another request.
    pub(super) fn is_kept(&self) -> bool {
        self.unread.is_some()
    }

    /// The bytes that the next request begins with.
    pub(super) fn into_unread(self) -> Vec<u8> {
        self.unread.unwrap_or_default()
    }
}

/// When and why a client's response ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) at: Instant,
    pub(super) because: Because,
}

/// Why the shard ends a client's response.
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

/// The state of a client.
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
    /// On the group's roster, at this index. It shares the group's cursor.
    CaughtUp { index: u32 },
    /// At the end of the log, ahead of the roster. It joins the roster after the roster's next pass.
    Waiting { cursor: Seq },
    /// Served alone, with a cursor of its own.
    Behind(Box<Behind>),
    /// Departed. Its last bytes are being sent.
    Parting(Box<Behind>),
    /// Our side of the connection is closed. At `until` the socket is closed, even if the client's side is still open.
    Closing { until: Instant },
}

/// The state of a client that is served alone, with a cursor and unsent bytes of its own.
#[derive(Debug)]
pub(super) struct Behind {
    /// The position of the next frame that the client was not given.
    pub(super) cursor: Seq,
    /// Bytes that must be sent before the frame at `cursor`, such as the rest of a send that was cut short.
    pub(super) pending: Bytes,
    /// The socket takes no more bytes, and the shard waits until the poll reports it writable. A client that is not
    /// blocked is in its group's queue.
    pub(super) blocked: bool,
    /// The bytes that were on their way to the client when the shard last looked. Meaningful only while it is
    /// blocked.
    pub(super) on_the_way: u32,
    /// When the client was last seen to take a byte.
    pub(super) accepted: Instant,
}

impl Behind {
    /// A client at `cursor` that has no bytes to be sent before the frame there.
    pub(super) fn at(cursor: Seq, now: Instant) -> Self {
        Self { cursor, pending: Bytes::new(), blocked: false, on_the_way: 0, accepted: now }
    }

    /// The socket takes no more bytes: the client is blocked until the socket is writable.
    pub(super) fn block(&mut self, socket: &OwnedFd) {
        self.blocked = true;
        self.on_the_way = on_the_way(socket);
    }

    /// The socket took `taken` bytes of `pending`.
    pub(super) fn took(&mut self, taken: usize, now: Instant) {
        if taken > 0 {
            self.pending.advance(taken);
            self.accepted = now;
        }
    }

    /// Whether the client took nothing for `stall`. The shard looks once per `stall`, so a stall is found after at
    /// most twice that time.
    pub(super) fn stalls(&mut self, stall: Duration, socket: &OwnedFd, now: Instant) -> bool {
        self.blocked && self.accepted + stall <= now && !self.arrived(socket, now)
    }

    /// Whether the client received bytes since the shard last looked, though its socket is not writable yet.
    pub(super) fn arrived(&mut self, socket: &OwnedFd, now: Instant) -> bool {
        let before = std::mem::replace(&mut self.on_the_way, on_the_way(socket));
        let has_taken = self.blocked && self.on_the_way < before;
        if has_taken {
            self.accepted = now;
        }
        has_taken
    }
}
