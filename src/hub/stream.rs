//! One upstream response being shared.
//!
//! ```text
//!                 connected             failed, lost
//!   Connecting ─────────────▶ Live ───────────────────▶ Waiting
//!       │  ▲                    │                        │   │
//!       │  └────────────────────│──── connecting ────────┘   │
//!       │ close                 │ close                      │ close
//!       └───────────────────────┴────────────▶ Closed ◀──────┘
//! ```
//!
//! Only the publisher moves a stream, but for its end: a stream that nobody is on may be closed to make room. The publisher's
//! drop closes it. A closed stream never opens again and takes nothing any more: the hub makes a new one.

use super::backfills::Backfills;
use super::budget::{Budget, STREAM_OVERHEAD};
use super::pace::Pace;
use super::sharing::{Audience, Sharing};
use super::streams::{Place, Streams};
use super::{End, StreamKey, StreamRequest, Watcher};
use crate::counters::RouteCounters;
use crate::replay::{Gap, GapReason, Read, ReplayLog, Seq};
use crate::sse::Frame;
use http::HeaderMap;
use parking_lot::{Mutex, RwLock};
use std::sync::{Arc, Weak};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// One upstream SSE response being shared, named by its key.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) key: StreamKey,
    pub(super) counters: Arc<RouteCounters>,
    pub(super) opened_at: Instant,
    pub(super) origins: Origins,
    /// The bytes that it holds beside its log.
    own_bytes: usize,
    state: Mutex<State>,
    /// Told after every change that a subscriber may want to see; the lock is not held then.
    changed: watch::Sender<()>,
    /// Told of the same, for many subscribers at once.
    pub(super) watchers: RwLock<Vec<Arc<dyn Watcher>>>,
    /// Told when the first subscriber comes or the last one leaves.
    pub(super) occupancy: Notify,
    /// Told when a subscriber comes, for who waits for one.
    pub(super) arrivals: Notify,
    /// Told when somebody took something, if the publisher waits for that.
    pub(super) taken: Notify,
}

/// Where a stream comes from.
#[derive(Debug)]
pub(super) struct Origins {
    pub(super) streams: Weak<Streams>,
    pub(super) budget: Arc<Budget>,
    /// Nobody but its opener finds it.
    pub(super) alone: bool,
}

/// What is behind the lock.
#[derive(Debug)]
pub(super) struct State {
    pub(super) log: ReplayLog,
    pub(super) phase: Phase,
    /// The head of the newest response: what a new client is shown.
    pub(super) head: Option<Arc<HeaderMap>>,
    /// The reconnection time that the origin last asked for, in milliseconds.
    pub(super) retry: Option<u64>,
    /// How far the fastest subscriber came.
    pub(super) furthest: Seq,
    /// What the publisher knows of the fastest subscriber's pace.
    pub(super) pace: Pace,
    pub(super) backfills: Backfills,
    /// Who may be given what the log and the head hold.
    pub(super) audience: Audience,
    pub(super) subscribers: usize,
    /// The client that opened the stream is on it.
    pub(super) has_opener: bool,
    /// Since when there are none. Meaningless while there are some.
    pub(super) empty_since: Instant,
    pub(super) place: Place,
    /// The bytes that the budget knows of.
    accounted: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Phase {
    /// An attempt is under way. `failed`: one before it failed, and none succeeded since.
    Connecting { failed: bool },
    /// The origin's head came; events follow.
    Live,
    /// The last attempt failed or the connection was lost; another follows.
    Waiting,
    /// Over. Whoever asks before `remembered_until` gets the same answer.
    Closed { end: End, remembered_until: Option<Instant> },
}

/// What a cursor finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// The frames that were given; the cursor goes on from here.
    To(Seq),
    /// Nothing now.
    CaughtUp,
    /// The cursor fell off the log.
    Lagged(Gap),
    /// The stream is over and all of it was given.
    Ended(End),
}

impl Stream {
    pub(super) fn new(request: &StreamRequest, counters: Arc<RouteCounters>, log: ReplayLog, origins: Origins) -> Self {
        counters.streams.add(1);
        let furthest = log.end();
        origins.budget.enter();
        Self {
            key: request.key().clone(),
            counters,
            opened_at: Instant::now(),
            origins,
            own_bytes: request.len().saturating_add(STREAM_OVERHEAD),
            state: Mutex::new(State {
                log,
                phase: Phase::Connecting { failed: false },
                head: None,
                retry: None,
                furthest,
                pace: Pace::Free,
                backfills: Backfills::default(),
                audience: Audience::Undecided,
                subscribers: 0,
                has_opener: false,
                empty_since: Instant::now(),
                place: Place::default(),
                accounted: 0,
            }),
            changed: watch::channel(()).0,
            watchers: RwLock::default(),
            occupancy: Notify::new(),
            arrivals: Notify::new(),
            taken: Notify::new(),
        }
    }

