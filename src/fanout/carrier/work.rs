//! What a carrier has at hand. Most carriers wait for the next event and have nothing at hand, so it takes memory only while
//! there is some.

use super::super::h2::Outgoing;
use super::answering::Answering;
use crate::hub::Kept;
use std::ops::{Deref, DerefMut};
use std::time::Instant;

/// What a connection has at hand.
#[derive(Debug)]
pub(super) struct Work {
    /// What the streams are sent in this turn.
    pub(super) outgoing: Outgoing,
    /// What is sent before it: heads, and the frames of the connection itself.
    pub(super) out: Vec<u8>,
    /// What the socket did not take, which goes before all else.
    pub(super) rest: Vec<u8>,
    /// `None`: the socket took all.
    pub(super) held_up: Option<HeldUp>,
    /// What the client sent and is not read yet, because many requests wait for a decision.
    pub(super) unread: Vec<u8>,
    /// The streams whose requests are being answered elsewhere.
    pub(super) answering: Vec<Answering>,
}

/// What is kept because the socket accepts no more.
#[derive(Debug)]
pub(super) struct HeldUp {
    /// The bytes, as they count among those of all slow clients.
    pub(super) kept: Kept,
    /// The patience with the client ends then. `None`: it is over.
    pub(super) patience: Option<Instant>,
}

impl Work {
    const NONE: Self = Self {
        outgoing: Outgoing::NONE,
        out: Vec::new(),
        rest: Vec::new(),
        held_up: None,
        unread: Vec::new(),
        answering: Vec::new(),
    };

    /// Whether all that was to be sent is sent.
    pub(super) fn is_sent(&self) -> bool {
        self.rest.is_empty() && self.out.is_empty() && self.outgoing.is_empty()
    }

    fn is_done(&self) -> bool {
        self.is_sent() && self.held_up.is_none() && self.unread.is_empty() && self.answering.is_empty()
    }
}

/// The work of a connection. It is made when it is first changed, and lasts until it is [put away](Self::put_away).
#[derive(Debug, Default)]
pub(super) struct AtHand(Option<Box<Work>>);

impl AtHand {
    /// Frees the memory, if nothing is at hand.
    pub(super) fn put_away(&mut self) {
        if self.0.as_ref().is_some_and(|work| work.is_done()) {
            self.0 = None;
        }
    }

    /// Ends the patience with a client whose socket accepts no more, if it is time.
    pub(super) fn lose_patience(&mut self, now: Instant) {
        if let Some(held_up) = self.0.as_mut().and_then(|work| work.held_up.as_mut())
            && held_up.patience.is_some_and(|until| until <= now)
        {
            held_up.patience = None;
        }
    }

    #[cfg(test)]
    pub(super) fn is_put_away(&self) -> bool {
        self.0.is_none()
    }
}

impl Deref for AtHand {
    type Target = Work;

    fn deref(&self) -> &Work {
        static NONE: Work = Work::NONE;
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl DerefMut for AtHand {
    fn deref_mut(&mut self) -> &mut Work {
        self.0.get_or_insert_with(|| Box::new(Work::NONE))
    }
}
