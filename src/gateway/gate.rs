//! How many of a client's bytes a reader of its connection gets.

use super::chunks::Chunks;

/// Limits how many of the client's bytes a reader of the connection gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    /// No limit: the end of the request is not known, or the protocol is not HTTP/1.
    Open,
    /// At most this many more bytes.
    Bytes(u64),
    /// This many bytes of a head, then a chunked body.
    Chunked { head: u64, body: Chunks },
}

impl Gate {
    /// Lets a reader have as many of the next bytes as the limit allows. Returns their number. The reader must take all
    /// of them.
    pub(super) fn pass(&mut self, bytes: &[u8]) -> usize {
        match self {
            Self::Open => bytes.len(),
            Self::Bytes(left) => {
                let given = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= given as u64;
                given
            }
            Self::Chunked { head: 0, body } => {
                let given = body.scan(bytes);
                if body.is_done() {
                    *self = Self::Bytes(0);
                }
                given
            }
            Self::Chunked { head, .. } => {
                let given = usize::try_from(*head).unwrap_or(usize::MAX).min(bytes.len());
                *head -= given as u64;
                given
            }
        }
    }
}