    /// Looks at the state or changes what subscribers need not be woken for.
    pub(super) fn locked<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock())
    }

    /// Changes the state, then wakes the subscribers: after the lock is free, or they would wake to wait.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.lock());
        self.changed.send_replace(());
        for watcher in &*self.watchers.read() {
            watcher.changed();
        }
        result
    }

    /// A subscriber came this far; `locked` is the state of this stream.
    pub(super) fn reached(&self, locked: &mut State, seq: Seq) {
        if seq > locked.furthest {
            locked.furthest = seq;
            if std::mem::replace(&mut locked.pace, Pace::Free) == Pace::Waits {
                self.taken.notify_one();
            }
        }
    }

    /// The publisher waits: whoever reads for many subscribers is to say whether bytes arrived at one of them.
    pub(super) fn ask(&self) {
        for watcher in &*self.watchers.read() {
            watcher.asked();
        }
    }

    /// Bytes arrived at a subscriber that had been read from the log before.
    pub(super) fn arrived(&self) {
        let waits = self.locked(|state| {
            state.pace = state.pace.arrived();
            state.pace == Pace::Waits
        });
        if waits {
            self.taken.notify_one();
        }
    }

    /// Resolves at the next change.
    pub(super) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Tells the budget what the stream holds now; says whether all streams hold too much. Once a batch.
    pub(super) fn account(&self, locked: &mut State) -> bool {
        let held = self.own_bytes.saturating_add(locked.log.footprint());
        let before = std::mem::replace(&mut locked.accounted, held);
        self.origins.budget.change(before, held)
    }

    /// Whether it may still turn out to be its opener's own.
    pub(super) fn is_undecided(&self) -> bool {
        self.locked(|state| state.audience == Audience::Undecided && !state.is_closed())
    }

    /// Gives the frames from `cursor` on, about `most` bytes at a time, unless they are another's.
    pub(super) fn read(&self, cursor: Seq, is_opener: bool, most: usize, frames: &mut Vec<Frame>) -> Reading {
        self.locked(|state| {
            if !state.audience.includes(is_opener) {
                return Reading::Ended(End::Unshareable);
            }
            match state.log.read(cursor, most, frames) {
                Read::Behind { missed, .. } => Reading::Lagged(Gap { reason: GapReason::Lag, missed }),
                Read::To(next) if next != cursor => {
                    self.reached(state, next);
                    Reading::To(next)
                }
                Read::To(_) => match &state.phase {
                    Phase::Closed { end, .. } => Reading::Ended(end.clone()),
                    Phase::Connecting { .. } | Phase::Live | Phase::Waiting => Reading::CaughtUp,
                },
            }
        })
    }

    /// For a client at `cursor` that fell off the log: the oldest position held, and the frame that tells of the gap.
    pub(super) fn skip(&self, cursor: Seq, gap: Gap) -> (Seq, Frame) {
        self.counters.lagged.add(1);
        self.counters.gaps.add(1);
        self.locked(|state| {
            let oldest = state.log.oldest();
            // More may have been dropped since the gap was found.
            let gap = Gap { missed: state.log.events_between(cursor, oldest), ..gap };
            (oldest, gap.frame(&state.log.options().gap_event))
        })
    }

    /// Entries of the log that a client at `cursor` has not been given.
    pub(super) fn lag(&self, cursor: Seq) -> u64 {
        self.locked(|state| state.log.end().0.saturating_sub(cursor.0))
    }

    /// Closes the stream unless it is closed, and says whether it did.
    pub(super) fn close(&self, end: End, remembered_until: Option<Instant>) -> bool {
        self.change(|state| state.close(end, remembered_until))
    }
}

impl State {
    pub(super) fn close(&mut self, end: End, remembered_until: Option<Instant>) -> bool {
        if self.is_closed() {
            return false;
        }
        self.phase = Phase::Closed { end, remembered_until };
        true
    }

    /// Takes note of a new response; says whether the stream goes on with it, and closes it if not.
    pub(super) fn admit(&mut self, sharing: Sharing) -> bool {
        if self.is_closed() {
            return false;
        }
        match self.audience.of_next(sharing, self.has_opener) {
            Some(audience) => self.audience = audience,
            None => _ = self.close(End::Unshareable, None),
        }
        !self.is_closed()
    }

    /// Whether nobody is on the stream. Who was turned away from an opener's own stream, and has not left yet, is nobody.
    pub(super) fn is_empty(&self) -> bool {
        if self.audience == Audience::Opener { !self.has_opener } else { self.subscribers == 0 }
    }

    /// Whether it outlives its last subscriber: not if the origin never answered, nor if nobody else may be on it.
    pub(super) fn lingers(&self) -> bool {
        self.head.is_some() && self.audience == Audience::Everyone
    }

    /// Whether a reader gets nothing new.
    pub(super) fn is_over_for(&self, is_opener: bool) -> bool {
        self.is_closed() || !self.audience.includes(is_opener)
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.counters.streams.sub_one();
        self.origins.budget.leave(self.locked(|state| state.accounted));
    }
}
