//! One upstream response that is being shared.
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
//! Only the publisher changes the phase, with one exception: a stream without subscribers may be closed to make room.
//! Dropping the publisher closes the stream. A closed stream takes no more events and never opens again; the hub
//! makes a new one.

use super::appends::Appends;
use super::backfills::Backfills;
use super::budget::{Budget, STREAM_OVERHEAD};
use super::census::Census;
use super::frozen::Late;
use super::key::Forwarded;
use super::pace::{MOST_AHEAD, Pace};
use super::sharing::Audience;
use super::streams::{Place, Streams};
use super::view::Trouble;
use super::{End, StreamKey, StreamRequest, Watcher};
use crate::counters::{Lost, RouteCounters};
use crate::replay::{Epoch, Gap, ReplayLog, Seq};
use crate::sse::Frame;
use http::HeaderMap;
use parking_lot::{Mutex, RwLock};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// One upstream SSE response that is being shared, named by its key.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) key: StreamKey,
    /// What of a client's request goes to the origin.
    pub(super) forwarded: Arc<Forwarded>,
    /// The number of streams that were opened before this one.
    pub(super) number: usize,
    pub(super) epoch: Epoch,
    pub(super) counters: Arc<RouteCounters>,
    pub(super) opened_at: Instant,
    pub(super) membership: Membership,
    /// The bytes that the stream holds beside its log.
    own_bytes: usize,
    state: Mutex<State>,
    /// Notified after every change that a subscriber may want to see, when the lock is free again.
    changed: watch::Sender<()>,
    /// Called for the same changes, each on behalf of many subscribers.
    pub(super) watchers: RwLock<Vec<Arc<dyn Watcher>>>,
    /// Notified when the first subscriber comes or the last one leaves, and when the stream gives way to others.
    pub(super) occupancy: Notify,
    /// Notified when the first subscriber comes, for the driver that waits for one.
    pub(super) arrivals: Notify,
    /// Notified when something came that will be too old before the upkeep looks for it.
    pub(super) aging: Notify,
    /// Notified when a subscriber takes something, if the publisher waits for that.
    pub(super) taken: Notify,
    /// Notified when an operator wants the origin to be asked again.
    pub(super) reconnect: Notify,
}

/// The hub that a stream belongs to.
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) streams: Weak<Streams>,
    pub(super) budget: Arc<Budget>,
    /// Only the opener is ever on the stream: other clients do not find it.
    pub(super) alone: bool,
}

/// What the lock protects.
#[derive(Debug)]
pub(super) struct State {
    pub(super) log: ReplayLog,
    /// The log is of an earlier process.
    pub(super) is_restored: bool,
    /// The stream is about to move: nothing more is read from the origin for now, and the log stands still. What comes all
    /// the same is kept here. `None`: the stream is not frozen.
    pub(super) frozen: Option<Vec<Late>>,
    pub(super) appends: Appends,
    pub(super) phase: Phase,
    /// Since when the stream is in this phase.
    pub(super) phase_since: Instant,
    /// What went wrong last.
    pub(super) trouble: Option<Box<Trouble>>,
    /// When the driver asks the origin again. Meaningful only while it waits.
    pub(super) next_attempt: Option<Instant>,
    /// The responses that took the place of an earlier one.
    pub(super) reconnects: u32,
    pub(super) census: Census,
    /// The head of the newest response. New clients are shown it.
    pub(super) head: Option<Arc<HeaderMap>>,
    /// The reconnection time that the origin last asked for, in milliseconds.
    pub(super) retry: Option<u64>,
    /// The furthest position that any subscriber has reached.
    pub(super) furthest: Seq,
    /// Whether the publisher waits for the subscribers.
    pub(super) pace: Pace,
    pub(super) backfills: Backfills,
    /// Which clients may be given what the log and the head hold.
    pub(super) audience: Audience,
    pub(super) subscribers: usize,
    /// The client that opened the stream is on it.
    pub(super) has_opener: bool,
    /// When the last subscriber left. Meaningless while there is a subscriber.
    pub(super) empty_since: Instant,
    /// How long the stream outlives its last subscriber.
    pub(super) linger: Duration,
    pub(super) place: Place,
    /// The bytes that the budget counts for this stream.
    accounted: usize,
    /// When the upkeep looks for what is too old. `None`: it rests, because nothing ever will be, as it is now.
    pub(super) upkeep_at: Option<Instant>,
}

