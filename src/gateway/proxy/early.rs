//! Passes on the answer of an origin that does not read the whole body of its request.
//!
//! An HTTP/1.1 origin may answer, for example with 401, and leave the rest of the body unread (RFC 9112 section 9.3).
//! pingora sends one part of a body after another. It does not read the answer while a part waits for the origin. So a
//! task watches the connection. It closes the sending side if the connection has been full for a while and an answer
//! waits to be read. pingora then passes the answer on, and closes the connection.
//!
//! ```text
//!            a part of the body is sent            the response begins
//! Unwatched ────────────────────────────▶ Watched ─────────────────────▶ Over
//!                                           │ an answer waits to be read, and the body is stuck
//!                                           ▼
//!                                         the sending side is closed
//! ```

use crate::upstream::Line;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::AbortHandle;

/// How often to look at the connection while a body is sent.
const LOOKS_EVERY: Duration = Duration::from_millis(100);

/// The number of looks in a row that must find the same state before something is done about it.
const LOOKS: usize = 5;

/// The watch of one HTTP/1.1 exchange.
#[derive(Debug, Default)]
pub(super) enum EarlyAnswer {
    /// No part of the body was sent yet.
    #[default]
    Unwatched,
    /// The body is being sent.
    Watched(Watch),
    /// The response has begun. From then on pingora reads it whenever it can.
    Over,
}

/// The task that watches the connection. Dropping this value ends the task.
#[derive(Debug)]
pub(super) struct Watch {
    /// Whether pingora was given the last part of the body.
    is_whole: Arc<AtomicBool>,
    task: AbortHandle,
}

/// What one look finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// The socket accepts bytes.
    Open,
    /// The socket accepts no bytes.
    Full,
    /// The socket accepts no bytes, and a final response waits to be read.
    Stuck,
}

/// What to do after a look.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    GoOn,
    /// The whole body was sent.
    Sent,
    /// The rest of the body is not wanted.
    Unwanted,
}

impl EarlyAnswer {
    /// Notes that a part of the body is sent on this connection. `is_end`: it is the last part. A body of one part is
    /// not watched, because it fits into the buffers of the connection.
    pub(super) fn sends(&mut self, line: Option<&Arc<Line>>, is_end: bool) {
        match (&*self, line) {
            (Self::Unwatched, Some(line)) if !is_end => *self = Self::Watched(Watch::begin(Arc::clone(line))),
            (Self::Watched(watch), _) => watch.is_whole.store(is_end, Ordering::Relaxed),
            _ => {}
        }
    }
}

impl Watch {
    fn begin(line: Arc<Line>) -> Self {
        let is_whole = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&is_whole);
        let task = tokio::spawn(async move {
            let mut looks = [Look::Open; LOOKS];
            loop {
                tokio::time::sleep(LOOKS_EVERY).await;
                looks.rotate_left(1);
                looks[LOOKS - 1] = look(&line);
                match judge(&looks, told.load(Ordering::Relaxed)) {
                    Verdict::GoOn => {}
                    Verdict::Sent => return,
                    Verdict::Unwanted => return line.end_sending(),
                }
            }
        });
        Self { is_whole, task: task.abort_handle() }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn look(line: &Line) -> Look {
    if !line.is_full() {
        Look::Open
    } else if is_final(line.peek(&mut [0; 10])) {
        Look::Stuck
    } else {
        Look::Full
    }
}

/// Decides what to do after the newest looks. `is_whole`: pingora was given the last part of the body.
fn judge(looks: &[Look], is_whole: bool) -> Verdict {
    let all = |kind| looks.iter().all(|look| *look == kind);
    if all(Look::Stuck) {
        Verdict::Unwanted
    } else if is_whole && all(Look::Open) {
        Verdict::Sent
    } else {
        Verdict::GoOn
    }
}

/// Whether a response that begins with these bytes is a final one. After an interim response (1xx), the origin may
/// still read the body.
fn is_final(beginning: &[u8]) -> bool {
    matches!(beginning, [b'H', b'T', b'T', b'P', b'/', b'1', b'.', b'0' | b'1', b' ', b'2'..=b'5', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sending_ends_when_it_is_stuck_in_every_look() {
        use Look::{Full, Open, Stuck};
        for (looks, is_whole, expected) in [
            ([Open, Open, Open], false, Verdict::GoOn),
            ([Open, Open, Open], true, Verdict::Sent),
            ([Open, Full, Open], true, Verdict::GoOn),
            ([Full, Full, Full], true, Verdict::GoOn),
            ([Full, Stuck, Stuck], true, Verdict::GoOn),
            ([Stuck, Open, Stuck], false, Verdict::GoOn),
            ([Stuck, Stuck, Stuck], false, Verdict::Unwanted),
            ([Stuck, Stuck, Stuck], true, Verdict::Unwanted),
        ] {
            assert_eq!(judge(&looks, is_whole), expected, "{looks:?} {is_whole}");
        }
    }

    #[test]
    fn a_final_response_is_known_by_its_first_bytes() {
        for (beginning, expected) in [
            ("HTTP/1.1 401 Unauthorized", true),
            ("HTTP/1.0 200 OK", true),
            ("HTTP/1.1 4", true),
            ("HTTP/1.1 100 Continue", false),
            ("HTTP/1.1 103 Early Hints", false),
            ("HTTP/1.1 ", false),
            ("", false),
            ("\x17\x03\x03\x01\x00abcdefgh", false),
        ] {
            assert_eq!(is_final(beginning.as_bytes()), expected, "{beginning}");
        }
    }
}
