//! A client in a session that reads a shared stream, and the text that is being written to it.

use crate::fanout::{Fallen, Pace};
use crate::hub::{Arrivals, Pin};
use bytes::Bytes;

/// The most bytes that are written at once. A stream of HTTP/2 that does not take this many bytes within `stall_secs`
/// counts as stalled. A client that is merely slow takes them.
pub(super) const PIECE_BYTES: usize = 16 << 10;

/// The pieces of a text that is larger than this are copies. So a slow client that is near the end of the text keeps
/// only that end.
const LARGE: usize = 4 * PIECE_BYTES;

/// A client as the reader of a shared stream. While a write to it waits, the stream is told whether bytes arrive there,
/// and the client is judged for what the log drops.
#[derive(Debug)]
pub(super) struct Reader {
    arrivals: Arrivals,
    pace: Pace,
}

/// A text that is being written. It may be an event that the log has dropped.
#[derive(Debug)]
pub(super) struct Writing {
    /// The right to keep the text, though the log has dropped it. It ends before the text is freed.
    pin: Option<Pin>,
    text: Bytes,
    /// How much of the text was given to be written.
    given: usize,
    /// The bytes that the text keeps in memory. It may be the rest of a larger one.
    whole: usize,
}

impl Reader {
    /// `pace`: the policy of the client's route.
    pub(super) fn new(arrivals: Arrivals, pace: Pace) -> Self {
        Self { arrivals, pace }
    }

    /// The policy of the client's route changed.
    pub(super) fn renew(&mut self, pace: &Pace) {
        self.pace = pace.clone();
    }

    /// The client received bytes that it was sent before.
    pub(super) fn arrived(&self) {
        self.arrivals.arrived();
    }

    /// The client received nothing for a while.
    pub(super) fn found_slow(&self) {
        self.arrivals.found_slow();
    }

    /// Whether the client lags: its next event fell off the log, or slow clients keep too much of what did.
    pub(super) fn lags(&self, writing: &mut Writing) -> bool {
        let Some((cursor, readable)) = self.arrivals.positions() else { return false };
        match self.pace.fallen(cursor, readable) {
            None => false,
            Some(Fallen::Departs(_)) => true,
            Some(Fallen::Keeps) => !writing.keeps(|rest, whole| self.arrivals.pin(rest, whole)),
        }
    }
}

impl Writing {
    pub(super) fn of(text: Bytes) -> Self {
        Self { pin: None, given: 0, whole: text.len(), text }
    }

    /// The next piece to write.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        let rest = self.text.slice(self.given..);
        let piece = rest.slice(..rest.len().min(PIECE_BYTES));
        self.given += piece.len();
        (!piece.is_empty()).then(|| if self.whole > LARGE { Bytes::copy_from_slice(&piece) } else { piece })
    }

    /// The log has dropped the text. Returns whether the client may keep it, which `pin` says.
    fn keeps(&mut self, pin: impl FnOnce(&mut Bytes, usize) -> Option<Pin>) -> bool {
        if self.whole > LARGE {
            // What was given was copied.
            self.text = self.text.slice(std::mem::take(&mut self.given)..);
        }
        if self.pin.is_none() && !self.text.is_empty() {
            self.pin = pin(&mut self.text, self.whole);
        }
        self.pin.is_some() || self.text.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_written_in_pieces_whatever_becomes_of_its_rest() {
        for (bytes, is_copied) in [(0, false), (1, false), (LARGE, false), (LARGE + 1, true), (10 * PIECE_BYTES, true)]
        {
            let text: Bytes = (b'a'..=b'z').cycle().take(bytes).collect();
            let (mut writing, mut written) = (Writing::of(text.clone()), Vec::new());
            while let Some(piece) = writing.next() {
                assert!(piece.len() <= PIECE_BYTES);
                written.extend_from_slice(&piece);
                let mut asked = None;
                writing.keeps(|rest, whole| {
                    asked = Some((rest.clone(), whole));
                    *rest = Bytes::copy_from_slice(rest);
                    None
                });
                let expected = if is_copied { text.slice(written.len()..) } else { text.clone() };
                assert_eq!(asked.map(|(rest, _)| rest), Some(expected).filter(|rest| !rest.is_empty()));
            }
            assert!(written == text, "{bytes}");
        }
    }
}
