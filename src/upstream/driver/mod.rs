//! The task that feeds one shared stream. It connects, decodes, publishes, backs off and resumes.

mod asking;

use super::attempts::{Attempts, Done, Moment, Next};
use super::connect::{Connector, Response, Turns, WhenFull};
use super::due::due;
use super::exchange::Outcome;
use super::outage::Down;
use super::pending::{Answered, Attempt, at, of};
use super::reading::Reading;
use super::settings::DriverSettings;
use super::told;
use crate::hub::{End, Failure, Opening, Publisher, Restored, StreamRequest};
use crate::quoted::reason;
use crate::replay::{Continuation, Seq};
use bytes::Bytes;
use log::Level;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::Instant;

/// The most reads from a quiet response when its successor takes its place. They fetch the bytes that have arrived by
/// then, which would be lost otherwise.
const LAST_READS: usize = 64;

/// When a quiet response sends something again, its successor is given up after this time. An origin may allow only one
/// of the two, and end the older one with a last message. A response that is still open then is not quiet any more.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Feeds one stream until it is closed.
#[derive(Debug)]
pub struct Driver {
    settings: DriverSettings,
    /// The settings that hold since a change of the configuration.
    renewed: watch::Receiver<DriverSettings>,
    connector: Connector,
    /// Whether the stream has a place for its connection to the origin.
    has_place: bool,
    request: StreamRequest,
    publisher: Publisher,
    attempts: Attempts,
    /// The origin's newest event id, which it is asked to resume after. Empty if there is none.
    last_event_id: Bytes,
    /// Whether events without an id came after the newest id. An origin that resumes sends them again.
    is_followed: bool,
    /// Whether events may have been lost before the next response, whatever event that begins with.
    lost: bool,
    /// This stream's share in the outage of its origin. `None` while the origin does not fail.
    down: Option<Down>,
    /// Whether it was logged that a response ended within an event, and no later response has ended between events.
    told_unfinished: bool,
    /// The addresses that attempts went to since the newest response began.
    turns: Turns,
}

impl Driver {
    /// A driver for a stream that was just opened, which takes a place for its connection, if there is one. `renewed`: the
    /// settings of the route. When they change, the next connection is made by them.
    #[must_use]
    pub fn new(
        mut renewed: watch::Receiver<DriverSettings>,
        connector: Connector,
        opening: Opening,
        publisher: Publisher,
    ) -> Self {
        let settings = renewed.borrow_and_update().clone();
        let mut attempts = Attempts::new(&settings.options, settings.no_content_memory);
        let own = connector.for_stream(&settings.origin, &settings.options);
        let Opening { request, last_event_id, restored } = opening;
        let (newest_id, is_followed, lost) = match restored {
            None => (None, false, false),
            Some(Restored { newest_id, is_followed, is_open }) => {
                let lost = newest_id.is_none();
                if is_open {
                    attempts.live(Instant::now());
                }
                (newest_id, is_followed, lost)
            }
        };
        Self {
            settings,
            renewed,
            has_place: own.is_some(),
            connector: own.unwrap_or(connector),
            request,
            publisher,
            attempts,
            last_event_id: last_event_id.or(newest_id).unwrap_or_default(),
            is_followed,
            lost,
            down: None,
            told_unfinished: false,
            turns: Turns::default(),
        }
    }

    /// Runs until the stream is over.
    pub async fn run(mut self) {
        log::info!("stream opened route={} stream={}", self.settings.route, self.request.key());
        let (abandoned, upkeep) = (self.publisher.abandoned(), self.publisher.upkeep());
        let done = tokio::select! {
            over = self.feed() => {
                let Err(done) = over;
                done
            }
            () = abandoned => Done::forgotten(self.publisher.end_of_stream().unwrap_or(End::Idle)),
            never = upkeep => match never {},
        };
        match (&done.end, self.down.take()) {
            (End::HoldExpired(_), Some(down)) => down.expired(),
            (_, down) => drop(down),
        }
        told::closed(&self.names(), &done.end);
        self.publisher.close(done.end, done.memory).await;
    }

