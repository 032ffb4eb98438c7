//! Chunks to lines: the decoder of an event stream.

use std::mem;

use bytes::{Buf, Bytes};
use memchr::memchr2;

use super::block::{Block, MAX_ID_LINE, may_say_id};
use super::bom::LeadingBom;
use super::event::Item;

/// Turns the bytes of one response into events, wherever they are cut into chunks.
///
/// Push a chunk, then ask for items until there are no more:
///
/// ```
/// use manifold::sse::{Decoder, Item};
///
/// let mut decoder = Decoder::new(1 << 20);
/// decoder.push("data: one\n\ndata: tw".into());
/// let Some(Item::Event(event)) = decoder.next_item() else { unreachable!() };
/// assert_eq!(event.data, "one");
/// assert_eq!(decoder.next_item(), None);
/// ```
///
/// A line ends with the first byte of its terminator. So a CR at the end of a chunk delays nothing, and an LF at the
/// start of the next chunk is ignored as its second half. An event that is incomplete at the end of the response is
/// dropped.
///
/// After it has returned `None`, the decoder keeps no chunk in memory. It holds the incomplete block, in at most
/// three times the given limit (see [`Self::buffered`]), and the last event ID. Of a refused block it holds an id,
/// and a line that may be another `id`. Each has at most [`MAX_ID_BYTES`](super::MAX_ID_BYTES) and a few bytes more.
#[derive(Debug)]
pub struct Decoder {
    bom: LeadingBom,
    /// The bytes that were pushed and not read yet.
    input: Bytes,
    /// The last byte read was a CR. An LF that follows belongs to it.
    after_cr: bool,
    /// The chunk that was pushed last. Events, and what `block` holds, may be slices of it.
    chunk: Bytes,
    open: OpenLine,
    block: Block,
}

/// What earlier chunks contained of the line that is being read.
#[derive(Debug, Default)]
enum OpenLine {
    #[default]
    Empty,
    Field(Vec<u8>),
    /// The line begins with a colon. None of it is kept, whatever its length.
    Comment,
    /// The line is part of a refused block, and may be its `id`.
    RefusedId(Vec<u8>),
    /// The line is part of a refused block, and is not needed.
    Refused,
}

impl Decoder {
    /// A decoder for the start of a response. A block of more than `max_event_bytes` is refused. Its lines count,
    /// each with one byte for its end; comments and the empty line do not.
    #[must_use]
    pub fn new(max_event_bytes: usize) -> Self {
        Self::resuming(max_event_bytes, Bytes::new())
    }

    /// A decoder for the start of a response to a request with this `Last-Event-ID`. It is the last event ID until
    /// the response contains another, as in browsers.
    #[must_use]
    pub fn resuming(max_event_bytes: usize, last_event_id: Bytes) -> Self {
        Self {
            bom: LeadingBom::default(),
            input: Bytes::new(),
            after_cr: false,
            chunk: Bytes::new(),
            open: OpenLine::Empty,
            block: Block::new(max_event_bytes as u64, last_event_id),
        }
    }

    /// Adds the next bytes of the response. Items that were not taken yet are kept, which costs a copy.
    pub fn push(&mut self, chunk: Bytes) {
        let chunk = self.bom.strip(chunk);
        self.block.detach(&self.chunk);
        self.input = if self.input.is_empty() { chunk } else { [mem::take(&mut self.input), chunk].concat().into() };
        self.chunk = self.input.clone();
    }

    /// The next item of the bytes that were pushed. `None`: more bytes are needed.
    pub fn next_item(&mut self) -> Option<Item> {
        loop {
            if self.after_cr && !self.input.is_empty() {
                self.after_cr = false;
                if self.input.starts_with(b"\n") {
                    self.input.advance(1);
                }
            }
            let Some(end) = memchr2(b'\n', b'\r', &self.input) else {
                self.keep_rest();
                return None;
            };
            self.after_cr = self.input.get(end) == Some(&b'\r');
            let item = self.end_line(end);
            self.input.advance(end.saturating_add(1));
            if item.is_some() {
                return item;
            }
        }
    }

    /// The last event ID buffer after the last block that ended, with or without data. A client that reconnects sends
    /// it as `Last-Event-ID`. Empty: none.
    #[must_use]
    pub fn last_event_id(&self) -> &Bytes {
        self.block.last_event_id()
    }

    /// The number of bytes held for the incomplete block and the last event ID, without those that were pushed and
    /// not read.
    #[must_use]
    pub fn buffered(&self) -> usize {
        let line = if let OpenLine::Field(line) | OpenLine::RefusedId(line) = &self.open { line.len() } else { 0 };
        self.block.buffered().saturating_add(line)
    }

    /// At the end of the response: the size of an event that was begun and not ended by an empty line, and so is
    /// dropped. 0: there is no such event.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        let open = if let OpenLine::Field(line) = &self.open { line.len() } else { 0 };
        self.block.unfinished(open)
    }

    /// Ends the line whose terminator is at `end` in the input.
    fn end_line(&mut self, end: usize) -> Option<Item> {
        let rest = self.input.get(..end).unwrap_or_default();
        if let OpenLine::Empty = self.open {
            return self.block.line(&self.input, rest);
        }
        self.open.extend(rest, &mut self.block);
        match mem::take(&mut self.open) {
            OpenLine::Field(line) => {
                let line = Bytes::from(line);
                self.block.line(&line, &line)
            }
            OpenLine::RefusedId(line) => {
                self.block.refused_line(&line);
                None
            }
            OpenLine::Refused => {
                self.block.count(1);
                None
            }
            OpenLine::Empty | OpenLine::Comment => None,
        }
    }

    /// Stores the input, which contains no line end, until more bytes come.
    fn keep_rest(&mut self) {
        let rest = mem::take(&mut self.input);
        self.open.extend(&rest, &mut self.block);
        self.block.detach(&mem::take(&mut self.chunk));
    }
}

impl OpenLine {
    fn extend(&mut self, rest: &[u8], block: &mut Block) {
        let Some(first) = rest.first() else { return };
        *self = match mem::take(self) {
            Self::Empty if *first == b':' => Self::Comment,
            Self::Empty => Self::field(Vec::new(), rest, block),
            Self::Field(line) => Self::field(line, rest, block),
            Self::Comment => Self::Comment,
            Self::RefusedId(line) => {
                block.count(rest.len());
                Self::refused(line, rest)
            }
            Self::Refused => {
                block.count(rest.len());
                Self::Refused
            }
        }
    }

    fn field(mut line: Vec<u8>, rest: &[u8], block: &mut Block) -> Self {
        let len = line.len().saturating_add(rest.len());
        if !block.admits(len) {
            block.refuse(len);
            return Self::refused(line, rest);
        }
        line.extend_from_slice(rest);
        Self::Field(line)
    }

    /// Keeps a line of a refused block as long as it may be the block's `id`.
    #[cold]
    fn refused(mut line: Vec<u8>, rest: &[u8]) -> Self {
        let begin = rest.get(..rest.len().min(MAX_ID_LINE)).unwrap_or_default();
        line.extend_from_slice(begin);
        if begin.len() == rest.len() && may_say_id(&line) { Self::RefusedId(line) } else { Self::Refused }
    }
}
