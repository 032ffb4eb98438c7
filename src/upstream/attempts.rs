//! The attempts to get a stream from its origin: when the origin is asked, and what follows from its answer or failure.
//!
//! ```text
//!            a response              lost, or ended while clients are there
//!   Asking ────────────▶ Live ────────────────────────────────────────▶ Waiting
//!    ▲  ▲ │                │                                             │ ▲ │
//!    │  │ │ no response    │ ended in order, no client there             │ │ │ the hold is over
//!    │  │ └────────────────│─────────────────────────────────────────────│─┘ ▼
//!    │  │                  ▼          a client comes                     │  Over
//!    │  └─────────────── Resting                                         │   ▲
//!    └───────────────────────────────────────────────────────────────────┘   │
//!      a final answer (401, 403, 204; any refusal before the first response) ─┘
//! ```
//!
//! The decisions are pure: outcomes and instants go in, the next step comes out.

use super::{Backoff, OnClose, OnError, UpstreamOptions};
use crate::hub::{End, Failure};
use http::StatusCode;
use http::header::RETRY_AFTER;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// How long the end of a refused stream is remembered. Clients that come back within this time get the same answer, and
/// the origin is not asked for each of them.
const REFUSAL_MEMORY: Duration = Duration::from_secs(1);

/// The longest `Retry-After` that is honoured. If an origin asks for more, it is still asked again after this time.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// The end of a stream, and how long it is remembered for clients that ask for the stream again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) end: End,
    pub(super) memory: Duration,
}

/// The next step of the driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// The origin is asked at this instant.
    Ask(Instant),
    /// The origin is asked as soon as a client is subscribed, but not before this instant.
    Rest(Instant),
    /// The origin does not know the id that it was asked to resume after. It is asked again at once, without an id.
    Forget,
    /// The stream is over at this instant.
    Over(Instant, Done),
}

/// The facts that a decision depends on, as of one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: Instant,
    /// The same moment on the wall clock, for `Retry-After` with a date.
    pub(super) date: SystemTime,
    /// The reconnection time that the origin asked for on its newest response.
    pub(super) retry: Option<Duration>,
    /// In `0.0..1.0`.
    pub(super) random: f64,
}

/// The attempts to get a stream from its origin.
#[derive(Debug)]
pub(super) struct Attempts {
    backoff: Backoff,
    on_close: OnClose,
    on_error: OnError,
    hold: Duration,
    /// How long a 204 is remembered.
    no_content_memory: Duration,
    /// The number of attempts in a row that brought neither an event nor a lasting response.
    failures: u32,
    /// When the present outage began. A response ends it.
    failing_since: Option<Instant>,
    /// When the newest response began. `None` before the first response.
    live_since: Option<Instant>,
}

impl Attempts {
    pub(super) fn new(options: &UpstreamOptions, no_content_memory: Duration) -> Self {
        Self {
            backoff: options.backoff,
            on_close: options.on_close,
            on_error: options.on_error,
            hold: options.hold,
            no_content_memory,
            failures: 0,
            failing_since: None,
            live_since: None,
        }
    }

    /// The policy of the route changed. What was met so far still counts.
    pub(super) fn renew(&mut self, options: &UpstreamOptions, no_content_memory: Duration) {
        let Self { failures, failing_since, live_since, .. } = *self;
        *self = Self { failures, failing_since, live_since, ..Self::new(options, no_content_memory) };
    }

    /// Whether any response ever streamed.
    pub(super) fn was_live(&self) -> bool {
        self.live_since.is_some()
    }

    /// Whether the origin fails now. Clients may then have been sent a 200 although the origin sent no response.
    pub(super) fn is_failing(&self) -> bool {
        self.failing_since.is_some()
    }

    /// A response began.
    pub(super) fn live(&mut self, now: Instant) {
        self.live_since = Some(now);
        self.failing_since = None;
    }

    /// The response brought an event.
    pub(super) fn brought_event(&mut self) {
        self.failures = 0;
    }

