//! How a stream's origin is asked: the attempts, and what their outcomes mean.

use super::super::attempts::{Done, Next};
use super::super::connect::{Request, Response, WhenFull};
use super::super::exchange::{Outcome, attempt};
use super::super::pending::{Answered, Attempt, Pending, at};
use super::super::reading::Reading;
use super::super::told;
use super::Driver;
use crate::replay::{Seq, trimmed};
use http::HeaderValue;
use std::sync::Arc;

impl Driver {
    /// Asks the origin until it answers with a stream.
    pub(super) async fn ask(&mut self) -> Result<Box<Response>, Done> {
        loop {
            self.publisher.connecting();
            self.renew();
            let attempt = self.attempt(None, WhenFull::Wait);
            let outcome = self.answer(attempt).await.outcome;
            let Self { connector, settings, request, .. } = &*self;
            let (route, origin) = (&settings.route, &*settings.origin);
            told::FirstAnswer { connector, route, origin, path_and_query: request.path_and_query() }.tell(&outcome);
            let next = match outcome {
                Outcome::Stream(response) => return Ok(response),
                Outcome::Failed(failure) => {
                    if failure.is_of_origin() {
                        self.publisher.counters().upstream_failures.add(1);
                        self.fails(&failure.to_string());
                    }
                    let moment = self.moment();
                    self.attempts.failed(failure, &moment)
                }
                Outcome::Final(end) => {
                    let (moment, with_id) = (self.moment(), self.resume_header().is_some());
                    let why = told::no_stream(&end);
                    let next = self.attempts.answered(end, with_id, &moment);
                    if let Next::Ask(_) = next {
                        self.publisher.counters().upstream_failures.add(1);
                        self.fails(&why);
                    }
                    next
                }
            };
            self.wait(next).await?;
        }
    }

    /// Waits for the result of an attempt. On a route that holds its clients, silence is not a failure: the driver
    /// waits for an origin that accepted the request and sends no head. Whenever nothing came for `idle_timeout_secs`,
    /// it makes another attempt beside the first.
    pub(super) async fn answer(&mut self, attempt: Attempt) -> Answered {
        let mut pending = Pending::new(attempt);
        let mut quiet_at = self.quiet_at();
        loop {
            tokio::select! {
                answered = pending.answered() => return answered,
                () = at(quiet_at) => {
                    if !pending.is_queued() {
                        pending.add(|| self.attempt(None, WhenFull::Fail));
                    }
                    quiet_at = self.quiet_at();
                }
            }
        }
    }

    /// Begins an attempt. `overlaps`: as in [`Answered`]. One beside an open response does not wait for a place.
    pub(super) fn attempt(&self, overlaps: Option<Seq>, when_full: WhenFull) -> Attempt {
        self.publisher.counters().upstream_attempts.add(1);
        let request = Request::for_stream(&self.request, self.resume_header());
        let (connector, origin) = (self.connector.in_turn(&self.turns), Arc::clone(&self.settings.origin));
        let (connector, options) = (connector.when_full(when_full), Arc::clone(&self.settings.options));
        Attempt::new(overlaps, connector.turn(), async move { attempt(&connector, &origin, &options, request).await })
    }

    /// The `Last-Event-ID` of the next request. `None` if there is no id, or one that no header can hold.
    pub(super) fn resume_header(&self) -> Option<HeaderValue> {
        HeaderValue::from_maybe_shared(self.last_event_id.clone()).ok().filter(|id| !trimmed(id.as_bytes()).is_empty())
    }

    /// Waits for the successor of a response that has ended. The successor was requested before that end.
    pub(super) async fn succeed(&mut self, successor: Option<Attempt>) -> Result<Option<Reading>, Done> {
        let Some(successor) = successor else { return Ok(None) };
        let Answered { outcome, overlaps } = self.answer(successor).await;
        // If the successor fails, the end of the response counts as if there had been no successor.
        let Outcome::Stream(response) = outcome else { return Ok(None) };
        self.begin(response, overlaps).map(Some)
    }
}
