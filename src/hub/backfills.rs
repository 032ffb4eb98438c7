//! Clients that come with an origin's id to a log that is young: where they stand is asked of the origin, for each id alone.
//!
//! ```text
//!   wanted ──▶ queued ──▶ running ──▶ settled: at a position, gone, or the origin's own answer
//! ```
//!
//! The shared request bears no client's id, so no client's id decides for another.

use super::stream::{Phase, State, Stream};
use super::{End, Open, StreamRequest};
use crate::counters::RouteCounters;
use crate::replay::{Backfill, Meeting, Position, ReplayOptions, Seq};
use crate::sse::Event;
use bytes::Bytes;
use http::HeaderValue;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// For how long after a stream was opened its log is young: its clients of before come back within a few reconnection times.
const YOUTH: Duration = Duration::from_secs(30);

/// An origin that was asked this long ago has begun its response, though its head may not be here.
const LISTENS_AFTER: Duration = Duration::from_secs(1);

/// Backfills of one stream at once.
const MOST_AT_ONCE: usize = 4;

/// Ids of one stream that are asked for in its youth; more are told a gap.
const MOST_IDS: usize = 1024;

/// The ids that are being asked for, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Backfills {
    queued: VecDeque<Bytes>,
    running: Vec<Bytes>,
    /// Who waits for the ids that are queued or running.
    waiting: HashMap<Bytes, Weak<()>>,
    settled: HashMap<Bytes, Settled>,
}

/// What a client waits for. When the last one who waits for an id is gone, the origin is not asked about it any more: a stranger
/// who comes with made-up ids and leaves must not keep others waiting.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) id: Bytes,
    _by: Arc<()>,
}

/// How often it is looked whether somebody still waits.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What became of an id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Settled {
    At(Seq),
    Short { missed: u64 },
    Gone,
    Ended(End),
}

impl Backfills {
    pub(super) fn of(&self, id: &Bytes) -> Option<&Settled> {
        self.settled.get(id)
    }
}

/// Of an id that the log does not know, what the origin is to be asked about; it is queued then.
pub(super) fn want(state: &mut State, id: &Bytes, opened_at: Instant, now: Instant) -> Option<Wanted> {
    let log = &state.log;
    let is_young = now.duration_since(opened_at) < YOUTH && !log.has_dropped();
    if !is_young || log.lacks_ids() || log.options().events.is_none() {
        return None;
    }
    let id = for_the_origin(log.options(), id)?;
    let backfills = &mut state.backfills;
    let waiting = backfills.waiting.get(&id).map(Weak::upgrade);
    let by = waiting.clone().flatten().unwrap_or_default();
    if backfills.settled.contains_key(&id) {
        return Some(Wanted { id, _by: by });
    }
    if waiting.is_none() {
        if !backfills.has_room() {
            return None;
        }
        backfills.queued.push_back(id.clone());
    }
    backfills.waiting.insert(id.clone(), Arc::downgrade(&by));
    Some(Wanted { id, _by: by })
}

/// What the origin can be asked to resume after, of an id that a client came with. A part that was minted means nothing to it,
/// and an id that came in a query may hold what no header can: its owner is told a gap.
pub(super) fn for_the_origin(options: &ReplayOptions, id: &Bytes) -> Option<Bytes> {
    let id = options.for_the_origin(id).filter(|id| HeaderValue::from_bytes(id).is_ok())?;
    // A slice of a larger buffer would keep all of that.
    Some(Bytes::copy_from_slice(&id))
}

/// The right to settle one id of a stream. Its drop settles the id as gone if nothing else did, and begins the next.
pub struct Backfilling {
    stream: Arc<Stream>,
    opener: Arc<dyn Open>,
    request: StreamRequest,
    backfill: Backfill,
}

impl fmt::Debug for Backfilling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backfilling").field("stream", &self.stream.key).finish_non_exhaustive()
    }
}

/// Begins as many of the queued backfills as may run.
pub(super) fn begin(stream: &Arc<Stream>, opener: &Arc<dyn Open>, request: &StreamRequest) {
    while let Some(id) = stream.locked(|state| state.backfills.next()) {
        let (stream, request) = (Arc::clone(stream), request.clone());
        let backfilling =
            Backfilling { stream, opener: Arc::clone(opener), request: request.clone(), backfill: Backfill::after(id) };
        opener.backfill(request, backfilling);
    }
}

impl Backfills {
    fn next(&mut self) -> Option<Bytes> {
        if self.running.len() >= MOST_AT_ONCE {
            return None;
        }
        loop {
            let id = self.queued.pop_front()?;
            if self.is_waited_for(&id) {
                self.running.push(id.clone());
                return Some(id);
            }
            self.waiting.remove(&id);
        }
    }