#[derive(Debug, Clone)]
pub(super) enum Phase {
    /// An attempt to connect is under way. `failed`: the attempt before it failed, and none has succeeded since.
    Connecting { failed: bool },
    /// The origin's response head came, and events follow.
    Live,
    /// The last attempt failed or the connection was lost. Another attempt follows.
    Waiting,
    /// The stream is over. A client that asks before `remembered_until` gets the same end.
    Closed { end: End, remembered_until: Option<Instant> },
}

/// What a read at a cursor finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// Frames were given. The cursor goes on from here.
    To(Seq),
    /// There is nothing new.
    CaughtUp,
    /// The cursor fell off the log.
    Lagged(Gap),
    /// The stream is over, and all of it was given.
    Ended(End),
}

impl Stream {
    pub(super) fn new(
        request: &StreamRequest,
        counters: Arc<RouteCounters>,
        log: ReplayLog,
        membership: Membership,
        number: usize,
    ) -> Self {
        let (census, furthest, epoch) = (Census::new(Arc::clone(&counters)), log.end(), log.epoch());
        membership.budget.enter();
        Self {
            key: request.key().clone(),
            forwarded: Arc::clone(&request.forwarded),
            number,
            epoch,
            counters,
            opened_at: Instant::now(),
            membership,
            own_bytes: request.len().saturating_add(STREAM_OVERHEAD),
            state: Mutex::new(State {
                log,
                is_restored: false,
                frozen: None,
                appends: Appends::default(),
                phase: Phase::Connecting { failed: false },
                phase_since: Instant::now(),
                trouble: None,
                next_attempt: None,
                reconnects: 0,
                census,
                head: None,
                retry: None,
                furthest,
                pace: Pace::Free,
                backfills: Backfills::default(),
                audience: Audience::Undecided,
                subscribers: 0,
                has_opener: false,
                empty_since: Instant::now(),
                linger: Duration::ZERO,
                place: Place::default(),
                accounted: 0,
                upkeep_at: None,
            }),
            changed: watch::channel(()).0,
            watchers: RwLock::default(),
            occupancy: Notify::new(),
            aging: Notify::new(),
            arrivals: Notify::new(),
            taken: Notify::new(),
            reconnect: Notify::new(),
        }
    }

