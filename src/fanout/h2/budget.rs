//! How many frames a client may send that carry nothing of a request.
//!
//! Each costs tokens, which time gives back, and the DATA that the client was sent. A client that has too few is told to
//! be calm, and its connection ends. So one client cannot keep a thread busy.

use super::clock::Tick;
use super::frame::Code;
use super::limits::{FIRST_TOKENS, MOST_TOKENS, TOKENS_FOR_DATA};
use serde::{Deserialize, Serialize};

/// The tokens of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Budget {
    tokens: u32,
    /// The time for which tokens were given.
    given: Tick,
}

impl Budget {
    pub(super) fn new(now: Tick) -> Self {
        Self { tokens: FIRST_TOKENS, given: now }
    }

    /// The same, and no more than a connection may have.
    pub(super) fn bounded(self) -> Self {
        Self { tokens: self.tokens.min(MOST_TOKENS), ..self }
    }

    /// Takes tokens.
    ///
    /// # Errors
    /// `ENHANCE_YOUR_CALM` if there are too few. Then none are left.
    pub(super) fn spend(&mut self, cost: u32, now: Tick) -> Result<(), Code> {
        self.give(now);
        let left = self.tokens.checked_sub(cost);
        self.tokens = left.unwrap_or(0);
        left.map(|_| ()).ok_or(Code::ENHANCE_YOUR_CALM)
    }

    /// Gives a token for each tick. Time fills up what a connection has at first, and no more.
    fn give(&mut self, now: Tick) {
        let passed = now.0.saturating_sub(self.given.0);
        self.given = self.given.max(now);
        self.tokens = self.tokens.max(self.tokens.saturating_add(passed).min(FIRST_TOKENS));
    }

    /// The client was sent so many DATA frames.
    pub(super) fn earn(&mut self, frames: u32) {
        let earned = frames.saturating_mul(TOKENS_FOR_DATA);
        self.tokens = self.tokens.saturating_add(earned).min(MOST_TOKENS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spends until nothing is left. Returns the number of tokens.
    fn spend_all(budget: &mut Budget, now: Tick) -> u32 {
        (0..).take_while(|_| budget.spend(1, now).is_ok()).count() as u32
    }

    #[test]
    fn there_are_some_tokens_at_first_and_time_fills_them_up() {
        let mut budget = Budget::new(Tick(7));
        assert_eq!(spend_all(&mut budget, Tick(7)), FIRST_TOKENS);
        assert_eq!(spend_all(&mut budget, Tick(27)), 20);
        assert_eq!(spend_all(&mut budget, Tick(5)), 0, "time never goes back");
        assert_eq!(spend_all(&mut budget, Tick(u32::MAX)), FIRST_TOKENS, "time that passed is not saved up");
    }

    #[test]
    fn a_cost_that_is_too_high_takes_all() {
        let mut budget = Budget::new(Tick(0));
        assert_eq!(budget.spend(FIRST_TOKENS + 1, Tick(0)), Err(Code::ENHANCE_YOUR_CALM));
        assert_eq!(budget.spend(1, Tick(0)), Err(Code::ENHANCE_YOUR_CALM));
    }

    #[test]
    fn data_that_was_sent_gives_some_and_they_are_kept() {
        let mut budget = Budget::new(Tick(0));
        budget.earn(1000);
        assert_eq!(spend_all(&mut budget, Tick(100)), FIRST_TOKENS + 1000 * TOKENS_FOR_DATA);
        budget.earn(u32::MAX);
        assert_eq!(spend_all(&mut budget, Tick(100)), MOST_TOKENS);
    }
}
