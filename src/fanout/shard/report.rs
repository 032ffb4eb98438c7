//! Writes access lines about clients that stay, a few in each turn.

use super::super::client::State;
use super::super::effort::DEPARTURE;
use super::super::keys::{ClientKey, Key};
use super::Shard;
use crate::counters::since_start;
use std::time::{Duration, Instant};

impl Shard {
    /// Writes lines about some of the clients that came at least one interval ago.
    pub(super) fn report(&mut self, now: Instant) {
        let Some(from) = self.backlog.unreported.filter(|_| !self.effort.is_spent()) else { return };
        let most = self.effort.pieces(DEPARTURE);
        let keys = self.members.keys_from(from, most);
        self.effort.spend(keys.len() * DEPARTURE);
        self.backlog.unreported =
            keys.last().filter(|_| keys.len() == most).map(|last| ClientKey::of(last.index() + 1));
        for key in keys {
            self.report_one(key, now);
        }
    }

    fn report_one(&mut self, key: ClientKey, now: Instant) {
        let every = self.reports.map_or(Duration::MAX, |(_, every)| every);
        let Some((client, group)) = self.members.of(key) else { return };
        let Some(seat) = &client.seat else { return };
        let stayed = Duration::from_micros(since_start(now).saturating_sub(client.asked));
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
