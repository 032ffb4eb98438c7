//! The age of entries, in few bits.

use std::time::{Duration, Instant};

/// The number of ticks in the age at which entries are dropped, unless a tick would be shorter than [`SHORTEST`].
const TICKS_OF_AGE: u32 = 4096;

/// The shortest tick.
const SHORTEST: Duration = Duration::from_millis(1);

/// The number of ticks by which the zero moves when no more ticks can be counted from it.
const STEP: u32 = 1 << 29;

/// A moment, as a number of ticks since the clock's zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::replay) struct Ticks(pub(in crate::replay) u32);

impl Ticks {
    /// The highest number.
    pub(super) const MOST: u32 = (1 << 30) - 1;

    /// The same moment after [`Clock::moves`]. What came before the new zero counts as come at it. That is so long
    /// ago that no entry is ever kept for its age alone.
    pub(super) fn moved(self) -> Self {
        Self(self.0.saturating_sub(STEP))
    }
}

/// Measures ages in ticks. An entry is never called old too early, and at most two ticks too late.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    tick: Duration,
    /// The age at which an entry is old. `None`: none ever is.
    age: Option<u32>,
    /// `None` before the first moment.
    zero: Option<Instant>,
}

impl Clock {
    /// A clock by which entries are old after `age`. `None`: they never are.
    pub(super) fn new(age: Option<Duration>) -> Self {
        let tick = age.and_then(|age| age.checked_div(TICKS_OF_AGE)).unwrap_or(SHORTEST).max(SHORTEST);
        let ticks = |age: Duration| u32::try_from(age.as_nanos().div_ceil(tick.as_nanos())).unwrap_or(u32::MAX);
        Self { tick, age: age.map(ticks), zero: None }
    }

    /// A clock by which entries are old after another age. Moments before `oldest` count as `oldest`: the caller has none.
    pub(super) fn with_age(&self, age: Option<Duration>, oldest: Option<Instant>) -> Self {
        Self { zero: oldest.or(self.zero), ..Self::new(age) }
    }

    /// The present moment.
    pub(super) fn now(&mut self, now: Instant) -> Ticks {
        let zero = *self.zero.get_or_insert(now);
        let ticks = now.saturating_duration_since(zero).as_nanos().checked_div(self.tick.as_nanos()).unwrap_or(0);
        Ticks(u32::try_from(ticks).unwrap_or(u32::MAX).min(Ticks::MOST))
    }

    /// Moves the zero if no more ticks can be counted from it. Returns whether it moved: then every moment has
    /// [moved](Ticks::moved), too.
    pub(super) fn moves(&mut self, now: Instant) -> bool {
        let is_over = self.now(now).0 == Ticks::MOST;
        if let Some(zero) = self.zero.as_mut().filter(|_| is_over) {
            *zero = zero.checked_add(self.tick.saturating_mul(STEP)).unwrap_or(now);
        }
        is_over
    }

    /// When an entry came, to a tick. `None`: none has come.
    pub(super) fn instant(&self, at: Ticks) -> Option<Instant> {
        self.zero?.checked_add(self.tick.saturating_mul(at.0))
    }

    /// Whether an entry that came at `at` is old.
    pub(super) fn is_old(&self, at: Ticks, now: Ticks) -> bool {
        self.age.is_some_and(|age| now.0.saturating_sub(at.0) > age)
    }

    /// When an entry that came at `at` is old. `None`: never.
    pub(super) fn old_at(&self, at: Ticks) -> Option<Instant> {
        let ticks = at.0.saturating_add(self.age?).saturating_add(1);
        self.zero?.checked_add(self.tick.saturating_mul(ticks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_old_after_its_age_and_never_before() {
        for age in [0, 1, 2, 999, 1000, 4096, 4097, 300_000, 7_000_001, 40_000_000_000] {
            let age = Duration::from_millis(age);
            let mut clock = Clock::new(Some(age));
            let zero = Instant::now();
            clock.now(zero);
            for came in [0, 1, 12_345] {
                let came = zero + Duration::from_millis(came);
                let at = clock.now(came);
                let is_old = |clock: &mut Clock, after: Duration| {
                    let now = clock.now(came + after);
                    clock.is_old(at, now)
                };
                assert!(!is_old(&mut clock, age), "{age:?}");
                let late = age + 2 * clock.tick;
                assert!(is_old(&mut clock, late), "{age:?}");
                assert!(clock.tick <= SHORTEST.max(age / 4096), "{age:?}");
                let old_at = clock.old_at(at).unwrap();
                assert!(is_old(&mut clock, old_at - came), "{age:?}");
                assert!(!is_old(&mut clock, old_at - came - Duration::from_nanos(1)), "{age:?}");
            }
        }
        let mut clock = Clock::new(None);
        let at = clock.now(Instant::now());
        assert!(!clock.is_old(at, Ticks(Ticks::MOST)));
        assert_eq!(clock.old_at(at), None);
    }

    #[test]
    fn the_zero_moves_before_the_ticks_are_used_up() {
        let mut clock = Clock::new(Some(Duration::from_secs(1)));
        let mut now = Instant::now();
        let first = clock.now(now);
        now += SHORTEST * (Ticks::MOST - 1);
        assert!(!clock.moves(now));
        let newest = clock.now(now);
        now += SHORTEST;
        assert!(clock.moves(now) && !clock.moves(now));
        let (first, newest, now) = (first.moved(), newest.moved(), clock.now(now));
        assert_eq!((first, newest.0 + 1, now.0), (Ticks(0), now.0, Ticks::MOST - STEP));
        assert!(clock.is_old(first, now) && !clock.is_old(newest, now));
    }
}
