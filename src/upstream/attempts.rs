//! When the origin is asked, and what its answers and its silences mean to the stream.
//!
//! ```text
//!            a response              lost, or ended with somebody there
//!   Asking ────────────▶ Live ────────────────────────────────────────▶ Waiting
//!    ▲  ▲ │                │                                             │ ▲ │
//!    │  │ │ no response    │ ended in order, nobody there                │ │ │ the hold is over
//!    │  │ └────────────────│─────────────────────────────────────────────│─┘ ▼
//!    │  │                  ▼          somebody comes                     │  Over
//!    │  └─────────────── Resting                                         │   ▲
//!    └───────────────────────────────────────────────────────────────────┘   │
//!      the origin's word (401, 403, 204; any refusal of what was never live) ─┘
//! ```
//!
//! Pure: outcomes and instants in, the next step out.

use super::{Backoff, OnClose, OnError, UpstreamOptions};
use crate::hub::{End, Failure};
use http::StatusCode;
use http::header::RETRY_AFTER;
use std::time::{Duration, SystemTime};
use tokio::time::Instant;

/// How long a refusal is remembered, so that a crowd of clients that come back is not a crowd at the origin.
const REFUSAL_MEMORY: Duration = Duration::from_secs(1);

/// The longest `Retry-After` that is honoured; an origin that asks for more is asked again all the same.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);

/// The end of a stream, and for how long it is remembered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) end: End,
    pub(super) memory: Duration,
}

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// The origin is asked at this instant.
    Ask(Instant),
    /// The origin is asked when somebody is subscribed, and not before this instant.
    Rest(Instant),
    /// The origin does not know the id that it was asked to resume after: it is asked at once without one.
    Forget,
    /// The stream is over at this instant.
    Over(Instant, Done),
}

/// The facts of one moment.
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
    /// Attempts in a row that came to nothing.
    failures: u32,
    /// Since when the origin fails, without a response between.
    failing_since: Option<Instant>,
    /// Since when the newest response stands or stood; `None` before the first.
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

    /// Whether a response ever streamed.
    pub(super) fn was_live(&self) -> bool {
        self.live_since.is_some()
    }

    /// Whether clients may have been told 200 while no response was there.
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

    /// Whether the successor that was asked for while a response stood may take its place after it ended in this way. Where
    /// its orderly end is that of its clients, nothing follows it.
    pub(super) fn is_succeeded(&self, why: &Failure) -> bool {
        self.on_close == OnClose::Reconnect || *why != Failure::Ended
    }

    /// The response is over.
    pub(super) fn response_over(&mut self, why: Failure, moment: &Moment) -> Next {
        // A response that stood for a while was no failure, with or without events: quiet is not sick.
        let stood = self.live_since.is_some_and(|since| moment.now.duration_since(since) >= self.backoff.min());
        if stood {
            self.failures = 0;
        }
        match (self.on_close, why) {
            (OnClose::Close, Failure::Ended) => Next::Over(moment.now, Done::forgotten(End::OriginClosed)),
            // What broke off upstream does not look whole downstream.
            (OnClose::Close, Failure::Lost(why)) => {
                Next::Over(moment.now, Done::forgotten(End::Failed(Failure::Lost(why))))
            }
            (OnClose::Reconnect, Failure::Ended) => Next::Rest(moment.now + self.delay(moment)),
            (_, why) => self.held(why, moment),
        }
    }

    /// An attempt brought no response; another may.
    pub(super) fn failed(&mut self, why: Failure, moment: &Moment) -> Next {
        match self.on_error {
            OnError::Hold => self.held(why, moment),
            OnError::Reflect => Next::Over(moment.now, Done { end: End::Failed(why), memory: REFUSAL_MEMORY }),
        }
    }

    /// The origin answered with something that is no stream. `with_id`: it was asked to resume after an id.
    pub(super) fn answered(&mut self, end: End, with_id: bool, moment: &Moment) -> Next {
        let status = match &end {
            End::Refused(answer) => Some(answer.status),
            _ => None,
        };
        match status {
            Some(StatusCode::BAD_REQUEST | StatusCode::GONE) if with_id => return Next::Forget,
            // The origin's word at once, whatever was before.
            Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {}
            // What was a stream is one again after a deploy: until then this is an outage like any other.
            Some(_) | None if self.was_live() && self.on_error == OnError::Hold => match end {
                End::Refused(answer) => return self.held(Failure::Status(answer), moment),
                End::Unusable(why) => return self.held(Failure::NoStream(why), moment),
                _ => {}
            },
            Some(_) | None => {}
        }
        let memory = match end {
            // It was said to that id alone.
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
    /// An end that the next client does not hear of.
    pub(super) fn forgotten(end: End) -> Self {
        Self { end, memory: Duration::ZERO }
    }

    /// The response is not for the clients of the stream. One that is somebody's own says nothing of the next.
    pub(super) fn refused(end: End) -> Self {
        let memory = if end == End::Unshareable { Duration::ZERO } else { REFUSAL_MEMORY };
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
#[path = "tests/attempts.rs"]
mod tests;
