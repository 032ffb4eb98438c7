//! Publishers that wait are told who takes something.

use super::super::client::{Client, State};
use super::Shard;
use std::time::Instant;

impl Shard {
    /// The publisher of a group's stream waits until somebody takes something: it is told if bytes arrived at one of the
    /// clients that cannot be sent more now. To the others something is sent, which the publisher sees by itself.
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
