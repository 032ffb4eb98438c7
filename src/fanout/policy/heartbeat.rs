//! When the heartbeats of clients are due.
//!
//! After an event, the heartbeats of all clients of a stream would be due at the same time. So each client has a phase of
//! its own, by which its heartbeat comes earlier. After a heartbeat there is no need for that, because the clients are
//! apart by then.

use std::time::{Duration, Instant};

/// The part of the interval before which no heartbeat is due, in 64ths.
const EARLIEST: u32 = 48;

/// The part of the interval after which each heartbeat is due, in 64ths. The rest is for a driver that is late.
const LATEST: u32 = 63;

/// The time by which a heartbeat is due before the end of the interval, at least. A driver may look at its clock only so
/// often.
const MARGIN: Duration = Duration::from_millis(32);

/// When a client was last sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSent {
    at: Instant,
    /// It was a heartbeat, or something that the client was sent alone as well.
    is_apart: bool,
}

/// The place of a client's heartbeat among those of the other clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase(u8);

impl LastSent {
    /// The client was sent something that others may have been sent at the same time.
    #[must_use]
    pub fn with_others(at: Instant) -> Self {
        Self { at, is_apart: false }
    }

    /// The client was sent a heartbeat.
    #[must_use]
    pub fn heartbeat(at: Instant) -> Self {
        Self { at, is_apart: true }
    }

    /// The later one of two.
    #[must_use]
    pub fn or_later(self, other: Self) -> Self {
        if other.at > self.at { other } else { self }
    }

    /// When the next heartbeat is due, if there is one in every `interval`. It is never due later than that.
    #[must_use]
    pub(super) fn next(self, interval: Duration, phase: Phase) -> Instant {
        let earliest = interval * EARLIEST / 64;
        let latest = (interval * LATEST / 64).min(interval.saturating_sub(MARGIN)).max(earliest);
        if self.is_apart {
            return self.at + latest;
        }
        self.at + earliest + (latest - earliest) * u32::from(phase.0) / u32::from(u8::MAX)
    }
}

impl Phase {
    /// The phase of a client that comes now.
    #[must_use]
    pub fn random() -> Self {
        Self(fastrand::u8(..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_are_spread_after_events_and_never_late() {
        let start = Instant::now();
        let millis = Duration::from_millis;
        for (interval, earliest, middle, latest) in
            [(64_000, 48_000, 55_530, 63_000), (640, 480, 545, 608), (64, 48, 48, 48), (1, 1, 1, 1)]
        {
            let due = |sent: LastSent, phase| {
                let due = sent.next(millis(interval), Phase(phase)).duration_since(start);
                assert!(due <= millis(interval));
                // In whole milliseconds, rounded up.
                u64::try_from((due + Duration::from_micros(999)).as_millis()).unwrap()
            };
            let event = LastSent::with_others(start);
            assert_eq!((due(event, 0), due(event, 128), due(event, 255)), (earliest, middle, latest), "{interval}");
            for phase in [0, 128, 255] {
                assert_eq!(due(LastSent::heartbeat(start), phase), latest, "{interval} {phase}");
            }
        }
    }

    #[test]
    fn what_was_sent_last_counts() {
        let start = Instant::now();
        let (event, beat) = (LastSent::with_others(start), LastSent::heartbeat(start + MARGIN));
        assert_eq!((event.or_later(beat), beat.or_later(event)), (beat, beat));
    }
}
