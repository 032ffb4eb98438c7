//! How much work a shard does before it looks at what else there is to do. Work is counted and not timed, so that what a
//! shard does depends on nothing but what it is told.

/// The work of one turn: that of 128 small sends, which take half a millisecond to a millisecond.
pub(super) const TURN: usize = 128 * SEND;

/// A small send to one client. This sets the unit: a sixteenth of it, which is about 0.3 µs.
const SEND: usize = 16;

/// The bytes that the kernel copies in one unit. A send of 32 KiB costs as much as two small ones.
const BYTES: usize = 2 << 10;

/// The most bytes that a socket takes at once. No send buffer is larger.
const MOST_BYTES: usize = 512 << 10;

/// Taking a client in: its place in the poll, on the wheel and in its group.
pub(super) const ARRIVAL: usize = 16;

/// Taking a client off its stream, telling so in the log, and closing its socket.
pub(super) const DEPARTURE: usize = 80;

/// Reading what a client sent.
pub(super) const RECEIVE: usize = 2;

/// One look at the bytes that are on their way to a client, or at a deadline that is out of date.
pub(super) const LOOK: usize = 1;

/// Judging whether a client that accepts no more bytes may stay.
pub(super) const JUDGEMENT: usize = 4;

/// Looking for work in a group.
pub(super) const GROUP: usize = 2;

/// The cost of sending `bytes`, or of making a batch of them.
pub(super) fn sending(bytes: usize) -> usize {
    SEND + bytes.min(MOST_BYTES) / BYTES
}

/// What may still be spent on one kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Effort(usize);

impl Effort {
    pub(super) fn new(most: usize) -> Self {
        Self(most)
    }

    pub(super) fn is_spent(self) -> bool {
        self.0 == 0
    }

    /// Work that was done. It may cost more than was left, because a piece of work is not divided.
    pub(super) fn spend(&mut self, cost: usize) {
        self.0 = self.0.saturating_sub(cost);
    }

    /// Takes at most `most` out of what is left.
    pub(super) fn part(&mut self, most: usize) -> Self {
        let part = self.0.min(most);
        self.0 -= part;
        Self(part)
    }

    /// Gives back what was left of a part.
    pub(super) fn give_back(&mut self, part: Self) {
        self.0 += part.0;
    }

    /// How many pieces of work of this cost there is something left for.
    pub(super) fn pieces(self, cost: usize) -> usize {
        self.0.div_ceil(cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_sends_cost_what_the_kernel_copies() {
        for (bytes, cost) in [(0, 16), (128, 16), (4 << 10, 18), (32 << 10, 32), (64 << 10, 48), (16 << 20, 272)] {
            assert_eq!(sending(bytes), cost, "{bytes}");
        }
    }

    #[test]
    fn a_piece_is_done_as_long_as_anything_is_left() {
        let mut effort = Effort::new(100);
        assert_eq!((effort.pieces(16), effort.pieces(100), effort.pieces(1000)), (7, 1, 1));
        let mut part = effort.part(30);
        part.spend(20);
        effort.give_back(part);
        assert_eq!(effort, Effort::new(80));
        assert_eq!(effort.part(1000), Effort::new(80));
        assert!(effort.is_spent());
        assert_eq!(effort.pieces(16), 0);
        let mut little = Effort::new(1);
        little.spend(80);
        assert!(little.is_spent());
    }
}
