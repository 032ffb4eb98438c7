//! Reads a response's bytes as they come: the head, the chunks if there are any, and the lines of the events.
//!
//! Nothing is allocated, and of the bytes only the beginning of an incomplete line is kept.

use super::event::Stamp;
use memchr::memchr;

/// The part of a line that must be kept: it holds every line of a head that matters, and the stamp of an event.
const LINE: usize = 72;

/// What a response contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Item {
    /// The head is complete. `None`: its first line is invalid.
    Head { status: Option<u16> },
    /// An event. `None`: its data is not from this benchmark, such as that of a gap event.
    Event { stamp: Option<Stamp>, size: usize },
    /// A comment line, such as a heartbeat.
    Comment,
    /// The response is complete. Nothing may follow.
    End,
    /// The bytes are not valid HTTP or SSE. No more is read.
    Broken,
}

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
    /// The incomplete line of the body.
    line: Line,
    /// The stamp and the size of the data of the incomplete event.
    event: Option<(Option<Stamp>, usize)>,
    /// The event has a type, so it is not from this benchmark.
    typed: bool,
}

impl Default for Response {
    fn default() -> Self {
        Self {
            phase: Phase::Head,
            status: None,
            chunked: false,
            frame: Line::default(),
            line: Line::default(),
            event: None,
            typed: false,
        }
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
                    self.body(bytes, sink);
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
        self.body(&here[..here.len().min(left.saturating_sub(2))], sink);
        rest
    }

    fn trailer<'a>(&mut self, bytes: &'a [u8], sink: &mut impl FnMut(Item)) -> &'a [u8] {
        let (line, rest) = self.frame.take(bytes);
        let Some((line, _)) = line else { return rest };
        self.phase = Phase::Over;
        sink(if line.is_empty() { Item::End } else { Item::Broken });
        rest
    }

    fn body(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(Item)) {
        let mut line = std::mem::take(&mut self.line);
        while let (Some((text, size)), rest) = line.take(bytes) {
            self.text(text, size, sink);
            line.clear();
            bytes = rest;
        }
        self.line = line;
    }

    /// Reads one line of `size` bytes that begins with `text`.
    fn text(&mut self, text: &[u8], size: usize, sink: &mut impl FnMut(Item)) {
        if let Some(data) = text.strip_prefix(b"data: ") {
            // Data of several lines is not from this benchmark.
            let stamp = if self.event.is_none() { Stamp::parse(data) } else { None };
            self.event = Some((stamp, size.saturating_sub("data: ".len())));
        } else if text.is_empty() {
            if let Some((stamp, size)) = self.event.take() {
                sink(Item::Event { stamp: stamp.filter(|_| !self.typed), size });
            }
            self.typed = false;
        } else if text.starts_with(b":") {
            sink(Item::Comment);
        } else if text.starts_with(b"event:") {
            self.typed = true;
        } else if !(text.starts_with(b"id:") || text.starts_with(b"retry:")) {
            sink(Item::Broken);
        }
    }
}

/// An incomplete line: its beginning, and its length so far.
#[derive(Debug)]
struct Line {
    beginning: [u8; LINE],
    size: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self { beginning: [0; LINE], size: 0 }
    }
}

impl Line {
    /// The line that ends in `bytes` without its end, its size, and the bytes after it. If the line began in earlier
    /// bytes, it is cut short after [`LINE`] bytes. The caller clears this afterwards.
    fn take<'line, 'piece: 'line>(
        &'line mut self,
        bytes: &'piece [u8],
    ) -> (Option<(&'line [u8], usize)>, &'piece [u8]) {
        let Some(end) = memchr(b'\n', bytes) else {
            self.push(bytes);
            return (None, &[]);
        };
        let (here, rest) = (&bytes[..end], &bytes[end + 1..]);
        let (text, size) = if self.size == 0 {
            (here, here.len())
        } else {
            self.push(here);
            (&self.beginning[..self.size.min(LINE)], self.size)
        };
        let line = text.strip_suffix(b"\r").unwrap_or(text);
        (Some((line, size - (text.len() - line.len()))), rest)
    }

    fn push(&mut self, bytes: &[u8]) {
        let from = self.size.min(LINE);
        let fits = bytes.len().min(LINE - from);
        self.beginning[from..from + fits].copy_from_slice(&bytes[..fits]);
        self.size += bytes.len();
    }

    fn clear(&mut self) {
        self.size = 0;
    }
}

/// The status code in a response's first line.
fn status(line: &[u8]) -> Option<u16> {
    let digits = line.strip_prefix(b"HTTP/1.1 ").or_else(|| line.strip_prefix(b"HTTP/1.0 "))?.get(..3)?;
    str::from_utf8(digits).ok()?.parse().ok()
}
