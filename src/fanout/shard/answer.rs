//! Answers publishers that ask whether clients receive bytes.

use super::super::keys::GroupKey;
use super::Shard;
use std::time::Instant;

impl Shard {
    /// Answers the publisher of a group's stream, which waits until a subscriber takes something. It is told if bytes
    /// arrived at a client whose socket accepts no more. Other clients read on in the log, which the publisher sees
    /// itself.
    pub(super) fn answer(&mut self, key: GroupKey, now: Instant) {
        let Some((group, clients)) = self.members.group_and_clients(key) else { return };
        group.change.answer();
        if group.behind.blocked().any(|key| clients.get_mut(key).is_some_and(|client| client.look(now))) {
            group.feed.arrived();
        }
    }
}
