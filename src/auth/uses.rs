//! Which tickets were used, and by whom they may be used again.
//!
//! ```text
//!              first use                   its connection ends
//!   (unknown) ───────────▶ Connected(n) ─────────────────────▶ Resting until now + grace ─▶ forgotten, with its end
//!                            ▲     ▲ │                            │
//!                            │     └─┘ comes back with an id      │ comes back with an id that it was sent
//!                            └────────────────────────────────────┘
//! ```
//!
//! A ticket is known until it is too old for a first use and nobody may come back with it.

use crate::caller::TicketId;
use crate::millis::millis;
use crate::replay::{Epoch, Seq};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;

/// The most tickets that are known at a time. Each takes about 130 bytes.
const MOST: usize = 200_000;
/// The fewest between two times at which those of no use are forgotten.
const FEWEST_BEFORE_FORGETTING: usize = 1_000;

/// The tickets that were used.
#[derive(Debug, Default)]
pub struct Uses(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    by_id: HashMap<TicketId, Use>,
    /// At so many, those of no use are forgotten.
    forget_at: usize,
}

/// What is known of a used ticket. Times are milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Use {
    /// It is known at least until then: until then it might be used for the first time.
    fresh_until: u64,
    /// How long after the end of its connection its client may come back.
    grace: u64,
    /// When the ticket is of no use at all.
    ends: u64,
    connections: u32,
    /// Its client may come back until then, while it has no connection.
    rests_until: u64,
    sent: Option<Sent>,
}

/// What the client of a ticket was sent: the positions behind these events of one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Sent {
    epoch: Epoch,
    /// The position at which the client began. It counts if the client came with an id.
    first: Seq,
    counts_first: bool,
    /// The position at which its last connection ended. `None`: it is connected, so it may have been sent all there is.
    last: Option<Seq>,
}

/// What a client comes back with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Returned {
    /// The log that its `Last-Event-ID` is in.
    pub epoch: Epoch,
    /// The position behind that event.
    pub position: Seq,
}

/// The uses of tickets, on their way to another process.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UsesState(Vec<(TicketId, Use)>);

impl Uses {
    /// Uses a ticket for the first time. `fresh_for`: how long it might be used for the first time. `ends`: when it is of
    /// no use at all, in milliseconds since 1970. Returns `false` if it
    /// was used before, and `None` if too many tickets are known.
    pub fn begin(&self, id: TicketId, now: u64, fresh_for: Duration, grace: Duration, ends: u64) -> Option<bool> {
        let mut known = self.0.lock();
        if known.by_id.contains_key(&id) {
            return Some(false);
        }
        known.forget(now);
        if known.by_id.len() >= MOST {
            return None;
        }
        let (fresh_until, grace) = (now.saturating_add(millis(fresh_for)), millis(grace));
        let rests_until = now.saturating_add(grace);
        known.by_id.insert(id, Use { fresh_until, grace, ends, connections: 0, rests_until, sent: None });
        Some(true)
    }

    /// The first use came to nothing, so the ticket may be used again.
    pub fn undo(&self, id: TicketId) {
        let mut known = self.0.lock();
        if known.by_id.get(&id).is_some_and(|of| of.connections == 0 && of.sent.is_none()) {
            known.by_id.remove(&id);
        }
    }

    /// Whether the client of a used ticket may come back: it was sent the event with whose id it comes.
    pub fn returns(&self, id: TicketId, now: u64, with: Option<Returned>) -> bool {
        let known = self.0.lock();
        let (Some(of), Some(with)) = (known.by_id.get(&id), with) else { return false };
        let is_in_time = of.connections > 0 || now < of.rests_until;
        is_in_time && of.sent.is_some_and(|sent| sent.has(with))
    }

    /// The client of a ticket is on a stream from here on. `resumes`: it came with an id.
    pub fn connected(&self, id: TicketId, at: Returned, resumes: bool) {
        let mut known = self.0.lock();
        let Some(of) = known.by_id.get_mut(&id) else { return };
        of.connections += 1;
        let began = Sent { epoch: at.epoch, first: at.position, counts_first: resumes, last: None };
        of.sent = Some(match of.sent.take() {
            Some(before) if before.epoch == at.epoch && before.first <= at.position => Sent { last: None, ..before },
            _ => began,
        });
    }

