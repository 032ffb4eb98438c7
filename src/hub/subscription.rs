//! One client's place on a stream.

use super::backfills::{self, Wanted};
use super::seat::Seat;
use super::sharing::Audience;
use super::stream::{Phase, Reading, State, Stream};
use super::{End, StreamKey};
use crate::replay::{Gap, GapReason, Meeting, OnGap, Position, Seq};
use crate::sse::Frame;
use bytes::Bytes;
use http::HeaderMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// A client's seat on a stream, its cursor into the log, and its waking. Its drop takes it off the stream.
#[derive(Debug)]
pub struct Subscription {
    seat: Seat,
    changes: watch::Receiver<()>,
    cursor: Seq,
    /// What the client is told before all else.
    told_first: Option<Frame>,
    /// While it is not known where the client stands.
    unplaced: Option<Unplaced>,
    /// It opened the stream, whose request does not bear the id that it came with.
    without_its_id: bool,
}

/// A subscription without its waking.
#[derive(Debug)]
pub struct Detached {
    /// The client's presence on the stream.
    pub seat: Seat,
    /// Where the client stands.
    pub cursor: Seq,
    /// What the client is told before all else.
    pub told_first: Option<Frame>,
}

/// Where it is told that bytes arrive at a client, of what it was given before: it takes something, though not more yet.
#[derive(Debug, Clone)]
pub struct Arrivals(Weak<Stream>);

impl Arrivals {
    /// Bytes arrived.
    pub fn arrived(&self) {
        if let Some(stream) = self.0.upgrade() {
            stream.arrived();
        }
    }
}

