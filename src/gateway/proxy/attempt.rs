//! The state of one proxied request between pingora's callbacks. A request may take several tries.

use super::early::EarlyAnswer;
use super::patience::Patience;
use super::references::Names;
use super::retries::{self, Failure, Next};
use crate::gateway::http2::{StallLimit, Tail};
use crate::upstream::{Dial, Line};
use http::Version;
use pingora::proxy::Session;
use pingora::{Error, ErrorSource, ErrorType, Result};
use std::sync::Arc;

/// The state of a proxied request.
#[derive(Debug, Default)]
pub(super) struct Attempt {
    /// The addresses of the origin that are left to try.
    pub(super) dial: Option<Arc<Dial>>,
    /// The target of the request to the origin.
    pub(super) target: String,
    /// The names that the origin may use for itself in references, besides its own address.
    pub(super) names: Names,
    /// Whether only HTTP/1.1 is used from now on.
    pub(super) by_http1: bool,
    /// The connection of this try. The two fields after it say whether it served a request before, and whether it is
    /// HTTP/2.
    pub(super) line: Option<Arc<Line>>,
    pub(super) is_kept: bool,
    pub(super) is_h2: bool,
    /// Whether the kept connection of this try was closed already, so that nothing was sent.
    pub(super) is_unsent: bool,
    /// Limits how long the origin may be silent in this try. `None`: no limit.
    pub(super) patience: Option<Patience>,
    /// Watches for an answer that comes while the body is stuck in this try.
    pub(super) early: EarlyAnswer,
    /// How long the connection of an HTTP/2 client may take nothing.
    pub(super) stall_limit: Option<StallLimit>,
    /// Holds the end of an HTTP/2 request's body back in this try.
    pub(super) tail: Option<Tail>,
    /// The bytes of the request's body that this try has forwarded.
    pub(super) body: u64,
    /// Whether the whole request has been read.
    pub(super) is_whole: bool,
    /// Whether the response ends with the origin's connection.
    pub(super) until_close: bool,
    /// Whether the response ends with the client's connection.
    pub(super) is_marked: bool,
}

impl Attempt {
    /// Begins another try.
    pub(super) fn begin(&mut self) {
        self.line = None;
        self.patience = None;
        self.early = EarlyAnswer::Unwatched;
        self.is_kept = false;
        self.is_h2 = false;
        self.body = 0;
        self.until_close = false;
    }

    /// Notes that the connection of this try is open.
    ///
    /// # Errors
    /// When the origin has closed a kept connection. Nothing was sent on it, and the next try uses a new connection.
    pub(super) fn begin_on(&mut self, version: Version) -> Result<()> {
        self.is_h2 = version == Version::HTTP_2;
        if self.is_h2 {
            // Many exchanges share an HTTP/2 connection, and pingora notices its end at once.
            self.line = None;
        }
        self.is_unsent = self.is_kept && self.line.as_ref().is_some_and(|line| line.is_closed());
        if self.is_unsent {
            return Err(Error::explain(ErrorType::ConnectionClosed, "while no request used it").into_up());
        }
        Ok(())
    }

    /// Whether the origin was silent for too long.
    pub(super) fn is_given_up(&self) -> bool {
        self.patience.as_ref().is_some_and(Patience::is_over)
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
