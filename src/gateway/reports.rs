//! Tells a session when to write an access line about a client that stays.

use crate::access;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The times at which a line is written about a client that stays.
#[derive(Debug)]
pub(super) struct Reports {
    /// When the request came.
    asked: Instant,
    /// `None`: no line is written.
    next: Option<(Instant, Duration)>,
}

impl Reports {
    /// The times for a client whose request came at `asked`.
    pub(super) fn of(asked: std::time::Instant) -> Self {
        let asked = Instant::from_std(asked);
        Self { asked, next: access::every().map(|every| (asked + every, every)) }
    }

    /// Resolves when a line is due, with the time since the request. Cancel-safe.
    pub(super) async fn next(&mut self) -> Duration {
        let Some((at, every)) = &mut self.next else { return std::future::pending().await };
        sleep_until(*at).await;
        // A line that is late does not make the next one early.
        *at = Instant::now() + *every;
        self.asked.elapsed()
    }
}