    /// A connection of a ticket's client ended here.
    pub fn ended(&self, id: TicketId, at: Returned, now: u64) {
        let mut known = self.0.lock();
        let Some(of) = known.by_id.get_mut(&id) else { return };
        of.connections = of.connections.saturating_sub(1);
        of.rests_until = now.saturating_add(of.grace);
        if let Some(sent) = of.sent.as_mut().filter(|sent| sent.epoch == at.epoch && of.connections == 0) {
            sent.last = Some(at.position);
        }
    }

    /// The same for another process, in which nobody is connected yet, and whose clients come on their own.
    #[must_use]
    pub fn at_rest(&self, now: u64) -> UsesState {
        let UsesState(mut all) = self.state();
        for (_, of) in all.iter_mut().filter(|(_, of)| of.connections > 0) {
            (of.connections, of.rests_until) = (0, now.saturating_add(of.grace));
        }
        UsesState(all)
    }

    /// The same for another process, which gets the clients, too.
    #[must_use]
    pub fn state(&self) -> UsesState {
        UsesState(self.0.lock().by_id.iter().map(|(id, of)| (*id, *of)).collect())
    }

    /// Goes on where another process was.
    pub fn take(&self, state: UsesState) {
        let mut known = self.0.lock();
        for (id, of) in state.0.into_iter().take(MOST) {
            known.by_id.entry(id).or_insert(of);
        }
    }
}

impl Sent {
    fn has(&self, with: Returned) -> bool {
        let begins = with.position > self.first || (self.counts_first && with.position == self.first);
        with.epoch == self.epoch && begins && self.last.is_none_or(|last| with.position <= last)
    }
}

