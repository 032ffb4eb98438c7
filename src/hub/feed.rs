//! A stream as it is read for many clients at once.

use super::seat::Seat;
use super::sharing::Audience;
use super::stream::{Reading, Stream};
use crate::replay::{Gap, Seq};
use crate::sse::Frame;
use std::fmt;
use std::sync::Arc;

/// Is told of every change of a stream, on the thread that makes the change. It must neither block nor fail.
pub trait Watcher: Send + Sync + fmt::Debug {
    /// The stream has events to read, or is over.
    fn changed(&self);

    /// The publisher waits until a subscriber takes something. If a client received bytes since the last question,
    /// the watcher calls [`Feed::arrived`].
    fn asked(&self);
}

/// A stream that is watched and read for many clients, each of whom has a [`Seat`]. Dropping the feed ends the
/// watching.
#[derive(Debug)]
pub struct Feed {
    stream: Arc<Stream>,
    watcher: Arc<dyn Watcher>,
    is_opener: bool,
}

impl Feed {
    /// Watches the stream of a seat. The watcher is not told of earlier changes.
    #[must_use]
    pub fn new(seat: &Seat, watcher: Arc<dyn Watcher>) -> Self {
        seat.stream.watchers.write().push(Arc::clone(&watcher));
        Self { stream: Arc::clone(&seat.stream), watcher, is_opener: seat.is_opener }
    }

    /// Identifies the feed that serves the client of a seat. The client that opened the stream gets a feed of its own
    /// until it is known that everyone may share the response, because the response may be for that client alone.
    #[must_use]
    pub fn id(seat: &Seat) -> FeedId {
        let is_apart = seat.is_opener && seat.stream.locked(|state| state.audience != Audience::Everyone);
        FeedId(Arc::as_ptr(&seat.stream).addr(), is_apart)
    }

    /// Reads frames from `cursor` on into `frames`, about `most` bytes at a time.
    pub fn read(&self, cursor: Seq, most: usize, frames: &mut Vec<Frame>) -> Reading {
        self.stream.read(cursor, self.is_opener, most, frames)
    }

    /// A client received bytes that were read for it before.
    pub fn arrived(&self) {
        self.stream.arrived();
    }

    /// For a client at `cursor` that fell off the log: the position of the oldest entry, and the frame that tells of
    /// the gap.
    #[must_use]
    pub fn skip(&self, cursor: Seq, gap: Gap) -> (Seq, Frame) {
        self.stream.skip(cursor, gap)
    }

    /// The number of log entries that a client at `cursor` was not given.
    #[must_use]
    pub fn lag(&self, cursor: Seq) -> u64 {
        self.stream.lag(cursor)
    }

    /// Whether the stream is over. Its readers may not have been given all of it yet.
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

/// Identifies a feed. It is meaningful only while its stream has a seat or a feed, because it holds an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FeedId(usize, bool);
