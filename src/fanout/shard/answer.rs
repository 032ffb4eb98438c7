//! Answers publishers that ask whether clients receive bytes.

use super::super::client::{Client, State};
use super::super::keys::GroupKey;
use super::Shard;
use std::time::Instant;

impl Shard {
    /// Answers the publisher of a group's stream, which waits until a subscriber takes something. It is told if bytes
    /// arrived at a client whose socket accepts no more. Other clients read on in the log, which the publisher sees
    /// itself.
    pub(super) fn answer(&mut self, key: GroupKey, now: Instant) {
        let Some(group) = self.groups.get(key) else { return };
        group.change.answer();
        let takes = group.blocked.iter().any(|client| {
            let Some(Client { socket, state, .. }) = self.clients.get_mut(*client) else { return false };
            if let State::Behind(behind) = state { behind.arrived(socket, now) } else { false }
        });
        if takes {
            group.feed.arrived();
        }
    }
}
