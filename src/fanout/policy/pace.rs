//! The policy of a route toward its clients.

use crate::hub::{Departure, Reading};
use crate::replay::{Gap, Seq};
use std::cmp::Ordering;
use std::time::{Duration, Instant};

/// How often and how patiently clients are served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pace {
    /// A client that was sent nothing for this long is sent a comment line. `None`: no heartbeats.
    pub heartbeat: Option<Duration>,
    /// The connection of a client that accepts no byte for this long is closed.
    pub stall: Duration,
    /// Events are held for up to this long, so that several share one write. `None`: they are sent at once.
    pub flush: Option<Duration>,
    /// Whether a client that fell off the log is told of the gap and goes on. If not, its response ends.
    pub skips: bool,
}

/// What a reading of the log means for a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// The client is sent the frames that were read.
    Sends,
    /// The client was sent all there is.
    Rests,
    /// The client is told of the gap, and goes on with the oldest entry of the log.
    Skips(Gap),
    /// The response ends.
    Departs(Departure),
}

/// What becomes of a client whose connection accepts no more, and in whose log the next frame or the one in whose middle
/// it is was dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fallen {
    /// The client is still to be sent the rest of a frame that the log has dropped. It may keep the rest, as far as slow
    /// clients may together. Beyond that it departs as lagged.
    Keeps,
    /// The response ends.
    Departs(Departure),
}

impl Pace {
    /// What becomes of a client at `cursor` whose connection accepts no more. `readable`: the oldest position that can be
    /// read. `None`: nothing, because the log has all that the client is to be given, and the frame in whose middle it
    /// is.
    #[must_use]
    pub fn fallen(&self, cursor: Seq, readable: Seq) -> Option<Fallen> {
        match cursor.cmp(&readable) {
            Ordering::Greater => None,
            Ordering::Less if !self.skips => Some(Fallen::Departs(Departure::Lagged)),
            Ordering::Equal | Ordering::Less => Some(Fallen::Keeps),
        }
    }

    /// When new events are to be sent. `None`: at once. `cannot_wait` says whether what the client is to be given is to
    /// be sent at once though the route lets events be held. It is asked only if they are.
    #[must_use]
    pub fn hold_until(&self, cannot_wait: impl FnOnce() -> bool, now: Instant) -> Option<Instant> {
        self.flush.filter(|_| !cannot_wait()).map(|flush| now + flush)
    }

    /// What a reading of the log means for a client.
    #[must_use]
    pub fn then(&self, reading: Reading) -> Then {
        match reading {
            Reading::To(_) => Then::Sends,
            Reading::CaughtUp => Then::Rests,
            Reading::Lagged(gap) if self.skips => Then::Skips(gap),
            Reading::Lagged(_) => Then::Departs(Departure::Lagged),
            Reading::Ended(end) => Then::Departs(Departure::Ended(end)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::End;
    use crate::replay::GapReason;

    fn pace(flush: Option<u64>, skips: bool) -> Pace {
        let flush = flush.map(Duration::from_millis);
        Pace { heartbeat: None, stall: Duration::from_secs(30), flush, skips }
    }

    #[test]
    fn events_are_held_where_the_route_says_so_unless_they_cannot_wait() {
        let now = Instant::now();
        for (flush, cannot_wait, expected) in
            [(None, false, None), (None, true, None), (Some(50), true, None), (Some(50), false, Some(50))]
        {
            let until = expected.map(|millis| now + Duration::from_millis(millis));
            assert_eq!(pace(flush, false).hold_until(|| cannot_wait, now), until, "{flush:?} {cannot_wait}");
        }
        assert_eq!(pace(None, false).hold_until(|| panic!("it is not asked"), now), None);
    }

    #[test]
    fn who_is_blocked_lags_when_its_next_frame_is_gone() {
        let departs = || Some(Fallen::Departs(Departure::Lagged));
        for (cursor, keeps, skips) in [
            (8, None, None),
            (7, Some(Fallen::Keeps), Some(Fallen::Keeps)),
            (6, departs(), Some(Fallen::Keeps)),
            (0, departs(), Some(Fallen::Keeps)),
        ] {
            let of = |skips| pace(None, skips).fallen(Seq(cursor), Seq(7));
            assert_eq!((of(false), of(true)), (keeps, skips), "{cursor}");
        }
    }

    #[test]
    fn what_is_read_decides_what_becomes_of_the_client() {
        let gap = Gap { reason: GapReason::Lag, missed: Some(3) };
        for (reading, keeps, skips) in [
            (Reading::To(Seq(7)), Then::Sends, Then::Sends),
            (Reading::CaughtUp, Then::Rests, Then::Rests),
            (Reading::Lagged(gap), Then::Departs(Departure::Lagged), Then::Skips(gap)),
            (
                Reading::Ended(End::Idle),
                Then::Departs(Departure::Ended(End::Idle)),
                Then::Departs(Departure::Ended(End::Idle)),
            ),
        ] {
            assert_eq!((pace(None, false).then(reading.clone()), pace(None, true).then(reading)), (keeps, skips));
        }
    }
}
