//! How fast a client takes what its session writes.

use super::socket::Witness;
use super::transport::Transport;
use crate::fanout::Trust;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How fast a client takes what is written.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// How long the client may take nothing.
    pub(super) stall: Duration,
    /// Whether the last write had to wait.
    pub(super) is_slow: bool,
    /// Whether any write had to wait since that was last asked.
    pub(super) has_waited: bool,
    /// Says whether the writer or the kernel judges that the client stalls.
    pub(super) trust: Trust,
}

impl Progress {
    /// Begins to observe whether bytes arrive at the client. The kernel does not judge it from now on.
    pub(super) fn observe(&mut self, transport: &Arc<Transport>) -> Witness {
        self.trust.begin(&**transport, Instant::now());
        Witness::of(transport)
    }
}
