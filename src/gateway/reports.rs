//! Tells a session when to write an access line about a client that stays.

use crate::access;
use std::pin::pin;
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
        let Some((at, _)) = self.next else { return std::future::pending().await };
        sleep_until(at).await;
        self.told(Instant::now())
    }

    /// The time since the request, if a line is due. A client that is always sent something never waits in
    /// [`Self::next`].
    pub(super) fn due(&mut self) -> Option<Duration> {
        let (at, _) = self.next?;
        let now = Instant::now();
        (at <= now).then(|| self.told(now))
    }

    /// Waits for a write. Meanwhile, and before it, `tell` is called whenever a line is due, with the time since the
    /// request.
    pub(super) async fn beside<T>(&mut self, write: impl Future<Output = T>, tell: impl Fn(Duration)) -> T {
        if let Some(stayed) = self.due() {
            tell(stayed);
        }
        let mut write = pin!(write);
        loop {
            tokio::select! {
                biased;
                written = &mut write => return written,
                stayed = self.next() => tell(stayed),
            }
        }
    }

    fn told(&mut self, now: Instant) -> Duration {
        if let Some((at, every)) = &mut self.next {
            // A line that is late does not make the next one early.
            *at = now + *every;
        }
        now.duration_since(self.asked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::future::{pending, ready};
    use tokio::time::timeout;

    fn every(secs: u64) -> Reports {
        let (asked, every) = (Instant::now(), Duration::from_secs(secs));
        Reports { asked, next: Some((asked + every, every)) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_is_told_of_while_a_write_waits_for_it() {
        let (mut reports, told) = (every(10), RefCell::new(Vec::new()));
        let blocked = reports.beside(pending::<()>(), |stayed| told.borrow_mut().push(stayed.as_secs()));
        assert!(timeout(Duration::from_secs(35), blocked).await.is_err());
        assert_eq!(told.into_inner(), [10, 20, 30]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_is_told_of_between_writes_that_never_wait() {
        let (mut reports, told) = (every(10), RefCell::new(Vec::new()));
        for _ in 0..35 {
            tokio::time::advance(Duration::from_secs(1)).await;
            reports.beside(ready(()), |stayed| told.borrow_mut().push(stayed.as_secs())).await;
        }
        assert_eq!(told.into_inner(), [10, 20, 30]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_such_lines_nothing_is_told() {
        let mut reports = Reports { asked: Instant::now(), next: None };
        tokio::time::advance(Duration::from_secs(3600)).await;
        reports.beside(ready(()), |_| panic!("a line")).await;
        assert_eq!(reports.due(), None);
    }
}
