//! Clients that come with an origin's id to a log that is young: where they stand is asked of the origin, for each id alone.
//!
//! ```text
//!   wanted ──▶ queued ──▶ running ──▶ settled: at a position, gone, or the origin's own answer
//! ```
//!
//! The shared request bears no client's id, so no client's id decides for another.

mod backfilling;

pub use backfilling::Backfilling;
pub(super) use backfilling::begin;

use super::End;
use super::stream::State;
use crate::replay::{Meeting, ReplayOptions};
use bytes::Bytes;
use http::HeaderValue;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// For how long after a stream was opened its log is young: its clients of before come back within a few reconnection times.
const YOUTH: Duration = Duration::from_secs(30);

/// Backfills of one stream at once.
const MOST_AT_ONCE: usize = 4;

/// Ids of one stream that are asked for in its youth; more are told a gap.
const MOST_IDS: usize = 1024;

/// The ids that are being asked for, and what came of it.
#[derive(Debug, Default)]
pub(super) struct Backfills {
    queued: VecDeque<Queued>,
    running: Vec<Bytes>,
    /// Who waits for the ids that are queued or running.
    waiting: HashMap<Bytes, Weak<()>>,
    settled: HashMap<Bytes, Settled>,
}

/// An id that waits for its turn.
#[derive(Debug)]
struct Queued {
    id: Bytes,
    /// For how long the origin brought nothing in its turns before.
    silence: Duration,
}

/// What a client waits for. When the last one who waits for an id is gone, the origin is not asked about it any more: a stranger
/// who comes with made-up ids and leaves must not keep others waiting.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) id: Bytes,
    _by: Arc<()>,
}

/// What became of an id: where its clients stand, or the origin's own answer to them.
pub(super) type Settled = Result<Meeting, End>;

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
        backfills.queued.push_back(Queued { id: id.clone(), silence: Duration::ZERO });
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

impl Backfills {
    fn next(&mut self) -> Option<Queued> {
        if self.running.len() >= MOST_AT_ONCE {
            return None;
        }
        loop {
            let queued = self.queued.pop_front()?;
            if self.is_waited_for(&queued.id) {
                self.running.push(queued.id.clone());
                return Some(queued);
            }
            self.waiting.remove(&queued.id);
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
        queued.retain(|Queued { id, .. }| {
            let stays = waiting.get(id).is_some_and(|waiting| waiting.strong_count() > 0);
            if !stays {
                waiting.remove(id);
            }
            stays
        });
        waiting.len().saturating_add(settled.len()) < MOST_IDS
    }
}