/// What a client that arrives is answered.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// The origin's head is here.
    Live(Arc<HeaderMap>),
    /// The origin's head is here, and it is for this client alone.
    Own(Arc<HeaderMap>),
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
    /// The subscription of the client that opens a stream.
    pub(super) fn open(stream: &Arc<Stream>, last_event_id: Option<&Bytes>) -> Self {
        let changes = stream.watch();
        stream.locked(|state| Self::on(stream, state, changes, last_event_id, true))
    }

    /// Joins a stream; `Err` where it is over already. Whoever joins one that has just become its opener's alone is given
    /// nothing but that word.
    pub(super) fn join(stream: &Arc<Stream>, last_event_id: Option<&Bytes>) -> Result<Self, Over> {
        let changes = stream.watch();
        stream.locked(|state| {
            if let Phase::Closed { end, remembered_until } = &state.phase {
                return Err(Over { end: end.clone(), remembered_until: *remembered_until });
            }
            Ok(Self::on(stream, state, changes, last_event_id, false))
        })
    }

    fn on(
        stream: &Arc<Stream>,
        state: &mut State,
        changes: watch::Receiver<()>,
        last_event_id: Option<&Bytes>,
        is_opener: bool,
    ) -> Self {
        let (cursor, told_first, unplaced) = match place(stream, state, last_event_id) {
            Place::At(cursor, told_first) => (cursor, told_first, None),
            Place::Unknown(unplaced) => (state.log.end(), None, Some(unplaced)),
        };
        let without_its_id = is_opener
            && !stream.origins.alone
            && last_event_id.is_some_and(|id| backfills::for_the_origin(state.log.options(), id).is_some());
        let seat = Seat::take(stream, state, cursor, is_opener);
        Self { seat, changes, cursor, told_first, unplaced, without_its_id }
    }

    /// Leaves the waking behind: what is left is read through a [`Feed`](super::Feed) of the seat's stream.
    #[must_use]
    pub fn detach(self) -> Detached {
        Detached { seat: self.seat, cursor: self.cursor, told_first: self.told_first }
    }

    /// The key of the stream.
    #[must_use]
    pub fn key(&self) -> &StreamKey {
        self.seat.key()
    }

    /// Whether it is the client that opened the stream.
    #[must_use]
    pub fn is_opener(&self) -> bool {
        self.seat.is_opener
    }

    /// Waits for the origin's head, its first failure, or `patience`; without that, until the first attempt came to
    /// something.
    pub async fn verdict(&mut self, patience: Option<Duration>) -> Verdict {
        let known = async {
            loop {
                self.changes.borrow_and_update();
                if let Some(verdict) = self.stream().locked(|state| verdict(state, self.seat.is_opener)) {
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

    /// Whether the stream's request did not bear the id that this client came with and opened it: the stream was to be
    /// everyone's. If it is the client's own, one that is opened for it alone [can bear it](super::Hub::join_alone).
    #[must_use]
    pub fn is_without_its_id(&self) -> bool {
        self.without_its_id
    }

    /// Waits for the [verdict](Self::verdict), and until the client is [placed](Self::placed): unless it is to have another
    /// stream anyway.
    pub async fn arrival(&mut self, patience: Option<Duration>, deadline: Instant) -> Verdict {
        match self.verdict(patience).await {
            Verdict::Ended(end) => Verdict::Ended(end),
            Verdict::Own(head) if self.without_its_id => Verdict::Own(head),
            verdict => self.placed(deadline).await.map_or_else(Verdict::Ended, |()| verdict),
        }
    }

    /// Waits until it is known where the client stands: at once, unless its id is asked of the origin. At the deadline it is
    /// told a gap.
    ///
    /// # Errors
    /// The origin's answer to this id.
    pub async fn placed(&mut self, deadline: Instant) -> Result<(), End> {
        while let Some(unplaced) = self.unplaced.clone() {
            self.changes.borrow_and_update();
            let is_late = Instant::now() >= deadline;
            let stream = Arc::clone(&self.seat.stream);
            let settled = stream.locked(|state| settled(&stream, state, &unplaced, is_late));
            match settled {
                Some(settled) => {
                    (self.cursor, self.told_first) = settled?;
                    self.unplaced = None;
                }
                None => {
                    // Late is looked at once more.
                    let _late = tokio::time::timeout_at(deadline, self.changed()).await;
                }
            }
        }
        Ok(())
    }

    /// Gives the frames from the cursor on, about `most` bytes at a time, and moves it.
    pub fn read(&mut self, most: usize, frames: &mut Vec<Frame>) -> Delivery {
        if let Some(frame) = self.told_first.take() {
            frames.push(frame);
            return Delivery::Frames;
        }
        self.changes.borrow_and_update();
        match self.stream().read(self.cursor, self.seat.is_opener, most, frames) {
            Reading::To(next) => {
                self.cursor = next;
                Delivery::Frames
            }
            Reading::CaughtUp => Delivery::CaughtUp,
            Reading::Lagged(gap) => Delivery::Lagged(gap),
            Reading::Ended(end) => Delivery::Ended(end),
        }
    }

    /// Where to tell of bytes that arrive at the client.
    #[must_use]
    pub fn arrivals(&self) -> Arrivals {
        Arrivals(Arc::downgrade(&self.seat.stream))
    }

    /// After [`Delivery::Lagged`]: goes on with the oldest event held, and tells the client of the gap.
    pub fn skip(&mut self, gap: Gap) {
        let (oldest, frame) = self.stream().skip(self.cursor, gap);
        self.cursor = oldest;
        self.told_first = Some(frame);
    }

    /// Entries of the log that this client has not been given.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.stream().lag(self.cursor)
    }

    /// Whether the stream is over, though not all of it may have been given.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stream().locked(|state| state.is_over_for(self.seat.is_opener))
    }

    /// The reconnection time that the origin last asked for, in milliseconds.
    #[must_use]
    pub fn origin_retry(&self) -> Option<u64> {
        self.stream().locked(|state| state.retry)
    }

    /// Resolves when there may be something to read since the last [`Self::read`]. Safe to drop and call again.
    pub async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            // The sender lives in the stream that we hold: it cannot be gone.
            std::future::pending::<()>().await;
        }
    }

    fn stream(&self) -> &Stream {
        &self.seat.stream
    }
}

