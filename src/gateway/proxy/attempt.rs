//! The state of one proxied request between pingora's callbacks. Several tries may be needed to get a response.

use super::early::EarlyAnswer;
use super::patience::{Over, Patience};
use super::references::Names;
use super::retries::{self, Failure, Next};
use crate::gateway::http2::{StallLimit, Tail};
use crate::upstream::{Dial, Line};
use http::{StatusCode, Version};
use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType, Result};
use std::sync::Arc;
use std::time::Duration;

/// The most interim responses (1xx) of one try. An origin that sends more never comes to an end.
pub(super) const MOST_INTERIM: u32 = 100;

/// The state of a proxied request. Some fields are about the present try only, as they say. [`Attempt::begin`] resets
/// most of these.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    /// The addresses of the origin that are left to try.
    pub(super) dial: Option<Arc<Dial>>,
    /// The target of the request to the origin.
    pub(super) target: String,
    /// The names that the origin may use for itself in references, besides its own address.
    pub(super) names: Names,
    /// Whether the further tries use HTTP/1.1 only.
    pub(super) by_http1: bool,
    /// The connection of this try, if it is one of HTTP/1.
    pub(super) line: Option<Arc<Line>>,
    /// Whether the connection of this try has served another request before.
    pub(super) is_kept: bool,
    /// Whether the connection of this try is HTTP/2.
    pub(super) is_h2: bool,
    /// Whether this try sent nothing to the origin. Its kept connection was closed already, or the origin could not be
    /// verified.
    pub(super) is_unsent: bool,
    /// Limits how long the origin may be silent in this try. `None`: no limit.
    pub(super) patience: Option<Patience>,
    /// Watches for a response that comes while the origin takes no more of the request body in this try.
    pub(super) early: EarlyAnswer,
    /// How long the connection of an HTTP/2 client may accept no byte.
    pub(super) stall_limit: Option<StallLimit>,
    /// Holds back the end of the body in this try. `None`: the client does not use HTTP/2, or announced no length.
    pub(super) tail: Option<Tail>,
    /// The bytes of the request's body that this try has forwarded.
    pub(super) body: u64,
    /// Whether the whole request has been read from the client.
    pub(super) is_whole: bool,
    /// The interim responses (1xx) that came in this try.
    pub(super) interim: u32,
    /// Whether the end of the origin's connection is the end of the response.
    pub(super) until_close: bool,
    /// Whether the end of the client's connection is the end of the response. The connection is then set to close by a
    /// reset.
    pub(super) is_marked: bool,
}

impl Attempt {
    /// Begins another try.
    pub(super) fn begin(&mut self) {
        self.unwatch();
        self.is_kept = false;
        self.is_h2 = false;
        self.body = 0;
        self.interim = 0;
        self.until_close = false;
    }

    /// Lets go of the connection of this try, and of all that watches it.
    pub(super) fn unwatch(&mut self) {
        self.line = None;
        self.patience = None;
        self.early = EarlyAnswer::Unwatched;
    }

    /// Notes that the connection of this try is open.
    ///
    /// # Errors
    /// When the origin has closed a kept connection. Nothing was sent on that connection, and the next try uses a new
    /// one.
    pub(super) fn begin_on(&mut self, version: Version) -> Result<()> {
        self.is_h2 = version == Version::HTTP_2;
        if self.is_h2 {
            // Many exchanges share an HTTP/2 connection, so this exchange must not cut it. pingora notices its end
            // itself.
            self.line = None;
        }
        self.is_unsent = self.is_kept && self.line.as_ref().is_some_and(|line| line.is_closed());
        if self.is_unsent {
            return Err(Error::explain(ErrorType::ConnectionClosed, "while no request used it").into_up());
        }
        Ok(())
    }

    /// Counts the head of a response.
    ///
    /// # Errors
    /// When the origin has sent too many interim responses and no final one.
    pub(super) fn counts(&mut self, status: StatusCode) -> Result<()> {
        if status.is_informational() && status != StatusCode::SWITCHING_PROTOCOLS {
            self.interim += 1;
            if self.interim > MOST_INTERIM {
                let why = format!("more than {MOST_INTERIM} informational responses (1xx)");
                return Err(Error::explain(ErrorType::InvalidHTTPHeader, why).into_up());
            }
        }
        Ok(())
    }

    /// The error of a try that was given up after a silence of this length. It replaces the error that came from cutting
    /// the origin's connection. `None`: the try was not given up.
    pub(super) fn given_up(&self, limit: Option<Duration>) -> Option<Box<Error>> {
        let over = self.patience.as_ref()?.over()?;
        let why = format!("nothing came for {} s", limit.unwrap_or_default().as_secs());
        Some(if over == Over::SaidNothing && !self.is_whole {
            // The origin waits for the rest of the request, and so for the client.
            Error::explain(ErrorType::ReadTimedout, why).into_down()
        } else {
            Error::explain(ErrorType::ReadTimedout, why).into_up()
        })
    }

    /// What to do after a failure.
    pub(super) fn next(&self, session: &mut Session, error: &Error, is_kept: bool) -> Next {
        let failure = Failure {
            kind: error.etype(),
            is_upstream: *error.esource() == ErrorSource::Upstream,
            is_retried: error.retry(),
            is_kept,
            may_fall: self.is_h2 && !self.by_http1,
            is_answered: is_answered(session),
        };
        let has_body = !session.as_downstream_mut().is_body_empty();
        let asked = retries::Asked {
            method: &session.req_header().method,
            is_held: !session.as_downstream().retry_buffer_truncated(),
            is_unbegun: self.is_unsent || has_body && session.upstream_body_bytes_sent() == Some(0),
        };
        retries::next(asked, failure)
    }
}

/// Whether the client was sent a final response or a part of it.
pub(super) fn is_answered(session: &Session) -> bool {
    session.response_written().is_some_and(|head| !head.status.is_informational() || head.status == 101)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interim_responses_without_end_are_a_failure_of_the_origin() {
        let mut attempt = Attempt::default();
        for _ in 0..2 {
            attempt.begin();
            for n in 0..MOST_INTERIM {
                let status = if n % 2 == 0 { StatusCode::PROCESSING } else { StatusCode::EARLY_HINTS };
                assert!(attempt.counts(status).is_ok(), "{n}");
            }
            for last in [StatusCode::OK, StatusCode::SWITCHING_PROTOCOLS] {
                assert!(attempt.counts(last).is_ok(), "{last}");
            }
            let error = attempt.counts(StatusCode::PROCESSING).unwrap_err();
            assert_eq!(*error.esource(), ErrorSource::Upstream);
            assert!(crate::upstream::reason(&error).contains("more than 100 informational responses"), "{error}");
        }
    }
}
