//! What is known of one proxied request between pingora's callbacks, try by try.

use super::patience::Patience;
use super::references::Names;
use super::retries::{self, Failure, Next};
use crate::upstream::{Dial, Line};
use http::Version;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType, Result};
use std::sync::Arc;
use std::time::Duration;

/// A proxied request, and how far it has come.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    /// The origin's addresses that are left.
    pub(super) dial: Option<Arc<Dial>>,
    /// The path and query that the origin is asked for.
    pub(super) target: String,
    /// By what absolute references the origin names itself, besides by its own address.
    pub(super) names: Names,
    /// The origin is asked by HTTP/1.1 alone.
    pub(super) by_http1: bool,
    /// The connection of this try, whether it served another request before, and whether it is of HTTP/2.
    pub(super) line: Option<Arc<Line>>,
    pub(super) is_kept: bool,
    pub(super) is_h2: bool,
    /// The kept connection of this try was closed already: nothing was sent.
    pub(super) is_unsent: bool,
    /// How long this try may be silent; `None` where nothing limits it.
    pub(super) patience: Option<Patience>,
    /// Bytes of the request's body that this try has passed on.
    pub(super) body: u64,
    /// All of the request came.
    pub(super) is_whole: bool,
    /// The end of the response is the end of the origin's connection.
    pub(super) until_close: bool,
    /// The end of the response is the end of the client's connection.
    pub(super) is_marked: bool,
}

impl Attempt {
    /// Begins another try.
    pub(super) fn begin(&mut self) {
        self.line = None;
        self.patience = None;
        self.is_kept = false;
        self.is_h2 = false;
        self.body = 0;
        self.until_close = false;
    }

    /// The connection of this try is there.
    ///
    /// # Errors
    /// When the origin has closed it. Nothing was sent by it, and the next try has a connection of its own.
    pub(super) fn begin_on(&mut self, version: Version) -> Result<()> {
        self.is_h2 = version == Version::HTTP_2;
        if self.is_h2 {
            // Many exchanges share it, and its end is noticed at once.
            self.line = None;
        }
        self.is_unsent = self.is_kept && self.line.as_ref().is_some_and(|line| line.is_closed());
        if self.is_unsent {
            return Err(Error::explain(ErrorType::ConnectionClosed, "while nobody used it").into_up());
        }
        Ok(())
    }

    /// Whether the origin was silent for too long.
    pub(super) fn is_given_up(&self) -> bool {
        self.patience.as_ref().is_some_and(Patience::is_over)
    }

    /// What follows a failure.
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

/// Whether the client was sent a final response, or a part of it.
pub(super) fn is_answered(session: &Session) -> bool {
    session.response_written().is_some_and(|head| !head.status.is_informational() || head.status == 101)
}

/// The failure of an origin that was silent for too long, whatever the end of its connection looked like.
pub(super) fn given_up(limit: Option<Duration>) -> Box<Error> {
    let limit = limit.unwrap_or_default().as_secs();
    Error::explain(ErrorType::ReadTimedout, format!("nothing came for {limit} s")).into_up()
}
