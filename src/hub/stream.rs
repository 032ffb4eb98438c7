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
//! Only the publisher moves a stream; its drop closes it. A closed stream never opens again: the hub makes a new one.

use super::backfills::Backfills;
use super::{End, StreamKey, Watcher};
use crate::counters::RouteCounters;
use crate::replay::{Gap, GapReason, Read, ReplayLog, Seq};
use crate::sse::Frame;
use http::HeaderMap;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// One upstream SSE response being shared, named by its key.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) key: StreamKey,
    pub(super) counters: Arc<RouteCounters>,
    pub(super) opened_at: Instant,
    state: Mutex<State>,
    /// Told after every change that a subscriber may want to see; the lock is not held then.
    changed: watch::Sender<()>,
    /// Told of the same, for many subscribers at once.
    pub(super) watchers: RwLock<Vec<Arc<dyn Watcher>>>,
    /// Told when the first subscriber comes or the last one leaves.
    pub(super) occupancy: Notify,
    /// Told when the fastest subscriber took events, if the publisher waits for it.
    pub(super) taken: Notify,
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
    pub(super) subscribers: usize,
    /// Since when there are none. Meaningless while there are some.
    pub(super) empty_since: Instant,
}

/// The publisher beside the fastest subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// It goes on, or never had to wait.
    Free,
    /// It waits until the fastest takes something.
    Waits,
    /// It waited in vain, and does not wait again until somebody takes something.
    Gave,
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
    pub(super) fn new(key: StreamKey, counters: Arc<RouteCounters>, log: ReplayLog) -> Self {
        counters.streams.add(1);
        let furthest = log.end();
        Self {
            key,
            counters,
            opened_at: Instant::now(),
            state: Mutex::new(State {
                log,
                phase: Phase::Connecting { failed: false },
                head: None,
                retry: None,
                furthest,
                pace: Pace::Free,
                backfills: Backfills::default(),
                subscribers: 0,
                empty_since: Instant::now(),
            }),
            changed: watch::channel(()).0,
            watchers: RwLock::default(),
            occupancy: Notify::new(),
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

    /// Resolves at the next change.
    pub(super) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Gives the frames from `cursor` on, about `most` bytes at a time.
    pub(super) fn read(&self, cursor: Seq, most: usize, frames: &mut Vec<Frame>) -> Reading {
        self.locked(|state| match state.log.read(cursor, most, frames) {
            Read::Behind { missed, .. } => Reading::Lagged(Gap { reason: GapReason::Lag, missed }),
            Read::To(next) if next != cursor => {
                if next > state.furthest {
                    state.furthest = next;
                    if std::mem::replace(&mut state.pace, Pace::Free) == Pace::Waits {
                        self.taken.notify_one();
                    }
                }
                Reading::To(next)
            }
            Read::To(_) => match &state.phase {
                Phase::Closed { end, .. } => Reading::Ended(end.clone()),
                Phase::Connecting { .. } | Phase::Live | Phase::Waiting => Reading::CaughtUp,
            },
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

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.counters.streams.sub_one();
    }
}
