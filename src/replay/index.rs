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

    /// Notes that the entry at `seq`, the newest, bears `id`. `dropped`: one that is not held any more is known to have
    /// borne it before.
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

    /// Notes that the entry at `seq`, which is older than all others, bears `id`.
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

    /// Notes that the entry at `seq`, the oldest, is gone, and says whether it was the first that bore `id`.
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
