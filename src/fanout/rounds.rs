//! When lines about clients that stay are written: those of a shard's clients are spread over the interval.

use std::time::{Duration, Instant};

/// The number of parts of a round. In each part, lines about other clients are written.
pub(super) const PARTS: u32 = 64;

/// Rounds, one in each interval. In a round, each client that was there all the time has its turn once, and always in the
/// same part. So nothing about it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rounds {
    every: Duration,
    part: u32,
    /// When the part begins.
    begins: Instant,
}

impl Rounds {
    /// Rounds of this length, from now on.
    pub(super) fn new(every: Duration, now: Instant) -> Self {
        Self { every, part: 0, begins: now + every / PARTS }
    }

    /// How long a round is.
    pub(super) fn every(&self) -> Duration {
        self.every
    }

    /// When the next part begins.
    pub(super) fn next(&self) -> Instant {
        self.begins
    }

    /// The index of the first client of the part that begins by `now`, if one does. Each further client of it has an index
    /// that is greater by [`PARTS`]. A part that is late does not make the next one early.
    pub(super) fn begin(&mut self, now: Instant) -> Option<u32> {
        if self.begins > now {
            return None;
        }
        self.begins = now + self.every / PARTS;
        let part = self.part;
        self.part = (part + 1) % PARTS;
        Some(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_its_time_and_a_late_one_makes_none_early() {
        let start = Instant::now();
        let at = |secs: u32| start + Duration::from_secs(1) * secs;
        let mut rounds = Rounds::new(Duration::from_secs(64), start);
        for (now, part, next) in [
            (0, None, 1),
            (1, Some(0), 2),
            (1, None, 2),
            (2, Some(1), 3),
            // As when the machine was asleep.
            (70, Some(2), 71),
            (70, None, 71),
            (71, Some(3), 72),
        ] {
            assert_eq!((rounds.begin(at(now)), rounds.next()), (part, at(next)), "{now}");
        }
        let parts: Vec<_> = (72..72 + 64).filter_map(|now| rounds.begin(at(now))).collect();
        let expected: Vec<_> = (4..PARTS).chain(0..4).collect();
        assert_eq!(parts, expected, "each part once in a round");
    }
}
