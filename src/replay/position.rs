//! What a `Last-Event-ID` means to a log.

use super::{MintedId, OnGap, ReplayLog, Seq};
use crate::sse::{Event, Frame};
use std::fmt;

/// Where a client that brought a `Last-Event-ID` stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// The log holds all that follows the id: from here on.
    Known(Seq),
    /// It does not; never taken for caught up.
    Gone(Gap),
}

/// Events that a client will not get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Departure.
    pub reason: GapReason,
    /// How many, where that is known.
    pub missed: Option<u64>,
}

/// Why events are lost to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapReason {
    /// The log dropped them.
    Evicted,
    /// The id is not one that this log ever saw.
    Unknown,
    /// The client was too slow.
    Lag,
    /// They were lost between the origin and manifold.
    Upstream,
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
    /// The event that tells a client of it: no id, so that the client's own `Last-Event-ID` stays.
    #[must_use]
    pub fn frame(&self, event_type: &str) -> Frame {
        let missed = self.missed.map_or_else(|| "null".to_owned(), |n| n.to_string());
        let data = format!(r#"{{"reason":"{}","missed":{missed}}}"#, self.reason);
        Frame::encode(None, &Event::of_type(event_type.to_owned(), data))
    }
}

impl ReplayLog {
    /// What `id`, which is not empty, means here: after the FIRST event that bears it.
    #[must_use]
    pub fn position(&self, id: &[u8]) -> Position {
        match self.position_held(id) {
            // Live only: what is held is for delivery, not for replay.
            Position::Known(seq) if self.options().events.is_none() && seq < self.end() => {
                let missed = self.events_between(seq, self.end());
                Position::Gone(Gap { reason: GapReason::Evicted, missed })
            }
            position => position,
        }
    }

    fn position_held(&self, id: &[u8]) -> Position {
        if let Some(seq) = self.after_id(id) {
            return Position::Known(seq);
        }
        match MintedId::parse(id) {
            Some(minted) if minted.epoch == self.epoch() && minted.seq < self.end() => self.position_after(minted.seq),
            // Where nothing was ever dropped, an id that is not here never was.
            None if self.oldest() > Seq(0) => Position::Gone(Gap { reason: GapReason::Evicted, missed: None }),
            _ => Position::Gone(Gap { reason: GapReason::Unknown, missed: None }),
        }
    }

    fn position_after(&self, seq: Seq) -> Position {
        let next = seq.plus(1);
        if next >= self.oldest() {
            return Position::Known(next);
        }
        let missed = self.events_between(next, self.after_gap_at());
        Position::Gone(Gap { reason: GapReason::Evicted, missed })
    }

    /// The oldest that a client may get whose position is gone.
    fn after_gap_at(&self) -> Seq {
        if self.options().events.is_some() { self.oldest() } else { self.end() }
    }

    /// Where a client goes on whose position is gone, and the frame that tells it.
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
