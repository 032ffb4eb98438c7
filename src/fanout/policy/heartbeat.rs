//! When the heartbeats of clients are due.
//!
//! After an event, the heartbeats of all clients of a stream would be due at the same time. So each client has a phase of
//! its own, by which its heartbeat comes earlier. After a heartbeat there is no need for that, because the clients are
//! apart by then.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// The part of the interval before which no heartbeat is due, in 64ths.
const EARLIEST: u32 = 48;

/// The part of the interval after which each heartbeat is due, in 64ths. The rest is for a driver that is late.
const LATEST: u32 = 63;

/// The time by which a heartbeat is due before the end of the interval, at least. A driver may look at its clock only so
/// often.
const MARGIN: Duration = Duration::from_millis(32);

/// When a client was last sent something. There is one for every client, so it is kept in few bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LastSent(
    /// Twice the nanoseconds from [`EPOCH`] to that time, and 1 more if it was a heartbeat, which the client was sent apart
    /// from the others.
    u64,
);

/// A time before anything was sent.
static EPOCH: LazyLock<Instant> = LazyLock::new(|| {
    let now = Instant::now();
    now.checked_sub(Duration::from_secs(3600)).unwrap_or(now)
});

/// The place of a client's heartbeat among those of the other clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase(u8);

impl LastSent {
    /// The client was sent something that others may have been sent at the same time.
    #[must_use]
    pub fn with_others(at: Instant) -> Self {
        Self::new(at, false)
    }

    /// The client was sent a heartbeat.
    #[must_use]
    pub fn heartbeat(at: Instant) -> Self {
        Self::new(at, true)
    }

    fn new(at: Instant, is_apart: bool) -> Self {
        // The time is enough for 292 years.
        let nanos = u64::try_from(at.saturating_duration_since(*EPOCH).as_nanos()).unwrap_or(u64::MAX);
        Self(nanos << 1 | u64::from(is_apart))
    }

    fn at(self) -> Instant {
        *EPOCH + Duration::from_nanos(self.0 >> 1)
    }

    fn is_apart(self) -> bool {
        self.0 & 1 == 1
    }

    /// The later one of two.
    #[must_use]
    pub fn or_later(self, other: Self) -> Self {
        if other.0 >> 1 > self.0 >> 1 { other } else { self }
    }

    /// When the next heartbeat is due, if there is one in every `interval`. It is never due later than that.
    #[must_use]
    pub(super) fn next(self, interval: Duration, phase: Phase) -> Instant {
        let earliest = interval * EARLIEST / 64;
        let latest = (interval * LATEST / 64).min(interval.saturating_sub(MARGIN)).max(earliest);
        if self.is_apart() {
            return self.at() + latest;
        }
        self.at() + earliest + (latest - earliest) * u32::from(phase.0) / u32::from(u8::MAX)
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
