//! The bounded log of a stream's recent frames, and what a `Last-Event-ID` means to it.
//!
//! Pure: events and instants in, frames and positions out. Live delivery is reading the log past a cursor, and replay is the
//! same read from an older one, so there is no splice between the two.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod backfill;
mod continuation;
mod ids;
mod index;
mod log;
mod options;
mod position;
#[cfg(test)]
mod tests;

pub use backfill::{Backfill, Meeting};
pub use continuation::{Continuation, Fate};
pub use ids::{Epoch, Lineage, VIA, trimmed};
pub use log::{ENTRY_OVERHEAD, Read, ReplayLog};
pub use options::{IdPolicy, OnGap, ReplayOptions, Start};
pub use position::{Gap, GapReason, Position};

use std::fmt;

/// A position in a stream's replay log: dense, starting at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(pub u64);

impl Seq {
    /// The position `n` further on.
    #[must_use]
    pub fn plus(self, n: usize) -> Self {
        Self(self.0.saturating_add(n as u64))
    }

    /// How far this is after `earlier`; `None` if it is before.
    #[must_use]
    pub fn distance_from(self, earlier: Self) -> Option<usize> {
        self.0.checked_sub(earlier.0).and_then(|n| usize::try_from(n).ok())
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
