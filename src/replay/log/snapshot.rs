//! A log while no process holds it.

use super::entry::{Entry, Kind};
use super::{ReplayLog, cost_of};
use crate::millis::millis;
use crate::replay::{Epoch, ReplayOptions, Seq};
use crate::sse::Frame;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The highest position that is read. A log that counts one for each microsecond takes many thousand years to get there.
const MOST_POSITIONS: u64 = u64::MAX / 4;

/// The content of a log. Its ages are those of the moment at which it was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogSnapshot {
    epoch: Epoch,
    first: Seq,
    began_at: Seq,
    has_dropped: bool,
    dropped_beside: Option<Seq>,
    ids_seen: bool,
    before_first: Option<Bytes>,
    entries: Vec<EntrySnapshot>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct EntrySnapshot {
    kind: u8,
    /// An earlier entry with its id was dropped.
    is_again: bool,
    age_ms: u64,
    text: Bytes,
}

impl LogSnapshot {
    /// The number of events.
    #[must_use]
    pub fn events(&self) -> usize {
        self.entries.iter().filter(|entry| Kind::of(entry.kind).is_some_and(Kind::is_event)).count()
    }

    /// The bytes of memory that it takes, about.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let entries = self.entries.iter().map(|entry| size_of::<EntrySnapshot>().saturating_add(entry.text.len()));
        entries.fold(0, usize::saturating_add)
    }

    /// The same content, so much later.
    #[must_use]
    pub fn aged(mut self, by: Duration) -> Self {
        let by = millis(by);
        self.entries.iter_mut().for_each(|entry| entry.age_ms = entry.age_ms.saturating_add(by));
        self
    }
}

impl ReplayLog {
    /// What the log holds.
    #[must_use]
    pub fn snapshot(&self, now: Instant) -> LogSnapshot {
        let age_ms = |entry: &Entry| {
            let came = self.clock.instant(entry.at()).unwrap_or(now);
            millis(now.saturating_duration_since(came))
        };
        let is_again = |place: usize, entry: &Entry| {
            let found = entry.id().filter(|id| !id.is_empty()).and_then(|id| self.index.first_held(id, &self.ring));
            found == Some((self.oldest().plus(place), true))
        };
        let entries = self.ring.iter().enumerate().map(|(place, entry)| EntrySnapshot {
            kind: entry.kind() as u8,
            is_again: is_again(place, entry),
            age_ms: age_ms(entry),
            text: entry.frame.shared_text(),
        });
        LogSnapshot {
            epoch: self.epoch,
            first: self.oldest(),
            began_at: self.began_at,
            has_dropped: self.has_dropped,
            dropped_beside: self.dropped_beside,
            ids_seen: self.ids_seen,
            before_first: self.before_first.is_known.then(|| Bytes::copy_from_slice(&self.before_first.id)),
            entries: entries.collect(),
        }
    }

    /// The log that the snapshot was taken of, at `taken`, within the bounds of `options`. `None`: it is a log of another
    /// origin, or no log makes such a snapshot.
    #[must_use]
    pub fn restored(options: Arc<ReplayOptions>, snapshot: &LogSnapshot, taken: Instant, now: Instant) -> Option<Self> {
        let LogSnapshot { epoch, first, began_at, has_dropped, dropped_beside, ids_seen, before_first, entries } =
            snapshot;
        if first.plus(entries.len()).0 > MOST_POSITIONS || began_at.0 > MOST_POSITIONS {
            return None;
        }
        let mut log = Self::new(options, *epoch, *first);
        if log.epoch != *epoch {
            return None;
        }
        for entry in entries {
            let kind = Kind::of(entry.kind).filter(|_| !entry.text.is_empty())?;
            let came = taken.checked_sub(Duration::from_millis(entry.age_ms)).unwrap_or(taken);
            let seq = log.end();
            log.push(Frame::of_text(&entry.text), kind, came.min(now));
            log.index.insert(seq, entry.is_again, &mut log.ring);
        }
        (log.began_at, log.has_dropped, log.dropped_beside) = (*began_at, *has_dropped, *dropped_beside);
        log.ids_seen = *ids_seen;
        if let Some(id) = before_first {
            log.before_first.set(id);
        }
        debug_assert_eq!(log.cost, log.ring.iter().map(|entry| cost_of(&entry.frame)).sum::<usize>());
        log.keep_bounds(now);
        Some(log)
    }

    /// The origin's newest id, and whether entries without one follow it. An origin that resumes sends those again.
    /// `None`: the log holds no id of the origin's.
    #[must_use]
    pub fn newest_id_and_followed(&self) -> Option<(Bytes, bool)> {
        let entries = self.ring.iter().rev().filter(|entry| entry.kind() != Kind::Mark);
        let mut ids = entries.map(|entry| entry.id().filter(|id| !id.is_empty())).enumerate();
        let (passed, id) = ids.find_map(|(passed, id)| Some((passed, id?)))?;
        if self.before_first.is(id) {
            return None;
        }
        // Under `ids = "origin"`, entries without an id of their own have that of the one before them.
        let is_followed = passed > 0 || self.first_held(id).is_some_and(|first| first.plus(1) < self.end());
        Some((Bytes::copy_from_slice(id), is_followed))
    }
}
