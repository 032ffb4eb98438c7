//! The one bound on every wait, so that a failure is a message and not a hang.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// Far beyond what any wait takes, a browser's start on a machine that does ten other things included; no story says
/// anything about time.
const GUARD: Duration = Duration::from_secs(120);

/// One bound for a wait of several steps, so that heartbeats do not prolong it.
#[derive(Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// A bound from now on.
    pub fn new() -> Self {
        Self(Instant::now() + GUARD)
    }

    /// Awaits `future`; fails the test with `what` was waited for if it does not come.
    pub async fn guarded<T>(&self, what: impl Display, future: impl Future<Output = T>) -> T {
        match tokio::time::timeout_at(self.0, future).await {
            Ok(value) => value,
            Err(_) => panic!("waited {GUARD:?} in vain for {what}"),
        }
    }
}

/// Awaits `future`; fails the test with `what` was waited for if it does not come.
pub async fn guarded<T>(what: impl Display, future: impl Future<Output = T>) -> T {
    Deadline::new().guarded(what, future).await
}