    /// Whether a successor may take the place of a response that ended for `why`. A successor is requested while a
    /// quiet response is still open. Under `on_close = "close"`, an orderly end is the end of the stream, so nothing
    /// follows it.
    pub(super) fn is_succeeded(&self, why: &Failure) -> bool {
        self.on_close == OnClose::Reconnect || *why != Failure::Ended
    }

    /// The response is over.
    pub(super) fn response_over(&mut self, why: Failure, moment: &Moment) -> Next {
        // A response that lasted for a while was no failure, even without events, because a stream may be quiet.
        let stood = self.live_since.is_some_and(|since| moment.now.duration_since(since) >= self.backoff.min());
        if stood {
            self.failures = 0;
        }
        match (self.on_close, why) {
            (OnClose::Close, Failure::Ended) => Next::Over(moment.now, Done::forgotten(End::OriginClosed)),
            // A response that broke off must not look complete to clients.
            (OnClose::Close, Failure::Lost(why)) => {
                Next::Over(moment.now, Done::forgotten(End::Failed(Failure::Lost(why))))
            }
            (OnClose::Reconnect, Failure::Ended) => Next::Rest(moment.now + self.delay(moment)),
            (_, why) => self.held(why, moment),
        }
    }

    /// An attempt brought no response. Another attempt may succeed.
    pub(super) fn failed(&mut self, why: Failure, moment: &Moment) -> Next {
        match self.on_error {
            OnError::Hold => self.held(why, moment),
            OnError::Reflect => Next::Over(moment.now, Done { end: End::Failed(why), memory: REFUSAL_MEMORY }),
        }
    }

    /// The origin answered with something that is not a stream. `with_id`: it was asked to resume after an id.
    pub(super) fn answered(&mut self, end: End, with_id: bool, moment: &Moment) -> Next {
        let status = match &end {
            End::Refused(answer) => Some(answer.status),
            _ => None,
        };
        match status {
            Some(StatusCode::BAD_REQUEST | StatusCode::GONE) if with_id => return Next::Forget,
            // These answers of the origin always end the stream at once.
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {}
            // An origin that streamed before may give such an answer while it is being deployed. The stream is held as
            // in any other outage.
            Some(_) | None if self.was_live() && self.on_error == OnError::Hold => match end {
                End::Refused(answer) => return self.held(Failure::Status(answer), moment),
                End::Unusable(why) => return self.held(Failure::NoStream(why), moment),
                _ => {}
            },
            Some(_) | None => {}
        }
        let memory = match end {
            // The answer was meant for this id only, so it is not remembered for other clients.
            End::NoContent if with_id => Duration::ZERO,
            End::NoContent => self.no_content_memory,
            _ => REFUSAL_MEMORY,
        };
        Next::Over(moment.now, Done { end, memory })
    }

    fn held(&mut self, why: Failure, moment: &Moment) -> Next {
        let since = *self.failing_since.get_or_insert(moment.now);
        let at = moment.now + self.delay(moment).max(retry_after(&why, moment.date).unwrap_or_default());
        let hold_ends = since + self.hold;
        if hold_ends <= at { Next::Over(hold_ends, Done::forgotten(End::HoldExpired(why))) } else { Next::Ask(at) }
    }

    fn delay(&mut self, moment: &Moment) -> Duration {
        let delay = self.backoff.delay(self.failures, moment.retry, moment.random);
        self.failures = self.failures.saturating_add(1);
        delay
    }
}

impl Done {
    /// An end that is not remembered: the next client opens the stream anew.
    pub(super) fn forgotten(end: End) -> Self {
        Self { end, memory: Duration::ZERO }
    }

    /// The response may not be given to the stream's clients. A response that is for one client only says nothing about
    /// the next client's response, so it is not remembered.
    pub(super) fn refused(end: End) -> Self {
        let memory = if end == End::Unshareable { Duration::ZERO } else { REFUSAL_MEMORY };
        Self { end, memory }
    }
}

/// The delay that the `Retry-After` of an answer asks for, in seconds or as a date (RFC 9110 section 10.2.3).
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
#[path = "tests/attempts.rs"]
mod tests;
