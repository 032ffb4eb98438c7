//! Finds out whether the client of an HTTP/2 connection is still there. A client that reads an event stream sends nothing
//! by itself, and its kernel may take bytes though the client does not run any more.
//!
//! ```text
//!            ┌──────────────── a byte came ◀──────────────┐
//!            ▼                                            │
//!   ─────▶ Heard ─ silent for `PING_AFTER` ─▶ PING ─▶ Asked ─ silent for `PONG_TIME` ─▶ Dead
//! ```
//!
//! A client that has not received the PING yet is not judged here. Whether it takes its bytes is judged by the stall
//! limit.

use std::time::Duration;
use tokio::time::Instant;

/// How long the client may be silent until it is sent a PING.
const PING_AFTER: Duration = Duration::from_secs(45);

/// How long the client may take to send anything after a PING. It is long, because a client that reads slowly finds the
/// PING behind what its kernel has received before.
const PONG_TIME: Duration = Duration::from_secs(60);

/// Whether the client was sent a PING.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Liveness {
    Heard,
    /// It was sent one at this time. The time begins anew as long as bytes are on their way to the client.
    Asked(Instant),
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Send a PING.
    Ping,
    /// Close the connection, because the client is gone.
    Close,
}

impl Liveness {
    /// What is to be done at `now`. `heard`: when the last byte came. `is_on_the_way`: bytes are on their way to the
    /// client, so it may not have received the PING.
    pub(super) fn look(&mut self, heard: Instant, is_on_the_way: bool, now: Instant) -> Option<Act> {
        match *self {
            Self::Asked(asked) if heard > asked => *self = Self::Heard,
            Self::Asked(_) if is_on_the_way => *self = Self::Asked(now),
            Self::Asked(_) | Self::Heard => {}
        }
        match *self {
            Self::Heard if now >= heard + PING_AFTER => {
                *self = Self::Asked(now);
                Some(Act::Ping)
            }
            Self::Asked(asked) if now >= asked + PONG_TIME => Some(Act::Close),
            Self::Asked(_) | Self::Heard => None,
        }
    }

    /// When to look again.
    pub(super) fn next(self, heard: Instant) -> Instant {
        match self {
            Self::Heard => heard + PING_AFTER,
            Self::Asked(asked) => asked + PONG_TIME,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_client_is_asked_and_one_that_does_not_answer_is_gone() {
        let begun = Instant::now();
        let at = |secs| begun + Duration::from_secs(secs);
        // When, when the last byte came, whether bytes are on their way, and what is done.
        type Step = (u64, u64, bool, Option<Act>);
        let cases: [(&str, &[Step]); 4] = [
            (
                "silent",
                &[
                    (44, 0, false, None),
                    (45, 0, false, Some(Act::Ping)),
                    (104, 0, false, None),
                    (105, 0, false, Some(Act::Close)),
                ],
            ),
            (
                "answers",
                &[
                    (45, 0, false, Some(Act::Ping)),
                    (60, 46, false, None),
                    (90, 46, false, None),
                    (91, 46, false, Some(Act::Ping)),
                ],
            ),
            ("talks", &[(44, 40, false, None), (84, 40, false, None), (85, 40, false, Some(Act::Ping))]),
            (
                "takes bytes",
                &[
                    (45, 0, true, Some(Act::Ping)),
                    (100, 0, true, None),
                    (159, 0, false, None),
                    (160, 0, false, Some(Act::Close)),
                ],
            ),
        ];
        for (what, steps) in cases {
            let mut liveness = Liveness::Heard;
            for (now, heard, is_on_the_way, expected) in steps {
                assert_eq!(liveness.look(at(*heard), *is_on_the_way, at(*now)), *expected, "{what} at {now}");
            }
        }
    }

    #[test]
    fn the_next_look_is_when_something_is_due() {
        let heard = Instant::now();
        let mut liveness = Liveness::Heard;
        let ping = liveness.next(heard);
        assert_eq!(liveness.look(heard, false, ping), Some(Act::Ping));
        let end = liveness.next(heard);
        assert_eq!(liveness.look(heard, false, end - Duration::from_millis(1)), None);
        assert_eq!(liveness.look(heard, false, end), Some(Act::Close));
    }
}
