//! Backfills: a client comes with an origin's id to a young log that does not know it. The origin is asked what
//! follows that id.
//!
//! ```text
//!   wanted ──▶ queued ──▶ running ──▶ settled: at a position, gone, or the origin's own answer
//! ```
//!
//! Each id gets a request of its own, and the shared request carries no client's id. So one client's id decides
//! nothing for another client.

mod backfilling;

pub use backfilling::Backfilling;
pub(super) use backfilling::begin;

use super::End;
use super::stream::State;
use crate::counters::Backfilled;
use crate::replay::{Meeting, ReplayOptions};
use bytes::Bytes;
use http::HeaderValue;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::Instant;

/// How long a log is young after its stream was opened. Clients of an earlier stream reconnect within this time.
const YOUTH: Duration = Duration::from_secs(30);

/// The number of backfills of one stream that run at once.
const MOST_AT_ONCE: usize = 4;

/// The number of ids of one stream that the origin is asked about, and the bytes that they and its answers may take.
/// Clients with further ids are told a gap.
const MOST_IDS: usize = 1024;
const MOST_BYTES: usize = 256 << 10;

/// The bytes that an id takes beside its text, about.
const ID_OVERHEAD: usize = 128;

/// When the answers are forgotten, after the stream was opened. By then the log is not young any more, and the last
/// client that came while it was has waited long enough.
const FORGOTTEN_AFTER: Duration = YOUTH.saturating_add(Duration::from_secs(10));

/// The ids that the origin is asked about, and its answers.
#[derive(Debug, Default)]
pub(super) struct Backfills {
    queued: VecDeque<Queued>,
    running: Vec<Bytes>,
    /// For each id that is queued or running: the token that its waiting clients share. It is gone when the last
    /// client is.
    waiting: HashMap<Bytes, Weak<()>>,
    settled: HashMap<Bytes, Settled>,
}

/// An id that waits for its turn.
#[derive(Debug)]
struct Queued {
    id: Bytes,
    /// How long the origin brought nothing in the id's earlier turns.
    silence: Duration,
}

/// What a waiting client holds. When the last client that waits for an id is gone, the origin is no longer asked
/// about it. So a stranger that comes with made-up ids and leaves does not keep others waiting.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) id: Bytes,
    _by: Arc<()>,
}

/// The result for an id: where its clients go on in the log, or the origin's own answer to them.
pub(super) type Settled = Result<Meeting, End>;

impl Backfills {
    pub(super) fn of(&self, id: &Bytes) -> Option<&Settled> {
        self.settled.get(id)
    }

    /// Settles an id. Returns what came of it. `None`: it is settled already.
    fn settle(&mut self, id: &Bytes, settled: Settled) -> Option<Backfilled> {
        let settled = match settled {
            Ok(Meeting::Beside { text, .. }) if self.footprint().saturating_add(text.memory()) > MOST_BYTES => {
                Ok(Meeting::Never)
            }
            other => other,
        };
        if self.settled.contains_key(id) {
            return None;
        }
        let outcome = match &settled {
            Ok(Meeting::At(_) | Meeting::Beside { .. }) => Backfilled::Met,
            Ok(Meeting::Short { .. }) => Backfilled::Short,
            Ok(Meeting::Never) => Backfilled::Never,
            Err(_) => Backfilled::Refused,
        };
        self.settled.insert(id.clone(), settled);
        Some(outcome)
    }

    /// When the answers are to be forgotten. `None`: there are none.
    pub(super) fn forgotten_at(&self, opened_at: Instant) -> Option<Instant> {
        (!self.settled.is_empty()).then(|| opened_at + FORGOTTEN_AFTER)
    }

    /// Forgets the answers if it is time.
    pub(super) fn forget(&mut self, opened_at: Instant, now: Instant) {
        if self.forgotten_at(opened_at).is_some_and(|at| at <= now) {
            self.settled = HashMap::new();
        }
    }

    /// The bytes that the ids and the answers take.
    pub(super) fn footprint(&self) -> usize {
        let of_id = |id: &Bytes| id.len().saturating_add(ID_OVERHEAD);
        let of_answer = |settled: &Settled| match settled {
            Ok(Meeting::Beside { text, .. }) => text.memory(),
            Ok(_) | Err(_) => 0,
        };
        let waiting = self.waiting.keys().map(of_id);
        let settled = self.settled.iter().map(|(id, settled)| of_id(id).saturating_add(of_answer(settled)));
        waiting.chain(settled).fold(0, usize::saturating_add)
    }
}

/// For an id that the log does not know: the id that the origin is asked about, which is queued. `None`: it is not
/// asked.
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
        if !backfills.has_room(&id) {
            return None;
        }
        backfills.queued.push_back(Queued { id: id.clone(), silence: Duration::ZERO });
    }
    backfills.waiting.insert(id.clone(), Arc::downgrade(&by));
    Some(Wanted { id, _by: by })
}

/// The id that the origin can be asked to resume after: the origin's part of a client's id. The part that manifold
/// minted means nothing to the origin. An id that came in a query may hold bytes that no header can; its client is
/// told a gap.
pub(super) fn for_the_origin(options: &ReplayOptions, id: &Bytes) -> Option<Bytes> {
    let id = options.for_the_origin(id).filter(|id| HeaderValue::from_bytes(id).is_ok())?;
    // Copied, because a slice of a larger buffer would keep all of it.
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

    /// Whether this id may be asked about, too. Ids that no client waits for are forgotten first.
    fn has_room(&mut self, id: &Bytes) -> bool {
        let fits = |backfills: &Self| {
            let bytes = backfills.footprint().saturating_add(id.len()).saturating_add(ID_OVERHEAD);
            backfills.waiting.len().saturating_add(backfills.settled.len()) < MOST_IDS && bytes <= MOST_BYTES
        };
        if fits(self) {
            return true;
        }
        let Self { queued, waiting, .. } = self;
        queued.retain(|Queued { id, .. }| {
            let stays = waiting.get(id).is_some_and(|waiting| waiting.strong_count() > 0);
            if !stays {
                waiting.remove(id);
            }
            stays
        });
        fits(self)
    }
}
