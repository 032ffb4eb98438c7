//! Holds: the positions that clients which keep up are still to be given.

use crate::replay::Seq;
use std::collections::BTreeMap;

/// The positions that are held, and how often each is.
#[derive(Debug, Default)]
pub(super) struct Holds(BTreeMap<Seq, u32>);

impl Holds {
    pub(super) fn add(&mut self, at: Seq) {
        let holders = self.0.entry(at).or_default();
        *holders = holders.saturating_add(1);
    }

    /// Removes the holds of so many holders.
    pub(super) fn remove(&mut self, at: Seq, count: u32) {
        let Some(holders) = self.0.get_mut(&at) else { return };
        *holders = holders.saturating_sub(count);
        if *holders == 0 {
            self.0.remove(&at);
        }
    }

    /// The lowest position from `from` on that is held. Lower ones are of holders that the log has left behind.
    pub(super) fn lowest_from(&self, from: Seq) -> Option<Seq> {
        self.0.range(from..).next().map(|(at, _)| *at)
    }
}
