//! The clock of a connection. It counts in small numbers, because each connection has several times to keep.

use super::limits::TOKEN_EVERY;
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// A time on a connection's clock: how many times [`TOKEN_EVERY`] passed since the connection began. The last one is
/// after six years.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Tick(pub(super) u32);

/// A time between two ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span(u32);

impl Span {
    pub(super) fn of(time: Duration) -> Self {
        Self(ticks(time))
    }
}

impl Tick {
    /// The first tick at which at least this time has passed.
    pub(super) fn after(self, time: Duration) -> Self {
        self.after_span(Span::of(time))
    }

    /// The same.
    pub(super) fn after_span(self, Span(ticks): Span) -> Self {
        Self(self.0.saturating_add(ticks).saturating_add(1))
    }
}

/// The whole ticks in a time.
fn ticks(time: Duration) -> u32 {
    let ticks = time.as_nanos().checked_div(TOKEN_EVERY.as_nanos()).unwrap_or_default();
    u32::try_from(ticks).unwrap_or(u32::MAX)
}

/// When the connection began.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock(Instant);

impl Clock {
    pub(super) fn new(now: Instant) -> Self {
        Self(now)
    }

    pub(super) fn tick(self, now: Instant) -> Tick {
        Tick(ticks(self.age(now)))
    }

    /// How long ago the connection began.
    pub(super) fn age(self, now: Instant) -> Duration {
        now.saturating_duration_since(self.0)
    }

    /// The instant at which this tick begins. `None` if it is too far away for an instant.
    pub(super) fn instant(self, tick: Tick) -> Option<Instant> {
        self.0.checked_add(TOKEN_EVERY.checked_mul(tick.0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_early_and_a_tick_late_at_most() {
        let began = Instant::now();
        let clock = Clock::new(began);
        for passed in [0, 1, 49, 50, 51, 10_049].map(Duration::from_millis) {
            let now = began + passed;
            let deadline = clock.instant(clock.tick(now).after(Duration::from_secs(10))).unwrap();
            let late = deadline.duration_since(now + Duration::from_secs(10));
            assert!(late <= TOKEN_EVERY && deadline >= now + Duration::from_secs(10), "{passed:?} {late:?}");
            assert!(clock.tick(deadline) >= clock.tick(now).after(Duration::from_secs(10)), "it is past then");
        }
        assert_eq!(clock.tick(began - Duration::from_secs(1)), Tick(0));
    }
}
