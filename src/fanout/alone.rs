//! A client that is served alone: its cursor, and the bytes that it did not take.

use super::batch::Cut;
use super::link::Taken;
use crate::hub::{Departure, Feed, Pin};
use crate::replay::Seq;
use bytes::{Buf, Bytes};
use std::time::Instant;

/// The state of a client that is served alone, with a cursor and unsent bytes of its own.
#[derive(Debug)]
pub(super) struct Alone {
    /// The position of the next frame that the client was not given.
    pub(super) cursor: Seq,
    /// The right to keep `pending`, though the log has dropped its frame. It ends before the bytes are freed.
    pin: Option<Pin>,
    /// Bytes that must be sent before the frame at `cursor`, such as the rest of a send that was cut short.
    pending: Bytes,
    /// The bytes that `pending` keeps in memory. It may be the rest of a larger frame.
    whole: usize,
    /// The last bytes of the response, which are sent after `pending`.
    last: Bytes,
    /// The socket accepts no more bytes, and the shard waits until the poll reports it writable. A client that is not
    /// blocked is in the shard's line.
    blocked: bool,
    /// The bytes that were on their way to the client when the shard last looked. Meaningful only while it is
    /// blocked.
    on_the_way: u32,
    /// When the client was last seen to take a byte.
    accepted: Instant,
    /// Why the client departs, as soon as it is served.
    gone: Option<Departure>,
    /// Whether the socket accepted no more bytes when it was decided that the client departs.
    was_blocked: bool,
}

impl Alone {
    /// A client at `cursor` that is to be sent `pending` first. These bytes belong to no frame of a log.
    pub(super) fn new(cursor: Seq, pending: Bytes, now: Instant) -> Self {
        Self {
            cursor,
            whole: pending.len(),
            pending,
            pin: None,
            last: Bytes::new(),
            blocked: false,
            on_the_way: 0,
            accepted: now,
            gone: None,
            was_blocked: false,
        }
    }

    /// A client that took only the beginning of a batch.
    pub(super) fn after(cut: Cut, now: Instant) -> Self {
        Self { whole: cut.whole, ..Self::new(cut.cursor, cut.rest, now) }
    }

    /// The bytes that are to be sent next.
    pub(super) fn pending(&self) -> &Bytes {
        &self.pending
    }

    /// Why the client departs, if it is to depart as soon as it is served.
    pub(super) fn gone(&mut self) -> Option<Departure> {
        self.gone.take()
    }

    /// Whether it is decided that the client departs.
    pub(super) fn departs(&self) -> bool {
        self.gone.is_some() || !self.last.is_empty()
    }

    /// The client departs as soon as it is served, whether its socket accepts bytes or not.
    pub(super) fn goes(&mut self, departure: Departure) {
        self.was_blocked = std::mem::replace(&mut self.blocked, false);
        self.gone = Some(departure);
    }

    /// Whether the socket accepted no more bytes when it was decided that the client [goes](Self::goes).
    pub(super) fn was_blocked(&self) -> bool {
        self.was_blocked
    }

    /// The client took the beginning of a batch, or all of it.
    pub(super) fn cut(&mut self, cut: Cut, taken: Taken, now: Instant) {
        (self.cursor, self.pending, self.whole) = (cut.cursor, cut.rest, cut.whole);
        if taken.any {
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

    /// The socket accepts no more bytes. `on_the_way`: those that are on their way to the client.
    pub(super) fn block(&mut self, on_the_way: u32) {
        self.blocked = true;
        self.on_the_way = on_the_way;
    }

    /// The socket took the beginning of `pending`, or all of it.
    pub(super) fn took(&mut self, taken: Taken, now: Instant) {
        if taken.any {
            self.pending.advance(taken.bytes);
            self.accepted = now;
        }
        self.go_on();
    }

    /// Goes on with the last bytes if nothing is pending before them.
    fn go_on(&mut self) {
        if self.pending.is_empty() {
            self.pin = None;
            self.pending = std::mem::take(&mut self.last);
            self.whole = self.pending.len();
        }
    }

    /// The response ends with these bytes, after those that are pending.
    pub(super) fn ends_with(&mut self, last: Bytes) {
        self.last = last;
        self.go_on();
    }

    /// The log has dropped the frame that `pending` is the rest of. Returns whether the client may keep it.
    pub(super) fn keeps(&mut self, feed: &Feed) -> bool {
        if self.pin.is_none() && !self.pending.is_empty() {
            self.pin = feed.pin(&mut self.pending, self.whole);
        }
        self.pin.is_some() || self.pending.is_empty()
    }

    /// When the client was last seen to take a byte.
    pub(super) fn accepted(&self) -> Instant {
        self.accepted
    }

    /// Whether the client received bytes since the shard last looked, though its socket is not writable yet.
    /// `on_the_way`: the bytes that are on their way to it now.
    pub(super) fn arrived(&mut self, on_the_way: impl FnOnce() -> u32, now: Instant) -> bool {
        if !self.blocked {
            return false;
        }
        let before = std::mem::replace(&mut self.on_the_way, on_the_way());
        let has_taken = self.on_the_way < before;
        if has_taken {
            self.accepted = now;
        }
        has_taken
    }
}
