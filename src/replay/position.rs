//! What a `Last-Event-ID` means to a log.

use super::ids::{MintedId, trimmed};
use super::{IdPolicy, OnGap, ReplayLog, Seq};
use crate::counters::Lost;
use crate::sse::{Event, Frame};
use std::fmt;

/// The number of nested minted ids that are taken apart. Each gateway in a row wraps an id of the one behind it.
const MOST_NESTED: usize = 8;

/// Where a client with a `Last-Event-ID` goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The log holds everything that follows the id. The client goes on at this position.
    Known(Seq),
    /// The log does not hold everything that follows the id. The client is never taken for caught up.
    Gone(Gap),
}

/// Events that a client does not get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Why the events are lost.
    pub reason: GapReason,
    /// The number of lost events, if it is known.
    pub missed: Option<u64>,
}

/// Why a client does not get events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapReason {
    /// The log dropped them before the client came.
    Evicted,
    /// The log never held the client's id.
    Unknown,
    /// The client was too slow, and the log dropped them.
    Lag,
    /// They were lost between the origin and manifold.
    Upstream,
}

impl From<GapReason> for Lost {
    fn from(reason: GapReason) -> Self {
        match reason {
            GapReason::Evicted => Self::Evicted,
            GapReason::Unknown => Self::Unknown,
            GapReason::Lag => Self::Lag,
            GapReason::Upstream => Self::Upstream,
        }
    }
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Evicted => "evicted",
            Self::Unknown => "unknown",
            Self::Lag => "lag",
            Self::Upstream => "upstream",
        })
    }
}

impl Gap {
    /// The frame of the gap event. It has no id, so the client keeps its `Last-Event-ID`.
    #[must_use]
    pub fn frame(&self, event_type: &str) -> Frame {
        let missed = self.missed.map_or_else(|| "null".to_owned(), |n| n.to_string());
        let data = format!(r#"{{"reason":"{}","missed":{missed}}}"#, self.reason);
        Frame::encode(None, &Event::of_type(event_type.to_owned(), data))
    }
}

impl ReplayLog {
    /// The position after the first entry with this `id`. If another log minted `id`, its part from the origin
    /// decides; events without ids that followed that part are then given again.
    #[must_use]
    pub fn position(&self, id: &[u8]) -> Position {
        match self.position_held(id) {
            // The log is live only. It holds entries for delivery, and none for replay.
            Position::Known(seq) if self.options().events.is_none() && seq < self.end() => {
                let missed = self.events_between(seq, self.end());
                Position::Gone(Gap { reason: GapReason::Evicted, missed })
            }
            position => position,
        }
    }

    fn position_held(&self, id: &[u8]) -> Position {
        let unknown = Position::Gone(Gap { reason: GapReason::Unknown, missed: None });
        let mut id = trimmed(id);
        for _ in 0..=MOST_NESTED {
            if let Some(seq) = self.after_id(id) {
                return Position::Known(seq);
            }
            let mints = self.options().ids == IdPolicy::Auto;
            match MintedId::parse(id).filter(|_| mints) {
                Some(minted) if minted.epoch == self.epoch() && minted.seq < self.end() => {
                    return self.position_after(minted.seq);
                }
                Some(minted) if minted.epoch != self.epoch() && !minted.behind.is_empty() => id = minted.behind,
                // The log never dropped an entry, so it never held an id that it does not hold now.
                None if self.has_dropped() => {
                    return Position::Gone(Gap { reason: GapReason::Evicted, missed: None });
                }
                _ => return unknown,
            }
        }
        unknown
    }

    fn position_after(&self, seq: Seq) -> Position {
        let next = seq.plus(1);
        if next >= self.oldest() {
            return Position::Known(next);
        }
        let missed = self.events_between(next, self.after_gap_at());
        Position::Gone(Gap { reason: GapReason::Evicted, missed })
    }

    /// The oldest position that a client may go on at after a gap.
    fn after_gap_at(&self) -> Seq {
        if self.options().events.is_some() { self.oldest() } else { self.end() }
    }

    /// The position at which a client goes on after a gap, and the frame that tells it of the gap, if the route tells
    /// it.
    #[must_use]
    pub fn after_gap(&self, gap: Gap) -> (Seq, Option<Frame>) {
        let oldest = self.after_gap_at();
        match self.options().on_gap {
            OnGap::Event => (oldest, Some(gap.frame(&self.options().gap_event))),
            OnGap::Oldest => (oldest, None),
            OnGap::Live => (self.end(), None),
        }
    }
}
