//! The pending attempts for one response: one attempt, or two side by side. The first that gets a stream is taken.
//!
//! ```text
//!            nothing came for a while: another begins
//!   one ────────────────────────────────────────────────▶ two ──┐ the same: the older is given up for another
//!    ▲                                                     │ ▲──┘
//!    └─────────────────────────────────────────────────────┘
//!                           one of them failed
//! ```

use super::connect::Turn;
use super::exchange::Outcome;
use crate::replay::Seq;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use tokio::time::{Instant, sleep_until};

/// An attempt that is under way.
pub(super) struct Attempt {
    overlaps: Option<Seq>,
    turn: Option<Arc<Turn>>,
    outcome: Pin<Box<dyn Future<Output = Outcome> + Send>>,
}

/// The result of an attempt.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) outcome: Outcome,
    /// The end of the log when the origin was asked, if an earlier response was still open then. Nothing is lost
    /// between the two responses.
    pub(super) overlaps: Option<Seq>,
}

impl Attempt {
    /// An attempt with the result `outcome`. `overlaps`: as in [`Answered`].
    pub(super) fn new(
        overlaps: Option<Seq>,
        turn: Option<Arc<Turn>>,
        outcome: impl Future<Output = Outcome> + Send + 'static,
    ) -> Self {
        Self { overlaps, turn, outcome: Box::pin(outcome) }
    }

    /// Waits for the result. Safe to drop and call again.
    pub(super) async fn answered(&mut self) -> Answered {
        Answered { outcome: self.outcome.as_mut().await, overlaps: self.overlaps }
    }
}

/// One attempt or two.
pub(super) struct Pending {
    older: Attempt,
    newer: Option<Attempt>,
}

impl Pending {
    pub(super) fn new(attempt: Attempt) -> Self {
        Self { older: attempt, newer: None }
    }

    /// Whether the first attempt waits until it may connect. So the origin is not silent, but was not asked.
    pub(super) fn is_queued(&self) -> bool {
        self.older.turn.as_ref().is_some_and(|turn| turn.is_queued())
    }

    /// Begins another attempt. There are never more than two. The oldest is given up before the new one begins, so that
    /// the new one finds its address free.
    pub(super) fn add(&mut self, attempt: impl FnOnce() -> Attempt) {
        if let Some(newer) = self.newer.take() {
            self.older = newer;
        }
        self.newer = Some(attempt());
    }

    /// Waits for the joint result: a stream of either attempt. If there is none, it is the failure of the last attempt
    /// to fail, or the final answer to the older attempt. Safe to drop and call again.
    pub(super) async fn answered(&mut self) -> Answered {
        loop {
            tokio::select! {
                older = self.older.answered() => match (&older.outcome, self.newer.take()) {
                    (Outcome::Failed(_), Some(newer)) => self.older = newer,
                    _ => return older,
                },
                newer = of(&mut self.newer) => {
                    self.newer = None;
                    if let Outcome::Stream(_) = newer.outcome {
                        return newer;
                    }
                }
            }
        }
    }
}

/// Waits for the result of the attempt, and for ever if there is none.
pub(super) async fn of(attempt: &mut Option<Attempt>) -> Answered {
    match attempt {
        Some(attempt) => attempt.answered().await,
        None => pending().await,
    }
}

/// Resolves at `instant`, and never without one.
pub(super) async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::{End, Failure};
    use std::time::Duration;
    use tokio::time::sleep;

    /// An attempt with the result `outcome` after `after` milliseconds. Without an outcome it never ends. It holds
    /// `lasts` while it is under way.
    fn attempt(n: u64, after: u64, outcome: Option<Outcome>, lasts: &Arc<()>) -> Attempt {
        let lasts = Arc::clone(lasts);
        Attempt::new(Some(Seq(n)), None, async move {
            sleep(Duration::from_millis(after)).await;
            let outcome = match outcome {
                Some(outcome) => outcome,
                None => pending().await,
            };
            drop(lasts);
            outcome
        })
    }

    fn failed() -> Option<Outcome> {
        Some(Outcome::Failed(Failure::HeadTimeout))
    }

    fn word() -> Option<Outcome> {
        Some(Outcome::Final(End::NoContent))
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_leaves_the_other_and_the_word_to_the_older_counts() {
        for (older, newer, told) in [
            ((5, failed()), None, 1),
            ((5, word()), None, 1),
            ((5, failed()), Some((9, failed())), 2),
            ((5, failed()), Some((9, word())), 2),
            ((9, failed()), Some((5, failed())), 1),
            ((9, failed()), Some((5, word())), 1),
            ((9, word()), Some((5, word())), 1),
            ((5, word()), Some((9, failed())), 1),
        ] {
            let lasts = Arc::new(());
            let case = format!("{older:?} {newer:?}");
            let mut pending = Pending::new(attempt(1, older.0, older.1, &lasts));
            if let Some((after, outcome)) = newer {
                pending.add(|| attempt(2, after, outcome, &lasts));
            }
            let answered = pending.answered().await;
            assert_eq!(answered.overlaps, Some(Seq(told)), "{case}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_two_at_most_and_the_older_is_given_up_before_another_is_made() {
        let lasts: Vec<Arc<()>> = (0..4).map(|_| Arc::new(())).collect();
        let under_way = || lasts.iter().map(|lasts| Arc::strong_count(lasts) - 1).collect::<Vec<_>>();
        let mut pending = Pending::new(attempt(0, 0, None, &lasts[0]));
        for (n, before, after) in
            [(1, [1, 0, 0, 0], [1, 1, 0, 0]), (2, [0, 1, 0, 0], [0, 1, 1, 0]), (3, [0, 0, 1, 0], [0, 0, 1, 1])]
        {
            pending.add(|| {
                assert_eq!(under_way(), before);
                attempt(n as u64, 0, None, &lasts[n])
            });
            assert_eq!(under_way(), after);
        }
    }
}
