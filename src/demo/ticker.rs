//! The events of the demo's origin: one per period, even if no client listens and the origin's server is stopped.

use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// The number of events that a client missed if it resumes from [`Ticker::recent_id`].
const FEW: u64 = 5;

/// The events since the start of the demo, numbered from 1.
#[derive(Debug)]
pub(super) struct Ticker {
    run: String,
    newest: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Ticker {
    /// Starts to count.
    pub(super) fn start(period: Duration) -> Self {
        let (tick, newest) = watch::channel(0);
        let task = tokio::spawn(async move {
            let mut ticks = interval(period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                tick.send_modify(|n| *n += 1);
            }
        });
        Self { run: format!("{:04x}", fastrand::u16(..)), newest, task }
    }

    /// The name of this run of the demo. It is a part of each id, so that an id of another run is not taken for one
    /// of this run.
    pub(super) fn run(&self) -> &str {
        &self.run
    }

    /// The number of the newest event, as it changes.
    pub(super) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.clone()
    }

    /// The id of event `n`, such as `a3f9-41`.
    pub(super) fn id(&self, n: u64) -> String {
        format!("{}-{n}", self.run)
    }

    /// The id of a few events ago. A client that resumes from it gets those events at once.
    pub(super) fn recent_id(&self) -> String {
        self.id(self.newest.borrow().saturating_sub(FEW))
    }

    /// The number of the event with this id, if this run has had it.
    pub(super) fn number(&self, id: &str) -> Option<u64> {
        let n = id.strip_prefix(&self.run)?.strip_prefix('-')?.parse().ok()?;
        (n <= *self.newest.borrow()).then_some(n)
    }

    /// The data of event `n`. It depends only on `n` and the run, so any event can be sent again.
    pub(super) fn data(&self, n: u64) -> String {
        #[expect(clippy::cast_precision_loss, reason = "a curve to look at")]
        let at = n as f64;
        let value = 20.0 + 2.5 * (at / 17.0).sin() + 0.8 * (at / 3.0).sin();
        format!(r#"{{"run":"{}","n":{n},"value":{value:.2}}}"#, self.run)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_recent_id_is_one_of_this_run_at_every_age() {
        let ticker = Ticker::start(Duration::from_secs(1));
        for (newest, recent) in [(1, 0), (5, 0), (6, 1), (60, 55)] {
            ticker.newest().wait_for(|n| *n == newest).await.unwrap();
            assert_eq!(ticker.number(&ticker.recent_id()), Some(recent));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_id_is_known_again_in_its_own_run_only() {
        let ticker = Ticker::start(Duration::from_secs(1));
        ticker.newest().wait_for(|n| *n == 3).await.unwrap();
        assert_eq!(ticker.number(&ticker.id(3)), Some(3));
        assert_eq!(ticker.number(&ticker.id(4)), None, "not yet");
        for id in ["", "3", "-3", "zzzz-3", &format!("{}-", ticker.run()), &format!("{}3", ticker.run())] {
            assert_eq!(ticker.number(id), None, "{id}");
        }
    }
}
