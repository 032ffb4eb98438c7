//! The byte order mark that may stand at the start of a stream.

use std::mem;

use bytes::{Buf, Bytes};

/// U+FEFF in UTF-8.
pub(super) const BOM: &[u8] = b"\xEF\xBB\xBF";

/// Drops one byte order mark from the very start of a stream, as the Encoding standard's "UTF-8 decode" does.
///
/// At most two bytes are held back, until it is clear whether they begin a mark.
#[derive(Debug, Default)]
pub(super) struct LeadingBom {
    /// The number of bytes held back. Invariant: less than the mark's length, and 0 once settled.
    held: usize,
    /// It is known whether the stream begins with a mark.
    settled: bool,
}

impl LeadingBom {
    /// The bytes of the stream without the mark. Once that is settled, they are `chunk` itself.
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

    /// Returns the bytes held back: they are no mark, or the stream has ended within one.
    pub(super) fn release(&mut self) -> Bytes {
        self.settled = true;
        Bytes::from_static(BOM.get(..mem::take(&mut self.held)).unwrap_or_default())
    }
}
