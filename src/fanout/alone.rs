//! A client that is served alone: its cursor, and the bytes that it did not take.

use super::batch::Cut;
use super::on_the_way::on_the_way;
use crate::hub::Departure;
use crate::replay::Seq;
use bytes::{Buf, Bytes};
use std::os::fd::OwnedFd;
use std::time::Instant;

/// The state of a client that is served alone, with a cursor and unsent bytes of its own.
#[derive(Debug)]
pub(super) struct Alone {
    /// The position of the next frame that the client was not given.
    pub(super) cursor: Seq,
    /// Bytes that must be sent before the frame at `cursor`, such as the rest of a send that was cut short.
    pub(super) pending: Bytes,
    /// The socket accepts no more bytes, and the shard waits until the poll reports it writable. A client that is not
    /// blocked is in its group's queue.
    blocked: bool,
    /// The bytes that were on their way to the client when the shard last looked. Meaningful only while it is
    /// blocked.
    on_the_way: u32,
    /// When the client was last seen to take a byte.
    accepted: Instant,
    /// Why the client departs, as soon as it is served. A send to it failed.
    gone: Option<Departure>,
}

impl Alone {
    /// A client at `cursor` that is to be sent `pending` first.
    pub(super) fn new(cursor: Seq, pending: Bytes, now: Instant) -> Self {
        Self { cursor, pending, blocked: false, on_the_way: 0, accepted: now, gone: None }
    }

    /// A send to the client failed, so that it departs as soon as it is served.
    pub(super) fn goes(&mut self, departure: Departure) {
        self.gone = Some(departure);
    }

    /// Why the client departs, if a send to it failed.
    pub(super) fn gone(&mut self) -> Option<Departure> {
        self.gone.take()
    }

    /// The client took `taken` bytes of a batch.
    pub(super) fn cut(&mut self, cut: Cut, taken: usize, now: Instant) {
        (self.cursor, self.pending) = (cut.cursor, cut.rest);
        if taken > 0 {
            self.accepted = now;
        }
    }

    /// Whether the socket accepts no more bytes.
    pub(super) fn is_blocked(&self) -> bool {
        self.blocked
    }

    /// The socket accepts bytes again. Returns whether it did not before.
    pub(super) fn unblock(&mut self) -> bool {
        std::mem::replace(&mut self.blocked, false)
    }

    /// The socket accepts no more bytes.
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

    /// When the client was last seen to take a byte.
    pub(super) fn accepted(&self) -> Instant {
        self.accepted
    }

    /// Whether the client received bytes since the shard last looked, though its socket is not writable yet.
    pub(super) fn arrived(&mut self, socket: &OwnedFd, now: Instant) -> bool {
        if !self.blocked {
            return false;
        }
        let before = std::mem::replace(&mut self.on_the_way, on_the_way(socket));
        let has_taken = self.on_the_way < before;
        if has_taken {
            self.accepted = now;
        }
        has_taken
    }
}
