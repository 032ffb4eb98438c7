//! When events are due: spread evenly over time and over the streams.

use super::clock::SECOND;
use std::ops::Range;

/// Events that are due on one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) stream: u64,
    pub(crate) seqs: Range<u64>,
}

/// `rate` events per second on each of `streams` streams, from `start` on. The streams take turns, so that their
/// events are due one after the other and not all at once.
#[derive(Debug)]
pub(crate) struct Schedule {
    start: u64,
    streams: u64,
    /// The events of all streams together, per second.
    rate: u64,
    /// The events of all streams together that were given out so far.
    given: u64,
    /// The number of events of one stream that are given out at once.
    most: u64,
}

impl Schedule {
    /// A schedule whose first event is due at `start`. `rate` and `streams` are not 0.
    pub(crate) fn new(start: u64, streams: u64, rate: u64, most: u64) -> Self {
        Self { start, streams, rate: rate * streams, given: 0, most }
    }

    /// When the next event is due.
    pub(crate) fn next(&self) -> u64 {
        let ns = u128::from(self.given) * u128::from(SECOND) / u128::from(self.rate);
        self.start + u64::try_from(ns).unwrap_or(u64::MAX)
    }

    /// The events that are due at `now` and were not given out, at most `most` of each stream.
    pub(crate) fn due(&mut self, now: u64) -> impl Iterator<Item = Due> + use<> {
        let passed = u128::from(now.saturating_sub(self.start));
        // The event with number n is due at n / rate, so one event is due at 0.
        let due = if now < self.start { 0 } else { passed * u128::from(self.rate) / u128::from(SECOND) + 1 };
        let due = u64::try_from(due).unwrap_or(u64::MAX).clamp(self.given, self.given + self.most * self.streams);
        let (from, streams) = (self.given, self.streams);
        self.given = due;
        (from..due.min(from + streams)).map(move |first| {
            let seq = first / streams;
            let count = (due - first).div_ceil(streams);
            Due { stream: first % streams, seqs: seq..seq + count }
        })
    }
}
