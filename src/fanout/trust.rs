//! Who judges that a client stalls: the kernel, or the code that sends to the client.

use super::on_the_way::on_the_way;
use super::sending::limit_stall;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// Whether a client is trusted, and since when. The kernel does not judge a trusted client, because it misjudges a
/// client that reads slowly (see [`limit_stall`]). The code that sends to a trusted client observes instead whether
/// bytes arrive there.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    /// Boxed, because few clients are trusted.
    since: Option<Box<Instant>>,
}

impl Trust {
    /// Whether the client is trusted.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.since.is_some()
    }

    /// Trusts the client from now on, because its socket accepts no more bytes.
    pub fn begin(&mut self, socket: impl AsFd, now: Instant) {
        self.since.get_or_insert_with(|| Box::new(now));
        limit_stall(socket, None);
    }

    /// Lets the kernel judge the client from now on, because its socket accepts bytes again. Only the kernel notices
    /// that a client on a quiet stream has vanished. Bytes that are on their way may be as old as the trust, and the
    /// kernel counts from the time when they were sent. So the kernel's limit is longer by that time, until these bytes
    /// have arrived.
    pub fn end(&mut self, socket: impl AsFd, stall: Duration, now: Instant) {
        if let Some(since) = self.since.as_deref().copied() {
            limit_stall(&socket, Some(now.duration_since(since) + stall));
            self.forgive(socket, stall);
        }
    }

    /// Restores the plain limit if nothing is on its way to the client any more.
    pub fn forgive(&mut self, socket: impl AsFd, stall: Duration) {
        if self.since.is_some() && on_the_way(&socket) == 0 {
            self.since = None;
            limit_stall(socket, Some(stall));
        }
    }
}
