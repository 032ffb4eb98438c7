//! The one bound on every wait, so that a failure is a message and not a hang.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

/// Far beyond what any wait takes; no story says anything about time.
const GUARD: Duration = Duration::from_secs(30);

/// Awaits `future`; fails the test with `what` was waited for if it does not come.
pub async fn guarded<T>(what: impl Display, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(GUARD, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {GUARD:?} in vain for {what}"),
    }
}
