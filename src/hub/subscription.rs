//! One client's subscription to a stream.

use super::arrivals::{Arrivals, SharedPlace};
use super::backfills;
use super::placing::{Place, Start, Unplaced, count_replay, place, settled};
use super::seat::{Course, Seat};
use super::sharing::Audience;
use super::stream::{Phase, Reading, State, Stream};
use super::{End, StreamKey};
use crate::caller::Caller;
use crate::replay::{Epoch, Gap, Seq};
use crate::sse::Frame;
use bytes::Bytes;
use http::HeaderMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// A client on a stream: its seat, its cursor into the log, and what wakes it. Dropping it takes the client off the
/// stream.
#[derive(Debug)]
pub struct Subscription {
    seat: Seat,
    /// The number of clients that were on the stream when this one joined, with this one.
    nth: usize,
    changes: watch::Receiver<()>,
    cursor: Seq,
    /// A frame that the client is given before all others.
    told_first: Option<Frame>,
    /// Set while it is not known at which position the client begins.
    unplaced: Option<Unplaced>,
    /// The client's place with its hold, if [`Arrivals`] may end the hold. Otherwise the seat has it.
    place: Option<SharedPlace>,
    /// As [`Self::appended`] returns it.
    appended: Option<std::time::Instant>,
    /// The client opened the stream, and the stream's request to the origin does not carry the client's
    /// `Last-Event-ID`.
    without_its_id: bool,
}

/// A subscription without its waking.
#[derive(Debug)]
pub struct Detached {
    /// The client's presence on the stream.
    pub seat: Seat,
    /// The position of the next frame for the client.
    pub cursor: Seq,
    /// A frame that the client is given before all others.
    pub told_first: Option<Frame>,
}

/// The answer to an arriving client.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// The origin's response head came.
    Live(Arc<HeaderMap>),
    /// The origin's response head came, and the response is for this client alone.
    Own(Arc<HeaderMap>),
    /// The origin is silent or fails. The client waits with a response of manifold's own.
    Held,
    /// The stream is over.
    Ended(End),
}

impl Subscription {
    /// The subscription of the client that opens a stream.
    pub(super) fn open(stream: &Arc<Stream>, last_event_id: Option<&Bytes>) -> Self {
        let changes = stream.watch();
        stream.locked(|state| Self::on(stream, state, changes, last_event_id, true))
    }

    /// Joins a stream. `Err`: the stream is over already. If the stream has just become its opener's alone, the
    /// subscription gives nothing but [`End::Unshareable`].
    pub(super) fn join(stream: &Arc<Stream>, last_event_id: Option<&Bytes>) -> Result<Self, Over> {
        let changes = stream.watch();
        stream.locked(|state| {
            if let Phase::Closed { end, remembered_until } = &state.phase {
                return Err(Over { end: end.clone(), remembered_until: *remembered_until });
            }
            Ok(Self::on(stream, state, changes, last_event_id, false))
        })
    }

    /// Puts a client back that was on the stream, and goes on at this position.
    pub(super) fn again(stream: &Arc<Stream>, cursor: Seq, caller: Caller, course: Course) -> Self {
        let changes = stream.watch();
        stream.locked(|state| {
            let mut seat = Seat::take_again(stream, state, cursor, false);
            (seat.caller, seat.course) = (caller, course);
            Self {
                seat,
                nth: state.subscribers,
                changes,
                cursor,
                told_first: None,
                unplaced: None,
                place: None,
                appended: None,
                without_its_id: false,
            }
        })
    }

    fn on(
        stream: &Arc<Stream>,
        state: &mut State,
        changes: watch::Receiver<()>,
        last_event_id: Option<&Bytes>,
        is_opener: bool,
    ) -> Self {
        let mut course = Course::default();
        let (cursor, told_first, unplaced) = match place(stream, state, last_event_id) {
            Place::At(Start { cursor, told_first, has_gap }) => {
                course.gaps = has_gap.into();
                course.replayed = count_replay(stream, state, cursor, last_event_id.is_some());
                (cursor, told_first, None)
            }
            Place::Unknown(unplaced) => (state.log.end(), None, Some(unplaced)),
        };
        let without_its_id = is_opener
            && !stream.membership.alone
            && last_event_id.is_some_and(|id| backfills::for_the_origin(state.log.options(), id).is_some());
        let mut seat = Seat::take(stream, state, cursor, is_opener);
        seat.course = course;
        let nth = state.subscribers;
        Self { seat, nth, changes, cursor, told_first, unplaced, place: None, appended: None, without_its_id }
    }

