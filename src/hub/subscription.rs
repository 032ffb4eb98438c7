//! One client's place on a stream.

use super::stream::{Phase, State, Stream};
use super::{End, StreamKey};
use crate::replay::{Gap, GapReason, OnGap, Position, Read, Seq};
use crate::sse::Frame;
use bytes::Bytes;
use http::HeaderMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// A cursor into a stream's log. Its drop takes it off the stream.
#[derive(Debug)]
pub struct Subscription {
    stream: Arc<Stream>,
    changes: watch::Receiver<()>,
    cursor: Seq,
    /// What the client is told before all else.
    told_first: Option<Frame>,
}

/// What a client that arrives is answered.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// The origin's head is here.
    Live(Arc<HeaderMap>),
    /// The origin is silent or fails; the client is held.
    Held,
    /// There is no stream.
    Ended(End),
}

/// What a subscription has to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The frames that were given.
    Frames,
    /// Nothing now.
    CaughtUp,
    /// The client fell off the log.
    Lagged(Gap),
    /// The stream is over and all of it was given.
    Ended(End),
}

impl Subscription {
    /// Joins a stream; `Err` where it is over already.
    pub(super) fn join(stream: &Arc<Stream>, last_event_id: Option<&Bytes>) -> Result<Self, Over> {
        let changes = stream.watch();
        let (cursor, told_first) = stream.locked(|state| {
            if let Phase::Closed { end, remembered_until } = &state.phase {
                return Err(Over { end: end.clone(), remembered_until: *remembered_until });
            }
            state.subscribers += 1;
            Ok(place(stream, state, last_event_id))
        })?;
        stream.counters.subscribers.add(1);
        stream.counters.subscribers_total.add(1);
        stream.occupancy.notify_one();
        Ok(Self { stream: Arc::clone(stream), changes, cursor, told_first })
    }

    /// The key of the stream.
    #[must_use]
    pub fn key(&self) -> &StreamKey {
        &self.stream.key
    }

    /// Waits for the origin's head, its first failure, or `patience`; without that, until the first attempt came to
    /// something.
    pub async fn verdict(&mut self, patience: Option<Duration>) -> Verdict {
        let known = async {
            loop {
                self.changes.mark_unchanged();
                if let Some(verdict) = self.stream.locked(|state| verdict(state)) {
                    return verdict;
                }
                self.changed().await;
            }
        };
        match patience {
            Some(patience) => timeout(patience, known).await.unwrap_or(Verdict::Held),
            None => known.await,
        }
    }

    /// Gives the frames from the cursor on, about `most` bytes at a time, and moves it.
    pub fn read(&mut self, most: usize, frames: &mut Vec<Frame>) -> Delivery {
        if let Some(frame) = self.told_first.take() {
            frames.push(frame);
            return Delivery::Frames;
        }
        self.changes.mark_unchanged();
        let (read, end) = self.stream.locked(|state| {
            let end = match &state.phase {
                Phase::Closed { end, .. } => Some(end.clone()),
                Phase::Connecting { .. } | Phase::Live | Phase::Waiting => None,
            };
            (state.log.read(self.cursor, most, frames), end)
        });
        match (read, end) {
            (Read::Behind { missed, .. }, _) => Delivery::Lagged(Gap { reason: GapReason::Lag, missed }),
            (Read::To(next), end) if next == self.cursor => end.map_or(Delivery::CaughtUp, Delivery::Ended),
            (Read::To(next), _) => {
                self.cursor = next;
                Delivery::Frames
            }
        }
    }

    /// After [`Delivery::Lagged`]: goes on with the oldest event held, and tells the client of the gap.
    pub fn skip(&mut self, gap: Gap) {
        let cursor = self.cursor;
        let (oldest, frame) = self.stream.locked(|state| {
            let oldest = state.log.oldest();
            // More may have been dropped since the gap was found.
            let gap = Gap { missed: state.log.events_between(cursor, oldest), ..gap };
            (oldest, gap.frame(&state.log.options().gap_event))
        });
        self.stream.counters.lagged.add(1);
        self.stream.counters.gaps.add(1);
        self.cursor = oldest;
        self.told_first = Some(frame);
    }

    /// Entries of the log that this client has not been given.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.stream.locked(|state| state.log.end().0.saturating_sub(self.cursor.0))
    }

    /// Whether the stream is over, though not all of it may have been given.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stream.locked(|state| state.is_closed())
    }

    /// The reconnection time that the origin last asked for, in milliseconds.
    #[must_use]
    pub fn origin_retry(&self) -> Option<u64> {
        self.stream.locked(|state| state.retry)
    }

    /// Resolves when there may be something to read since the last [`Self::read`]. Safe to drop and call again.
    pub async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            // The sender lives in the stream that we hold: it cannot be gone.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let is_empty = self.stream.locked(|state| {
            state.subscribers -= 1;
            state.empty_since = Instant::now();
            state.subscribers == 0
        });
        self.stream.counters.subscribers.sub_one();
        if is_empty {
            self.stream.occupancy.notify_one();
        }
    }
}

/// A stream that is over, and how long that is to be remembered.
#[derive(Debug)]
pub(super) struct Over {
    pub(super) end: End,
    pub(super) remembered_until: Option<Instant>,
}

/// Where a client begins, and what it is told first.
fn place(stream: &Stream, state: &mut State, last_event_id: Option<&Bytes>) -> (Seq, Option<Frame>) {
    state.log.expire(Instant::now().into_std());
    let Some(id) = last_event_id else { return (state.log.start(), None) };
    match state.log.position(id) {
        Position::Known(seq) => {
            stream.counters.resumes.add(1);
            (seq, None)
        }
        Position::Gone(gap) => {
            stream.counters.gaps.add(1);
            if state.log.options().on_gap != OnGap::Event {
                stream.counters.gaps_untold.add(1);
            }
            state.log.after_gap(gap)
        }
    }
}

fn verdict(state: &State) -> Option<Verdict> {
    match (&state.phase, &state.head) {
        // Also of a stream that is over by now: its events are still to be given.
        (_, Some(head)) => Some(Verdict::Live(Arc::clone(head))),
        (Phase::Closed { end, .. }, None) => Some(Verdict::Ended(end.clone())),
        (Phase::Waiting | Phase::Connecting { failed: true }, None) => Some(Verdict::Held),
        (Phase::Live | Phase::Connecting { failed: false }, None) => None,
    }
}
