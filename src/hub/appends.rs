//! When the newest entries of a log were appended, to measure how long their delivery takes.

use super::hold::Hold;
use crate::replay::Seq;
use std::time::{Duration, Instant};

/// The number of appends that are remembered. Readers that keep up read at most a few at a time.
const REMEMBERED: usize = 16;

/// The newest appends of a log. It is small, because there may be many logs.
#[derive(Debug)]
pub(super) struct Appends {
    /// When the newest append was. `None`: there was none.
    newest: Option<Instant>,
    /// The lowest bits of the position after each append, and of the microseconds from the first one to it.
    recent: [(u32, u32); REMEMBERED],
    /// The number of appends, up to the number that is remembered.
    len: usize,
    /// The index of the next append.
    next: usize,
    first: Option<Instant>,
}

impl Default for Appends {
    fn default() -> Self {
        Self { newest: None, recent: [(0, 0); REMEMBERED], len: 0, next: 0, first: None }
    }
}

impl Appends {
    /// Entries up to, not including, `end` were appended.
    pub(super) fn note(&mut self, end: Seq, now: Instant) {
        let first = *self.first.get_or_insert(now);
        self.newest = Some(now);
        if let Some(slot) = self.recent.get_mut(self.next) {
            *slot = (low(end.0), low_micros(now.saturating_duration_since(first)));
        }
        self.next = (self.next + 1) % REMEMBERED;
        self.len = (self.len + 1).min(REMEMBERED);
    }

    /// When the entry at `cursor` was appended, for a reader with this hold. `None`: it does not keep up.
    pub(super) fn of_held(&self, hold: &Hold, cursor: Seq) -> Option<Instant> {
        hold.position().and_then(|_| self.of(cursor))
    }

    /// When the entry at `seq` was appended. For an earlier one than are remembered: when the oldest of these was.
    pub(super) fn of(&self, seq: Seq) -> Option<Instant> {
        let newest = self.newest?;
        let at = |back: usize| self.recent.get((self.next + REMEMBERED - 1 - back) % REMEMBERED).copied();
        let (_, newest_micros) = at(0)?;
        // An append holds the entry if it ends after it. The positions are compared by their lowest bits, so they must
        // not be further apart than these tell.
        let holds = |end: u32| end.wrapping_sub(low(seq.0)).wrapping_sub(1) < u32::MAX / 2;
        let (_, micros) = (0..self.len).filter_map(at).take_while(|(end, _)| holds(*end)).last()?;
        newest.checked_sub(Duration::from_micros(newest_micros.wrapping_sub(micros).into()))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "only the lowest bits are wanted")]
fn low(value: u64) -> u32 {
    value as u32
}

#[expect(clippy::cast_possible_truncation, reason = "only the lowest bits are wanted")]
fn low_micros(time: Duration) -> u32 {
    time.as_micros() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_was_appended_when_the_first_append_that_holds_it_was() {
        let start = Instant::now();
        let after = |secs| start + Duration::from_secs(secs);
        // Across the ends of both kinds of lowest bits.
        for (first, began) in [(0, 0), (u64::from(u32::MAX) - 4, 4_294)] {
            let mut appends = Appends::default();
            assert_eq!(appends.of(Seq(first)), None);
            appends.note(Seq(first), after(0));
            for (n, end) in [3, 4, 9].into_iter().enumerate() {
                appends.note(Seq(first + end), after(began + n as u64));
            }
            for (seq, expected) in [(0, Some(0)), (2, Some(0)), (3, Some(1)), (4, Some(2)), (8, Some(2)), (9, None)] {
                assert_eq!(appends.of(Seq(first + seq)), expected.map(|secs| after(began + secs)), "{first} {seq}");
            }
        }
    }

    #[test]
    fn of_entries_before_those_that_are_remembered_the_oldest_time_is_known() {
        let start = Instant::now();
        let mut appends = Appends::default();
        for n in 1..=100 {
            appends.note(Seq(n), start + Duration::from_millis(n));
        }
        assert_eq!(appends.of(Seq(99)), Some(start + Duration::from_millis(100)));
        assert_eq!(appends.of(Seq(90)), Some(start + Duration::from_millis(91)));
        assert_eq!(appends.of(Seq(7)), Some(start + Duration::from_millis(85)));
    }
}
