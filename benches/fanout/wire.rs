//! Reads a response of HTTP/1.1 as it comes: the head, the chunks if there are any, and the text in them.
//!
//! Nothing is allocated, and of the bytes only the beginning of an incomplete line is kept.

use super::text::{Item, Line, Text};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Head,
    /// The line with a chunk's size.
    ChunkSize,
    /// This many bytes of a chunk and of the line end after it are to come.
    Chunk(usize),
    /// The line after the last chunk.
    Trailer,
    /// The body is not chunked.
    Plain,
    Over,
}

/// One response, as far as it was read.
#[derive(Debug)]
pub(crate) struct Response {
    phase: Phase,
    status: Option<u16>,
    chunked: bool,
    /// The incomplete line of the head or of a chunk's size.
    frame: Line,
    text: Text,
}

impl Default for Response {
    fn default() -> Self {
        Self { phase: Phase::Head, status: None, chunked: false, frame: Line::default(), text: Text::default() }
    }
}

impl Response {
    /// Whether the head is complete.
    pub(crate) fn is_begun(&self) -> bool {
        self.phase != Phase::Head
    }

    /// Reads the next bytes, and passes what they contain to `sink`.
    pub(crate) fn read(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(Item)) {
        while !bytes.is_empty() {
            bytes = match self.phase {
                Phase::Head => self.head(bytes, sink),
                Phase::ChunkSize => self.chunk_size(bytes, sink),
                Phase::Chunk(left) => self.chunk(left, bytes, sink),
                Phase::Trailer => self.trailer(bytes, sink),
                Phase::Plain => {
                    self.text.read(bytes, sink);
                    &[]
                }
                Phase::Over => {
                    sink(Item::Broken);
                    &[]
                }
            };
        }
    }

    fn head<'a>(&mut self, bytes: &'a [u8], sink: &mut impl FnMut(Item)) -> &'a [u8] {
        let (line, rest) = self.frame.take(bytes);
        let Some((line, _)) = line else { return rest };
        if self.status.is_none() {
            self.status = Some(status(line).unwrap_or(0));
        } else if line.is_empty() {
            self.phase = if self.chunked { Phase::ChunkSize } else { Phase::Plain };
            sink(Item::Head { status: self.status.filter(|&status| status != 0) });
        } else if line.eq_ignore_ascii_case(b"transfer-encoding: chunked") {
            self.chunked = true;
        }
        self.frame.clear();
        rest
    }

    fn chunk_size<'a>(&mut self, bytes: &'a [u8], sink: &mut impl FnMut(Item)) -> &'a [u8] {
        let (line, rest) = self.frame.take(bytes);
        let Some((line, _)) = line else { return rest };
        match str::from_utf8(line).ok().and_then(|size| usize::from_str_radix(size, 16).ok()) {
            Some(0) => self.phase = Phase::Trailer,
            Some(size) => self.phase = Phase::Chunk(size.saturating_add(2)),
            None => {
                self.phase = Phase::Over;
                sink(Item::Broken);
                return &[];
            }
        }
        self.frame.clear();
        rest
    }

    fn chunk<'a>(&mut self, left: usize, bytes: &'a [u8], sink: &mut impl FnMut(Item)) -> &'a [u8] {
        let (here, rest) = bytes.split_at(left.min(bytes.len()));
        self.phase = if here.len() == left { Phase::ChunkSize } else { Phase::Chunk(left - here.len()) };
        // The last two bytes are the chunk's line end.
        self.text.read(&here[..here.len().min(left.saturating_sub(2))], sink);
        rest
    }

    fn trailer<'a>(&mut self, bytes: &'a [u8], sink: &mut impl FnMut(Item)) -> &'a [u8] {
        let (line, rest) = self.frame.take(bytes);
        let Some((line, _)) = line else { return rest };
        self.phase = Phase::Over;
        sink(if line.is_empty() { Item::End } else { Item::Broken });
        rest
    }
}

/// The status code in a response's first line.
fn status(line: &[u8]) -> Option<u16> {
    let digits = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "))?.get(..3)?;
    str::from_utf8(digits).ok()?.parse().ok()
}
