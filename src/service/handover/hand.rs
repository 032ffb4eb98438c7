//! Who may send something to the clients of a stream.
//!
//! ```text
//!   Ours ── offered ──▶ Offered ─┬─ it answers: taken ─────────────────────────▶ Theirs
//!    ▲                           ├─ it has ended, and had answered: taken ─────▶ Theirs
//!    ├─ it answers: not taken ───┤
//!    └─ it has ended ────────────┘
//! ```
//!
//! The new process answers before it sends anything, and it is heard to the end when it has ended. So never do both
//! processes send, whatever happens to the new one, and whenever this one stops waiting for it.

/// In whose hand a stream and its clients are, as this process knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hand {
    Ours,
    /// The clients are off their shards, and nobody sends them anything, as far as this process knows.
    Offered,
    Theirs,
}

impl Hand {
    /// Whether this process may send something.
    pub(super) fn is_ours(self) -> bool {
        self == Self::Ours
    }

    /// The new process answered.
    pub(super) fn answered(&mut self, is_taken: bool) {
        if *self == Self::Offered {
            *self = if is_taken { Self::Theirs } else { Self::Ours };
        }
    }

    /// The new process has ended. `late`: what it had answered and this process had not heard.
    pub(super) fn ended(&mut self, late: Option<bool>) {
        self.answered(late.unwrap_or(false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_answer_gives_an_offered_stream_away() {
        for (late, expected) in [(None, Hand::Ours), (Some(false), Hand::Ours), (Some(true), Hand::Theirs)] {
            let mut hand = Hand::Offered;
            assert!(!hand.is_ours());
            hand.ended(late);
            assert_eq!(hand, expected);
        }
        for decided in [Hand::Ours, Hand::Theirs] {
            let mut hand = decided;
            hand.answered(true);
            hand.ended(Some(true));
            hand.ended(None);
            assert_eq!(hand, decided);
        }
    }
}
