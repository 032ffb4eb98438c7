//! A stream as it is read for many clients at once.

use super::hold::{Handed, Hold};
use super::seat::Seat;
use super::sharing::Audience;
use super::stream::{Reading, Stream};
use super::{Kept, Pin};
use crate::replay::{Gap, Seq};
use crate::sse::Frame;
use bytes::Bytes;
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

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
///
/// The clients that keep up are read for together. The feed has one hold for all of them.
#[derive(Debug)]
pub struct Feed {
    stream: Arc<Stream>,
    watcher: Arc<dyn Watcher>,
    is_opener: bool,
    /// Where the clients that are read for together were last read for. They may still be sent what was read there.
    hold: Hold,
    /// The holds of clients that came to the others since then. The next read ends them.
    handed: Handed,
    /// When the first of the frames was appended that were read last.
    appended: Option<Instant>,
}

impl Feed {
    /// Watches the stream of a seat. The watcher is not told of earlier changes.
    #[must_use]
    pub fn new(seat: &Seat, watcher: Arc<dyn Watcher>) -> Self {
        seat.stream.watchers.write().push(Arc::clone(&watcher));
        let stream = Arc::clone(&seat.stream);
        Self {
            stream,
            watcher,
            is_opener: seat.is_opener,
            hold: Hold::default(),
            handed: Handed::default(),
            appended: None,
        }
    }

    /// Identifies the feed that serves the client of a seat. The client that opened the stream gets a feed of its own
    /// until it is known that everyone may share the response, because the response may be for that client alone.
    #[must_use]
    pub fn id(seat: &Seat) -> FeedId {
        let is_apart = seat.is_opener && seat.stream.locked(|state| state.audience != Audience::Everyone);
        FeedId(Arc::as_ptr(&seat.stream).addr(), is_apart)
    }

    /// For the clients that keep up: reads frames from `cursor` on into `frames`, about `most` bytes at a time. The log
    /// keeps these frames until the next such read, in case a client does not take all of them.
    pub fn read(&mut self, cursor: Seq, most: usize, frames: &mut Vec<Frame>) -> Reading {
        let Self { stream, is_opener, hold, handed, appended, .. } = self;
        stream.read(cursor, *is_opener, most, frames, |state, _| {
            *appended = state.appends.of(cursor);
            hold.set(stream, state, cursor);
            handed.end(stream, state);
        })
    }

    /// When the first of the frames was appended that the last [`Self::read`] gave. `None`: it gave none.
    #[must_use]
    pub fn appended(&self) -> Option<Instant> {
        self.appended
    }

    /// For one client: reads frames from `cursor` on into `frames`, about `most` bytes at a time. A client that has
    /// caught up keeps up from now on.
    pub fn read_alone(&self, seat: &mut Seat, cursor: Seq, most: usize, frames: &mut Vec<Frame>) -> Reading {
        let hold = &mut seat.hold;
        self.stream.read(cursor, self.is_opener, most, frames, |state, reading| {
            hold.found(&self.stream, state, cursor, reading);
        })
    }

    /// The frames from `cursor` on that the log has dropped and keeps for delivery, and the position after them. A log that is
    /// taken down does not have them.
    #[must_use]
    pub fn dropped(&self, cursor: Seq) -> (Vec<Frame>, Seq) {
        let mut frames = Vec::new();
        let next = self.stream.locked(|state| {
            let oldest = state.log.oldest();
            let missing = oldest.distance_from(cursor).filter(|missing| *missing > 0)?;
            state.log.read(cursor, usize::MAX, &mut frames).ok()?;
            frames.truncate(missing);
            Some(oldest)
        });
        (frames, next.unwrap_or(cursor))
    }

    /// A client at `cursor` is read for together with the others from now on.
    pub fn join(&mut self, seat: &mut Seat, cursor: Seq) {
        let mut hold = seat.hold.take();
        if self.hold.position().is_none() && hold.position() == Some(cursor) {
            self.hold = hold;
        } else if hold.position() == Some(cursor) {
            self.handed.add(hold);
        } else {
            self.stream.locked(|state| {
                hold.end(&self.stream, state);
                if self.hold.position().is_none() {
                    self.hold.set(&self.stream, state, cursor);
                }
            });
        }
    }

    /// A client is not read for together with the others any more. It keeps up, and is to be given what follows
    /// `cursor`.
    pub fn leave(&self, seat: &mut Seat, cursor: Seq) {
        self.stream.locked(|state| seat.hold.set(&self.stream, state, cursor));
    }

    /// No client is read for together with others now.
    pub fn rest(&mut self) {
        let Self { stream, hold, handed, .. } = self;
        if hold.position().is_some() || !handed.is_empty() {
            stream.locked(|state| {
                hold.end(stream, state);
                handed.end(stream, state);
            });
        }
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

    /// The oldest position that can be read. A client at an earlier one has fallen off the log.
    #[must_use]
    pub fn readable(&self) -> Seq {
        self.stream.readable()
    }

    /// Lets a client that accepts no more keep the rest of an event that the log has dropped. The rest keeps `whole`
    /// bytes in memory. A small rest is copied. `None`: such clients keep too much already.
    pub fn pin(&self, rest: &mut Bytes, whole: usize) -> Option<Pin> {
        self.stream.membership.budget.pins.pin(rest, whole)
    }

    /// Counts bytes that are kept for one client alone, beside the log.
    #[must_use]
    pub fn keep(&self, bytes: usize) -> Kept {
        self.stream.membership.budget.pins.keep(bytes)
    }

    /// The number of log entries that a client at `cursor` was not given.
    #[must_use]
    pub fn lag(&self, cursor: Seq) -> u64 {
        self.stream.lag(cursor)
    }

    /// Whether what follows `cursor` is to be sent at once, though the route lets events be held: the stream is over, as
    /// much as one write takes has come, or the log begins to drop it.
    #[must_use]
    pub fn cannot_wait(&self, cursor: Seq) -> bool {
        self.stream.cannot_wait(cursor, self.is_opener)
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
        self.rest();
        self.stream.watchers.write().retain(|watcher| !Arc::ptr_eq(watcher, &self.watcher));
    }
}

/// Identifies a feed. It is meaningful only while its stream has a seat or a feed, because it holds an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FeedId(usize, bool);
