//! What the log drops, and when.

use super::entry::{Entry, Kind};
use super::{LIVE_BYTES, LIVE_WINDOW, MOST_BESIDE, ReplayLog, cost_of};
use crate::replay::{ReplayOptions, Start};
use std::sync::Arc;
use std::time::{Duration, Instant};

impl ReplayLog {
    /// Call before a batch of appends. Ends the delivery of dropped entries that cost too much. Within a batch it goes
    /// on, because clients that were caught up must get all of a batch.
    pub fn begin_batch(&mut self) {
        let most = self.delivery.together.saturating_sub(self.cost).max(self.delivery.beside);
        while self.dropped_cost > most && self.let_go_of_oldest() {}
    }

    /// Lets dropped entries go that no hold needs.
    pub(super) fn let_go(&mut self) {
        if self.dropped_cost == 0 {
            return;
        }
        let needed = self.holds.lowest_from(self.ring.deliverable()).unwrap_or_else(|| self.oldest());
        while self.ring.deliverable() < needed && self.let_go_of_oldest() {}
    }

    /// Lets the oldest of the dropped entries go. Returns whether there was one.
    fn let_go_of_oldest(&mut self) -> bool {
        let Some(entry) = self.ring.let_go() else { return false };
        self.dropped_cost = self.dropped_cost.saturating_sub(cost_of(&entry.frame));
        true
    }

    /// The bytes that the log's entries cost, and those that are kept for delivery.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.cost.saturating_add(self.dropped_cost)
    }

    /// Drops the oldest entries until the rest costs no more than `most` bytes. The newest `max(1, start)` events
    /// stay.
    pub fn give_up(&mut self, most: usize) {
        while self.cost > most && self.ring.oldest().is_some_and(|oldest| !self.never_ages(oldest)) {
            self.drop_oldest();
        }
        self.let_go();
        self.shrink();
    }

    /// Takes another policy. The log is within its bounds from now on, and its entries keep their ids. `options` must
    /// give events their ids in the same way as before.
    pub fn renew(&mut self, options: Arc<ReplayOptions>, now: Instant) {
        if options.age != self.options.age {
            self.measure_age_anew(options.age, now);
        }
        self.options = options;
        while self.is_over() {
            self.drop_oldest();
        }
        self.expire(now, usize::MAX);
    }

    /// Measures the age of all entries by the clock of another age. An entry that is older than twice that age counts as
    /// that old, because the clock counts the ticks from the oldest entry.
    fn measure_age_anew(&mut self, age: Option<Duration>, now: Instant) {
        let before = self.clock.clone();
        let first = self.ring.iter().next().and_then(|entry| before.instant(entry.at()));
        let oldest = [first, age.and_then(|age| now.checked_sub(age.saturating_mul(2)))].into_iter().flatten().max();
        self.clock = before.with_age(age, oldest);
        for entry in self.ring.iter_mut() {
            let came = before.instant(entry.at()).unwrap_or(now);
            entry.set_at(self.clock.now(came));
        }
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
        let mut taken = std::mem::replace(self, empty);
        // Their holders still end them here.
        self.holds = std::mem::take(&mut taken.holds);
        taken
    }

    /// The bytes that the entries held may cost.
    pub(super) fn most_cost(&self) -> usize {
        let most = if self.options.events.is_none() { LIVE_BYTES } else { usize::MAX };
        self.options.bytes.min(most)
    }

    /// Whether a bound is exceeded. The newest event is held whatever its size.
    pub(super) fn is_over(&self) -> bool {
        let most = self.options.events.map_or(LIVE_WINDOW, std::num::NonZero::get);
        let beside = self.ring.len().saturating_sub(self.events);
        let ends_with_front = match self.ring.oldest() {
            Some(entry) if entry.is_event() => self.events <= 1,
            _ => self.ring.len() <= 1,
        };
        self.events > most || beside > MOST_BESIDE.max(most) || (self.cost > self.most_cost() && !ends_with_front)
    }

    /// Drops the entries that are too old, the oldest first and `most` at most. The newest `max(1, start)` events never
    /// age. So a quiet stream tells no false gaps, and keeps its last values. Returns the number of dropped entries.
    pub fn expire(&mut self, now: Instant, most: usize) -> usize {
        let now = self.clock.now(now);
        let is_over = |log: &Self| {
            log.ring.oldest().is_some_and(|oldest| !log.never_ages(oldest) && log.clock.is_old(oldest.at(), now))
        };
        let mut dropped = 0_usize;
        while dropped < most && is_over(self) {
            self.drop_oldest();
            dropped = dropped.saturating_add(1);
        }
        self.let_go();
        self.shrink();
        dropped
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

    /// Drops the oldest entry. It is kept for delivery until it is [let go](Self::let_go).
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
        self.dropped_cost = self.dropped_cost.saturating_add(cost);
    }
}
