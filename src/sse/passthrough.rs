//! Bytes that pass unchanged, with inserted lines between them.

use std::mem;

use bytes::Bytes;
use memchr::memchr2;

use super::bom::LeadingBom;

const DATA: &[u8] = b"data";

/// Follows a stream that is passed on as the origin sends it, and knows where a comment line may be inserted.
///
/// Every chunk goes through [`pass`](Self::pass). Before it inserts lines, the caller asks [`insert`](Self::insert).
/// The bytes do not change, with one exception: if a line was inserted before them, a byte order mark at their start
/// is dropped, because it would no longer be the first thing that a client reads.
#[derive(Debug, Default)]
pub struct Passthrough {
    bom: LeadingBom,
    /// The last byte of the origin that went to the client. `None`: none has yet.
    last: Option<u8>,
    /// A line was inserted before the origin's first byte.
    preceded: bool,
    line: Line,
    after_cr: bool,
    /// The present block has a `data` line.
    has_data: bool,
    /// The present block has a line that is not empty.
    has_lines: bool,
    events: u64,
}

/// What has been read of the present line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// This many bytes, which are the first bytes of `data`. 0: none.
    Data(usize),
    /// Something that makes the rest of the line irrelevant.
    Rest,
}

impl Default for Line {
    fn default() -> Self {
        Self::Data(0)
    }
}

impl Passthrough {
    /// For the start of a response.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the origin and returns the bytes to send on. They are the same, except for a byte
    /// order mark as described above. There may be none: up to two bytes that may begin such a mark are held back.
    #[must_use]
    pub fn pass(&mut self, chunk: Bytes) -> Bytes {
        let stripped = self.bom.strip(chunk.clone());
        self.read(&stripped);
        let passed = if self.preceded { stripped } else { chunk };
        self.last = passed.last().copied().or(self.last);
        passed
    }

    /// At the end of the response: the bytes that are still held back, which are sent last. Mostly there are none.
    #[must_use]
    pub fn finish(&mut self) -> Bytes {
        let held = self.bom.release();
        if self.preceded { held } else { Bytes::new() }
    }

    /// Whether a comment or `retry` line can be inserted here without a change to what clients make of the origin's
    /// bytes. It can before the first byte and after an LF. After a CR an LF may follow, and anywhere else a line is
    /// incomplete.
    #[must_use]
    pub fn can_insert(&self) -> bool {
        matches!(self.last, None | Some(b'\n'))
    }

    /// Asks to insert lines here. `true`: the caller must insert them now, each with an LF at its end.
    #[must_use]
    pub fn insert(&mut self) -> bool {
        self.preceded |= self.last.is_none();
        self.can_insert()
    }

    /// Whether an event can be inserted here: no block of the origin has begun.
    #[must_use]
    pub fn is_between_events(&self) -> bool {
        self.can_insert() && !self.has_lines
    }

    /// The number of events dispatched so far: blocks with a `data` field that have ended.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.events
    }

    fn read(&mut self, mut bytes: &[u8]) {
        loop {
            if self.line == Line::Rest {
                let end = memchr2(b'\n', b'\r', bytes);
                bytes = end.and_then(|end| bytes.get(end..)).unwrap_or_default();
            }
            let Some((byte, rest)) = bytes.split_first() else { return };
            self.read_byte(*byte);
            bytes = rest;
        }
    }

    fn read_byte(&mut self, byte: u8) {
        let after_cr = mem::replace(&mut self.after_cr, byte == b'\r');
        match (byte, self.line) {
            (b'\n', _) if after_cr => {}
            (b'\r' | b'\n', line) => {
                if line == Line::Data(0) {
                    self.events = self.events.saturating_add(mem::take(&mut self.has_data).into());
                }
                // An empty line ends the block.
                self.has_lines = line != Line::Data(0);
                self.has_data |= line == Line::Data(DATA.len());
                self.line = Line::Data(0);
            }
            (byte, Line::Data(read)) if DATA.get(read) == Some(&byte) => self.line = Line::Data(read.saturating_add(1)),
            (byte, line) => {
                self.has_data |= byte == b':' && line == Line::Data(DATA.len());
                self.line = Line::Rest;
            }
        }
    }
}
