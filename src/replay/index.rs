//! The positions of each origin id in the log.

use super::Seq;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};

/// The positions of each origin id. A crowd of resuming clients costs a look-up each and no scan of the log.
#[derive(Debug, Default)]
pub(super) struct IdIndex {
    /// Each value is ascending and not empty. Nearly always it is one position.
    positions: HashMap<Bytes, Positions>,
}

#[derive(Debug)]
enum Positions {
    One(Seq),
    /// Several entries had the id. `dropped`: the log no longer holds the first of them.
    Many {
        seqs: VecDeque<Seq>,
        dropped: bool,
    },
}

impl IdIndex {
    /// The first entry held with this id.
    pub(super) fn first_held(&self, id: &[u8]) -> Option<Seq> {
        match self.positions.get(id)? {
            Positions::One(seq) => Some(*seq),
            Positions::Many { seqs, .. } => seqs.front().copied(),
        }
    }

    /// Whether an earlier entry with this id was dropped. A client may have seen only that one.
    pub(super) fn was_dropped(&self, id: &[u8]) -> bool {
        matches!(self.positions.get(id), Some(Positions::Many { dropped: true, .. }))
    }

    /// The newest entry, at `seq`, has this id. `dropped`: an entry that the log no longer holds had it before.
    pub(super) fn insert(&mut self, id: &Bytes, seq: Seq, dropped: bool) {
        if id.is_empty() {
            return;
        }
        match self.positions.get_mut(id) {
            None if dropped => {
                self.positions.insert(id.clone(), Positions::Many { seqs: VecDeque::from([seq]), dropped });
            }
            None => {
                self.positions.insert(id.clone(), Positions::One(seq));
            }
            Some(Positions::Many { seqs, .. }) => seqs.push_back(seq),
            Some(positions @ Positions::One(_)) => {
                if let Positions::One(first) = *positions {
                    *positions = Positions::Many { seqs: VecDeque::from([first, seq]), dropped: false };
                }
            }
        }
    }

    /// The oldest entry, at `seq`, has this id.
    pub(super) fn insert_first(&mut self, id: &Bytes, seq: Seq) {
        if id.is_empty() {
            return;
        }
        match self.positions.get_mut(id) {
            None => {
                self.positions.insert(id.clone(), Positions::One(seq));
            }
            Some(Positions::Many { seqs, .. }) => seqs.push_front(seq),
            Some(positions @ Positions::One(_)) => {
                if let Positions::One(later) = *positions {
                    *positions = Positions::Many { seqs: VecDeque::from([seq, later]), dropped: false };
                }
            }
        }
    }

    /// The oldest entry, at `seq`, is dropped. Returns whether it was the first with this id.
    pub(super) fn remove(&mut self, id: &Bytes, seq: Seq) -> bool {
        let (was_first, is_last) = match self.positions.get_mut(id) {
            None => return false,
            Some(Positions::One(first)) => (*first == seq, *first == seq),
            Some(Positions::Many { seqs, dropped }) => {
                if seqs.front() == Some(&seq) {
                    seqs.pop_front();
                }
                (!std::mem::replace(dropped, true), seqs.is_empty())
            }
        };
        if is_last {
            self.positions.remove(id);
        }
        was_first
    }
}
