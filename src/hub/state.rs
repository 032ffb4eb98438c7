//! What the state of a stream says of itself, and the change of its phase.

use super::End;
use super::sharing::{Audience, Sharing};
use super::stream::{Phase, State};
use tokio::time::Instant;

impl State {
    /// The stream is in this phase from now on.
    pub(super) fn enter(&mut self, phase: Phase) {
        self.census.is_in(&phase);
        if std::mem::discriminant(&phase) != std::mem::discriminant(&self.phase) {
            self.phase_since = Instant::now();
        }
        self.phase = phase;
    }

    pub(super) fn close(&mut self, end: End, remembered_until: Option<Instant>) -> bool {
        if self.is_closed() {
            return false;
        }
        self.enter(Phase::Closed { end, remembered_until });
        true
    }

    /// Takes note of a new response. If nobody on the stream may have it, closes the stream. Returns whether the
    /// stream goes on.
    pub(super) fn admit(&mut self, sharing: Sharing) -> bool {
        if self.is_closed() {
            return false;
        }
        match self.audience.of_next(sharing, self.has_opener) {
            Some(audience) => self.audience = audience,
            None => _ = self.close(End::Unshareable, None),
        }
        !self.is_closed()
    }

    /// Whether no client is on the stream. On a stream for the opener alone, the other clients do not count: they
    /// were turned away and are about to leave.
    pub(super) fn is_empty(&self) -> bool {
        if self.audience == Audience::Opener { !self.has_opener } else { self.subscribers == 0 }
    }

    /// Whether the stream outlives its last subscriber. It does not if the origin never answered, or if no other
    /// client may be on it.
    pub(super) fn lingers(&self) -> bool {
        (self.head.is_some() || self.is_restored) && self.is_for_everyone()
    }

    /// Whether a client gets no more events.
    pub(super) fn is_over_for(&self, is_opener: bool) -> bool {
        self.is_closed() || !self.audience.includes(is_opener)
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed { .. })
    }
}
