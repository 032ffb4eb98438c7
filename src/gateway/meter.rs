//! How fast events came lately.

use crate::hub::RATE_WINDOWS;
use crate::replay::Rate;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Counts the events of a stream and their bytes, second by second, for as long as the longest window.
#[derive(Debug)]
pub(super) struct Meter {
    begun: Instant,
    events: u64,
    /// The seconds in which something came, since the beginning.
    seconds: VecDeque<Second>,
}

#[derive(Debug)]
struct Second {
    at: u64,
    events: u64,
    bytes: u64,
}

impl Meter {
    pub(super) fn new(begun: Instant) -> Self {
        Self { begun, events: 0, seconds: VecDeque::new() }
    }

    /// This came.
    pub(super) fn add(&mut self, now: Instant, events: u64, bytes: u64) {
        self.events = self.events.saturating_add(events);
        let at = self.second(now);
        match self.seconds.back_mut() {
            Some(last) if last.at == at => {
                last.events = last.events.saturating_add(events);
                last.bytes = last.bytes.saturating_add(bytes);
            }
            _ => self.seconds.push_back(Second { at, events, bytes }),
        }
        let longest = RATE_WINDOWS.iter().max().map_or(0, Duration::as_secs);
        while self.seconds.front().is_some_and(|first| first.at.saturating_add(longest) < at) {
            self.seconds.pop_front();
        }
    }

    /// All events.
    pub(super) fn events(&self) -> u64 {
        self.events
    }

    /// How fast they came in each window, about. If the stream is younger than the window, in its life.
    pub(super) fn rates(&self, now: Instant) -> [Rate; 2] {
        RATE_WINDOWS.map(|window| self.rate(window, now))
    }

    fn rate(&self, window: Duration, now: Instant) -> Rate {
        let span = window.min(now.saturating_duration_since(self.begun)).as_secs_f64().max(1.0);
        let oldest = (self.second(now) + 1).saturating_sub(window.as_secs());
        let lately = || self.seconds.iter().rev().take_while(|second| second.at >= oldest);
        let (events, bytes) = (lately().map(|second| second.events).sum(), lately().map(|second| second.bytes).sum());
        Rate { events: count(events) / span, bytes: count(bytes) / span }
    }

    fn second(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.begun).as_secs()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate needs no more digits")]
fn count(n: u64) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_last_seconds_and_of_the_last_minute() {
        let begun = Instant::now();
        let mut meter = Meter::new(begun);
        let at = |ms: u64| begun + Duration::from_millis(ms);
        let rate = |events, bytes| Rate { events, bytes };
        assert_eq!(meter.rates(at(0)), [rate(0.0, 0.0); 2]);
        // A stream that is younger than a second has lived for one.
        meter.add(at(100), 3, 300);
        assert_eq!(meter.rates(at(200)), [rate(3.0, 300.0); 2]);
        meter.add(at(4_900), 2, 200);
        assert_eq!(meter.rates(at(5_000)), [rate(1.0, 100.0); 2]);
        assert_eq!(meter.rates(at(20_000)), [rate(0.0, 0.0), rate(0.25, 25.0)]);
        for second in 0..600 {
            meter.add(at(30_000 + second * 1000), 7, 70);
        }
        assert_eq!(meter.rates(at(629_500)), [rate(7.0, 70.0); 2]);
        assert_eq!(meter.events(), 5 + 600 * 7);
        assert!(meter.seconds.len() <= 61, "{}", meter.seconds.len());
    }
}
