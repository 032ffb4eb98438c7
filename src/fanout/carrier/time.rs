//! The times of a carrier: when something is due, and what happens then.

use super::{Carrier, Phase};
use std::time::Instant;

impl Carrier {
    /// The shard drains. The client is told to open no more streams, and has until `leaves_at` if it has none.
    pub(in super::super) fn drain(&mut self, leaves_at: Instant) {
        if matches!(self.phase, Phase::Open { leaves_at: None }) {
            self.connection.drain(&mut self.at_hand.out);
            self.phase = Phase::Open { leaves_at: Some(Box::new(leaves_at)) };
        }
    }

    /// When the connection closes, if it has no stream then.
    fn leaves_at(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Open { leaves_at } => leaves_at.as_deref().copied().filter(|_| self.connection.is_idle()),
            Phase::Ending { .. } | Phase::Closing { .. } => None,
        }
    }

    /// When something is due, as the shard has noted it.
    pub(in super::super) fn due(&self) -> Option<Instant> {
        self.due.as_deref().copied()
    }

    /// The shard has noted when something is due.
    pub(in super::super) fn set_due(&mut self, due: Option<Instant>) {
        self.due = due.map(Box::new);
    }

    /// Whether its last time is over.
    pub(in super::super) fn is_overdue(&self, now: Instant) -> bool {
        !self.is_open() && self.deadline().is_some_and(|until| until <= now)
    }

    /// Our side is closed.
    pub(in super::super) fn closes(&mut self, until: Instant) {
        self.phase = Phase::Closing { until: Box::new(until) };
        self.is_ready = true;
    }

    /// When something is due.
    pub(in super::super) fn deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Open { .. } => {
                let patience = self.at_hand.held_up.as_ref().and_then(|held_up| held_up.patience);
                [self.connection.deadline(), self.leaves_at(), patience].into_iter().flatten().min()
            }
            Phase::Ending { until } | Phase::Closing { until } => Some(**until),
        }
    }

    /// Does what is due. Returns whether the connection ends by that.
    pub(in super::super) fn expire(&mut self, now: Instant) -> bool {
        self.at_hand.lose_patience(now);
        if self.leaves_at().is_some_and(|at| at <= now) {
            self.connection.leave(&mut self.at_hand.out);
        }
        self.connection.expire(now, &mut self.at_hand.out).is_some()
    }
}
