//! Limits the log lines about events that strangers can cause at will.

use parking_lot::Mutex;
use std::fmt;
use std::time::{Duration, Instant};

/// Log lines of one kind. At most `most` are written in a period. The others are counted.
#[derive(Debug)]
pub(crate) struct LogLimit {
    most: u32,
    period: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    begun: Option<Instant>,
    told: u32,
    untold: u64,
}

impl LogLimit {
    pub(crate) fn new(most: u32, period: Duration) -> Self {
        Self { most, period, state: Mutex::default() }
    }

    /// Asks to write a line. `None`: it must not be written. Otherwise the value tells of the lines that were not
    /// written since the last line that was.
    pub(crate) fn next(&self, now: Instant) -> Option<Untold> {
        let mut state = self.state.lock();
        if state.begun.is_none_or(|begun| begun + self.period <= now) {
            state.begun = Some(now);
            state.told = 0;
        }
        if state.told == self.most {
            state.untold += 1;
            return None;
        }
        state.told += 1;
        Some(Untold(std::mem::take(&mut state.untold)))
    }
}

/// A number of lines that were not written, as a pair that a log line ends with. Nothing, if there were none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Untold(u64);

impl fmt::Display for Untold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 > 0 { write!(f, " untold={}", self.0) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_crowd_of_lines_a_few_are_written_and_the_others_are_counted() {
        let second = Duration::from_secs(1);
        let lines = LogLimit::new(2, 10 * second);
        let begun = Instant::now();
        let at = |secs: u32| lines.next(begun + secs * second).map(|Untold(lines)| lines);
        assert_eq!([at(0), at(1), at(2), at(9)], [Some(0), Some(0), None, None]);
        assert_eq!([at(10), at(11), at(12)], [Some(2), Some(0), None]);
        assert_eq!(at(40), Some(1));
    }
}
