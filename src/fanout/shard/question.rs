//! Answers questions about clients, in slices.

use super::super::effort::LOOK;
use super::super::keys::{ClientKey, Key};
use super::super::question::Question;
use super::Shard;
use crate::counters::since_start;
use crate::hub::{Departure, End};
use std::time::Instant;

impl Shard {
    /// Looks at some of the clients for the question that came first.
    pub(super) fn tell(&mut self, now: Instant) {
        while !self.effort.is_spent()
            && let Some((mut question, from)) = self.backlog.questions.pop_front()
        {
            if question.is_moot() {
                continue;
            }
            if let Question::Dismiss { stream, place, asked, reply } = question {
                let found = self.dismiss(stream, ClientKey::of(place), asked, now);
                let _gone = reply.send(found).is_err();
                continue;
            }
            if let Question::Release { stream, moved, part } = question {
                self.release_all(stream, &moved, &part, now);
                continue;
            }
            let most = self.effort.pieces(LOOK);
            let keys = self.members.keys_from(from, most);
            self.effort.spend(keys.len().max(1) * LOOK);
            for key in &keys {
                if let Some((client, group)) = self.members.of(*key) {
                    question.note(key.index(), client, group, since_start(now));
                }
            }
            match keys.last().filter(|_| keys.len() == most) {
                Some(last) => self.backlog.questions.push_front((question, ClientKey::of(last.index() + 1))),
                None => question.answer(),
            }
        }
    }

    /// Ends a client in order, if it is still the one that was meant.
    fn dismiss(&mut self, stream: usize, key: ClientKey, asked: u64, now: Instant) -> bool {
        let Some((client, _)) = self.members.of(key) else { return false };
        let is_meant = client.asked == asked && client.seat.as_ref().is_some_and(|seat| seat.number() == stream);
        if is_meant {
            self.depart(key, &Departure::Ended(End::Dismissed), now);
            self.arm(key);
        }
        is_meant
    }
}
