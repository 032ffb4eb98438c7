//! The bytes that a client sends while its response lasts.

use super::terms::MOST_KEPT_BYTES;

/// The bytes that a client sent after its request.
#[derive(Debug, Default)]
pub(super) struct Strays {
    /// The number of all these bytes, whether they were kept or not.
    bytes: usize,
    /// The bytes themselves, for the next request. `None`: the connection does not serve another request.
    unread: Option<Vec<u8>>,
}

impl Strays {
    /// `is_kept`: the response's head promises that the connection serves another request. `unread`: the bytes that
    /// the client has sent by now.
    pub(super) fn new(is_kept: bool, unread: &[u8]) -> Self {
        let mut strays = Self { bytes: 0, unread: is_kept.then(Vec::new) };
        strays.add(unread);
        strays
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        match &mut self.unread {
            Some(unread) if self.bytes <= MOST_KEPT_BYTES => unread.extend_from_slice(bytes),
            _ => self.unread = None,
        }
    }

    /// The number of bytes that the client sent.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the connection serves another request.
    pub(super) fn is_kept(&self) -> bool {
        self.unread.is_some()
    }

    /// The bytes that the next request begins with.
    pub(super) fn into_unread(self) -> Vec<u8> {
        self.unread.unwrap_or_default()
    }
}
