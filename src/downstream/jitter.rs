//! Random spread of times, so that clients do not all act at once.
//!
//! The random number is an argument, so that the same number gives the same result.

use std::time::Duration;

/// The shortest lifetime of a client, as a part of the configured longest.
const SHORTEST_LIFETIME: f64 = 0.8;

/// A reconnection time of `base`, spread by `jitter`: from `1 - jitter` to `1 + jitter` times `base`.
///
/// `jitter` is clamped to `0.0..=1.0`, and `random` is in `0.0..1.0`. If no [`Duration`] can hold the result, it is
/// `base`.
#[must_use]
pub fn spread(base: Duration, jitter: f64, random: f64) -> Duration {
    let jitter = jitter.clamp(0.0, 1.0);
    scaled(base, (2.0 * jitter).mul_add(random.clamp(0.0, 1.0), 1.0 - jitter))
}

/// The lifetime of a client: 80 to 100 % of `max`. `random` is in `0.0..1.0`.
#[must_use]
pub fn lifetime(max: Duration, random: f64) -> Duration {
    scaled(max, (1.0 - SHORTEST_LIFETIME).mul_add(random.clamp(0.0, 1.0), SHORTEST_LIFETIME))
}

fn scaled(base: Duration, factor: f64) -> Duration {
    Duration::try_from_secs_f64(base.as_secs_f64() * factor).unwrap_or(base)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_reconnection_time_is_spread_on_both_sides() {
        for (jitter, random, millis) in [
            (0.0, 0.0, 1000),
            (0.0, 0.9, 1000),
            (0.5, 0.0, 500),
            (0.5, 0.5, 1000),
            (0.5, 0.75, 1250),
            (0.5, 1.0, 1500),
            (1.0, 0.0, 0),
            (1.0, 1.0, 2000),
            (9.0, 0.0, 0),
            (-1.0, 0.0, 1000),
            (0.5, 7.0, 1500),
        ] {
            assert_eq!(spread(SECOND, jitter, random).as_millis(), millis, "{jitter} {random}");
        }
        assert_eq!(spread(SECOND, f64::NAN, 0.5), SECOND);
        assert_eq!(spread(Duration::MAX, 0.5, 1.0), Duration::MAX);
        assert_eq!(spread(Duration::ZERO, 0.5, 1.0), Duration::ZERO);
    }

    #[test]
    fn a_lifetime_is_the_last_fifth_of_the_longest() {
        for (random, secs) in [(0.0, 2880), (0.5, 3240), (1.0, 3600), (-3.0, 2880), (3.0, 3600)] {
            assert_eq!(lifetime(3600 * SECOND, random).as_secs_f64().round(), f64::from(secs), "{random}");
        }
    }
}
