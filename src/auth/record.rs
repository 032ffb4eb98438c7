//! What the process remembers of credentials: what was revoked, which tickets were used, and a key for tickets.

use super::revocations::{Revocations, RevocationsState};
use super::ticket::TicketKey;
use super::uses::{Uses, UsesState};
use crate::millis::unix_millis;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::SystemTime;

/// What the process remembers of credentials.
#[derive(Debug)]
pub struct Record {
    /// What was revoked.
    pub revocations: Revocations,
    /// Which tickets were used.
    pub uses: Uses,
    /// Seals the tickets of routes without a key of their own.
    key: RwLock<Arc<[TicketKey]>>,
}

/// What another process needs to go on. It has secrets.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecordState {
    revocations: RevocationsState,
    uses: UsesState,
    key: Vec<u8>,
}

/// Without the secrets.
impl std::fmt::Debug for RecordState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordState").field("revocations", &self.revocations.len()).finish_non_exhaustive()
    }
}

impl Default for Record {
    fn default() -> Self {
        let key = RwLock::new(Arc::from([TicketKey::random()]));
        Self { revocations: Revocations::default(), uses: Uses::default(), key }
    }
}

impl Record {
    /// The key that the process made.
    #[must_use]
    pub fn key(&self) -> Arc<[TicketKey]> {
        Arc::clone(&self.key.read())
    }

    /// What another process needs to go on.
    #[must_use]
    pub fn state(&self) -> RecordState {
        let key = self.key().first().map(|key| key.bytes().to_vec()).unwrap_or_default();
        RecordState { revocations: self.revocations.state(), uses: self.uses.state(), key }
    }

    /// What the next process needs if this one stops now: all but its own key, which is not written into files.
    #[must_use]
    pub fn lasting(&self, now: SystemTime) -> RecordState {
        let uses = self.uses.at_rest(unix_millis(now));
        RecordState { revocations: self.revocations.state(), uses, key: Vec::new() }
    }

    /// Goes on where another process was.
    pub fn take(&self, state: RecordState) {
        self.revocations.take(state.revocations);
        self.uses.take(state.uses);
        if let Some(key) = TicketKey::new(&state.key) {
            *self.key.write() = Arc::from([key]);
        }
    }
}
