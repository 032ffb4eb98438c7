//! A client of the model, and what it must get.

use super::model::{Ending, PATHS};
use super::*;
use crate::sse::{Decoder, Item};

/// A client, and what it must get.
pub(super) struct Expecting {
    pub(super) reader: Reader,
    pub(super) link: Link,
    pub(super) path: usize,
    pub(super) framing: Framing,
    /// What was read and is no whole chunk.
    pub(super) partial: Vec<u8>,
    pub(super) decoder: Decoder,
    /// The index of the next event that the client must get.
    pub(super) next: usize,
    /// The last chunk came.
    pub(super) is_orderly: bool,
    /// Its permission ends soon.
    pub(super) expires: bool,
    /// It was told that its permission is over.
    pub(super) is_expired: bool,
}

impl Expecting {
    /// Judges what the client has read since the last call. Returns how many events it got.
    pub(super) fn advance(&mut self, published: &[Vec<Bytes>], skips: bool, gaps: &mut usize) -> usize {
        self.partial.append(&mut self.reader.heard);
        let text = self.text();
        self.decoder.push(text);
        let mut events = 0;
        while let Some(item) = self.decoder.next_item() {
            let Item::Event(event) = item else { continue };
            assert!(!self.is_expired, "nothing follows the end of the permission: {self:?}");
            if &event.event_type[..] == b"expired" {
                self.is_expired = true;
            } else if &event.event_type[..] == b"gap" {
                assert!(skips, "{self:?}");
                let told = std::str::from_utf8(&event.data).unwrap();
                let missed = told.strip_prefix(r#"{"reason":"lag","missed":"#).and_then(|told| told.strip_suffix('}'));
                self.next += missed.unwrap().parse::<usize>().unwrap();
                *gaps += 1;
            } else {
                let expected = published[self.path].get(self.next);
                assert!(
                    expected == Some(&event.data),
                    "not {:?}: {self:?}",
                    event.data.slice(..event.data.len().min(9))
                );
                self.next += 1;
                events += 1;
            }
        }
        events
    }

    /// Takes the text out of what was read: that of whole chunks, if the response is chunked.
    fn text(&mut self) -> Bytes {
        if self.framing == Framing::UntilClose {
            return std::mem::take(&mut self.partial).into();
        }
        let mut text = Vec::new();
        let mut rest = &self.partial[..];
        while let Some(line) = rest.windows(2).position(|bytes| bytes == b"\r\n") {
            let size = std::str::from_utf8(&rest[..line]).unwrap();
            let size = usize::from_str_radix(size, 16).unwrap();
            let Some(chunk) = rest.get(line + 2..line + 2 + size + 2) else { break };
            assert!(!self.is_orderly, "nothing follows the last chunk");
            assert!(chunk.ends_with(b"\r\n"));
            self.is_orderly = size == 0;
            text.extend_from_slice(&chunk[..size]);
            rest = &rest[line + 2 + size + 2..];
        }
        self.partial = rest.to_vec();
        text.into()
    }

    /// Whether the client has got all that it can get.
    pub(super) fn is_done(&self, ending: Ending, published: &[Vec<Bytes>]) -> bool {
        let has_all = self.next == published[self.path].len();
        self.link == Link::Ended || (has_all && ending == Ending::Reads && !self.expires)
    }
}

impl std::fmt::Debug for Expecting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { link, path, framing, next, is_orderly, .. } = self;
        write!(f, "{link:?} {} {framing:?} next {next} orderly {is_orderly}", PATHS[*path])
    }
}