    async fn feed(&mut self) -> Result<std::convert::Infallible, Done> {
        if !self.has_place {
            let own = self.connector.for_stream_soon().await;
            self.connector = own.ok_or_else(|| Done::forgotten(End::NoDescriptor))?;
            self.has_place = true;
        }
        loop {
            let response = self.ask().await?;
            let mut reading = self.begin(response, None)?;
            let why = loop {
                let (why, successor) = self.follow(reading).await?;
                reading = match self.succeed(successor).await? {
                    Some(next) => next,
                    None => break why,
                };
            };
            if why == Failure::Dropped {
                log::info!("upstream dropped for an operator {}", self.names());
                self.publisher.failed();
                continue;
            }
            if why != Failure::Ended {
                self.publisher.counters().upstream_failures.add(1);
                self.fails(&why.to_string());
            }
            let next = self.attempts.response_over(why, &self.moment());
            self.wait(next).await?;
        }
    }

    /// Takes the settings that hold now. If the route is gone, its last ones go on.
    fn renew(&mut self) {
        self.settings = self.renewed.borrow_and_update().clone();
        self.attempts.renew(&self.settings.options, self.settings.no_content_memory);
    }

    /// Begins to read the first response, or one that follows another that ended. `overlaps`: as in [`Answered`].
    fn begin(&mut self, response: Box<Response>, overlaps: Option<Seq>) -> Result<Reading, Done> {
        // Clients that were sent a 200 while the origin failed may have missed events of that time.
        let was_held = !self.attempts.was_live() && self.attempts.is_failing();
        let lost = self.lost || was_held;
        let continuation = match (overlaps, self.resume_header()) {
            (Some(from), _) => Continuation::overlapping(from, lost),
            (None, Some(_)) => Continuation::after(self.last_event_id.clone(), self.is_followed, lost),
            (None, None) => Continuation::fresh(lost || self.attempts.was_live()),
        };
        self.lost = false;
        let is_lost = continuation.is_loss_untold();
        let reading = self.admit(response, continuation).map_err(Done::refused)?;
        match self.down.take() {
            Some(down) => down.up(is_lost),
            None => self.connector.outages().up(&self.settings.origin),
        }
        let is_first = !self.attempts.was_live();
        log::log!(if is_first { Level::Info } else { Level::Debug }, "upstream connected {}", self.names());
        self.attempts.live(Instant::now());
        Ok(reading)
    }

    /// Takes a response for the stream. Fails with the end of the stream if its clients may not have the response.
    fn admit(&mut self, mut response: Box<Response>, continuation: Continuation) -> Result<Reading, End> {
        let headers = std::mem::take(&mut response.headers);
        let sharing = (self.settings.sharing)(&headers, self.request.has_credentials()).map_err(End::Unusable)?;
        if !self.publisher.connected(&headers, sharing) {
            return Err(End::Unshareable);
        }
        self.turns = Turns::default();
        let max_event_bytes = self.settings.options.max_event_bytes;
        Ok(Reading::new(response, max_event_bytes, self.last_event_id.clone(), continuation))
    }

    /// Reads a response to its end. Returns why it ended, and its successor if that was requested. When nothing came
    /// for `idle_timeout_secs`, the successor is requested before the response is closed, so that nothing is lost
    /// between them. If that attempt fails, the quiet response stays.
    async fn follow(&mut self, mut reading: Reading) -> Result<(Failure, Option<Attempt>), Done> {
        let (mut successor, mut quiet_at) = (None::<Attempt>, self.quiet_at());
        // When the successor is given up. Meaningful only while there is a successor.
        let mut needless_at = None;
        let why = loop {
            tokio::select! {
                read = reading.next(&self.publisher) => match read {
                    Ok(Some(bytes)) => {
                        self.publish(&mut reading, bytes);
                        quiet_at = self.quiet_at();
                        needless_at = needless_at.or_else(|| Some(Instant::now() + LAST_WORDS));
                    }
                    Ok(None) => break Failure::Ended,
                    Err(error) => break Failure::Lost(error.to_string()),
                },
                answered = of(&mut successor) => {
                    successor = None;
                    quiet_at = self.quiet_at();
                    if let Some(fresh) = self.replace(&mut reading, answered)? {
                        reading = fresh;
                    }
                }
                // A response that is not read, because clients are slow, is not quiet.
                () = at(quiet_at), if successor.is_none() => {
                    quiet_at = self.quiet_at();
                    if !self.publisher.holds_back() {
                        needless_at = None;
                        successor = Some(self.attempt(Some(self.publisher.end()), WhenFull::Fail));
                    }
                }
                () = at(needless_at), if successor.is_some() => successor = None,
                Ok(()) = self.renewed.changed() => {
                    self.renew();
                    quiet_at = self.quiet_at();
                }
                () = self.publisher.told_to_reconnect() => break Failure::Dropped,
            }
        };
        self.lost = reading.is_loss_untold();
        if self.last_event_id.is_empty() {
            // The response brought no id, but a backfill may have. The origin resumes after that id.
            self.last_event_id = self.publisher.newest_id().unwrap_or_default();
        }
        self.tell_unfinished(reading.unfinished(), &why);
        let successor = successor.filter(|_| why != Failure::Dropped && self.attempts.is_succeeded(&why));
        Ok((why, successor))
    }

