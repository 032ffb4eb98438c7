//! How much work a shard does before it looks at what else there is to do. Work is counted and not timed, so that what a
//! shard does depends on nothing but what it is told.

/// The work of one turn: that of 128 small sends, which take half a millisecond to a millisecond.
pub(super) const TURN: usize = 128 * SEND;

/// A small send to one client. This sets the unit: a sixteenth of it, which is about 0.3 µs.
const SEND: usize = 16;

/// The bytes that the kernel copies in one unit. A send of 32 KiB costs as much as two small ones.
const BYTES: usize = 2 << 10;

/// The bytes of plaintext that are sealed for TLS in one unit. With AES it would be half as many again. With
/// ChaCha20-Poly1305 it would be a quarter.
const SEALED_BYTES: usize = 1 << 10;

/// Making a client's key ready, before anything is sealed with it.
const KEY: usize = 1;

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

/// Putting a client among those who are caught up.
pub(super) const JOINING: usize = 2;

/// Judging whether a client that accepts no more bytes may stay.
pub(super) const JUDGEMENT: usize = 4;

/// Looking for work in a group.
pub(super) const GROUP: usize = 2;

/// The cost of sending `bytes`, or of making a batch of them.
pub(super) fn sending(bytes: usize) -> usize {
    SEND + bytes.min(MOST_BYTES) / BYTES
}

/// The cost of sealing `bytes` for one client.
fn sealing(bytes: usize) -> usize {
    KEY + bytes.min(MOST_BYTES) / SEALED_BYTES
}

/// The cost of sending `bytes` to one client. `is_sealed`: over TLS.
pub(super) fn sending_over(is_sealed: bool, bytes: usize) -> usize {
    sending(bytes) + if is_sealed { sealing(bytes) } else { 0 }
}

/// The cost of sending `bytes` to one of `clients`, of which `sealed` use TLS. It is that of an average one.
pub(super) fn sending_among(sealed: usize, clients: usize, bytes: usize) -> usize {
    if sealed == 0 {
        return sending(bytes);
    }
    sending(bytes) + (sealing(bytes) * sealed).div_ceil(clients.max(sealed))
}

/// Noting `bytes` for a stream of a connection that carries others, too.
const NOTE: usize = 1;

/// The cost of sending `bytes` on one stream, where `carriers` connections carry `streams`. What the streams of a
/// connection are sent in a turn goes out in one send.
pub(super) fn noting(carriers: usize, streams: usize, bytes: usize) -> usize {
    NOTE + (SEND * carriers).div_ceil(streams.max(carriers).max(1)) + bytes.min(MOST_BYTES) / BYTES
}

/// Decoding a request of HTTP/2, and passing it on.
const REQUEST: usize = 24;

/// The cost of hearing a connection of HTTP/2 that sent so many bytes, and requests among them.
pub(super) fn hearing(requests: usize, bytes: usize) -> usize {
    RECEIVE + REQUEST * requests + bytes / BYTES
}

/// What newcomers may cost in a turn, and what those who are behind may, as long as live clients have something to be
/// sent. A pass over live clients then takes at most a third longer than alone.
const BESIDE_LIVE: usize = TURN / 8;

/// The kinds of work that wait at the beginning of a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Waiting {
    /// Groups have something to do: there are events for the clients that are caught up.
    pub(super) live: bool,
    /// Clients that are behind can be sent something.
    pub(super) behind: bool,
    /// Clients have arrived.
    pub(super) newcomers: bool,
    /// The number of further kinds.
    pub(super) others: usize,
}

