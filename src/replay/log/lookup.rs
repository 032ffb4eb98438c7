//! What the log holds, and at which positions.

use super::entry::{Entry, Kind};
use super::{ReplayLog, weight_of};
use crate::replay::{Gap, GapReason, Seq, Start, trimmed};
use crate::sse::{Event, Frame};

impl ReplayLog {
    /// Reads the frames from `cursor` on into `frames`: at least one if there is one, and then while they weigh no more
    /// than `most`. Returns the position after the last of them, which is `cursor` itself at the end of the log.
    ///
    /// # Errors
    /// The entry at the cursor was dropped. The gap reaches to the oldest entry held.
    pub fn read(&self, cursor: Seq, most: usize, frames: &mut Vec<Frame>) -> Result<Seq, Gap> {
        let Some(entries) = self.ring.from(cursor) else {
            return Err(Gap { reason: GapReason::Lag, missed: self.events_between(cursor, self.oldest()) });
        };
        let mut taken = 0_usize;
        let mut next = cursor;
        for Entry { frame, .. } in entries {
            let weight = weight_of(frame);
            if taken > 0 && taken.saturating_add(weight) > most {
                break;
            }
            taken = taken.saturating_add(weight);
            frames.push(frame.clone());
            next = next.plus(1);
        }
        Ok(next)
    }

    /// The oldest position that can be read, held or kept for delivery alone.
    #[must_use]
    pub fn readable(&self) -> Seq {
        self.ring.deliverable()
    }

    /// What the entries from `cursor` on weigh, including those kept for delivery alone.
    #[must_use]
    pub fn weight_from(&self, cursor: Seq) -> usize {
        let entries = self.ring.from(cursor.max(self.ring.deliverable())).into_iter().flatten();
        entries.map(|entry| weight_of(&entry.frame)).fold(0, usize::saturating_add)
    }

    /// The number of events between `from` and `to`, which is held or the end of the log. `None`: not known, because
    /// a mark stands between them, or because a mark or checkpoint there was dropped.
    #[must_use]
    pub fn events_between(&self, from: Seq, to: Seq) -> Option<u64> {
        let end = to.distance_from(from.max(self.oldest())).unwrap_or(0);
        let between = || self.ring.held_from(from).take(end);
        let is_uncounted = self.dropped_beside.is_some_and(|beside| beside >= from)
            || between().any(|entry| entry.kind() == Kind::Mark);
        let checkpoints = || between().filter(|entry| !entry.is_event()).count();
        (!is_uncounted).then(|| to.0.saturating_sub(from.0).saturating_sub(checkpoints() as u64))
    }

    /// The position at which a client without a `Last-Event-ID` begins.
    #[must_use]
    pub fn start(&self) -> Seq {
        let back = match self.options.start {
            Start::Live => return self.end(),
            _ if self.options.events.is_none() => return self.end(),
            Start::All => return self.oldest(),
            Start::Back(n) => n.get(),
        };
        let nth_event =
            self.ring.iter().enumerate().rev().filter(|(_, entry)| entry.is_event()).nth(back.saturating_sub(1));
        nth_event.map_or_else(|| self.oldest(), |(index, _)| self.oldest().plus(index))
    }

    /// Whether the entry at `seq` is what `event` would become there, in id and bytes.
    pub(in crate::replay) fn holds_at(&self, seq: Seq, event: &Event) -> bool {
        let Some(entry) = self.ring.get(seq).filter(|entry| entry.is_event()) else { return false };
        let (kind, frame) = self.encode(event, seq);
        // Two kinds of lines are not compared. An origin may begin each response with a `retry:`, which joins the
        // first event's block. And a minted id may name a checkpoint before it that does not come again.
        let is_compared =
            |line: &&[u8]| !line.starts_with(b"retry: ") && (kind != Kind::Minted || !line.starts_with(b"id: "));
        let lines = |frame: &Frame| {
            frame.text().split(|b| *b == b'\n').filter(is_compared).map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        entry.kind() == kind && entry.id() == kind.id_in(&frame) && lines(&entry.frame) == lines(&frame)
    }

    /// The first entry at or after `seq` that equals this event.
    pub(in crate::replay) fn find_from(&self, seq: Seq, event: &Event) -> Option<Seq> {
        let begin = seq.max(self.oldest()).0;
        (begin..self.end().0).map(Seq).find(|seq| self.holds_at(*seq, event))
    }

    /// The position of this event, if it has an id and the log holds it.
    pub(in crate::replay) fn meets(&self, event: &Event) -> Option<Seq> {
        let id = event.id.as_ref().filter(|id| !trimmed(id).is_empty())?;
        self.first_held(id).filter(|seq| self.holds_at(*seq, event))
    }

    /// The position after the first event with this id, if everything that followed that event is held.
    pub(in crate::replay) fn after_id(&self, id: &[u8]) -> Option<Seq> {
        let id = trimmed(id);
        if self.before_first.is(id) {
            return Some(self.oldest());
        }
        let (first, was_dropped) = self.index.first_held(id, &self.ring)?;
        (!was_dropped).then(|| first.plus(1))
    }

    /// The position of the first event at or after `seq`.
    pub(in crate::replay) fn event_from(&self, seq: Seq) -> Seq {
        let is_beside = |entry: &&Entry| !entry.is_event();
        let is_held = self.oldest() <= seq && seq <= self.end();
        let beside = if is_held { self.ring.held_from(seq).take_while(is_beside).count() } else { 0 };
        seq.plus(beside)
    }

    /// The position after the first entry held with this origin id, even if an earlier entry with it was dropped.
    pub(in crate::replay) fn after_first_held(&self, id: &[u8]) -> Option<Seq> {
        self.after_id(id).or_else(|| self.first_held(id).map(|seq| seq.plus(1)))
    }

    /// The position of the first entry held with this origin id.
    pub(in crate::replay) fn first_held(&self, id: &[u8]) -> Option<Seq> {
        self.index.first_held(trimmed(id), &self.ring).map(|(first, _)| first)
    }
}
