//! Reads the text of an event stream as it comes: its events and its comments.
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

/// The text of a stream, as far as it was read.
#[derive(Debug, Default)]
pub(crate) struct Text {
    /// The incomplete line.
    line: Line,
    /// The stamp and the size of the data of the incomplete event.
    event: Option<(Option<Stamp>, usize)>,
    /// The event has a type, so it is not from this benchmark.
    typed: bool,
}

impl Text {
    /// Reads the next bytes, and passes what they contain to `sink`.
    pub(crate) fn read(&mut self, mut bytes: &[u8], sink: &mut impl FnMut(Item)) {
        let mut line = std::mem::take(&mut self.line);
        while let (Some((text, size)), rest) = line.take(bytes) {
            self.line(text, size, sink);
            line.clear();
            bytes = rest;
        }
        self.line = line;
    }

    /// Reads one line of `size` bytes that begins with `text`.
    fn line(&mut self, text: &[u8], size: usize, sink: &mut impl FnMut(Item)) {
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
pub(crate) struct Line {
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
    pub(crate) fn take<'line, 'piece: 'line>(
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

    pub(crate) fn clear(&mut self) {
        self.size = 0;
    }
}
