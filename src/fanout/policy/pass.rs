//! The passes over clients that are caught up, and the states between them.

use std::fmt;
use std::time::Instant;

/// Whether clients that are caught up have something to be given, and when they are given it. In the engine these are
/// the clients of a group, in a session it is one client. `B`: what is sent in one pass.
///
/// ```text
///        changed, events are held
///   Idle ────────────────────────▶ Held ◀────────────────────────┐
///   ▲  │                            │ let go, or nothing is held  │ all have the batch,
///   │  │ changed                    ▼                             │ and events are held
///   │  └─────────────────────────▶ Unread ── a batch was read ─▶ Sending
///   │                               │  ▲                          │
///   └────── nothing was read ───────┘  └──── all have the batch ──┘
/// ```
///
/// A change during *Sending* is kept until all have the batch.
#[derive(Debug)]
pub enum Pass<B> {
    /// All clients were given all frames of the log.
    Idle,
    /// The log has new frames. They wait until this time, so that further frames can share the write.
    Held {
        /// When they are sent.
        until: Instant,
    },
    /// The log may have new frames, which are to be sent now.
    Unread,
    /// A batch is being sent.
    Sending {
        /// The batch of this pass.
        batch: B,
        /// What is known of the frames after the batch.
        beyond: Beyond,
    },
}

/// What is known of the frames after the batch of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// Nothing. The log is to be read.
    Unknown,
    /// There are frames that are to be held until this time.
    Held {
        /// When they are sent.
        until: Instant,
    },
    /// There are frames that are to be sent at once.
    More,
}

impl<B: fmt::Debug> Pass<B> {
    /// The log has new frames, or is over. `hold_until`: when new frames are to be sent. `None`: at once.
    pub fn changed(&mut self, hold_until: Option<Instant>) {
        match self {
            // What is held already is not held for longer.
            Self::Held { .. } if hold_until.is_some() => {}
            Self::Idle | Self::Held { .. } => *self = Self::next(Beyond::of(hold_until)),
            Self::Unread => {}
            Self::Sending { beyond, .. } => match beyond {
                Beyond::Held { .. } if hold_until.is_some() => {}
                Beyond::Unknown | Beyond::Held { .. } => *beyond = Beyond::of(hold_until),
                Beyond::More => {}
            },
        }
    }

    /// The time of held frames has come.
    pub fn let_go(&mut self, now: Instant) {
        if let Self::Held { until } = self
            && *until <= now
        {
            *self = Self::Unread;
        }
    }

    /// A batch was read.
    pub fn begin(&mut self, batch: B) {
        debug_assert!(matches!(self, Self::Unread), "{self:?}");
        *self = Self::Sending { batch, beyond: Beyond::Unknown };
    }

    /// There was nothing to read.
    pub fn rest(&mut self) {
        debug_assert!(matches!(self, Self::Unread), "{self:?}");
        *self = Self::Idle;
    }

    /// All clients have the batch, which is returned.
    pub fn finish(&mut self) -> Option<B> {
        let Self::Sending { beyond, .. } = self else { return None };
        let next = Self::next(*beyond);
        match std::mem::replace(self, next) {
            Self::Sending { batch, .. } => Some(batch),
            Self::Idle | Self::Held { .. } | Self::Unread => None,
        }
    }

    /// Until when frames are held, if they are.
    #[must_use]
    pub fn held_until(&self) -> Option<Instant> {
        match self {
            Self::Held { until } => Some(*until),
            Self::Idle | Self::Unread | Self::Sending { .. } => None,
        }
    }

    /// The batch that is being sent.
    #[must_use]
    pub fn batch(&self) -> Option<&B> {
        match self {
            Self::Sending { batch, .. } => Some(batch),
            Self::Idle | Self::Held { .. } | Self::Unread => None,
        }
    }

    fn next(beyond: Beyond) -> Self {
        match beyond {
            Beyond::Held { until } => Self::Held { until },
            Beyond::Unknown | Beyond::More => Self::Unread,
        }
    }
}

impl Beyond {
    fn of(hold_until: Option<Instant>) -> Self {
        hold_until.map_or(Self::More, |until| Self::Held { until })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// What happens to a pass.
    #[derive(Debug, Clone, Copy)]
    enum Event {
        Changed,
        ChangedAndHeld,
        Time,
        Read,
        Nothing,
        Finished,
    }

    /// A pass in a word.
    fn word(pass: &Pass<u8>) -> &'static str {
        match pass {
            Pass::Idle => "idle",
            Pass::Held { .. } => "held",
            Pass::Unread => "unread",
            Pass::Sending { beyond: Beyond::Unknown, .. } => "sending",
            Pass::Sending { beyond: Beyond::Held { .. }, .. } => "sending, held",
            Pass::Sending { beyond: Beyond::More, .. } => "sending, more",
        }
    }

    #[test]
    fn each_state_leads_where_the_drawing_says() {
        use Event::{Changed, ChangedAndHeld, Finished, Nothing, Read, Time};
        let start = Instant::now();
        let (until, later) = (start + Duration::from_secs(1), start + Duration::from_secs(2));
        for (events, expected) in [
            (&[][..], "idle"),
            (&[Time], "idle"),
            (&[Changed], "unread"),
            (&[Changed, Changed], "unread"),
            (&[Changed, ChangedAndHeld], "unread"),
            (&[Changed, Nothing], "idle"),
            (&[ChangedAndHeld], "held"),
            (&[ChangedAndHeld, ChangedAndHeld], "held"),
            (&[ChangedAndHeld, Changed], "unread"),
            (&[ChangedAndHeld, Time], "unread"),
            (&[Changed, Read], "sending"),
            (&[Changed, Read, Time], "sending"),
            (&[Changed, Read, Finished], "unread"),
            (&[Changed, Read, Finished, Nothing], "idle"),
            (&[Changed, Read, Changed], "sending, more"),
            (&[Changed, Read, Changed, ChangedAndHeld], "sending, more"),
            (&[Changed, Read, ChangedAndHeld], "sending, held"),
            (&[Changed, Read, ChangedAndHeld, Changed], "sending, more"),
            (&[Changed, Read, ChangedAndHeld, ChangedAndHeld, Finished], "held"),
            (&[Changed, Read, Changed, Finished], "unread"),
        ] {
            let mut pass = Pass::Idle;
            // Only the first hold counts.
            let mut holds = [until, later].into_iter();
            for event in events {
                match event {
                    Changed => pass.changed(None),
                    ChangedAndHeld => pass.changed(holds.next()),
                    Time => pass.let_go(until),
                    Read => pass.begin(7),
                    Nothing => pass.rest(),
                    Finished => assert_eq!(pass.finish(), Some(7)),
                }
            }
            assert_eq!(word(&pass), expected, "{events:?}");
            assert_eq!(pass.batch().is_some(), expected.starts_with("sending"), "{events:?}");
            if let Pass::Held { until: held } = pass {
                assert_eq!(held, until, "{events:?}");
                pass.let_go(until - Duration::from_nanos(1));
                assert_eq!(word(&pass), "held", "its time has not come");
            }
        }
    }
}
