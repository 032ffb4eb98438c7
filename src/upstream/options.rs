//! The policy by which a route treats its origin.

use super::connect::Trust;
use super::own_header::OwnHeader;
use http::HeaderValue;
use std::num::NonZeroUsize;
use std::time::Duration;

/// The policy toward one route's origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamOptions {
    /// The longest time for the TCP connection, and again for the TLS handshake.
    pub connect_timeout: Duration,
    /// The longest time from the last byte of the request to the response head.
    pub head_timeout: Duration,
    /// When nothing was read from a response for this long, a shared stream requests a successor and a private route
    /// gives the response up. `None`: never.
    pub idle_timeout: Option<Duration>,
    /// The delays between attempts.
    pub backoff: Backoff,
    /// What follows when the origin ends the response in order.
    pub on_close: OnClose,
    /// What clients see while the origin fails.
    pub on_error: OnError,
    /// How long clients are held while the origin fails, under [`OnError::Hold`].
    pub hold: Duration,
    /// A larger event is refused: it is dropped, logged and counted.
    pub max_event_bytes: usize,
    /// The fields of the configuration that are sent with every upstream request.
    pub headers: Vec<OwnHeader>,
    /// The certificates that are trusted instead of the system's. `None`: the system's.
    pub trusted: Option<Trust>,
    /// Whether streams share connections, if the origin speaks HTTP/2.
    pub multiplex: bool,
    /// The most connections to the origin at once, of whatever route. `None`: any number.
    pub max_upstreams: Option<NonZeroUsize>,
}

impl Default for UpstreamOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            head_timeout: Duration::from_secs(30),
            idle_timeout: Some(Duration::from_secs(90)),
            backoff: Backoff::DEFAULT,
            on_close: OnClose::Reconnect,
            on_error: OnError::Hold,
            hold: Duration::from_secs(300),
            max_event_bytes: 16 << 20,
            headers: Vec::new(),
            trusted: None,
            multiplex: false,
            max_upstreams: None,
        }
    }
}

impl UpstreamOptions {
    /// How long to wait for a response head. Many origins send none before the first event, so on a route that holds
    /// its clients such an origin is quiet and does not fail. `None`: no limit.
    #[must_use]
    pub fn head_patience(&self) -> Option<Duration> {
        match self.on_error {
            OnError::Hold => None,
            OnError::Reflect => Some(self.head_timeout),
        }
    }

    /// The most connections to the origin at once.
    #[must_use]
    pub fn most_upstreams(&self) -> usize {
        self.max_upstreams.map_or(usize::MAX, NonZeroUsize::get)
    }

    /// The present values of the configured fields.
    #[must_use]
    pub fn header_values(&self) -> Vec<HeaderValue> {
        self.headers.iter().map(|(_, value)| value.now()).collect()
    }

    /// Reads all files of the configured fields. Returns whether a value differs from `before`.
    #[must_use]
    pub fn read_headers_anew(&self, before: &[HeaderValue]) -> bool {
        let anew: Vec<HeaderValue> = self.headers.iter().map(|(_, value)| value.anew()).collect();
        anew != before
    }
}

/// What follows when the origin ends the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnClose {
    /// manifold connects again, and clients do not notice.
    Reconnect,
    /// The clients' responses end too.
    Close,
}

/// What clients see while the origin fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Status 200 and heartbeats, while manifold keeps trying.
    Hold,
    /// Status 502 or 504, or the origin's own status.
    Reflect,
}

/// Exponential backoff with full jitter, between two bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    min: Duration,
    max: Duration,
}

/// Why two durations make no [`Backoff`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBackoff {
    /// The lower bound is zero.
    #[error("the minimum must be more than zero")]
    ZeroMinimum,
    /// The lower bound is above the upper bound.
    #[error("the minimum must not be above the maximum")]
    MinimumAboveMaximum,
}

impl Backoff {
    const DEFAULT: Self = Self { min: Duration::from_millis(500), max: Duration::from_secs(30) };

