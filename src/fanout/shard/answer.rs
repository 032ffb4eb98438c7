//! Answers publishers that ask whether clients receive bytes.

use super::super::effort::LOOK;
use super::super::keys::{ClientKey, GroupKey, Key};
use super::Shard;
use std::time::Instant;

impl Shard {
    /// Answers some of the publishers that ask.
    pub(super) fn answer(&mut self, now: Instant) {
        while !self.effort.is_spent()
            && let Some(key) = self.backlog.asked.pop_front()
        {
            if let Some(from) = self.answer_from(key, now) {
                self.backlog.asked.push_back(key);
                if let Some(group) = self.members.group(key) {
                    group.looked_up_to = Some(from);
                }
            }
        }
    }

    /// Answers the publisher of a group's stream, which waits until a subscriber takes something. It is told if bytes
    /// arrived at a client whose socket accepts no more. Other clients read on in the log, which the publisher sees
    /// itself. Returns where to go on, if not all clients were looked at.
    fn answer_from(&mut self, key: GroupKey, now: Instant) -> Option<ClientKey> {
        let (group, clients) = self.members.group_and_clients(key)?;
        let from = group.looked_up_to.take().unwrap_or_else(|| {
            group.change.answer();
            ClientKey::of(0)
        });
        for client in group.behind.blocked_from(from) {
            if self.effort.is_spent() {
                return Some(client);
            }
            self.effort.spend(LOOK);
            if clients.get_mut(client).is_some_and(|client| client.look(&self.output, now)) {
                group.feed.arrived();
                return None;
            }
        }
        None
    }
}
