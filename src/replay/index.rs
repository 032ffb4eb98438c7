//! Where each origin id stands first in the log.

use super::Seq;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};

/// The positions of each origin id, so that a crowd of resuming clients costs a look-up each and not a scan.
#[derive(Debug, Default)]
pub(super) struct IdIndex {
    /// Ascending and not empty; nearly always one.
    positions: HashMap<Bytes, Positions>,
}

#[derive(Debug)]
enum Positions {
    One(Seq),
    /// More than one entry bore the id; where `dropped`, the first of them is not held any more.
    Many {
        seqs: VecDeque<Seq>,
        dropped: bool,
    },
}

impl IdIndex {
    /// The first entry held that bears `id`.
    pub(super) fn first_held(&self, id: &[u8]) -> Option<Seq> {
        match self.positions.get(id)? {
            Positions::One(seq) => Some(*seq),
            Positions::Many { seqs, .. } => seqs.front().copied(),
        }
    }

    /// Whether an entry before [`Self::first_held`] bore `id` and was dropped: a client may have seen that one alone.
    pub(super) fn was_dropped(&self, id: &[u8]) -> bool {
        matches!(self.positions.get(id), Some(Positions::Many { dropped: true, .. }))
    }

    /// Notes that the entry at `seq`, the newest, bears `id`.
    pub(super) fn insert(&mut self, id: &Bytes, seq: Seq) {
        if id.is_empty() {
            return;
        }
        match self.positions.get_mut(id) {
            None => {
                // The id may be a slice of a large read: the index must not pin that.
                self.positions.insert(Bytes::copy_from_slice(id), Positions::One(seq));
            }
            Some(Positions::Many { seqs, .. }) => seqs.push_back(seq),
            Some(positions @ Positions::One(_)) => {
                if let Positions::One(first) = *positions {
                    *positions = Positions::Many { seqs: VecDeque::from([first, seq]), dropped: false };
                }
            }
        }
    }

    /// Notes that the entry at `seq`, the oldest, is gone.
    pub(super) fn remove(&mut self, id: &Bytes, seq: Seq) {
        let is_last = match self.positions.get_mut(id) {
            None => return,
            Some(Positions::One(first)) => *first == seq,
            Some(Positions::Many { seqs, dropped }) => {
                if seqs.front() == Some(&seq) {
                    seqs.pop_front();
                    *dropped = true;
                }
                seqs.is_empty()
            }
        };
        if is_last {
            self.positions.remove(id);
        }
    }
}