    /// A backoff between `min` and `max`.
    ///
    /// # Errors
    /// Fails when `min` is zero or above `max`.
    pub fn try_new(min: Duration, max: Duration) -> Result<Self, InvalidBackoff> {
        if min.is_zero() {
            return Err(InvalidBackoff::ZeroMinimum);
        }
        if min > max {
            return Err(InvalidBackoff::MinimumAboveMaximum);
        }
        Ok(Self { min, max })
    }

    /// The shortest delay.
    #[must_use]
    pub fn min(&self) -> Duration {
        self.min
    }

    /// The longest delay.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }

    /// The delay before the attempt that follows `failures` failures in a row. `random` is in `0.0..1.0`.
    ///
    /// With full jitter, a delay is anywhere between zero and an exponential ceiling. Here it is never below the
    /// minimum, so that an origin that fails fast is not asked too often. An origin's `retry:` raises the floor.
    #[must_use]
    pub fn delay(&self, failures: u32, retry: Option<Duration>, random: f64) -> Duration {
        let floor = retry.map_or(self.min, |retry| retry.clamp(self.min, self.max));
        let ceiling = self.min.saturating_mul(2_u32.saturating_pow(failures.min(31))).min(self.max).max(floor);
        floor + (ceiling - floor).mul_f64(random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
    use proptest::test_runner::{Config, RngSeed};

    fn backoff(min: u64, max: u64) -> Backoff {
        Backoff::try_new(Duration::from_millis(min), Duration::from_millis(max)).unwrap()
    }

    #[test]
    fn bounds_make_a_backoff_unless_they_are_none() {
        for (min, max, error) in [
            (0, 0, InvalidBackoff::ZeroMinimum),
            (0, 5, InvalidBackoff::ZeroMinimum),
            (6, 5, InvalidBackoff::MinimumAboveMaximum),
        ] {
            let (min, max) = (Duration::from_millis(min), Duration::from_millis(max));
            assert_eq!(Backoff::try_new(min, max), Err(error));
        }
        assert_eq!((backoff(5, 5).min(), backoff(5, 7).max()), (Duration::from_millis(5), Duration::from_millis(7)));
    }

    #[test]
    fn the_ceiling_doubles_and_the_delay_is_anywhere_below() {
        for (failures, retry, least, most) in [
            (0, None, 500, 500),
            (1, None, 500, 1000),
            (2, None, 500, 2000),
            (5, None, 500, 16_000),
            (6, None, 500, 30_000),
            (u32::MAX, None, 500, 30_000),
            (0, Some(0), 500, 500),
            (0, Some(3000), 3000, 3000),
            (1, Some(3000), 3000, 3000),
            (3, Some(3000), 3000, 4000),
            (9, Some(3000), 3000, 30_000),
            (0, Some(99_000), 30_000, 30_000),
            (9, Some(u64::MAX), 30_000, 30_000),
        ] {
            let delay = |random| Backoff::DEFAULT.delay(failures, retry.map(Duration::from_millis), random).as_millis();
            let middle = u128::midpoint(least, most);
            assert_eq!((delay(0.0), delay(0.5), delay(1.0)), (least, middle, most), "{failures} {retry:?}");
        }
    }

    proptest! {
        #![proptest_config(Config { failure_persistence: None, rng_seed: RngSeed::Fixed(109), ..Config::default() })]

        #[test]
        fn a_delay_is_within_the_bounds_and_never_under_what_the_origin_asked_within_them(
            (min, max) in (1..100_000_u64).prop_flat_map(|min| (proptest::strategy::Just(min), min..1_000_000)),
            failures in any::<u32>(),
            retry in proptest::option::of(any::<u64>()),
            random in 0.0..1.0,
        ) {
            let backoff = backoff(min, max);
            let retry = retry.map(Duration::from_millis);
            let delay = backoff.delay(failures, retry, random);
            prop_assert!(backoff.min() <= delay && delay <= backoff.max(), "{delay:?}");
            prop_assert!(retry.is_none_or(|retry| delay >= retry.min(backoff.max())), "{delay:?}");
            prop_assert!(backoff.delay(failures.saturating_add(1), retry, random) >= delay, "it only grows");
            prop_assert_eq!(backoff.delay(0, None, random), backoff.min());
        }
    }
}
