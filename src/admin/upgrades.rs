//! Requests for a new process in this one's place. They come from the API and go to the program, which answers them when
//! the outcome is known.

use tokio::sync::{mpsc, oneshot};

/// How many requests may wait until the program takes them. It takes them at once, except while it ends.
const WAITING: usize = 8;

/// The program does not take requests any more.
const ENDS: &str = "this process ends";

/// Where requests are made. Without a receiver, each is refused.
#[derive(Debug, Clone, Default)]
pub struct Upgrades(Option<mpsc::Sender<UpgradeRequest>>);

/// Where the program receives the requests.
#[derive(Debug)]
pub struct UpgradeRequests(mpsc::Receiver<UpgradeRequest>);

/// A request for a new process. If it is dropped, whoever asked learns that this process ends.
#[derive(Debug)]
pub struct UpgradeRequest(oneshot::Sender<Result<u32, String>>);

impl Upgrades {
    /// Makes the two ends of the way from the API to the program.
    #[must_use]
    pub fn channel() -> (Self, UpgradeRequests) {
        let (sender, receiver) = mpsc::channel(WAITING);
        (Self(Some(sender)), UpgradeRequests(receiver))
    }

    /// Asks for a new process, and waits until it serves. Returns its process id.
    ///
    /// # Errors
    /// Why no new process takes the place of this one.
    pub(super) async fn ask(&self) -> Result<u32, String> {
        let Some(program) = &self.0 else {
            return Err("this process is a demo, and a demo is not replaced by a new process".to_owned());
        };
        let (answer, answered) = oneshot::channel();
        program.try_send(UpgradeRequest(answer)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => "too many requests for an upgrade wait already".to_owned(),
            mpsc::error::TrySendError::Closed(_) => ENDS.to_owned(),
        })?;
        answered.await.unwrap_or_else(|_| Err(ENDS.to_owned()))
    }
}

impl UpgradeRequests {
    /// The next request. Never resolves if nobody can ask.
    pub async fn next(&mut self) -> UpgradeRequest {
        match self.0.recv().await {
            Some(request) => request,
            None => std::future::pending().await,
        }
    }
}

impl UpgradeRequest {
    /// Answers that the process with this id serves now.
    pub fn grant(self, process: u32) {
        self.answer(Ok(process));
    }

    /// Answers why this process stays.
    pub fn refuse(self, why: impl Into<String>) {
        self.answer(Err(why.into()));
    }

    fn answer(self, outcome: Result<u32, String>) {
        if self.0.send(outcome).is_err() {
            log::debug!("whoever asked for an upgrade is gone");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_program_answers_when_it_knows_the_outcome() {
        let (upgrades, mut requests) = Upgrades::channel();
        let (asked, ()) = tokio::join!(upgrades.ask(), async { requests.next().await.grant(7) });
        assert_eq!(asked, Ok(7));
        let (asked, ()) = tokio::join!(upgrades.ask(), async { requests.next().await.refuse("no") });
        assert_eq!(asked, Err("no".to_owned()));
    }

    #[tokio::test]
    async fn a_program_that_ends_leaves_no_request_without_an_answer() {
        let (upgrades, mut requests) = Upgrades::channel();
        let (asked, ()) = tokio::join!(upgrades.ask(), async { drop(requests.next().await) });
        assert_eq!(asked, Err(ENDS.to_owned()));
        let (waiting, ()) = tokio::join!(upgrades.ask(), async { drop(requests) });
        assert_eq!(waiting, Err(ENDS.to_owned()));
        assert_eq!(upgrades.ask().await, Err(ENDS.to_owned()));
    }

    #[tokio::test]
    async fn requests_that_nobody_takes_are_bounded() {
        let (upgrades, _requests) = Upgrades::channel();
        let waiting: Vec<_> = (0..WAITING).map(|_| upgrades.clone()).collect();
        let waiting: Vec<_> = waiting.into_iter().map(|one| tokio::spawn(async move { one.ask().await })).collect();
        tokio::task::yield_now().await;
        assert!(upgrades.ask().await.is_err_and(|why| why.contains("too many")));
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
    }

    #[tokio::test]
    async fn a_demo_is_not_replaced() {
        assert!(Upgrades::default().ask().await.is_err_and(|why| why.contains("demo")));
    }
}
