//! The bytes that a client sends while its response lasts.

use super::terms::MOST_KEPT_BYTES;

/// The bytes that a client sent after its request.
#[expect(clippy::box_collection, reason = "a client that sends none, as nearly all do, has room for a pointer only")]
#[derive(Debug, Default)]
pub(super) struct Strays {
    /// The number of all these bytes, whether they were kept or not. It saturates.
    bytes: u32,
    /// The connection serves another request.
    is_kept: bool,
    /// The bytes themselves, for the next request. Boxed, because few clients send any.
    unread: Option<Box<Vec<u8>>>,
}

impl Strays {
    /// `is_kept`: the response's head promises that the connection serves another request. `unread`: the bytes that
    /// the client has sent by now.
    pub(super) fn new(is_kept: bool, unread: &[u8]) -> Self {
        let mut strays = Self { bytes: 0, is_kept, unread: None };
        strays.add(unread);
        strays
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        self.is_kept &= self.bytes() <= MOST_KEPT_BYTES;
        if !self.is_kept {
            self.unread = None;
        } else if !bytes.is_empty() {
            self.unread.get_or_insert_default().extend_from_slice(bytes);
        }
    }

    /// The number of bytes that the client sent.
    pub(super) fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Whether the connection serves another request.
    pub(super) fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// The bytes that the next request begins with.
    pub(super) fn into_unread(self) -> Vec<u8> {
        self.unread.map_or_else(Vec::new, |unread| *unread)
    }
}
