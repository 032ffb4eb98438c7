//! What a client that keeps up is still to be given.

use super::stream::{Reading, State, Stream};
use crate::replay::Seq;
use std::num::NonZeroU64;

/// A hold in a stream's log: the entries from a position on stay until it ends, even if the log drops them. It is moved
/// and ended under the stream's lock.
#[derive(Debug, Default)]
pub(super) struct Hold(
    /// One more than the position, so that no hold takes no room of its own.
    Option<NonZeroU64>,
);

impl Hold {
    /// The position that is held.
    pub(super) fn position(&self) -> Option<Seq> {
        self.0.map(|next| Seq(next.get() - 1))
    }

    /// Holds `seq` from now on, and nothing before it.
    pub(super) fn set(&mut self, stream: &Stream, locked: &mut State, seq: Seq) {
        let before = self.position();
        self.0 = NonZeroU64::new(seq.0.saturating_add(1));
        match before {
            None => locked.log.hold(seq),
            Some(before) => stream.change_holds(locked, |log| log.move_hold(before, seq)),
        }
    }

    /// Holds `seq` instead of an earlier position. Without a hold, there is none afterwards.
    pub(super) fn advance(&mut self, stream: &Stream, locked: &mut State, seq: Seq) {
        if self.0.is_some() {
            self.set(stream, locked, seq);
        }
    }

    /// The client was read for at `cursor`. The hold stays there until the next read, in case the client does not take
    /// all of what was found. A client that has caught up keeps up from now on.
    pub(super) fn found(&mut self, stream: &Stream, locked: &mut State, cursor: Seq, reading: &Reading) {
        match reading {
            Reading::To(_) | Reading::Ended(_) => self.advance(stream, locked, cursor),
            Reading::CaughtUp => self.set(stream, locked, cursor),
            Reading::Lagged(_) => self.end(stream, locked),
        }
    }

    /// Holds nothing any more.
    pub(super) fn end(&mut self, stream: &Stream, locked: &mut State) {
        if let Some(seq) = self.take().position() {
            stream.change_holds(locked, |log| log.release(seq, 1));
        }
    }

    /// Hands the hold over.
    pub(super) fn take(&mut self) -> Self {
        Self(self.0.take())
    }
}

/// Holds that were handed over and end together.
#[derive(Debug, Default)]
pub(super) struct Handed(
    /// The positions that are held, and by how many. Nearly always it is one position.
    Vec<(Seq, u32)>,
);

impl Handed {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(&mut self, mut hold: Hold) {
        let Some(seq) = hold.take().position() else { return };
        match self.0.iter_mut().find(|(held, _)| *held == seq) {
            Some((_, holders)) => *holders += 1,
            None => self.0.push((seq, 1)),
        }
    }

    pub(super) fn end(&mut self, stream: &Stream, locked: &mut State) {
        for (seq, holders) in self.0.drain(..) {
            stream.change_holds(locked, |log| log.release(seq, holders));
        }
    }
}