    /// Drops the waking. The rest of the stream is read through a [`Feed`](super::Feed) of the seat's stream.
    #[must_use]
    pub fn detach(self) -> Detached {
        Detached { seat: self.seat, cursor: self.cursor, told_first: self.told_first }
    }

    /// Notes who the client is.
    pub fn is_of(&mut self, caller: Caller) {
        self.seat.caller = caller;
    }

    /// Who the client is.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        self.seat.caller()
    }

    /// The key of the stream.
    #[must_use]
    pub fn key(&self) -> &StreamKey {
        self.seat.key()
    }

    /// The number of clients that were on the stream when this one joined, with this one.
    #[must_use]
    pub fn nth(&self) -> usize {
        self.nth
    }

    /// The number of the stream. Streams are numbered as they are opened.
    #[must_use]
    pub fn number_of_stream(&self) -> usize {
        self.seat.stream.number
    }

    /// Whether the client opened the stream.
    #[must_use]
    pub fn is_opener(&self) -> bool {
        self.seat.is_opener
    }

    /// Waits for the origin's response head, for its first failure, or for `patience`. Without `patience`, waits
    /// until the first attempt has succeeded or failed.
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

    /// Whether the client opened the stream, and the stream's request does not carry the client's `Last-Event-ID`,
    /// because the stream was meant for everyone. If the response turns out to be for this client alone, a stream
    /// that is opened [for it alone](super::Hub::join_alone) can carry the id.
    #[must_use]
    pub fn is_without_its_id(&self) -> bool {
        self.without_its_id
    }

    /// Waits for the [verdict](Self::verdict), then until the client is [placed](Self::placed). A client that gets
    /// another stream anyway is not placed.
    pub async fn arrival(&mut self, patience: Option<Duration>, deadline: Instant) -> Verdict {
        match self.verdict(patience).await {
            Verdict::Ended(end) => Verdict::Ended(end),
            Verdict::Own(head) if self.without_its_id => Verdict::Own(head),
            verdict => self.placed(deadline).await.map_or_else(Verdict::Ended, |()| verdict),
        }
    }

    /// Waits until it is known at which position the client begins. That is at once, unless the origin is asked about
    /// its id. A client that is not placed by the deadline is told a gap.
    ///
    /// # Errors
    /// The origin's answer to a request with this id.
    pub async fn placed(&mut self, deadline: Instant) -> Result<(), End> {
        while let Some(unplaced) = self.unplaced.clone() {
            self.changes.borrow_and_update();
            let is_late = Instant::now() >= deadline;
            let stream = Arc::clone(&self.seat.stream);
            let settled = stream.locked(|state| {
                let settled = settled(&stream, state, &unplaced, is_late);
                if let Some(Ok(Start { cursor, has_gap, .. })) = &settled {
                    self.seat.course.gaps = (*has_gap).into();
                    self.seat.course.replayed = count_replay(&stream, state, *cursor, true);
                    self.seat.hold.advance(&stream, state, *cursor);
                }
                settled
            });
            match settled {
                Some(settled) => {
                    let start = settled?;
                    (self.cursor, self.told_first) = (start.cursor, start.told_first);
                    self.unplaced = None;
                }
                None => {
                    // After the deadline the loop looks once more.
                    let _late = tokio::time::timeout_at(deadline, self.changed()).await;
                }
            }
        }
        Ok(())
    }

    /// Reads frames from the cursor on, about `most` bytes at a time, and moves the cursor past them.
    pub fn read(&mut self, most: usize, frames: &mut Vec<Frame>) -> Reading {
        self.appended = None;
        if let Some(frame) = self.told_first.take() {
            frames.push(frame);
            return Reading::To(self.cursor);
        }
        self.changes.borrow_and_update();
        let Self { seat, cursor, place, appended, .. } = self;
        let Seat { stream, is_opener, hold: own, .. } = seat;
        let reading = stream.read(*cursor, *is_opener, most, frames, |state, reading| {
            let Some(shared) = place else {
                *appended = state.appends.of_held(own, *cursor);
                return own.found(stream, state, *cursor, reading);
            };
            let mut place = shared.place.lock();
            *appended = state.appends.of_held(&place.hold, *cursor);
            place.hold.found(stream, state, *cursor, reading);
            if let Reading::To(next) = reading {
                place.cursor = *next;
            }
        });
        if let Reading::To(next) = reading {
            self.cursor = next;
        }
        reading
    }

    /// When the first of the frames read last was appended. `None`: not known, or the client does not keep up.
    #[must_use]
    pub fn appended(&self) -> Option<std::time::Instant> {
        self.appended
    }

    /// What to tell when the client receives bytes, and when it does not.
    pub fn arrivals(&mut self) -> Arrivals {
        let Seat { stream, hold: own, .. } = &mut self.seat;
        self.place.get_or_insert_with(|| SharedPlace::new(stream, own.take(), self.cursor)).arrivals()
    }

    /// After [`Reading::Lagged`]: goes on with the oldest entry of the log, and tells the client of the gap.
    pub fn skip(&mut self, gap: Gap) {
        let (oldest, frame) = self.stream().skip(self.cursor, gap);
        self.seat.has_gap();
        self.cursor = oldest;
        self.told_first = Some(frame);
        if let Some(shared) = &self.place {
            shared.place.lock().cursor = oldest;
        }
    }

    /// What the client met so far.
    #[must_use]
    pub fn course(&self) -> Course {
        self.seat.course()
    }

    /// The client's connection took nothing for a while: notes how many log entries it was not given.
    pub fn was_slow(&mut self) {
        let lag = self.lag();
        self.seat.was_behind(lag);
    }

    /// The position of the next frame for the client.
    #[must_use]
    pub fn cursor(&self) -> Seq {
        self.cursor
    }

    /// The log of the stream.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.seat.epoch()
    }

    /// The number of log entries that the client was not given.
    #[must_use]
    pub fn lag(&self) -> u64 {
        self.stream().lag(self.cursor)
    }

    /// Whether what the client is still to be given is to be sent at once, though the route lets events be held: the
    /// stream is over, as much as one write takes has come, or the log begins to drop it.
    #[must_use]
    pub fn cannot_wait(&self) -> bool {
        self.stream().cannot_wait(self.cursor, self.seat.is_opener)
    }

    /// Whether the stream is over. The client may not have been given all of it yet.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.stream().locked(|state| state.is_over_for(self.seat.is_opener))
    }

    /// The reconnection time that the origin last asked for, in milliseconds.
    #[must_use]
    pub fn origin_retry(&self) -> Option<u64> {
        self.stream().locked(|state| state.retry)
    }

    /// Resolves when there may be something new to read since the last [`Self::read`]. Cancel-safe.
    pub async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            // The sender lives in the stream, which the seat holds. So it cannot be gone.
            std::future::pending::<()>().await;
        }
    }

    fn stream(&self) -> &Stream {
        &self.seat.stream
    }
}

/// A stream that is over, and how long its end is remembered.
#[derive(Debug)]
pub(super) struct Over {
    pub(super) end: End,
    pub(super) remembered_until: Option<Instant>,
}

fn verdict(state: &State, is_opener: bool) -> Option<Verdict> {
    if !state.audience.includes(is_opener) {
        return Some(Verdict::Ended(End::Unshareable));
    }
    match (&state.phase, &state.head) {
        // A stream that is over by now may have a head, too. Its events are still to be given.
        (_, Some(head)) if state.audience == Audience::Opener => Some(Verdict::Own(Arc::clone(head))),
        (_, Some(head)) => Some(Verdict::Live(Arc::clone(head))),
        (Phase::Closed { end, .. }, None) => Some(Verdict::Ended(end.clone())),
        (Phase::Waiting | Phase::Connecting { failed: true }, None) => Some(Verdict::Held),
        (Phase::Live | Phase::Connecting { failed: false }, None) => None,
    }
}
