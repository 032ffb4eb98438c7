//! What is kept of a request's body for another try.

use bytes::{Bytes, BytesMut};

/// The most bytes of a request's body that are kept for another try.
const MOST_KEPT_BYTES: usize = 64 << 10;

/// The body as far as it was read.
#[derive(Debug, Default)]
pub(super) struct Kept {
    bytes: BytesMut,
    is_truncated: bool,
}

impl Kept {
    /// Adds what was read, unless it is too much.
    pub(super) fn keep(&mut self, bytes: &[u8]) {
        self.is_truncated |= self.bytes.len() + bytes.len() > MOST_KEPT_BYTES;
        if !self.is_truncated {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// Whether it was too much to be kept.
    pub(super) fn is_truncated(&self) -> bool {
        self.is_truncated
    }

    /// The body as far as it was read, unless that is nothing or too much.
    pub(super) fn whole(&self) -> Option<Bytes> {
        let is_whole = !self.is_truncated && !self.bytes.is_empty();
        is_whole.then(|| self.bytes.clone().freeze())
    }
}
