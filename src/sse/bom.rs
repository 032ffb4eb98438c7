//! The byte order mark that may stand at the head of a stream.

use std::mem;

use bytes::{Buf, Bytes};

/// U+FEFF in UTF-8.
pub(super) const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Drops one byte order mark from the very start of a stream, as the Encoding standard's "UTF-8 decode" does.
///
/// At most two bytes are held back, and only until it is plain whether they begin a mark.
#[derive(Debug, Default)]
pub(super) struct LeadingBom {
    /// How many bytes of a possible mark have come. Invariant: less than the mark's length, and 0 once settled.
    held: usize,
    /// The question is answered: the stream is past its head.
    settled: bool,
}

impl LeadingBom {
    /// The bytes of the stream without the mark: `chunk` itself, once the head of the stream has passed.
    pub(super) fn strip(&mut self, mut chunk: Bytes) -> Bytes {
        if self.settled {
            return chunk;
        }
        let wanted = BOM.get(self.held..).unwrap_or_default();
        let matching = wanted.iter().zip(&chunk).take_while(|(wanted, found)| wanted == found).count();
        if matching == wanted.len() {
            *self = Self { held: 0, settled: true };
            chunk.advance(matching);
            return chunk;
        }
        if matching == chunk.len() {
            self.held = self.held.saturating_add(matching);
            return Bytes::new();
        }
        let held = self.release();
        if held.is_empty() { chunk } else { [held, chunk].concat().into() }
    }

    /// Gives up what is held back: it was no mark, or the stream has ended within it.
    pub(super) fn release(&mut self) -> Bytes {
        self.settled = true;
        Bytes::from_static(BOM.get(..mem::take(&mut self.held)).unwrap_or_default())
    }
}
