//! A stream as those see it who read it for many clients at once.

use super::seat::Seat;
use super::sharing::Audience;
use super::stream::{Reading, Stream};
use crate::replay::{Gap, Seq};
use crate::sse::Frame;
use std::fmt;
use std::sync::Arc;

/// Who is told of every change of a stream, by whoever changed it: it must neither block nor fail.
pub trait Watcher: Send + Sync + fmt::Debug {
    /// The stream has events to read, or is over.
    fn changed(&self);

    /// The publisher waits until somebody takes something: whether bytes arrived at a client since it was last asked is to be
    /// answered by [`Feed::arrived`], if they did.
    fn asked(&self);
}

/// A stream that is watched and read for many clients, each of whom has a [`Seat`]. Its drop ends the watching.
#[derive(Debug)]
pub struct Feed {
    stream: Arc<Stream>,
    watcher: Arc<dyn Watcher>,
    is_opener: bool,
}

impl Feed {
    /// Watches the stream of a seat. What changed before is not told.
    #[must_use]
    pub fn new(seat: &Seat, watcher: Arc<dyn Watcher>) -> Self {
        seat.stream.watchers.write().push(Arc::clone(&watcher));
        Self { stream: Arc::clone(&seat.stream), watcher, is_opener: seat.is_opener }
    }

    /// A name for the stream among those that are watched or seated. While it is not known that the stream is for everyone,
    /// the client that opened it has a feed of its own: what comes may be its alone.
    #[must_use]
    pub fn id(seat: &Seat) -> FeedId {
        let is_apart = seat.is_opener && seat.stream.locked(|state| state.audience != Audience::Everyone);
        FeedId(Arc::as_ptr(&seat.stream).addr(), is_apart)
    }

    /// Gives the frames from `cursor` on, about `most` bytes at a time.
    pub fn read(&self, cursor: Seq, most: usize, frames: &mut Vec<Frame>) -> Reading {
        self.stream.read(cursor, self.is_opener, most, frames)
    }

    /// Bytes arrived at a client, of what was read for it before.
    pub fn arrived(&self) {
        self.stream.arrived();
    }

    /// For a client at `cursor` that fell off the log: the oldest position held, and the frame that tells of the gap.
    #[must_use]
    pub fn skip(&self, cursor: Seq, gap: Gap) -> (Seq, Frame) {
        self.stream.skip(cursor, gap)
    }

    /// Entries of the log that a client at `cursor` has not been given.
    #[must_use]
    pub fn lag(&self, cursor: Seq) -> u64 {
        self.stream.lag(cursor)
    }

    /// Whether the stream is over, though not all of it may have been given.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stream.locked(|state| state.is_over_for(self.is_opener))
    }

    /// The reconnection time that the origin last asked for, in milliseconds.
    #[must_use]
    pub fn origin_retry(&self) -> Option<u64> {
        self.stream.locked(|state| state.retry)
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.stream.watchers.write().retain(|watcher| !Arc::ptr_eq(watcher, &self.watcher));
    }
}

/// A stream among those that are open. It means nothing once nobody has a seat or a feed of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FeedId(usize, bool);
