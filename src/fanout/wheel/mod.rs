//! Deadlines: one per client, and none costs anything until its tick has come.
//!
//! A hashed timing wheel of one level (Varghese and Lauck, 1987): a slot holds the keys whose deadline falls into one tick, in
//! this turn of the wheel or a later one. Most deadlines are heartbeats and lie within one turn; a later one is
//! looked at once a turn.
//!
//! Pure: time is given, never read.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

/// How fine time is. Nobody minds a heartbeat that is late by so much, and a shard that has nothing else to do wakes at most
/// 63 times a second.
const TICK_NANOS: u64 = 16_000_000;

/// One turn is 16.4 s: the heartbeat of 15 s lies within it.
const SLOTS: usize = 1024;

/// The list, beside the slots', of deadlines that had passed when they were set.
const OVERDUE: usize = SLOTS;

/// The end of a list.
const NOBODY: u32 = u32::MAX;

/// The tick of a key that has no deadline.
const NEVER: u64 = u64::MAX;

/// One deadline for each of many small dense keys.
#[derive(Debug)]
pub(super) struct Wheel {
    /// When tick 0 was.
    start: Instant,
    /// The latest instant that `expire` was told.
    now: Instant,
    /// The tick that `now` is in. Every deadline of it and before has been told, but for those in `OVERDUE`.
    current: u64,
    /// The first key of each slot, and of `OVERDUE`.
    heads: Box<[u32; SLOTS + 1]>,
    /// A bit for each slot that has a key.
    occupied: [u64; SLOTS / 64],
    /// By key. It grows to the highest one.
    links: Vec<Link>,
}

/// A key's place in a doubly linked list.
#[derive(Debug, Clone, Copy)]
struct Link {
    /// The first whole tick at which the deadline has passed. It is after `current`, and says the slot; or it is not, and the
    /// key is in `OVERDUE`, which the next `expire` empties.
    tick: u64,
    prev: u32,
    next: u32,
}

const UNLINKED: Link = Link { tick: NEVER, prev: NOBODY, next: NOBODY };

impl Wheel {
    /// A wheel without a deadline, whose time begins at `now`.
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

    /// Gives `key` a deadline, in place of the one it has. One that is not after the latest `expire` is due at
    /// the next.
    pub(super) fn set(&mut self, key: u32, at: Instant) {
        debug_assert!(key != NOBODY, "a key marks the end of a list");
        let tick = if at <= self.now { self.current } else { self.nanos(at).div_ceil(TICK_NANOS) };
        if self.links.len() <= key as usize {
            self.links.resize(key as usize + 1, UNLINKED);
        }
        if self.links[key as usize].tick != tick {
            self.cancel(key);
            self.link(key, tick);
        }
    }

    /// Takes `key`'s deadline away, if it has one.
    pub(super) fn cancel(&mut self, key: u32) {
        if self.links.get(key as usize).is_some_and(|link| link.tick != NEVER) {
            self.unlink(key);
        }
    }

    /// Appends the keys whose deadline has passed, and forgets these deadlines: never early, and at most one tick late. An
    /// instant before the latest one counts as that.
    pub(super) fn expire(&mut self, now: Instant, due: &mut Vec<u32>) {
        self.now = self.now.max(now);
        let current = self.nanos(self.now) / TICK_NANOS;
        self.take(OVERDUE, current, due);
        // However long the pause was, one turn passes every slot.
        let last = current.min(self.current + SLOTS as u64);
        let mut from = self.current + 1;
        while let Some(tick) = self.first_occupied(from).filter(|tick| *tick <= last) {
            self.take(slot(tick), current, due);
            from = tick + 1;
        }
        self.current = current;
    }

    /// When `expire` is to be called next: not after the tick of the earliest deadline. It may be before it, once a turn for
    /// each deadline that is further away. `None` if there is no deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        if self.heads[OVERDUE] != NOBODY {
            return Some(self.now);
        }
        let tick = self.first_occupied(self.current + 1)?;
        self.start.checked_add(Duration::from_nanos(tick.checked_mul(TICK_NANOS)?))
    }

    /// Moves the keys of a list that are due at the tick `current` to `due`.
    fn take(&mut self, list: usize, current: u64, due: &mut Vec<u32>) {
        let mut key = self.heads[list];
        while key != NOBODY {
            let Link { tick, next, .. } = self.links[key as usize];
            if tick <= current {
                self.unlink(key);
                due.push(key);
            }
            key = next;
        }
    }

    /// The first tick at or after `from`, within one turn, whose slot has a key.
    fn first_occupied(&self, from: u64) -> Option<u64> {
        let start = slot(from);
        let (word, bit) = (start / 64, start % 64);
        // The word that `start` is in comes twice: first what is at or after it, last what is before.
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

    /// The list that a key with this tick is in. While `expire` is at work, `current` is still what it was.
    fn list(&self, tick: u64) -> usize {
        if tick <= self.current { OVERDUE } else { slot(tick) }
    }

    /// Nanoseconds from the start; those of 584 years at most.
    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }
}

/// The slot that a tick falls into, whatever the turn.
#[expect(clippy::cast_possible_truncation, reason = "it is less than SLOTS")]
fn slot(tick: u64) -> usize {
    (tick % SLOTS as u64) as usize
}