    fn is_waited_for(&self, id: &Bytes) -> bool {
        self.waiting.get(id).is_some_and(|waiting| waiting.strong_count() > 0)
    }

    /// Whether one more id may be asked for; those that nobody waits for are forgotten first.
    fn has_room(&mut self) -> bool {
        if self.waiting.len().saturating_add(self.settled.len()) < MOST_IDS {
            return true;
        }
        let Self { queued, waiting, settled, .. } = self;
        queued.retain(|id| {
            let stays = waiting.get(id).is_some_and(|waiting| waiting.strong_count() > 0);
            if !stays {
                waiting.remove(id);
            }
            stays
        });
        waiting.len().saturating_add(settled.len()) < MOST_IDS
    }
}

impl Backfilling {
    /// The id that the origin is to be asked to resume after.
    #[must_use]
    pub fn id(&self) -> &Bytes {
        self.backfill.id()
    }

    /// The counters of the stream's route.
    #[must_use]
    pub fn counters(&self) -> &RouteCounters {
        &self.stream.counters
    }

    /// Resolves when nobody waits for the id any more.
    pub fn unwanted(&self) -> impl Future<Output = ()> + Send + use<> {
        let (stream, id) = (Arc::clone(&self.stream), self.id().clone());
        async move {
            while stream.locked(|state| state.backfills.is_waited_for(&id)) {
                sleep(LOOK_EVERY).await;
            }
        }
    }

    /// Whether the shared response stands.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.stream.locked(|state| matches!(state.phase, Phase::Live))
    }

    /// Resolves when the shared response stands, or never will. Safe to drop and call again.
    pub async fn live(&self) {
        let mut changes = self.stream.watch();
        while self.stream.locked(|state| matches!(state.phase, Phase::Connecting { .. } | Phase::Waiting)) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// The origin is asked once more: what the response before brought is forgotten.
    pub fn begin_again(&mut self) {
        self.backfill = Backfill::after(self.id().clone());
    }

    /// Takes events that the origin sent after the id, in order; says whether the id is settled.
    pub fn push(&mut self, events: &[Event]) -> bool {
        events.iter().any(|event| self.meet(|backfill, state, now| backfill.push(event, &mut state.log, now)))
    }

    /// Nothing came for a while; says whether the id is settled. It is not while the shared response may not have begun: what comes
    /// in between would be lost.
    pub fn silent(&mut self) -> bool {
        self.may_listen() && self.meet(|backfill, state, now| backfill.silent(&mut state.log, now))
    }

    /// The response ended in order; says whether the id is settled, as [`Self::silent`] does.
    pub fn ended(&mut self) -> bool {
        self.may_listen() && self.meet(|backfill, state, now| backfill.ended(&mut state.log, now))
    }

    /// Whether the origin may have begun the shared response.
    fn may_listen(&self) -> bool {
        self.stream.locked(|state| match state.phase {
            Phase::Live => true,
            // Many origins send no head before the first event.
            Phase::Connecting { failed } => !failed && self.stream.opened_at.elapsed() >= LISTENS_AFTER,
            Phase::Waiting | Phase::Closed { .. } => false,
        })
    }

    /// The origin's answer is for the clients with this id alone.
    pub fn refused(&self, end: End) {
        self.settle(Settled::Ended(end));
    }

    fn meet(&mut self, step: impl FnOnce(&mut Backfill, &mut State, std::time::Instant) -> Meeting) -> bool {
        let backfill = &mut self.backfill;
        let stream = &self.stream;
        let meeting = stream.locked(|state| {
            let meeting = step(backfill, state, Instant::now().into_std());
            stream.account(state);
            meeting
        });
        let settled = match meeting {
            Meeting::Apart => return false,
            Meeting::At(seq) => Settled::At(seq),
            Meeting::Short { missed } => Settled::Short { missed },
            Meeting::Never => Settled::Gone,
        };
        self.settle(settled);
        true
    }

    fn settle(&self, settled: Settled) {
        self.stream.change(|state| {
            state.backfills.settled.entry(self.id().clone()).or_insert(settled);
        });
    }
}

impl Drop for Backfilling {
    fn drop(&mut self) {
        let own = self.id();
        self.stream.change(|state| {
            let backfills = &mut state.backfills;
            backfills.running.retain(|id| id != own);
            let was_waited_for = backfills.is_waited_for(own);
            backfills.waiting.remove(own);
            if was_waited_for {
                backfills.settled.entry(own.clone()).or_insert(Settled::Gone);
            }
            // Those whose ids another backfill brought need none of their own.
            let (log, waiting) = (&state.log, &mut backfills.waiting);
            backfills.queued.retain(|id| {
                let is_known = matches!(log.position(id), Position::Known(_));
                if is_known {
                    waiting.remove(id);
                }
                !is_known
            });
        });
        begin(&self.stream, &self.opener, &self.request);
    }
}
