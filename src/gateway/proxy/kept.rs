//! Decides whether a request may use a kept connection, which has served another request before.
//!
//! An origin may close a connection after an answer without announcing it. A request that is sent at the moment of the
//! close gets no answer. If it may be repeated, it is sent again. A request that may not be repeated would be lost.
//! Such a request gets a new connection, until there is a sign that the origin keeps its connections open.

use crate::fields::content_length;
use crate::upstream::Line;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName};
use pingora::http::RequestHeader;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A connection that is still open this long after an answer counts as one that the origin keeps.
const PROOF: Duration = Duration::from_millis(100);

/// The most bytes of a body that pingora holds so that it can send them again.
const HELD_BYTES: u64 = 64 << 10;

/// What is known about whether an origin keeps its connections open.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Habit {
    /// Whether there is a sign that the origin keeps its connections open.
    keeps: Arc<AtomicBool>,
    /// Whether a connection is observed now.
    is_watched: Arc<AtomicBool>,
}

impl Habit {
    /// Whether a request may use a kept connection.
    pub(super) fn allows(&self, request: &RequestHeader) -> bool {
        self.keeps.load(Ordering::Relaxed) || is_repeatable(request)
    }

    /// Notes that a kept connection ended without an answer.
    pub(super) fn broke(&self) {
        self.keeps.store(false, Ordering::Relaxed);
    }

    /// Notes that a response came. `is_kept`: the origin is known to have kept the connection open.
    pub(super) fn answered(&self, is_kept: bool, response: &HeaderMap) {
        if is_kept || says_so(response) {
            self.keeps.store(true, Ordering::Relaxed);
        }
    }

    /// Notes that an exchange on this connection has ended. If there is no sign yet, a task observes for a short time
    /// whether the origin closes the connection. At most one connection is observed at a time.
    pub(super) fn watch(&self, line: Arc<Line>) {
        if self.keeps.load(Ordering::Relaxed) || self.is_watched.swap(true, Ordering::Relaxed) {
            return;
        }
        let (keeps, is_watched) = (Arc::clone(&self.keeps), Arc::clone(&self.is_watched));
        drop(tokio::spawn(async move {
            tokio::time::sleep(PROOF).await;
            if !line.is_closed() {
                keeps.store(true, Ordering::Relaxed);
            }
            is_watched.store(false, Ordering::Relaxed);
        }));
    }
}

/// Whether a request can be sent a second time.
fn is_repeatable(request: &RequestHeader) -> bool {
    let headers = &request.headers;
    let has_body = headers.contains_key(CONTENT_LENGTH) || headers.contains_key(TRANSFER_ENCODING);
    let is_held = content_length(headers).map_or(!has_body, |length| length <= HELD_BYTES);
    request.method.is_idempotent() && is_held
}

/// Whether the response says that the origin keeps the connection.
fn says_so(response: &HeaderMap) -> bool {
    static KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
    let mut options = crate::fields::members(response, &CONNECTION);
    response.contains_key(&KEEP_ALIVE) || options.any(|option| option.eq_ignore_ascii_case(b"keep-alive"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn request(method: &str, length: Option<&str>, is_chunked: bool) -> RequestHeader {
        let mut request = RequestHeader::build(method, b"/", None).unwrap();
        if let Some(length) = length {
            request.insert_header(CONTENT_LENGTH, length).unwrap();
        }
        if is_chunked {
            request.insert_header(TRANSFER_ENCODING, "chunked").unwrap();
        }
        request
    }

    #[test]
    fn what_may_be_repeated_goes_by_any_connection() {
        for (method, length, is_chunked, expected) in [
            ("GET", None, false, true),
            ("DELETE", None, false, true),
            ("PUT", Some("65536"), false, true),
            ("PUT", Some("65537"), false, false),
            ("PUT", None, true, false),
            ("POST", Some("0"), false, false),
            ("PATCH", None, false, false),
        ] {
            let request = request(method, length, is_chunked);
            assert_eq!(Habit::default().allows(&request), expected, "{request:?}");
        }
    }

    #[test]
    fn what_may_not_be_repeated_waits_for_a_sign_that_connections_are_kept() {
        let post = request("POST", Some("1"), false);
        let allows = |habit: &Habit| habit.allows(&post);
        let nothing = HeaderMap::new();
        let told = HeaderMap::from_iter([(CONNECTION, HeaderValue::from_static("Keep-Alive"))]);

        let habit = Habit::default();
        habit.answered(false, &nothing);
        assert!(!allows(&habit));
        habit.answered(true, &nothing);
        assert!(allows(&habit));
        habit.broke();
        assert!(!allows(&habit));
        habit.answered(false, &told);
        assert!(allows(&habit));
    }
}
