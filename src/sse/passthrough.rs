//! Bytes that pass unchanged, with lines of our own in between.

use std::mem;

use bytes::Bytes;
use memchr::memchr2;

use super::bom::LeadingBom;

const DATA: &[u8] = b"data";

/// Follows a stream that is passed on as the origin sends it, and knows where a comment line may be put in.
///
/// Every chunk goes through [`pass`](Self::pass), and whoever wants to put something in asks [`insert`](Self::insert). The
/// bytes come out as they went in, with one exception: if something stands before them, a byte order mark at their start is
/// dropped, because it would no longer be the first thing that a client reads.
#[derive(Debug, Default)]
pub struct Passthrough {
    bom: LeadingBom,
    /// The last byte that went out to the client; `None`: nothing of the origin's has.
    last: Option<u8>,
    /// Something was put in before the origin's first byte.
    preceded: bool,
    line: Line,
    after_cr: bool,
    /// The present block has a `data` line.
    has_data: bool,
    events: u64,
}

/// How much of the present line has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// So many bytes, and they are the first ones of `data`. 0: nothing.
    Data(usize),
    /// It does not matter what follows in this line.
    Rest,
}

impl Default for Line {
    fn default() -> Self {
        Self::Data(0)
    }
}

impl Passthrough {
    /// At the start of a response.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the origin and gives those to send on, which are the same but for a byte order mark as
    /// told above. It may give none: a byte or two that might begin such a mark are held back.
    #[must_use]
    pub fn pass(&mut self, chunk: Bytes) -> Bytes {
        let stripped = self.bom.strip(chunk.clone());
        self.read(&stripped);
        let passed = if self.preceded { stripped } else { chunk };
        self.last = passed.last().copied().or(self.last);
        passed
    }

    /// At the end of the response: the bytes that are held back, to be sent as the last ones. Mostly none.
    #[must_use]
    pub fn finish(&mut self) -> Bytes {
        let held = self.bom.release();
        if self.preceded { held } else { Bytes::new() }
    }

    /// Whether a comment or `retry` line can be put in here without changing what any client makes of the origin's bytes:
    /// before them all, or right behind an LF. Behind a CR an LF may follow, and elsewhere a line is not complete.
    #[must_use]
    pub fn can_insert(&self) -> bool {
        matches!(self.last, None | Some(b'\n'))
    }

    /// Asks to put lines in here. `true`: it can be done, and the caller does it now, with LF at the end of each line.
    #[must_use]
    pub fn insert(&mut self) -> bool {
        self.preceded |= self.last.is_none();
        self.can_insert()
    }

    /// How many events the stream has dispatched so far: blocks with a `data` field that have ended.
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
