//! What a log tells of itself. Each answer is short: the caller holds the stream's lock for it.

use super::entry::{Entry, Kind};
use super::{ReplayLog, Seq};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// The events whose lengths stand for those of the others.
const MEASURED: usize = 32;

/// What a log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogView {
    /// The id of the oldest entry that has one, among the first few.
    pub first_id: Option<Bytes>,
    /// The id of the newest entry that has one, among the last few.
    pub last_id: Option<Bytes>,
    /// The position of the oldest entry held.
    pub first: Seq,
    /// The position of the next entry.
    pub end: Seq,
    /// The number of entries held.
    pub entries: usize,
    /// The memory that the log takes.
    pub bytes: usize,
    /// How old the oldest entry is, about.
    pub oldest_age: Option<Duration>,
}

/// How fast entries come.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rate {
    /// Entries per second.
    pub events: f64,
    /// Bytes of SSE text per second, about.
    pub bytes: f64,
}

/// An entry of a log.
#[derive(Debug, Clone)]
pub struct EntryView {
    /// Its position.
    pub seq: Seq,
    /// What it is, in a word.
    pub kind: &'static str,
    /// How old it is, about.
    pub age: Duration,
    /// Its frame.
    pub frame: crate::sse::Frame,
}

impl ReplayLog {
    /// What the log holds.
    #[must_use]
    pub fn view(&self, now: Instant) -> LogView {
        let id = |entry: &Entry| entry.frame.id().map(Bytes::copy_from_slice);
        LogView {
            first_id: self.ring.iter().take(MEASURED).find_map(id),
            last_id: self.ring.iter().rev().take(MEASURED).find_map(id),
            first: self.oldest(),
            end: self.end(),
            entries: self.ring.len(),
            bytes: self.footprint(),
            oldest_age: self.ring.oldest().map(|entry| self.age(entry, now)),
        }
    }

    /// How fast entries came in the last `window`. If the log does not reach back that far, in the time that it holds.
    /// `lived`: how long there has been a log.
    #[must_use]
    pub fn rate(&self, window: Duration, lived: Duration, now: Instant) -> Rate {
        let mut span = window.min(lived);
        if self.has_dropped()
            && let Some(oldest) = self.ring.oldest()
        {
            span = span.min(self.age(oldest, now));
        }
        let first = self.first_within(window, now);
        let events = count(self.end().0.saturating_sub(first.0));
        let newest = || self.ring.iter().rev().take(MEASURED);
        let measured = newest().count().max(1);
        let bytes: usize = newest().map(|entry| entry.frame.text_len()).sum();
        let events = events / span.as_secs_f64().max(1.0);
        Rate { events, bytes: events * count(bytes as u64) / count(measured as u64) }
    }

    /// The last entries, the oldest first.
    #[must_use]
    pub fn tail(&self, most: usize, now: Instant) -> Vec<EntryView> {
        let mut tail: Vec<_> = (0..most)
            .map_while(|back| self.end().0.checked_sub(u64::try_from(back).ok()?)?.checked_sub(1).map(Seq))
            .map_while(|seq| self.ring.get(seq).map(|entry| self.entry_view(seq, entry, now)))
            .collect();
        tail.reverse();
        tail
    }

    /// How long the entry at `seq` has been here. `None`: it is not held.
    #[must_use]
    pub fn age_at(&self, seq: Seq, now: Instant) -> Option<Duration> {
        self.ring.get(seq).map(|entry| self.age(entry, now))
    }

    /// The bytes of SSE text of each of at most `most` entries from `from` on. `None`: the first of them is not held.
    #[must_use]
    pub fn lengths(&self, from: Seq, most: usize) -> Option<Vec<usize>> {
        self.ring.get(from)?;
        Some(self.ring.held_from(from).take(most).map(|entry| entry.frame.text_len()).collect())
    }

    fn entry_view(&self, seq: Seq, entry: &Entry, now: Instant) -> EntryView {
        let kind = match entry.kind() {
            Kind::Mark => "gap",
            Kind::Checkpoint => "checkpoint",
            Kind::Origin | Kind::Minted => "event",
        };
        EntryView { seq, kind, age: self.age(entry, now), frame: entry.frame.clone() }
    }

    fn age(&self, entry: &Entry, now: Instant) -> Duration {
        self.clock.instant(entry.at()).map_or(Duration::ZERO, |at| now.saturating_duration_since(at))
    }

    /// The oldest position whose entry is no older than `window`. Entries are in the order of their ages.
    fn first_within(&self, window: Duration, now: Instant) -> Seq {
        let (mut low, mut high) = (self.oldest().0, self.end().0);
        while low < high {
            let middle = low.midpoint(high);
            if self.age_at(Seq(middle), now).is_none_or(|age| age > window) {
                low = middle.saturating_add(1);
            } else {
                high = middle;
            }
        }
        Seq(low)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no more digits")]
fn count(n: u64) -> f64 {
    n as f64
}