impl Known {
    /// Forgets the tickets that are of no use. It looks at them seldom enough that this costs nothing per ticket.
    fn forget(&mut self, now: u64) {
        if self.by_id.len() < self.forget_at.max(FEWEST_BEFORE_FORGETTING) {
            return;
        }
        self.by_id.retain(|_, of| now < of.ends && (of.connections > 0 || now < of.fresh_until.max(of.rests_until)));
        self.forget_at = (self.by_id.len() * 2).min(MOST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: TicketId = TicketId([1; 16]);
    const FRESH: Duration = Duration::from_millis(30);
    const GRACE: Duration = Duration::from_millis(300);

    fn at(epoch: u64, position: u64) -> Returned {
        Returned { epoch: Epoch::new(epoch), position: Seq(position) }
    }

    #[test]
    fn a_ticket_is_used_once() {
        let uses = Uses::default();
        assert_eq!(uses.begin(ID, 0, FRESH, GRACE, u64::MAX), Some(true));
        assert_eq!(uses.begin(ID, 0, FRESH, GRACE, u64::MAX), Some(false));
        assert_eq!(uses.begin(TicketId([2; 16]), 0, FRESH, GRACE, u64::MAX), Some(true));
        assert!(!uses.returns(ID, 1, Some(at(7, 1))), "its client was on no stream yet");
        uses.undo(ID);
        assert_eq!(uses.begin(ID, 0, FRESH, GRACE, u64::MAX), Some(true), "it came to nothing");
        uses.connected(ID, at(7, 1), false);
        uses.ended(ID, at(7, 1), 0);
        uses.undo(ID);
        assert_eq!(uses.begin(ID, 0, FRESH, GRACE, u64::MAX), Some(false));
        assert!(!uses.returns(TicketId([3; 16]), 1, Some(at(7, 1))), "nobody used it");
    }

    #[test]
    fn its_client_comes_back_with_what_it_was_sent_and_within_its_grace() {
        let uses = Uses::default();
        uses.begin(ID, 0, FRESH, GRACE, u64::MAX);
        uses.connected(ID, at(7, 10), false);
        for (with, may) in [(None, false), (Some(at(7, 10)), false), (Some(at(7, 11)), true), (Some(at(8, 11)), false)]
        {
            assert_eq!(uses.returns(ID, 1_000_000, with), may, "connected, {with:?}");
        }
        uses.ended(ID, at(7, 15), 1_000);
        for (now, with, may) in [
            (1_299, Some(at(7, 15)), true),
            (1_299, Some(at(7, 11)), true),
            (1_299, Some(at(7, 10)), false),
            (1_299, Some(at(7, 16)), false),
            (1_299, Some(at(6, 15)), false),
            (1_299, None, false),
            (1_300, Some(at(7, 15)), false),
        ] {
            assert_eq!(uses.returns(ID, now, with), may, "{now} {with:?}");
        }
        // The grace slides: it counts from the end of the last connection. What was sent before still counts.
        uses.connected(ID, at(7, 13), true);
        uses.ended(ID, at(7, 20), 2_000);
        for (now, with, may) in
            [(2_299, at(7, 20), true), (2_299, at(7, 12), true), (2_299, at(7, 10), false), (2_300, at(7, 20), false)]
        {
            assert_eq!(uses.returns(ID, now, Some(with)), may, "{now} {with:?}");
        }
    }

    #[test]
    fn the_id_that_a_client_came_with_counts_and_another_log_begins_anew() {
        let uses = Uses::default();
        uses.begin(ID, 0, FRESH, GRACE, u64::MAX);
        uses.connected(ID, at(7, 10), true);
        uses.ended(ID, at(7, 10), 0);
        assert!(uses.returns(ID, 1, Some(at(7, 10))));
        uses.connected(ID, at(8, 3), true);
        uses.ended(ID, at(8, 5), 0);
        assert!(uses.returns(ID, 1, Some(at(8, 5))));
        assert!(!uses.returns(ID, 1, Some(at(7, 10))));
    }

    #[test]
    fn tickets_of_no_use_are_forgotten_and_the_others_are_bounded() {
        let uses = Uses::default();
        let id = |number: u32| {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&number.to_be_bytes());
            TicketId(id)
        };
        for number in 0..10_000 {
            // Each is used a millisecond after the one before, and is of use for 300.
            assert_eq!(uses.begin(id(number), number.into(), FRESH, GRACE, u64::MAX), Some(true));
        }
        assert!(uses.0.lock().by_id.len() < 2_000, "{}", uses.0.lock().by_id.len());
        let most = u32::try_from(MOST).unwrap();
        let begun = (0..most + 1)
            .filter(|number| uses.begin(id(100_000 + number), 20_000, FRESH, GRACE, u64::MAX) == Some(true));
        assert_eq!(begun.count(), MOST);
        assert_eq!(uses.begin(id(99_999), 20_000, FRESH, GRACE, u64::MAX), None);
    }

    #[test]
    fn a_client_that_was_connected_at_a_stop_has_its_grace_after_the_next_start() {
        let (uses, other) = (Uses::default(), Uses::default());
        uses.begin(ID, 0, FRESH, GRACE, u64::MAX);
        uses.connected(ID, at(7, 10), true);
        other.take(uses.at_rest(1_000));
        assert_eq!(other.begin(ID, 1_000, FRESH, GRACE, u64::MAX), Some(false));
        assert!(other.returns(ID, 1_299, Some(at(7, 12))));
        assert!(!other.returns(ID, 1_300, Some(at(7, 12))));
    }

    #[test]
    fn uses_go_on_in_another_process() {
        let (uses, other) = (Uses::default(), Uses::default());
        uses.begin(ID, 0, FRESH, GRACE, u64::MAX);
        uses.connected(ID, at(7, 10), true);
        let bytes = rmp_serde::to_vec(&uses.state()).unwrap();
        other.take(rmp_serde::from_slice(&bytes).unwrap());
        assert_eq!(other.begin(ID, 0, FRESH, GRACE, u64::MAX), Some(false));
        assert!(other.returns(ID, 1, Some(at(7, 12))));
        other.ended(ID, at(7, 12), 1);
        assert!(!other.returns(ID, 2, Some(at(7, 13))));
    }
}
