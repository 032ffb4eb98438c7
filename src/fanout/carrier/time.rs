//! The times of a carrier: when something is due, and what happens then.

use super::{Carrier, Phase};
use std::time::Instant;

impl Carrier {
    /// The shard drains. The client is told to open no more streams, and has until `leaves_at` if it has none.
    pub(in super::super) fn drain(&mut self, leaves_at: Instant) {
        if self.leaves_at.is_none() {
            self.connection.drain(&mut self.at_hand.out);
            self.leaves_at = Some(leaves_at);
        }
    }

    /// When something is due.
    pub(in super::super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open => {
                let leaves_at = self.leaves_at.filter(|_| self.connection.is_idle());
                let patience = self.at_hand.held_up.as_ref().and_then(|held_up| held_up.patience);
                [self.connection.deadline(), leaves_at, patience].into_iter().flatten().min()
            }
            Phase::Ending { until } | Phase::Closing { until } => Some(until),
        }
    }

    /// Does what is due. Returns whether the connection ends by that.
    pub(in super::super) fn expire(&mut self, now: Instant) -> bool {
        self.at_hand.lose_patience(now);
        if self.leaves_at.is_some_and(|at| at <= now) && self.connection.is_idle() {
            self.connection.leave(&mut self.at_hand.out);
        }
        self.connection.expire(now, &mut self.at_hand.out).is_some()
    }
}
