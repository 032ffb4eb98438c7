//! The entries of the log, by position.

use super::entry::Entry;
use crate::replay::Seq;
use std::collections::VecDeque;
use std::collections::vec_deque::Iter;

/// The entries from the oldest held on.
///
/// Positions are dense and ascend. A position never changes its meaning. Its entry is held, dropped, or still to
/// come.
#[derive(Debug)]
pub(in crate::replay) struct Ring {
    entries: VecDeque<Entry>,
    /// The position of the oldest entry held. If none is held, the position of the next one.
    first: Seq,
}

impl Ring {
    /// A ring without entries. The first gets the position `first`.
    pub(super) fn new(first: Seq) -> Self {
        Self { entries: VecDeque::new(), first }
    }

    /// The number of entries held.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The position of the oldest entry held. If none is held, the position of the next one.
    pub(in crate::replay) fn first(&self) -> Seq {
        self.first
    }

    /// The position of the next entry.
    pub(super) fn end(&self) -> Seq {
        self.first.plus(self.entries.len())
    }

    /// The entry at a position, if it is held.
    pub(in crate::replay) fn get(&self, seq: Seq) -> Option<&Entry> {
        self.entries.get(seq.distance_from(self.first)?)
    }

    pub(in crate::replay) fn get_mut(&mut self, seq: Seq) -> Option<&mut Entry> {
        self.entries.get_mut(seq.distance_from(self.first)?)
    }

    /// The oldest entry held.
    pub(super) fn oldest(&self) -> Option<&Entry> {
        self.entries.front()
    }

    /// The newest entry held.
    pub(super) fn newest(&self) -> Option<&Entry> {
        self.entries.back()
    }

    /// The entries held.
    pub(super) fn iter(&self) -> Iter<'_, Entry> {
        self.entries.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.entries.iter_mut()
    }

    /// The entries held from `seq` on. Those that are not held are left out.
    pub(super) fn from(&self, seq: Seq) -> Iter<'_, Entry> {
        let skip = seq.distance_from(self.first).unwrap_or(0).min(self.entries.len());
        self.entries.range(skip..)
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.grow();
        self.entries.push_back(entry);
    }

    /// Puts an entry before the oldest. The caller knows that there is a position before it.
    pub(super) fn push_before(&mut self, entry: Entry) {
        self.grow();
        self.entries.push_front(entry);
        self.first = Seq(self.first.0.saturating_sub(1));
    }

    /// Drops the oldest entry.
    pub(super) fn drop_oldest(&mut self) -> Option<Entry> {
        let oldest = self.entries.pop_front()?;
        self.first = self.first.plus(1);
        Some(oldest)
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
            ring.shrink();
            assert!(room(&ring) <= 2.4, "{}: {}", ring.len(), room(&ring));
        }
        assert_eq!((ring.first(), ring.end()), (Seq(7 + 4959), Seq(7 + 4999)));
    }
}
