//! What came of the times that the configuration was read again.

use super::{By, Reload};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::SystemTime;

/// What came of the times that the configuration was read again.
#[derive(Debug, Default)]
pub struct Reloads {
    /// How many there were, by what came of them.
    pub outcomes: By<Reload>,
    last: Mutex<Option<LastReload>>,
}

/// The newest of them.
#[derive(Debug, Clone)]
pub struct LastReload {
    /// When it was done.
    pub at: SystemTime,
    /// What came of it.
    pub outcome: Reload,
    /// What changed, or why the configuration was not taken, in words.
    pub what: Arc<str>,
}

impl Reloads {
    /// Notes that the configuration was read again.
    pub fn note(&self, outcome: Reload, what: &str) {
        *self.last.lock() = Some(LastReload { at: SystemTime::now(), outcome, what: Arc::from(what) });
        self.outcomes.add_one(outcome);
    }

    /// The newest one. `None`: there was none.
    #[must_use]
    pub fn last(&self) -> Option<LastReload> {
        self.last.lock().clone()
    }

    /// Whether the newest one failed, so that the process serves with an older configuration.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.last.lock().as_ref().is_some_and(|last| last.outcome == Reload::Failed)
    }
}
