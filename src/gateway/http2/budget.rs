//! The frames that a client may send though they carry nothing of a request. The `h2` crate answers or notes each of
//! them, so without a bound one client could keep a thread busy for ever.
//!
//! ```text
//!   PING, SETTINGS, PRIORITY, GOAWAY, unknown types ─▶ `control`: some at once, and then so many a second
//!   WINDOW_UPDATE ───────────────────────────────────▶ `updates`: some at once, and two for each frame that was sent
//! ```

use std::time::Duration;
use tokio::time::Instant;

/// Types of frames (RFC 9113 section 6).
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

/// The most control frames at once. A browser sends some at the beginning, and one for each request.
const MOST_CONTROL: u32 = 1000;

/// How long it takes until one more control frame may come. A client that measures the path sends some ten PINGs a
/// second.
const CONTROL_EVERY: Duration = Duration::from_millis(20);

/// The most WINDOW_UPDATE frames beyond those for what was sent.
const MOST_UPDATES: u32 = 1000;

/// The most WINDOW_UPDATE frames that are granted and not used. A client that opens its windows rarely leaves most of
/// them.
const MOST_KEPT: u32 = 100_000;

/// The bytes of the smallest DATA frame with an event, for which a client may send two WINDOW_UPDATE frames.
const BYTES_PER_UPDATE: usize = 5;

/// What the client may still send.
#[derive(Debug)]
pub(super) struct Budget {
    control: u32,
    /// The time for which control frames were granted.
    granted: Instant,
    updates: u32,
    /// Bytes that were sent and for which no WINDOW_UPDATE was granted.
    sent: usize,
    is_spent: bool,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self { control: MOST_CONTROL, granted: now, updates: MOST_UPDATES, sent: 0, is_spent: false }
    }

    /// The client sent a frame of this type.
    pub(super) fn spend(&mut self, kind: u8, now: Instant) {
        match kind {
            // Requests are bounded by the number of streams. The `h2` crate bounds resets and empty frames.
            DATA | HEADERS | CONTINUATION | RST_STREAM => {}
            WINDOW_UPDATE => {
                self.is_spent |= self.updates == 0;
                self.updates = self.updates.saturating_sub(1);
            }
            _ => {
                self.grant(now);
                self.is_spent |= self.control == 0;
                self.control = self.control.saturating_sub(1);
            }
        }
    }

    fn grant(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.granted).as_millis() / CONTROL_EVERY.as_millis();
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        self.control = self.control.saturating_add(passed).min(MOST_CONTROL);
        self.granted += CONTROL_EVERY.saturating_mul(passed);
    }

    /// The client was sent this many bytes.
    pub(super) fn sent(&mut self, bytes: usize) {
        self.sent += bytes;
        let updates = u32::try_from(self.sent / BYTES_PER_UPDATE).unwrap_or(u32::MAX);
        // Updates for a large response may come late, so what is granted for it is kept.
        self.updates = self.updates.saturating_add(updates).min(MOST_KEPT);
        self.sent %= BYTES_PER_UPDATE;
    }

    /// Whether the client has sent too many frames.
    pub(super) fn is_spent(&self) -> bool {
        self.is_spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_may_send_some_frames_that_carry_nothing_and_not_many() {
        let settings_ping_priority_goaway_and_an_unknown_one = [4, 6, 2, 7, 16];
        for kind in settings_ping_priority_goaway_and_an_unknown_one {
            let now = Instant::now();
            let mut budget = Budget::new(now);
            (0..MOST_CONTROL).for_each(|_| budget.spend(kind, now));
            assert!(!budget.is_spent(), "{kind}");
            budget.spend(kind, now);
            assert!(budget.is_spent(), "{kind}");
        }
        for kind in [DATA, HEADERS, RST_STREAM, CONTINUATION] {
            let now = Instant::now();
            let mut budget = Budget::new(now);
            (0..100_000).for_each(|_| budget.spend(kind, now));
            assert!(!budget.is_spent(), "{kind} is bounded elsewhere");
        }
    }

    #[test]
    fn control_frames_are_granted_again_as_time_passes() {
        let mut now = Instant::now();
        let mut budget = Budget::new(now);
        for _ in 0..10 * MOST_CONTROL {
            now += CONTROL_EVERY;
            budget.spend(6, now);
        }
        assert!(!budget.is_spent(), "as many as time grants");
        now += CONTROL_EVERY * 10 * MOST_CONTROL;
        (0..MOST_CONTROL).for_each(|_| budget.spend(6, now));
        assert!(!budget.is_spent());
        budget.spend(6, now);
        assert!(budget.is_spent(), "time that passed is not saved up");
    }

    #[test]
    fn a_client_may_open_its_window_for_what_it_was_sent() {
        let now = Instant::now();
        let mut budget = Budget::new(now);
        for _ in 0..100 * MOST_UPDATES {
            // A DATA frame of one byte.
            budget.sent(10);
            budget.spend(WINDOW_UPDATE, now);
            budget.spend(WINDOW_UPDATE, now);
        }
        assert!(!budget.is_spent());
        (0..=MOST_UPDATES).for_each(|_| budget.spend(WINDOW_UPDATE, now));
        assert!(budget.is_spent());
    }
}
