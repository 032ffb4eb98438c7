//! Who judges that a client stalls: the kernel, or whoever sends to it.

use super::on_the_way::on_the_way;
use super::sending::limit_stall;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Whether a client is trusted, and since when: the kernel does not judge it then, because it is wrong about one that takes
/// what is on its way in small steps (see [`limit_stall`]). Whoever sends to the client looks at what arrives.
#[derive(Debug, Clone, Copy, Default)]
pub struct Trust {
    since: Option<Instant>,
}

impl Trust {
    /// The client takes no more for now.
    pub fn begin(&mut self, socket: impl AsFd, now: Instant) {
        self.since.get_or_insert(now);
        limit_stall(socket, None);
    }

    /// The client takes what it is sent again, and the kernel judges: it alone sees that one has vanished to which little is sent.
    /// What is on the way may have been so for as long as the client was trusted, as the kernel has it.
    pub fn end(&mut self, socket: impl AsFd, stall: Duration, now: Instant) {
        if let Some(since) = self.since {
            limit_stall(&socket, Some(now.duration_since(since) + stall));
            self.forgive(socket, stall);
        }
    }

    /// Once all has arrived, nothing is held against the client.
    pub fn forgive(&mut self, socket: impl AsFd, stall: Duration) {
        if self.since.is_some() && on_the_way(&socket) == 0 {
            self.since = None;
            limit_stall(socket, Some(stall));
        }
    }
}