/// A stream that is over, and how long that is to be remembered.
#[derive(Debug)]
pub(super) struct Over {
    pub(super) end: End,
    pub(super) remembered_until: Option<Instant>,
}

/// Where a client begins.
enum Place {
    /// Here, with what it is told first.
    At(Seq, Option<Frame>),
    /// The origin is asked.
    Unknown(Unplaced),
}

/// A client whose place is asked of the origin.
#[derive(Debug, Clone)]
struct Unplaced {
    /// The id that it came with.
    id: Bytes,
    /// What of it the origin is asked about.
    asked: Wanted,
}

fn place(stream: &Stream, state: &mut State, last_event_id: Option<&Bytes>) -> Place {
    let now = Instant::now();
    state.log.expire(now.into_std());
    stream.account(state);
    let Some(id) = last_event_id else { return Place::At(state.log.start(), None) };
    if matches!(state.log.position(id), Position::Gone(_))
        && let Some(asked) = backfills::want(state, id, stream.opened_at, now)
    {
        return Place::Unknown(Unplaced { id: Bytes::copy_from_slice(id), asked });
    }
    let (cursor, told_first) = resumed(stream, state, id);
    Place::At(cursor, told_first)
}

/// Where a client with this id goes on as the log has it, and what it is told first.
fn resumed(stream: &Stream, state: &State, id: &Bytes) -> (Seq, Option<Frame>) {
    match state.log.position(id) {
        Position::Known(seq) => {
            stream.counters.resumes.add(1);
            (seq, None)
        }
        Position::Gone(gap) => after_gap(stream, state, gap),
    }
}

fn after_gap(stream: &Stream, state: &State, gap: Gap) -> (Seq, Option<Frame>) {
    stream.counters.gaps.add(1);
    if state.log.options().on_gap != OnGap::Event {
        stream.counters.gaps_untold.add(1);
    }
    state.log.after_gap(gap)
}

/// Where a client stands whose id was asked of the origin; `None` while that is not known. `is_late`: it waits no longer.
fn settled(
    stream: &Stream,
    state: &State,
    unplaced: &Unplaced,
    is_late: bool,
) -> Option<Result<(Seq, Option<Frame>), End>> {
    let id = &unplaced.id;
    if matches!(state.log.position(id), Position::Known(_)) {
        return Some(Ok(resumed(stream, state, id)));
    }
    match state.backfills.of(&unplaced.asked.id) {
        Some(Err(end)) => Some(Err(end.clone())),
        Some(Ok(Meeting::At(seq))) if *seq >= state.log.oldest() => {
            stream.counters.resumes.add(1);
            Some(Ok((*seq, None)))
        }
        Some(Ok(Meeting::Beside { text, at })) if *at >= state.log.oldest() => {
            stream.counters.resumes.add(1);
            Some(Ok((*at, Some(text.clone()))))
        }
        Some(Ok(Meeting::Short { missed })) => {
            Some(Ok(after_gap(stream, state, Gap { reason: GapReason::Evicted, missed: Some(*missed) })))
        }
        Some(Ok(Meeting::Never | Meeting::At(_) | Meeting::Beside { .. })) => Some(Ok(resumed(stream, state, id))),
        None if is_late || state.is_closed() => Some(Ok(resumed(stream, state, id))),
        None => None,
    }
}

fn verdict(state: &State, is_opener: bool) -> Option<Verdict> {
    if !state.audience.includes(is_opener) {
        return Some(Verdict::Ended(End::Unshareable));
    }
    match (&state.phase, &state.head) {
        // Also of a stream that is over by now: its events are still to be given.
        (_, Some(head)) if state.audience == Audience::Opener => Some(Verdict::Own(Arc::clone(head))),
        (_, Some(head)) => Some(Verdict::Live(Arc::clone(head))),
        (Phase::Closed { end, .. }, None) => Some(Verdict::Ended(end.clone())),
        (Phase::Waiting | Phase::Connecting { failed: true }, None) => Some(Verdict::Held),
        (Phase::Live | Phase::Connecting { failed: false }, None) => None,
    }
}
