//! The permissions of all clients of the process, for those who take them back.

use crate::auth::{Record, RecordState, Revocation};
use crate::fanout::Engine;
use crate::gateway::presence::Presence;
use std::sync::Arc;
use std::time::SystemTime;

/// The permissions of all clients. Clones are of the same process.
#[derive(Debug, Clone)]
pub struct Permissions {
    record: Arc<Record>,
    engine: Option<Engine>,
    presence: Presence,
}

impl Permissions {
    /// The permissions of the clients that these serve.
    #[must_use]
    pub fn new(record: Arc<Record>, engine: Option<Engine>, presence: Presence) -> Self {
        Self { record, engine, presence }
    }

    pub(in crate::gateway) fn record(&self) -> &Arc<Record> {
        &self.record
    }

    /// Takes permissions back: of clients that are here now, and of those that come until its end. `false`: too many
    /// revocations are remembered, so this one is not.
    #[must_use]
    pub fn revoke(&self, revocation: Revocation) -> bool {
        // First it is remembered, so that a client that comes meanwhile is found by one of the two looks.
        let is_remembered = self.record.revocations.add(revocation);
        if is_remembered {
            self.judge_again();
        }
        is_remembered
    }

    /// Ends the clients that may not listen any more.
    pub(in crate::gateway) fn judge_again(&self) {
        if let Some(engine) = &self.engine {
            engine.renew();
        }
        let now = SystemTime::now();
        self.presence.each(|_, present| {
            let over = |grant: &Arc<_>| self.record.revocations.revokes(grant, now) || grant.is_over();
            if present.caller.grant().is_some_and(over) {
                present.revoke();
            }
        });
    }

    /// What another process needs to go on.
    #[must_use]
    pub fn state(&self) -> RecordState {
        self.record.state()
    }

    /// What the next process needs if this one stops now.
    #[must_use]
    pub fn lasting(&self) -> RecordState {
        self.record.lasting(SystemTime::now())
    }

    /// Goes on where another process was.
    pub fn take(&self, state: RecordState) {
        self.record.take(state);
    }
}
