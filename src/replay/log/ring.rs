//! The entries of the log, by position.

use super::entry::Entry;
use crate::replay::Seq;
use std::collections::VecDeque;
use std::collections::vec_deque::Iter;

/// The entries that are here, by position.
///
/// ```text
///   gone │ dropped, and kept for delivery │ held         │ to come
///        deliverable                      first          end
/// ```
///
/// Positions are dense and ascend. A position never changes its meaning.
#[derive(Debug)]
pub(in crate::replay) struct Ring {
    entries: VecDeque<Entry>,
    /// The number of entries that were dropped and are kept for delivery. They come first.
    dropped: usize,
    /// The position of the oldest entry held. If none is held, the position of the next one.
    first: Seq,
}

impl Ring {
    /// A ring without entries. The first gets the position `first`.
    pub(super) fn new(first: Seq) -> Self {
        Self { entries: VecDeque::new(), dropped: 0, first }
    }

    /// The number of entries held.
    pub(super) fn len(&self) -> usize {
        self.entries.len().saturating_sub(self.dropped)
    }

    /// The position of the oldest entry held. If none is held, the position of the next one.
    pub(in crate::replay) fn first(&self) -> Seq {
        self.first
    }

    /// The position of the next entry.
    pub(super) fn end(&self) -> Seq {
        self.first.plus(self.len())
    }

    /// The oldest position whose entry is here.
    pub(super) fn deliverable(&self) -> Seq {
        Seq(self.first.0.saturating_sub(self.dropped as u64))
    }

    fn index(&self, seq: Seq) -> Option<usize> {
        seq.distance_from(self.first).map(|index| index.saturating_add(self.dropped))
    }

    /// The entry at a position, if it is held.
    pub(in crate::replay) fn get(&self, seq: Seq) -> Option<&Entry> {
        self.entries.get(self.index(seq)?)
    }

    pub(in crate::replay) fn get_mut(&mut self, seq: Seq) -> Option<&mut Entry> {
        let index = self.index(seq)?;
        self.entries.get_mut(index)
    }

    /// The oldest entry held.
    pub(super) fn oldest(&self) -> Option<&Entry> {
        self.entries.get(self.dropped)
    }

    /// The newest entry held.
    pub(super) fn newest(&self) -> Option<&Entry> {
        self.iter().next_back()
    }

    /// The entries held.
    pub(super) fn iter(&self) -> Iter<'_, Entry> {
        self.entries.range(self.dropped..)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.range_mut(self.dropped..)
    }

    /// The entries held from `seq` on. Those that are not held are left out.
    pub(super) fn held_from(&self, seq: Seq) -> Iter<'_, Entry> {
        let skip = self.index(seq).unwrap_or(self.dropped).min(self.entries.len());
        self.entries.range(skip..)
    }

    /// The entries from `seq` on, those that are kept for delivery included. `None`: the entry there is gone.
    pub(super) fn from(&self, seq: Seq) -> Option<Iter<'_, Entry>> {
        let skip = seq.distance_from(self.deliverable())?;
        Some(self.entries.range(skip.min(self.entries.len())..))
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.grow();
        self.entries.push_back(entry);
    }

    /// Puts an entry before the oldest. The caller knows that there is a position before it, and that no entry was
    /// dropped.
    pub(super) fn push_before(&mut self, entry: Entry) {
        debug_assert_eq!(self.dropped, 0);
        self.grow();
        self.entries.push_front(entry);
        self.first = Seq(self.first.0.saturating_sub(1));
    }

    /// Drops the oldest entry held. It is kept for delivery until it is [let go](Self::let_go).
    pub(super) fn drop_oldest(&mut self) -> Option<&Entry> {
        let oldest = self.entries.get(self.dropped)?;
        self.dropped = self.dropped.saturating_add(1);
        self.first = self.first.plus(1);
        Some(oldest)
    }

    /// Lets the oldest of the dropped entries go. `None`: none is kept.
    pub(super) fn let_go(&mut self) -> Option<Entry> {
        self.dropped = self.dropped.checked_sub(1)?;
        self.entries.pop_front()
    }

    /// Makes room for one more entry. The room grows by a quarter: to double it would cost a log that is just beyond a
    /// power of two as much again.
    fn grow(&mut self) {
        let len = self.entries.len();
        if len == self.entries.capacity() {
            self.entries.reserve_exact((len / 4).max(4));
        }
    }

    /// Gives room back if much of it is unused.
    pub(super) fn shrink(&mut self) {
        let len = self.entries.len();
        if self.entries.capacity() > len.saturating_add(len / 2).saturating_add(32) {
            self.entries.shrink_to(len.saturating_add(len / 4));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::clock::Ticks;
    use super::super::entry::Kind;
    use super::*;
    use crate::sse::Frame;

    #[test]
    fn the_room_follows_the_number_of_entries() {
        let mut ring = Ring::new(Seq(7));
        let entry = || Entry::new(Frame::of_text(b":"), Kind::Minted, Ticks(0));
        let room = |ring: &Ring| ring.entries.capacity() as f64 / ring.len().max(1) as f64;
        for len in 1..5000 {
            ring.push(entry());
            assert!(len < 40 || room(&ring) <= 1.26, "{len}: {}", room(&ring));
        }
        while ring.len() > 40 {
            ring.drop_oldest();
            ring.let_go();
            ring.shrink();
            assert!(room(&ring) <= 2.4, "{}: {}", ring.len(), room(&ring));
        }
        assert_eq!((ring.first(), ring.end()), (Seq(7 + 4959), Seq(7 + 4999)));
    }
}
