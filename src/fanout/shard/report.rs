//! Writes access lines about clients that stay, a few in each turn.

use super::super::client::State;
use super::super::effort::DEPARTURE;
use super::super::keys::{ClientKey, Key};
use super::super::rounds::{PARTS, Rounds};
use super::Shard;
use std::time::{Duration, Instant};

impl Shard {
    /// Begins the part of a round whose time has come. A part that is not done holds the next one up.
    pub(super) fn begin_report(&mut self, now: Instant) {
        if self.backlog.unreported.is_none() {
            self.backlog.unreported = self.reports.as_mut().and_then(|rounds| rounds.begin(now)).map(ClientKey::of);
        }
    }

    /// Writes lines about some of the clients of the present part that came at least one interval ago.
    pub(super) fn report(&mut self, now: Instant) {
        let Some(from) = self.backlog.unreported.filter(|_| !self.effort.is_spent()) else { return };
        let most = self.effort.pieces(DEPARTURE);
        let keys = self.members.every_nth_from(from, PARTS, most);
        self.effort.spend(keys.len() * DEPARTURE);
        self.backlog.unreported =
            keys.last().filter(|_| keys.len() == most).map(|last| ClientKey::of(last.index() + PARTS));
        for key in keys {
            self.report_one(key, now);
        }
    }

    fn report_one(&mut self, key: ClientKey, now: Instant) {
        let every = self.reports.as_ref().map_or(Duration::MAX, Rounds::every);
        let Some((client, group)) = self.members.of(key) else { return };
        let Some(seat) = &client.seat else { return };
        let stayed = client.stayed(now);
        if stayed < every {
            return;
        }
        let mut sent = client.sent;
        let cursor = match &client.state {
            State::CaughtUp { index } => {
                let (cursor, with_others) = group.caught_up.given_to(*index);
                sent += with_others;
                cursor
            }
            State::Waiting { cursor } => *cursor,
            State::Alone(alone) | State::Parting(alone) => alone.cursor,
            State::Closing { .. } => return,
        };
        group.terms.stays(seat, sent, stayed, group.feed.lag(cursor));
    }
}