    /// The response that takes the place of a quiet one. What has arrived of the quiet one is published first.
    fn replace(&mut self, quiet: &mut Reading, answered: Answered) -> Result<Option<Reading>, Done> {
        let Answered { outcome: Outcome::Stream(response), overlaps: Some(from) } = answered else { return Ok(None) };
        self.finish(quiet);
        match self.admit(response, Continuation::overlapping(from, quiet.is_loss_untold())) {
            Ok(fresh) => {
                self.attempts.live(Instant::now());
                Ok(Some(fresh))
            }
            Err(End::Unusable(why)) => {
                log::debug!("quiet response kept {} why={}", self.names(), reason(&why));
                Ok(None)
            }
            Err(end) => Err(Done::refused(end)),
        }
    }

    /// Logs that a response ended within an event of `bytes` bytes. It is logged once until a response ends between
    /// events. A connection that broke has a line of its own.
    fn tell_unfinished(&mut self, bytes: u64, failure: &Failure) {
        if bytes == 0 {
            self.told_unfinished = false;
            return;
        }
        let is_news = !self.told_unfinished && !matches!(failure, Failure::Lost(_));
        told::unfinished(&self.names(), bytes, is_news);
        self.told_unfinished |= is_news;
    }

    /// Publishes what has arrived of a response that is about to be replaced.
    fn finish(&mut self, reading: &mut Reading) {
        for _ in 0..LAST_READS {
            let read = pin!(reading.read()).poll(&mut Context::from_waker(Waker::noop()));
            let Poll::Ready(Ok(Some(bytes))) = read else { return };
            self.publish(reading, bytes);
        }
    }

    fn publish(&mut self, reading: &mut Reading, bytes: Bytes) {
        let brought = reading.publish(&self.publisher, bytes, self.settings.pass_retry);
        if brought.events > 0 {
            self.attempts.brought_event();
        }
        if let Some(bytes) = brought.refused_bytes {
            let limit = self.settings.options.max_event_bytes;
            log::warn!("event dropped: larger than max_event_bytes {} bytes={bytes} limit={limit}", self.names());
        }
        self.last_event_id = reading.last_event_id().clone();
        self.is_followed = brought.is_followed.unwrap_or(self.is_followed);
    }

    /// Waits until the next step is due. The error is the end of the stream.
    async fn wait(&mut self, next: Next) -> Result<(), Done> {
        match due(&self.publisher, next, &mut self.renewed).await {
            Ok(()) => Ok(()),
            Err(Some(done)) => Err(done),
            Err(None) => {
                log::warn!("the origin no longer knows its own id: resuming without it {}", self.names());
                self.last_event_id = Bytes::new();
                self.lost = true;
                Ok(())
            }
        }
    }

    /// Adds the stream to the outage of its origin, or notes another failure in the outage.
    fn fails(&mut self, why: &str) {
        log::debug!("upstream failed {} why={}", self.names(), reason(why));
        self.publisher.has_trouble(why);
        match &self.down {
            Some(down) => down.failed_again(why),
            None => self.down = Some(self.connector.outages().down(&self.settings.origin, why)),
        }
    }

    fn moment(&self) -> Moment {
        let retry = self.publisher.retry().map(Duration::from_millis);
        Moment { now: Instant::now(), date: SystemTime::now(), retry, random: fastrand::f64() }
    }

    /// When a response that stays silent gets a successor.
    fn quiet_at(&self) -> Option<Instant> {
        self.settings.options.idle_timeout.and_then(|patience| Instant::now().checked_add(patience))
    }

    /// The route and the stream, for a log line.
    fn names(&self) -> String {
        format!("route={} stream={}", self.settings.route, self.request.key())
    }
}

#[cfg(test)]
#[path = "../tests/driver.rs"]
mod tests;