impl Waiting {
    pub(super) fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// What each kind of work may cost in a turn. What one leaves goes to live clients, and then to those who are behind.
///
/// ```text
///   live clients wait:        │ live                              │ others, the same each │ behind │ newcomers │
///   no live client waits:     │ behind        │ newcomers       │ others, the same each                         │
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shares {
    pub(super) live: usize,
    pub(super) behind: usize,
    pub(super) newcomers: usize,
    /// Of each other kind.
    pub(super) other: usize,
}

impl Shares {
    pub(super) fn of(waiting: Waiting) -> Self {
        let Waiting { live, behind, newcomers, others } = waiting;
        let kinds = usize::from(live) + usize::from(behind) + usize::from(newcomers) + others;
        let equal = TURN / kinds.max(1);
        let share = |waits| match (waits, live) {
            (false, _) => 0,
            (true, false) => equal,
            (true, true) => equal.min(BESIDE_LIVE),
        };
        let (behind, newcomers) = (share(behind), share(newcomers));
        let live = if live { TURN - behind - newcomers - equal * others } else { 0 };
        Self { live, behind, newcomers, other: equal }
    }
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
    fn sends_over_tls_cost_what_is_sealed_too() {
        for (bytes, cost) in [(0, 17), (128, 17), (1 << 10, 18), (4 << 10, 23), (64 << 10, 113), (16 << 20, 785)] {
            assert_eq!((sending_over(false, bytes), sending_over(true, bytes)), (sending(bytes), cost), "{bytes}");
            assert_eq!(sending_among(9, 9, bytes), cost, "{bytes}");
            assert_eq!(sending_among(0, 9, bytes), sending(bytes), "{bytes}");
        }
        assert_eq!(sending_among(1, 1000, 128), 17, "a part of a unit is a unit");
        assert_eq!(sending_among(500, 1000, 64 << 10), 48 + 33);
    }

    #[test]
    fn on_a_connection_that_carries_many_a_stream_costs_little() {
        for (carriers, streams, cost) in [(1, 100, 2), (50, 5000, 2), (1000, 5000, 5), (5000, 5000, 17), (0, 0, 1)] {
            assert_eq!(noting(carriers, streams, 128), cost, "{carriers} {streams}");
        }
        assert_eq!(noting(1, 100, 64 << 10), 2 + 32);
        assert_eq!((hearing(0, 0), hearing(32, 16 << 10)), (2, 778));
    }

    #[test]
    fn live_clients_come_first_and_nobody_is_starved() {
        let of = |live, behind, newcomers, others| {
            let Shares { live, behind, newcomers, other } = Shares::of(Waiting { live, behind, newcomers, others });
            (live, behind, newcomers, other)
        };
        const EIGHTH: usize = TURN / 8;
        for (waiting, shares) in [
            (of(false, false, false, 0), (0, 0, 0, TURN)),
            (of(true, false, false, 0), (TURN, 0, 0, TURN)),
            // Without live clients, all of the turn is theirs.
            (of(false, true, false, 0), (0, TURN, 0, TURN)),
            (of(false, true, true, 0), (0, TURN / 2, TURN / 2, TURN / 2)),
            (of(false, true, true, 2), (0, TURN / 4, TURN / 4, TURN / 4)),
            // Beside live clients, a crowd gets little.
            (of(true, true, false, 0), (7 * EIGHTH, EIGHTH, 0, TURN / 2)),
            (of(true, false, true, 0), (7 * EIGHTH, 0, EIGHTH, TURN / 2)),
            (of(true, true, true, 0), (6 * EIGHTH, EIGHTH, EIGHTH, TURN / 3)),
            (of(true, false, false, 1), (TURN / 2, 0, 0, TURN / 2)),
            (of(true, true, true, 1), (4 * EIGHTH, EIGHTH, EIGHTH, TURN / 4)),
        ] {
            assert_eq!(waiting, shares);
        }
        for others in 0..=6 {
            let (live, behind, newcomers, other) = of(true, true, true, others);
            assert!([live, behind, newcomers, other].iter().all(|share| *share > 0), "{others}");
            assert!(live + behind + newcomers + other * others <= TURN, "{others}");
            assert!(live >= other, "{others}");
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
