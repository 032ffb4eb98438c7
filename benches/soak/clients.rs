//! The clients that listen: each checks all that it gets.

use super::Failure;
use super::connection::{Doors, Transport};
use super::credentials::{Credentials, SECRET, ticket, token};
use super::parser::Parser;
use super::reader::{Gaps, Reader, Seen};
use super::record::Record;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};

/// How long a client waits for a head, and for a sign of life in a response.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a client does with a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// It reads all.
    Stays,
    /// It reads for some seconds, goes, and comes back.
    Leaves,
    /// It reads so slowly that it falls behind.
    Slow,
}

/// What a client is.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) path: String,
    pub(crate) gaps: Gaps,
    pub(crate) habit: Habit,
    pub(crate) transport: Transport,
    pub(crate) credentials: Credentials,
}

/// What all clients share.
pub(crate) struct Surroundings {
    pub(crate) doors: Doors,
    pub(crate) record: Arc<Record>,
    /// Whether the run is over, so that no client connects any more.
    pub(crate) is_over: watch::Receiver<bool>,
}

/// How a response ended.
enum Left {
    /// The gateway ended it.
    Ended,
    /// The client went.
    Went,
    /// The permission was over.
    Expired,
}

/// A client. `last` is the number of the last event that it got.
pub(crate) struct Client {
    pub(crate) plan: Plan,
    pub(crate) around: Arc<Surroundings>,
    pub(crate) last: Arc<AtomicU64>,
    reader: Reader,
    parser: Parser,
    ticket: Option<String>,
}

impl Client {
    pub(crate) fn new(plan: Plan, around: Arc<Surroundings>) -> Self {
        let reader = Reader::new(&plan.path, plan.gaps);
        Self { plan, around, last: Arc::default(), reader, parser: Parser::default(), ticket: None }
    }

    /// Connects, reads and comes back until the run is over.
    pub(crate) async fn run(mut self) {
        let mut is_over = self.around.is_over.clone();
        tokio::select! {
            () = async { loop { self.turn().await } } => {}
            // An error means that nobody is there to tell.
            _ = is_over.wait_for(|over| *over) => {}
        }
    }

    async fn turn(&mut self) {
        let record = self.around.record.clone();
        let pause = match self.once().await {
            Ok(Left::Ended) => {
                record.count("responses that the gateway ended");
                random(100, 400)
            }
            Ok(Left::Expired) => {
                record.count("permissions that ended");
                self.ticket = None;
                random(100, 400)
            }
            Ok(Left::Went) => {
                record.count("responses that the client left");
                random(100, 3_000)
            }
            Err(error) => {
                record.fault(format!("{} by {}: {error}", self.plan.path, self.plan.transport.name()));
                random(500, 1_500)
            }
        };
        self.parser.ended();
        sleep(pause).await;
    }

    async fn request(&mut self) -> Result<Request<Empty<Bytes>>, Failure> {
        let mut target = self.plan.path.clone();
        let mut authorization = None;
        match self.plan.credentials {
            Credentials::None => {}
            Credentials::Token(secs) => authorization = Some(token(&self.plan.path, secs, SECRET)),
            Credentials::Ticket(secs) => {
                if self.ticket.is_none() {
                    let token = token(&self.plan.path, secs, SECRET);
                    self.ticket = Some(ticket(&self.around.doors, &self.plan.path, &token).await?);
                    self.around.record.count("tickets");
                }
                target = format!("{target}?ticket={}", self.ticket.as_deref().unwrap_or_default());
            }
        }
        let mut request = Request::get(target).header("accept", "text/event-stream");
        if let Some(token) = authorization {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if !self.parser.id.is_empty() {
            request = request.header("last-event-id", &self.parser.id);
        }
        Ok(request.body(Empty::new())?)
    }

    /// One response.
    async fn once(&mut self) -> Result<Left, Failure> {
        let request = self.request().await?;
        let buffer = (self.plan.habit == Habit::Slow).then_some(4_096);
        let around = self.around.clone();
        let asked = around.doors.ask(&self.plan.transport, request, buffer);
        let mut answer = match timeout(PATIENCE, asked).await.map_err(|_| "no head in time")? {
            Err(error) if self.plan.transport.may_send_again(&*error) => {
                around.record.count("requests that came after a GOAWAY");
                return Ok(Left::Went);
            }
            answer => answer?,
        };
        around.record.count("responses");
        let status = answer.response.status();
        match status {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED if self.ticket.take().is_some() => {
                around.record.count("used tickets that were refused");
                return Ok(Left::Ended);
            }
            StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
                around.record.count(&format!("status {}", status.as_u16()));
                return Ok(Left::Ended);
            }
            _ => return Err(format!("status {status}").into()),
        }
        let goes_at = (self.plan.habit == Habit::Leaves).then(|| Instant::now() + random(500, 8_000));
        loop {
            let silent = Instant::now() + PATIENCE;
            let until = goes_at.unwrap_or(silent).min(silent);
            let frame = match timeout_at(until, answer.response.body_mut().frame()).await {
                Ok(Some(Ok(frame))) => frame,
                // The gateway has cut what it could not go on with, such as a client that is too slow.
                Ok(None | Some(Err(_))) => return Ok(Left::Ended),
                Err(_) if goes_at.is_some() => return Ok(Left::Went),
                Err(_) => return Err("silence".into()),
            };
            let Some(bytes) = frame.data_ref() else { continue };
            if self.take(bytes) {
                return Ok(Left::Expired);
            }
            if self.plan.habit == Habit::Slow {
                sleep(random(20, 400)).await;
            }
        }
    }

    /// Returns whether the permission is over.
    fn take(&mut self, bytes: &[u8]) -> bool {
        let record = &self.around.record;
        record.add("bytes", u64::try_from(bytes.len()).unwrap_or(0));
        for event in self.parser.push(bytes) {
            record.count("events");
            match self.reader.take(&event.kind, &event.data) {
                Ok(Seen::Next) => self.last.store(self.reader.last().unwrap_or(0), Ordering::Relaxed),
                Ok(Seen::Gap(reason)) => record.count(&format!("gaps told: {reason}")),
                Ok(Seen::Expired) => return true,
                Err(fault) => record.fault(fault),
            }
        }
        false
    }
}

/// A time between so many milliseconds.
pub(crate) fn random(least: u64, most: u64) -> Duration {
    Duration::from_millis(fastrand::u64(least..=most))
}