    /// Reads the state, or changes it in a way that subscribers need not be woken for.
    pub(super) fn locked<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock())
    }

    /// Changes the state, then wakes the subscribers. The lock is free by then, or they would wake only to wait for
    /// it.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state.lock());
        self.changed.send_replace(());
        for watcher in &*self.watchers.read() {
            watcher.changed();
        }
        result
    }

    /// A subscriber reached `seq`. `locked`: the state of this stream.
    pub(super) fn reached(&self, locked: &mut State, seq: Seq) {
        if seq > locked.furthest {
            locked.furthest = seq;
            if std::mem::replace(&mut locked.pace, Pace::Free) == Pace::Waits {
                self.taken.notify_one();
            }
        }
    }

    /// The publisher waits. Asks the watchers whether clients receive bytes.
    pub(super) fn ask(&self) {
        for watcher in &*self.watchers.read() {
            watcher.asked();
        }
    }

    /// A subscriber received bytes that had been read from the log for it before.
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

    /// Changes the log's holds, and tells the budget what that freed.
    pub(super) fn change_holds(&self, locked: &mut State, change: impl FnOnce(&mut ReplayLog)) {
        let before = locked.log.footprint();
        change(&mut locked.log);
        if locked.log.footprint() != before {
            self.account(locked);
        }
    }

    /// Tells the budget what the stream holds now, and the upkeep when there is something for it to do. Returns whether
    /// all streams hold too much together. Called once per batch.
    pub(super) fn account(&self, locked: &mut State) -> bool {
        let next = self.next_upkeep(locked);
        if next.is_some_and(|next| locked.upkeep_at.is_none_or(|planned| next < planned)) {
            locked.upkeep_at = next;
            self.aging.notify_one();
        }
        let log_bytes = locked.log.footprint();
        locked.census.holds(log_bytes);
        let held = [self.own_bytes, log_bytes, locked.backfills.footprint()].into_iter().sum();
        let before = std::mem::replace(&mut locked.accounted, held);
        self.membership.budget.change(before, held)
    }

    /// When something that the stream holds is too old. `None`: never, as it is now.
    pub(super) fn next_upkeep(&self, locked: &State) -> Option<Instant> {
        let expires = locked.log.expires_at().map(Instant::from_std);
        [expires, locked.backfills.forgotten_at(self.opened_at)].into_iter().flatten().min()
    }

    /// Whether the response may still turn out to be for the opener alone.
    pub(super) fn is_undecided(&self) -> bool {
        self.locked(|state| state.audience == Audience::Undecided && !state.is_closed())
    }

    /// Reads frames from `cursor` on into `frames`, about `most` bytes at a time, if this client may have them. `holds`
    /// is given the result, to move a hold accordingly.
    pub(super) fn read(
        &self,
        cursor: Seq,
        is_opener: bool,
        most: usize,
        frames: &mut Vec<Frame>,
        holds: impl FnOnce(&mut State, &Reading),
    ) -> Reading {
        self.locked(|state| {
            let reading = self.find(state, cursor, is_opener, most, frames);
            holds(state, &reading);
            reading
        })
    }

    fn find(&self, state: &mut State, cursor: Seq, is_opener: bool, most: usize, frames: &mut Vec<Frame>) -> Reading {
        if !state.audience.includes(is_opener) {
            return Reading::Ended(End::Unshareable);
        }
        match state.log.read(cursor, most, frames) {
            Err(gap) => Reading::Lagged(gap),
            Ok(next) if next != cursor => {
                self.reached(state, next);
                Reading::To(next)
            }
            Ok(_) => match &state.phase {
                Phase::Closed { end, .. } => Reading::Ended(end.clone()),
                Phase::Connecting { .. } | Phase::Live | Phase::Waiting => Reading::CaughtUp,
            },
        }
    }

    /// Whether what follows `cursor` cannot be held back: the stream is over, it is as much as one write takes, or the
    /// log begins to drop it.
    pub(super) fn cannot_wait(&self, cursor: Seq, is_opener: bool) -> bool {
        self.locked(|state| {
            state.is_over_for(is_opener) || cursor < state.log.oldest() || state.log.weight_from(cursor) > MOST_AHEAD
        })
    }

    /// The oldest position that can be read.
    pub(super) fn readable(&self) -> Seq {
        self.locked(|state| state.log.readable())
    }

    /// The log has dropped entries without a change that subscribers are woken for. Readers in the middle of such an
    /// entry want to know.
    pub(super) fn has_dropped(&self) {
        for watcher in &*self.watchers.read() {
            watcher.changed();
        }
    }

    /// For a client at `cursor` that fell off the log: the position of the oldest entry, and the frame that tells of
    /// the gap.
    pub(super) fn skip(&self, cursor: Seq, gap: Gap) -> (Seq, Frame) {
        self.counters.gaps.add_one(Lost::Lag);
        self.locked(|state| {
            let oldest = state.log.oldest();
            // The log may have dropped more since the gap was found.
            let gap = Gap { missed: state.log.events_between(cursor, oldest), ..gap };
            (oldest, gap.frame(&state.log.options().gap_event))
        })
    }

    /// The number of log entries that a client at `cursor` was not given.
    pub(super) fn lag(&self, cursor: Seq) -> u64 {
        self.locked(|state| state.log.end().0.saturating_sub(cursor.0))
    }

    /// Closes the stream if it is open. Returns whether it was open.
    pub(super) fn close(&self, end: End, remembered_until: Option<Instant>) -> bool {
        let (was_open, unwanted) = self.change(|state| (state.close(end, remembered_until), self.unwanted(state)));
        drop(unwanted);
        was_open
    }

    /// Takes the content of the log out of a stream that is only remembered: nobody reads it any more, and nobody can
    /// join. It is to be dropped when the lock is free.
    pub(super) fn unwanted(&self, locked: &mut State) -> Option<ReplayLog> {
        if locked.subscribers > 0 || !locked.is_closed() {
            return None;
        }
        let content = locked.log.take();
        self.account(locked);
        Some(content)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.membership.budget.leave(self.locked(|state| state.accounted));
    }
}
