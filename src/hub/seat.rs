//! A client's presence on a stream.

use super::StreamKey;
use super::hold::Hold;
use super::stream::{State, Stream};
use crate::caller::Caller;
use crate::replay::{Epoch, Seq};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::time::Instant;

/// What a client on a stream met so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Course {
    /// The events of the past that the log held for the client when it came.
    pub replayed: u32,
    /// The gaps in what the client got: those of this client alone.
    pub gaps: u32,
    /// The most log entries that the client was not given at a time when its connection took nothing.
    pub lag_worst: u32,
}

/// A client's presence on a stream. While a stream has a seat, it stays open. Dropping the seat takes the client off.
#[derive(Debug)]
pub struct Seat {
    pub(super) stream: Arc<Stream>,
    /// This client opened the stream.
    pub(super) is_opener: bool,
    /// Of a client that keeps up and is not read for together with others.
    pub(super) hold: Hold,
    /// Whose seat it is.
    pub(super) caller: Caller,
    pub(super) course: Course,
}

impl Stream {
    /// Whether as many clients are on the stream as may be. A stream that is over tells its end to who comes.
    pub(super) fn is_full(&self, most: usize) -> bool {
        self.locked(|state| state.subscribers >= most && !state.is_closed())
    }
}

impl Seat {
    /// Puts a client at `cursor` on a stream. `locked`: the state of the same stream.
    pub(super) fn take(stream: &Arc<Stream>, locked: &mut State, cursor: Seq, is_opener: bool) -> Self {
        stream.counters.subscribers_total.add(1);
        Self::take_again(stream, locked, cursor, is_opener)
    }

    /// The same for a client that was counted when it came.
    pub(super) fn take_again(stream: &Arc<Stream>, locked: &mut State, cursor: Seq, is_opener: bool) -> Self {
        let was_empty = locked.is_empty();
        locked.subscribers += 1;
        locked.has_opener |= is_opener;
        // The new client takes events at its own pace, so the publisher looks at the paces anew.
        stream.reached(locked, cursor);
        stream.counters.subscribers.add(1);
        // The driver only wants to know whether anybody is on the stream.
        if was_empty {
            stream.occupancy.notify_one();
            stream.arrivals.notify_one();
        }
        let mut hold = Hold::default();
        hold.set(stream, locked, cursor);
        Self { stream: Arc::clone(stream), is_opener, hold, caller: Caller::default(), course: Course::default() }
    }

    /// Takes the client off the stream. Returns who it was.
    #[must_use]
    pub fn leave(mut self) -> Caller {
        std::mem::take(&mut self.caller)
    }

    /// What the client met so far.
    #[must_use]
    pub fn course(&self) -> Course {
        self.course
    }

    /// The client's connection took nothing, and the client was not given this many log entries.
    pub fn was_behind(&mut self, lag: u64) {
        self.course.lag_worst = self.course.lag_worst.max(u32::try_from(lag).unwrap_or(u32::MAX));
    }

    /// The client gets a gap.
    pub fn has_gap(&mut self) {
        self.course.gaps = self.course.gaps.saturating_add(1);
    }

    /// Who the client is.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Whether the client has a [hold](super): the log keeps what the client is still to be given.
    #[must_use]
    pub fn has_hold(&self) -> bool {
        self.hold.position().is_some()
    }

    /// The client is slow: the log keeps nothing for it beyond its bounds, until it has caught up.
    pub fn found_slow(&mut self) {
        if self.has_hold() {
            self.stream.locked(|state| self.hold.end(&self.stream, state));
        }
    }

    /// The number of the stream.
    #[must_use]
    pub fn number(&self) -> usize {
        self.stream.number
    }

    /// The log of the stream.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.stream.epoch
    }

    /// The key of the stream.
    #[must_use]
    pub fn key(&self) -> &StreamKey {
        &self.stream.key
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let (is_empty, unwanted) = self.stream.locked(|state| {
            self.hold.end(&self.stream, state);
            state.subscribers -= 1;
            state.has_opener &= !self.is_opener;
            state.empty_since = Instant::now();
            (state.is_empty(), self.stream.unwanted(state))
        });
        drop(unwanted);
        self.stream.counters.subscribers.sub_one();
        if is_empty {
            if let Some(streams) = self.stream.membership.streams.upgrade() {
                streams.emptied(&self.stream);
            }
            self.stream.occupancy.notify_one();
        }
    }
}
