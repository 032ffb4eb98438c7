//! When events are due: spread evenly over time and over the streams.

use super::clock::SECOND;
use super::specs::Work;
use std::ops::Range;

/// Events that are due on one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) stream: u64,
    pub(crate) seqs: Range<u64>,
}

/// `rate` events per second on each of `streams` streams, from `start` on, in bursts of `burst` events. The streams
/// take turns, so that their bursts are due one after the other and not all at once.
#[derive(Debug)]
pub(crate) struct Schedule {
    streams: u64,
    burst: u64,
    /// The bursts of all streams together that were given out so far.
    given: u64,
    /// The number of events of one stream that are given out at once.
    most: u64,
    leg: Leg,
}

/// A time of one rate.
#[derive(Debug)]
struct Leg {
    start: u64,
    /// The bursts that were given out before.
    first: u64,
    /// Events per second on each stream.
    rate: u64,
}

impl Schedule {
    /// A schedule for `work`, whose first event is due at `start`. `most`: the number of events of one stream that are
    /// given out at once. The rate and the number of streams are not 0.
    pub(crate) fn new(start: u64, work: &Work, most: u64) -> Self {
        let (streams, burst) = (work.streams, work.burst);
        let leg = Leg { start, first: 0, rate: work.rate };
        Self { streams, burst, given: 0, most: most.max(burst), leg }
    }

    /// Changes the rate to `rate` events per second on each stream. The next event is due at `now`.
    pub(crate) fn change(&mut self, now: u64, rate: u64) {
        self.leg = Leg { start: now, first: self.given, rate };
    }

    /// When the next event is due.
    pub(crate) fn next(&self) -> u64 {
        let Leg { start, first, rate } = self.leg;
        let bursts = u128::from(self.given - first) * u128::from(self.burst) * u128::from(SECOND);
        start + u64::try_from(bursts / u128::from(rate * self.streams)).unwrap_or(u64::MAX)
    }

    /// The number of events that the first stream was given, so also the number of its next event.
    pub(crate) fn reached(&self) -> u64 {
        self.given.div_ceil(self.streams) * self.burst
    }

    /// The events that are due at `now` and were not given out, at most `most` of each stream.
    pub(crate) fn due(&mut self, now: u64) -> impl Iterator<Item = Due> + use<> {
        let Leg { start, first, rate } = self.leg;
        let passed = u128::from(now.saturating_sub(start)) * u128::from(rate * self.streams);
        // The burst with number n is due after n / rate, so one burst is due at the start.
        let due = if now < start { 0 } else { passed / (u128::from(SECOND) * u128::from(self.burst)) + 1 };
        let most = self.most / self.burst * self.streams;
        let due = first.saturating_add(u64::try_from(due).unwrap_or(u64::MAX)).clamp(self.given, self.given + most);
        let (from, streams, burst) = (self.given, self.streams, self.burst);
        self.given = due;
        (from..due.min(from + streams)).map(move |first| {
            let seq = first / streams;
            let count = (due - first).div_ceil(streams);
            Due { stream: first % streams, seqs: seq * burst..(seq + count) * burst }
        })
    }
}
