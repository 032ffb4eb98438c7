//! The timer wheel: one deadline per client. A deadline costs no work until its time has come.
//!
//! A hashed timing wheel of one level (Varghese and Lauck, 1987). A slot holds the keys whose deadline falls into one
//! tick, in this turn of the wheel or a later one. Most deadlines are heartbeats and lie within one turn. A later
//! deadline is looked at once per turn.
//!
//! Pure: the caller passes the time in.

#[cfg(test)]
mod tests;

use super::keys::{ClientKey, Key};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The length of a tick. A heartbeat may be late by this much without harm, and an idle shard wakes at most 32 times
/// a second.
const TICK_NANOS: u64 = 32_000_000;

/// One turn takes 16.4 s, so the default heartbeat of 15 s lies within it.
const SLOTS: usize = 512;

/// The list of the deadlines that had already passed when they were set. It follows the slots' lists.
const OVERDUE: usize = SLOTS;

/// Marks the end of a list.
const NOBODY: u32 = u32::MAX;

/// The tick of a key that has no deadline.
const NEVER: u64 = u64::MAX;

/// One deadline for each of many small dense keys.
#[derive(Debug)]
pub(super) struct Wheel {
    /// The instant of tick 0.
    start: Instant,
    /// The latest instant that was passed to `expire`.
    now: Instant,
    /// The tick of `now`. Every deadline up to it has been reported, except those in `OVERDUE`.
    current: u64,
    /// The first key in the list of each slot, and of `OVERDUE`.
    heads: Box<[u32; SLOTS + 1]>,
    /// One bit per slot: whether the slot has a key.
    occupied: [u64; SLOTS / 64],
    /// Indexed by key. It grows to the highest key.
    links: Vec<Link>,
}

/// A key's place in a doubly linked list.
#[derive(Debug, Clone, Copy)]
struct Link {
    /// The first whole tick after the deadline. If it is later than `current`, it determines the slot. If not, the
    /// key is in `OVERDUE`, which the next `expire` empties.
    tick: u64,
    prev: u32,
    next: u32,
}

const UNLINKED: Link = Link { tick: NEVER, prev: NOBODY, next: NOBODY };

impl Wheel {
    /// A wheel without deadlines, whose time begins at `now`.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            start: now,
            now,
            current: 0,
            heads: Box::new([NOBODY; SLOTS + 1]),
            occupied: [0; SLOTS / 64],
            links: Vec::new(),
        }
    }

    /// Gives `key` a deadline, which replaces its previous one. A deadline that is not later than the latest `expire`
    /// is reported by the next one.
    pub(super) fn set(&mut self, key: ClientKey, at: Instant) {
        let key = key.index();
        debug_assert!(key != NOBODY, "a key marks the end of a list");
        let tick = if at <= self.now { self.current } else { self.nanos(at).div_ceil(TICK_NANOS) };
        if self.links.len() <= key as usize {
            self.links.resize(key as usize + 1, UNLINKED);
        }
        if self.links[key as usize].tick != tick {
            self.remove(key);
            self.link(key, tick);
        }
    }

    /// Removes the deadline of `key`, if it has one.
    pub(super) fn cancel(&mut self, key: ClientKey) {
        self.remove(key.index());
    }

    fn remove(&mut self, key: u32) {
        if self.links.get(key as usize).is_some_and(|link| link.tick != NEVER) {
            self.unlink(key);
        }
    }

    /// Appends the keys whose deadline has passed to `due` and removes these deadlines. A deadline is never reported
    /// early, and at most one tick late. An instant before the latest one counts as the latest one.
    pub(super) fn expire(&mut self, now: Instant, due: &mut VecDeque<ClientKey>) {
        self.now = self.now.max(now);
        let current = self.nanos(self.now) / TICK_NANOS;
        self.take(OVERDUE, current, due);
        // However much time has passed, one turn visits every slot.
        let last = current.min(self.current + SLOTS as u64);
        let mut from = self.current + 1;
        while let Some(tick) = self.first_occupied(from).filter(|tick| *tick <= last) {
            self.take(slot(tick), current, due);
            from = tick + 1;
        }
        self.current = current;
    }

    /// When to call `expire` next. It is not later than the tick of the earliest deadline. For a deadline that is
    /// further away than one turn it may be earlier, once per turn. `None`: there is no deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.heads[OVERDUE] != NOBODY {
            return Some(self.now);
        }
        let tick = self.first_occupied(self.current + 1)?;
        self.start.checked_add(Duration::from_nanos(tick.checked_mul(TICK_NANOS)?))
    }

    /// Moves the keys of a list that are due at tick `current` to `due`.
    fn take(&mut self, list: usize, current: u64, due: &mut VecDeque<ClientKey>) {
        let mut key = self.heads[list];
        while key != NOBODY {
            let Link { tick, next, .. } = self.links[key as usize];
            if tick <= current {
                self.unlink(key);
                due.push_back(ClientKey::of(key));
            }
            key = next;
        }
    }

    /// The first tick at or after `from`, within one turn, whose slot has a key.
    fn first_occupied(&self, from: u64) -> Option<u64> {
        let start = slot(from);
        let (word, bit) = (start / 64, start % 64);
        // The word that contains `start` is read twice: first its bits from `start` on, last its bits before `start`.
        let words = (0..=self.occupied.len()).map(|n| (n, self.occupied[(word + n) % self.occupied.len()]));
        let mut words = words.map(|(n, bits)| match n {
            0 => (n, bits & (u64::MAX << bit)),
            n if n == self.occupied.len() => (n, bits & !(u64::MAX << bit)),
            n => (n, bits),
        });
        let (n, bits) = words.find(|(_, bits)| *bits != 0)?;
        Some(from - bit as u64 + n as u64 * 64 + u64::from(bits.trailing_zeros()))
    }

    fn link(&mut self, key: u32, tick: u64) {
        let list = self.list(tick);
        let next = std::mem::replace(&mut self.heads[list], key);
        if next != NOBODY {
            self.links[next as usize].prev = key;
        }
        self.links[key as usize] = Link { tick, prev: NOBODY, next };
        if list != OVERDUE {
            self.occupied[list / 64] |= 1 << (list % 64);
        }
    }

    fn unlink(&mut self, key: u32) {
        let Link { tick, prev, next } = std::mem::replace(&mut self.links[key as usize], UNLINKED);
        if next != NOBODY {
            self.links[next as usize].prev = prev;
        }
        if prev != NOBODY {
            self.links[prev as usize].next = next;
            return;
        }
        let list = self.list(tick);
        self.heads[list] = next;
        if next == NOBODY && list != OVERDUE {
            self.occupied[list / 64] &= !(1 << (list % 64));
        }
    }

    /// The list that contains a key with this tick. During `expire`, `current` still has its old value.
    fn list(&self, tick: u64) -> usize {
        if tick <= self.current { OVERDUE } else { slot(tick) }
    }

    /// The nanoseconds since `start`. They saturate after 584 years.
    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The slot of a tick, in any turn.
#[expect(clippy::cast_possible_truncation, reason = "it is less than SLOTS")]
fn slot(tick: u64) -> usize {
    (tick % SLOTS as u64) as usize
}
