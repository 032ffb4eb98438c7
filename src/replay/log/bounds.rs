//! What the log drops, and when.

use super::entry::{Entry, Kind};
use super::{LIVE_WINDOW, MOST_BESIDE, ReplayLog, cost_of};
use crate::replay::Start;
use std::sync::Arc;
use std::time::Instant;

impl ReplayLog {
    /// Call before a batch of appends. Frees dropped frames that were kept for delivery. Within a batch none is
    /// freed.
    pub fn begin_batch(&mut self) {
        while self.behind_cost.saturating_add(self.cost) > self.delivery_bytes
            && let Some(frame) = self.behind.pop_front()
        {
            self.behind_cost = self.behind_cost.saturating_sub(cost_of(&frame));
        }
    }

    /// The bytes that the log's entries cost, and the frames that are kept for delivery.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.cost.saturating_add(self.behind_cost)
    }

    /// Drops the oldest entries until the rest costs no more than `most` bytes. The newest `max(1, start)` events
    /// stay.
    pub fn give_up(&mut self, most: usize) {
        while self.cost > most && self.ring.oldest().is_some_and(|oldest| !self.never_ages(oldest)) {
            self.drop_oldest();
        }
        self.shrink();
    }

    /// Gives room back if much of it is unused.
    fn shrink(&mut self) {
        self.ring.shrink();
        self.index.shrink(&self.ring);
    }

    /// Takes the log's content out, and leaves an empty log.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let empty = Self::new(Arc::clone(&self.options), self.epoch, self.end());
        std::mem::replace(self, empty)
    }

    /// Whether a bound is exceeded. The newest event is held whatever its size.
    pub(super) fn is_over(&self) -> bool {
        let most = self.options.events.map_or(LIVE_WINDOW, std::num::NonZero::get);
        let beside = self.ring.len().saturating_sub(self.events);
        let ends_with_front = match self.ring.oldest() {
            Some(entry) if entry.is_event() => self.events <= 1,
            _ => self.ring.len() <= 1,
        };
        self.events > most || beside > MOST_BESIDE.max(most) || (self.cost > self.options.bytes && !ends_with_front)
    }

    /// Drops the entries that are too old. The newest `max(1, start)` events never age. So a quiet stream tells no
    /// false gaps, and keeps its last values.
    pub fn expire(&mut self, now: Instant) {
        let now = self.clock.now(now);
        while let Some(oldest) = self.ring.oldest() {
            if self.never_ages(oldest) || !self.clock.is_old(oldest.at(), now) {
                return;
            }
            self.drop_oldest();
            // A client that far behind has lagged, so nothing is kept for its delivery.
            self.behind.clear();
            self.behind_cost = 0;
        }
    }

    /// When the oldest entry is too old. `None`: it never is.
    #[must_use]
    pub fn expires_at(&self) -> Option<Instant> {
        let oldest = self.ring.oldest().filter(|oldest| !self.never_ages(oldest))?;
        self.clock.old_at(oldest.at())
    }

    /// Whether the oldest entry is one of the newest `max(1, start)` events.
    pub(super) fn never_ages(&self, oldest: &Entry) -> bool {
        let kept = match self.options.start {
            Start::Back(n) => n.get(),
            Start::Live | Start::All => 1,
        };
        oldest.kind() != Kind::Mark && self.events <= kept
    }

    pub(super) fn drop_oldest(&mut self) {
        let seq = self.oldest();
        let is_first_alike = self.index.remove(seq, &self.ring);
        let Some(entry) = self.ring.drop_oldest() else { return };
        self.has_dropped = true;
        match entry.id().filter(|_| is_first_alike) {
            // If an earlier entry had this id, a client with it may have seen only that one.
            Some(id) => self.before_first.set(id),
            // A client with the id before a mark was not told of the gap.
            None => self.before_first.forget(),
        }
        if entry.is_event() {
            self.events = self.events.saturating_sub(1);
        } else {
            self.dropped_beside = Some(seq);
        }
        let cost = cost_of(&entry.frame);
        self.cost = self.cost.saturating_sub(cost);
        self.behind_cost = self.behind_cost.saturating_add(cost);
        self.behind.push_back(entry.frame);
    }
}
