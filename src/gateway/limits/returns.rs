//! When those who were refused come back. The larger the crowd, the longer the time over which it is spread.

use std::time::{Duration, Instant};

/// The shortest time after which a client comes back.
const LEAST: Duration = Duration::from_secs(2);

/// The time over which a small crowd comes back, in seconds.
const SPREAD_SECS: f64 = 10.0;

/// How many clients of a large crowd come back in a second.
const A_SECOND: f64 = 500.0;

/// The longest spread, in seconds. Clients must not wait for long when there are places again.
const MOST_SECS: f64 = 120.0;

/// Those who are refused within this time are one crowd.
const CROWD: Duration = Duration::from_secs(10);

/// Those who were refused of late.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Returns {
    begun: Option<Instant>,
    refused: u32,
    before: u32,
}

impl Returns {
    /// Another client is refused. `share`: a random number from 0 to 1. Returns when it is to come back.
    pub(in crate::gateway) fn next(&mut self, now: Instant, share: f64) -> Duration {
        let age = self.begun.map_or(Duration::MAX, |begun| now.saturating_duration_since(begun));
        if age >= CROWD {
            self.before = if age < 2 * CROWD { self.refused } else { 0 };
            (self.begun, self.refused) = (Some(now), 0);
        }
        self.refused = self.refused.saturating_add(1);
        let crowd = f64::from(self.refused.saturating_add(self.before));
        LEAST + Duration::from_secs_f64(share * (SPREAD_SECS + crowd / A_SECOND).min(MOST_SECS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_larger_crowd_comes_back_over_a_longer_time() {
        let begun = Instant::now();
        let mut returns = Returns::default();
        assert_eq!(returns.next(begun, 0.0), LEAST);
        let furthest = |refused: u32| {
            let mut returns = Returns::default();
            (0..refused).map(|_| returns.next(begun, 1.0).as_secs()).max()
        };
        assert_eq!([1, 10_000, 1_000_000].map(furthest), [Some(12), Some(32), Some(122)]);
    }

    #[test]
    fn a_crowd_is_forgotten_in_time() {
        let begun = Instant::now();
        for (secs, furthest) in [(9, 32), (12, 32), (21, 12), (1000, 12)] {
            let mut returns = Returns::default();
            for _ in 0..10_000 {
                returns.next(begun, 1.0);
            }
            assert_eq!(returns.next(begun + Duration::from_secs(secs), 1.0).as_secs(), furthest, "{secs}");
        }
    }

    #[test]
    fn ten_thousand_do_not_come_back_in_one_second() {
        let (mut returns, now) = (Returns::default(), Instant::now());
        let mut random = fastrand::Rng::with_seed(7);
        let mut seconds = std::collections::HashMap::<u64, u32>::new();
        for _ in 0..10_000 {
            *seconds.entry(returns.next(now, random.f64()).as_secs()).or_default() += 1;
        }
        assert!(seconds.values().all(|clients| *clients < 1000), "{seconds:?}");
    }
}
