//! The replay log: a stream's recent frames, in bounded memory, and what a `Last-Event-ID` means to it.
//!
//! The words of this module:
//! - *Entry*: an event, a mark or a checkpoint in the log, with its frame.
//! - *Mark*: an entry that tells every subscriber of a gap at this place. It has no id.
//! - *Checkpoint*: a block of the origin's with an `id` and without data. It is no event, and moves a client's last
//!   event ID.
//! - *Minted id*: an id that the log gives to an event whose origin gave none.
//! - *Epoch*: the number of one log, a part of the ids that it mints.
//!
//! Pure: events and instants in, frames and positions out. Live delivery reads the log past a cursor, and replay is
//! the same read from an older cursor. So there is no place where one is joined to the other.
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
// The same file serves a fuzz target.
#[cfg(all(fuzzing, not(test)))]
mod tests;

pub use backfill::{Backfill, Meeting};
pub use continuation::{Continuation, Fate};
pub use ids::{Epoch, Lineage, VIA, trimmed};
pub use log::{EntryView, LogSnapshot, LogView, Rate, ReplayLog, cost_of};
pub use options::{IdPolicy, OnGap, ReplayOptions, Start};
pub use position::{Gap, GapReason, Position};
#[cfg(all(fuzzing, not(test)))]
pub use tests::try_positions;

use serde::{Deserialize, Serialize};
use std::fmt;

/// A position in a stream's replay log. Positions are dense and ascend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seq(pub u64);

impl Seq {
    /// The position `n` entries later.
    #[must_use]
    pub fn plus(self, n: usize) -> Self {
        Self(self.0.saturating_add(n as u64))
    }

    /// The number of entries from `earlier` to this position. `None`: this position is before `earlier`.
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
