//! Records which events of a stream one client got. Each event must come exactly once and in order. Others are counted.

use std::ops::Range;

/// The events that one client got.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// One more than the highest sequence number that came.
    next: u64,
    /// The numbers below `next` that did not come, in order. Empty as long as nothing is missing.
    missing: Vec<Range<u64>>,
}

/// The place of an event in the order of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// The event that was due next.
    InOrder,
    /// A later event. Those before it are missing for now.
    Ahead,
    /// An event that was missing.
    OutOfOrder,
    /// An event that came before.
    Doubled,
}

impl Ledger {
    /// The record of a client that got the events below `next` before.
    pub(crate) fn from(next: u64) -> Self {
        Self { next, missing: Vec::new() }
    }

    /// Records that event `seq` came.
    pub(crate) fn note(&mut self, seq: u64) -> Arrival {
        if seq >= self.next {
            let skipped = self.next..seq;
            self.next = seq + 1;
            if skipped.is_empty() {
                return Arrival::InOrder;
            }
            self.missing.push(skipped);
            return Arrival::Ahead;
        }
        let Some(place) = self.missing.iter().position(|range| range.contains(&seq)) else {
            return Arrival::Doubled;
        };
        let range = self.missing.remove(place);
        let around = [range.start..seq, seq + 1..range.end];
        self.missing.splice(place..place, around.into_iter().filter(|range| !range.is_empty()));
        Arrival::OutOfOrder
    }

    /// One more than the highest sequence number that came.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }

    /// The number of events below `end` that did not come.
    pub(crate) fn lost(&self, end: u64) -> u64 {
        let between = |range: &Range<u64>| range.end.min(end).saturating_sub(range.start);
        self.missing.iter().map(between).sum::<u64>() + end.saturating_sub(self.next)
    }
}
