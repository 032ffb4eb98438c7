//! The task that feeds one stream: connect, decode, publish, back off, resume.

use super::connect::{Connector, Request, Response};
use super::exchange::{Audience, Outcome, attempt};
use super::{OnClose, OnError, Origin, UpstreamOptions};
use crate::hub::{End, Failure, Opening, Publisher, StreamRequest};
use crate::replay::Repeats;
use crate::sse::{Decoder, Item};
use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};
use log::Level;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, sleep_until, timeout};

/// How long a refusal is remembered, so that a crowd of clients that come back is not a crowd at the origin.
const REFUSAL_MEMORY: Duration = Duration::from_secs(1);

/// The longest `Retry-After` that is honoured; an origin that asks for more is asked again all the same.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// Says why a response must not be shared, if so.
pub type SharingCheck = Arc<dyn Fn(&HeaderMap) -> Option<String> + Send + Sync>;

/// Where a driver's stream comes from, and how.
#[derive(Clone)]
pub struct DriverSettings {
    /// The route's name, for log lines.
    pub route: Arc<str>,
    /// The origin.
    pub origin: Arc<Origin>,
    /// The policy toward it.
    pub options: Arc<UpstreamOptions>,
    /// How long a 204 is remembered: the route's `linger_secs`.
    pub no_content_memory: Duration,
    /// Whether a response may be shared.
    pub sharing: SharingCheck,
    /// Whether the origin's `retry:` goes to clients; not where the route has its own for them.
    pub pass_retry: bool,
}

impl std::fmt::Debug for DriverSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DriverSettings")
            .field("route", &self.route)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// Feeds one stream until it is closed.
#[derive(Debug)]
pub struct Driver {
    settings: DriverSettings,
    connector: Connector,
    request: StreamRequest,
    publisher: Publisher,
    /// The origin's newest event id: what it is asked to resume after. Empty: none.
    last_event_id: Bytes,
    /// Attempts in a row that brought no event.
    failures: u32,
    /// Since when the origin fails, without a success between.
    failing_since: Option<Instant>,
    /// Whether a response ever streamed, so that a new one may have lost events.
    was_live: bool,
    /// Whether the last response ended in an orderly way, so that the next one is no news.
    ended_in_order: bool,
}

/// Why the driver is done, and for how long that is remembered.
struct Done {
    end: End,
    memory: Duration,
}

/// What the driver does next.
enum Next {
    Retry(Failure),
    Done(Done),
    Abandoned,
}

impl Driver {
    /// A driver for the stream that was opened.
    #[must_use]
    pub fn new(settings: DriverSettings, connector: Connector, opening: Opening, publisher: Publisher) -> Self {
        Self {
            settings,
            connector,
            request: opening.request,
            publisher,
            last_event_id: opening.last_event_id.unwrap_or_default(),
            failures: 0,
            failing_since: None,
            was_live: false,
            ended_in_order: false,
        }
    }

    /// Runs until the stream is over.
    pub async fn run(mut self) {
        log::info!("stream opened route={} stream={}", self.settings.route, self.request.key());
        let done = loop {
            self.publisher.connecting();
            let next = match self.connect().await {
                Some(Outcome::Stream(response)) => self.stream(response).await,
                Some(Outcome::Failed(failure)) => self.failed(failure),
                Some(Outcome::Final(end)) => Next::Done(Done::refused(end, self.settings.no_content_memory)),
                None => Next::Abandoned,
            };
            match next {
                Next::Done(done) => break done,
                Next::Abandoned => break Done { end: End::Idle, memory: Duration::ZERO },
                Next::Retry(failure) => {
                    if let Some(done) = self.wait(failure).await {
                        break done;
                    }
                }
            }
        };
        self.log_end(&done.end);
        self.publisher.close(done.end, done.memory).await;
    }

