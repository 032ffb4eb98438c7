//! The one time limit of every wait, so that a failure is a message and not a hang.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;
use tokio::time::Instant;

/// Longer than any wait takes, even the start of a browser on a busy machine. No story asserts a time.
const GUARD: Duration = Duration::from_secs(120);

/// One time limit for a wait of several steps, so that heartbeats do not prolong it.
#[derive(Debug)]
pub struct Deadline(Instant);

impl Deadline {
    /// A time limit that begins now.
    pub fn new() -> Self {
        Self(Instant::now() + GUARD)
    }

    /// Awaits `future`. Fails the test with `what` if it does not resolve in time.
    pub async fn guarded<T>(&self, what: impl Display, future: impl Future<Output = T>) -> T {
        match tokio::time::timeout_at(self.0, future).await {
            Ok(value) => value,
            Err(_) => panic!("waited {GUARD:?} in vain for {what}"),
        }
    }
}

/// Awaits `future`. Fails the test with `what` if it does not resolve in time.
pub async fn guarded<T>(what: impl Display, future: impl Future<Output = T>) -> T {
    Deadline::new().guarded(what, future).await
}
