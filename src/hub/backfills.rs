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
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

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
    settled: HashMap<Bytes, Settled>,
    /// Ids that are queued, running or settled.
    known: usize,
}

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
pub(super) fn want(state: &mut State, id: &Bytes, opened_at: Instant, now: Instant) -> Option<Bytes> {
    let log = &state.log;
    let is_young = now.duration_since(opened_at) < YOUTH && !log.has_dropped();
    if !is_young || log.lacks_ids() || log.options().events.is_none() {
        return None;
    }
    let id = for_the_origin(log.options(), id)?;
    let backfills = &mut state.backfills;
    if backfills.settled.contains_key(&id) || backfills.queued.contains(&id) || backfills.running.contains(&id) {
        return Some(id);
    }
    if backfills.known >= MOST_IDS {
        return None;
    }
    backfills.known += 1;
    backfills.queued.push_back(id.clone());
    Some(id)
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
        let id = self.queued.pop_front()?;
        self.running.push(id.clone());
        Some(id)
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

    /// Nothing came for a while, or the response ended; says whether the id is settled. It is not while the shared response may
    /// not have begun: what comes in between would be lost.
    pub fn silent(&mut self) -> bool {
        let may_listen = self.stream.locked(|state| match state.phase {
            Phase::Live => true,
            // Many origins send no head before the first event.
            Phase::Connecting { failed } => !failed && self.stream.opened_at.elapsed() >= LISTENS_AFTER,
            Phase::Waiting | Phase::Closed { .. } => false,
        });
        if !may_listen {
            return false;
        }
        self.meet(|backfill, state, now| backfill.silent(&mut state.log, now))
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
            backfills.settled.entry(own.clone()).or_insert(Settled::Gone);
            // Those whose ids another backfill brought need none of their own.
            let log = &state.log;
            backfills.queued.retain(|id| !matches!(log.position(id), Position::Known(_)));
        });
        begin(&self.stream, &self.opener, &self.request);
    }
}
