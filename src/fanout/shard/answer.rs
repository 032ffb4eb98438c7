//! Answers publishers that ask whether clients receive bytes.

use super::super::client::{Client, State};
use super::Shard;
use std::time::Instant;

impl Shard {
    /// Answers the publisher of a group's stream, which waits until a subscriber takes something. It is told if bytes
    /// arrived at a client whose socket accepts no more. Other clients read on in the log, which the publisher sees
    /// itself.
    pub(super) fn answer(&mut self, key: u32, now: Instant) {
        let Some(group) = self.groups.get(key as usize) else { return };
        group.change.answer();
        let takes = group.blocked.iter().any(|client| {
            let Some(Client { socket, state, .. }) = self.clients.get_mut(*client as usize) else { return false };
            if let State::Behind(behind) = state { behind.arrived(socket, now) } else { false }
        });
        if takes {
            group.feed.arrived();
        }
    }
}