    /// One attempt; `None` if the stream was abandoned meanwhile. An attempt that outlives the hold ends as a failure.
    async fn connect(&self) -> Option<Outcome> {
        self.publisher.counters().upstream_attempts.add(1);
        let request = Request { path_and_query: self.request.path_and_query().to_string(), headers: self.headers() };
        tokio::select! {
            outcome = attempt(&self.connector, &self.settings.origin, &self.settings.options, Audience::Shared, request) => Some(outcome),
            () = self.publisher.abandoned() => None,
        }
    }

    fn headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let id = self.resume_header().map(|id| (HeaderName::from_static("last-event-id"), id));
        self.request.headers().iter().cloned().chain(id).collect()
    }

    /// What the origin is asked to resume after; `None` if there is no id, or one that no header can hold.
    fn resume_header(&self) -> Option<HeaderValue> {
        HeaderValue::from_maybe_shared(self.last_event_id.clone()).ok().filter(|id| !id.is_empty())
    }

    /// Publishes a response until it ends.
    async fn stream(&mut self, mut response: Box<Response>) -> Next {
        let headers = std::mem::take(&mut response.headers);
        if let Some(why) = (self.settings.sharing)(&headers) {
            return Next::Done(Done { end: End::Unusable(why), memory: REFUSAL_MEMORY });
        }
        let resumed = self.resume_header().is_some();
        let lost = self.was_live && !resumed;
        self.publisher.connected(Arc::new(headers), lost);
        self.was_live = true;
        self.failing_since = None;
        log::log!(
            if self.ended_in_order { Level::Debug } else { Level::Info },
            "upstream connected route={} stream={} resumed={resumed} lost={lost}",
            self.settings.route,
            self.request.key()
        );
        let Some(failure) = self.pump(response).await else { return Next::Abandoned };
        if failure != Failure::Ended {
            self.publisher.counters().upstream_failures.add(1);
        }
        match (self.settings.options.on_close, failure) {
            (OnClose::Close, Failure::Ended) => Next::Done(Done { end: End::OriginClosed, memory: Duration::ZERO }),
            // What broke off upstream does not look whole downstream.
            (OnClose::Close, Failure::Lost(why)) => {
                Next::Done(Done { end: End::Failed(Failure::Lost(why)), memory: Duration::ZERO })
            }
            (_, failure) => Next::Retry(failure),
        }
    }

    /// Reads the response to its end and says why it ended; `None` if the stream was abandoned.
    async fn pump(&mut self, mut response: Box<Response>) -> Option<Failure> {
        let mut repeats = Repeats::after(self.resume_header().map(|_| self.last_event_id.clone()));
        let mut decoder = Decoder::resuming(self.settings.options.max_event_bytes, self.last_event_id.clone());
        let patience = self.settings.options.idle_timeout.unwrap_or(Duration::MAX);
        loop {
            let read = tokio::select! {
                read = timeout(patience, response.read()) => read,
                () = self.publisher.abandoned() => return None,
            };
            match read {
                Ok(Ok(Some(bytes))) => self.publish(&mut decoder, bytes, &mut repeats),
                Ok(Ok(None)) => return Some(Failure::Ended),
                Ok(Err(error)) => return Some(Failure::Lost(error.to_string())),
                Err(_) => return Some(Failure::Silent(patience)),
            }
        }
    }

    fn publish(&mut self, decoder: &mut Decoder, bytes: Bytes, repeats: &mut Repeats) {
        let mut events = Vec::new();
        decoder.push(bytes);
        while let Some(item) = decoder.next_item() {
            match item {
                Item::Event(mut event) => {
                    event.retry = event.retry.filter(|_| self.settings.pass_retry);
                    events.push(event);
                }
                Item::Retry(retry) => self.publisher.set_retry(retry),
                Item::Refused { bytes } => {
                    self.publisher.append(&events, repeats);
                    events.clear();
                    self.publisher.counters().events_refused.add(1);
                    self.publisher.mark(Some(1));
                    log::warn!(
                        "event refused: over max_event_bytes route={} stream={} bytes={bytes} limit={}",
                        self.settings.route,
                        self.request.key(),
                        self.settings.options.max_event_bytes
                    );
                }
            }
        }
        if !events.is_empty() {
            self.failures = 0;
            self.publisher.append(&events, repeats);
        }
        self.last_event_id = decoder.last_event_id().clone();
    }

    fn failed(&mut self, failure: Failure) -> Next {
        self.publisher.counters().upstream_failures.add(1);
        match self.settings.options.on_error {
            OnError::Hold => Next::Retry(failure),
            OnError::Reflect => Next::Done(Done { end: End::Failed(failure), memory: REFUSAL_MEMORY }),
        }
    }

    /// Waits out the backoff; gives the end if the hold or the stream is over before.
    async fn wait(&mut self, failure: Failure) -> Option<Done> {
        let now = Instant::now();
        let since = *self.failing_since.get_or_insert(now);
        let delay = self.delay(&failure);
        // Some origins end each response after a few events; that is their way, and no failure.
        let level = if failure == Failure::Ended { Level::Debug } else { Level::Warn };
        log::log!(
            level,
            "upstream failed route={} stream={} why=\"{failure}\" failures={} retry_ms={}",
            self.settings.route,
            self.request.key(),
            self.failures,
            delay.as_millis()
        );
        self.ended_in_order = failure == Failure::Ended;
        self.publisher.failed();
        let hold_ends = since + self.settings.options.hold;
        let next = now + delay;
        tokio::select! {
            () = self.publisher.abandoned() => Some(Done { end: End::Idle, memory: Duration::ZERO }),
            () = sleep_until(next.min(hold_ends)) => {
                (hold_ends <= next).then_some(Done { end: End::HoldExpired(failure), memory: Duration::ZERO })
            }
        }
    }

    fn delay(&mut self, failure: &Failure) -> Duration {
        let retry = self.publisher.retry().map(Duration::from_millis);
        let delay = self.settings.options.backoff.delay(self.failures, retry, fastrand::f64());
        self.failures = self.failures.saturating_add(1);
        delay.max(retry_after(failure, SystemTime::now()).unwrap_or_default())
    }

    fn log_end(&self, end: &End) {
        let (route, stream) = (&self.settings.route, self.request.key());
        match end {
            End::Unusable(why) => log::warn!("stream refused route={route} stream={stream} why=\"{why}\""),
            End::Failed(why) | End::HoldExpired(why) => {
                log::warn!("stream closed route={route} stream={stream} end={end} why=\"{why}\"");
            }
            End::OriginClosed | End::NoContent | End::Refused(_) | End::Idle | End::PublisherGone => {
                log::info!("stream closed route={route} stream={stream} end={end}");
            }
        }
    }
}

impl Done {
    fn refused(end: End, no_content_memory: Duration) -> Self {
        let memory = if end == End::NoContent { no_content_memory } else { REFUSAL_MEMORY };
        Self { end, memory }
    }
}

/// What an answer's `Retry-After` asks for, in seconds or as a date (RFC 9110 section 10.2.3).
fn retry_after(failure: &Failure, now: SystemTime) -> Option<Duration> {
    let Failure::Status(answer) = failure else { return None };
    let text = answer.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let asked = match text.parse() {
        Ok(secs) => Duration::from_secs(secs),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default(),
    };
    Some(asked.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hub::Answer;
    use http::StatusCode;

    #[test]
    fn retry_after_is_seconds_or_a_date_within_reason() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, secs) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("999999", Some(300)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:27 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(text))]);
            let answer = Answer { status: StatusCode::SERVICE_UNAVAILABLE, headers, body: Bytes::new() };
            let failure = Failure::Status(Arc::new(answer));
            assert_eq!(retry_after(&failure, now), secs.map(Duration::from_secs), "{text}");
        }
    }
}
