//! From bytes to frames, wherever the bytes are cut.
//!
//! ```text
//!   Preface ──▶ Head ──▶ a frame, or as much of it as means something
//!                ▲          ├─ Data: it is handed on as it comes, then its padding is skipped
//!                └──────────┴─ Skip: the rest means nothing, and is not kept
//! ```
//!
//! A frame that is in one piece is read where it is. Only a half one is copied, and waits in a buffer.

use super::super::clock::Tick;
use super::super::frame::{Code, HEAD_BYTES, Head, PREFACE, StreamId, flag, kind};
use super::super::limits::MOST_FRAME_BYTES;
use super::{Connection, Phase, Step};
use serde::{Deserialize, Serialize};

/// What the next byte belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Reading {
    /// The preface, of which so many bytes came.
    Preface { matched: u8 },
    /// A frame.
    Head,
    /// DATA.
    Data(Data),
    /// So many bytes that mean nothing.
    Skip { left: u16 },
}

/// The rest of a DATA frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Data {
    pub(super) stream: StreamId,
    /// Bytes of the body.
    pub(super) left: u16,
    /// Bytes of padding after them.
    pub(super) padding: u8,
    /// The body ends with the frame.
    pub(super) ends: bool,
}

impl Connection {
    /// Reads the next piece.
    pub(super) fn step<'i>(&mut self, input: &mut &'i [u8], now: Tick, out: &mut Vec<u8>) -> Result<Step<'i>, Code> {
        match self.reading {
            Reading::Preface { matched } => self.read_preface(matched, input),
            Reading::Head => self.read_frame(input, now, out),
            Reading::Data(data) => self.read_data(data, input, now, out),
            Reading::Skip { left: 0 } => {
                self.reading = Reading::Head;
                Ok(Step::On)
            }
            Reading::Skip { left } => {
                let skipped = split(input, left.into()).len();
                self.reading = Reading::Skip { left: left.saturating_sub(small(skipped)) };
                Ok(if skipped == 0 { Step::Wait } else { Step::On })
            }
        }
    }

    fn read_preface<'i>(&mut self, matched: u8, input: &mut &[u8]) -> Result<Step<'i>, Code> {
        let missing = PREFACE.get(matched.into()..).unwrap_or_default();
        let came = split(input, missing.len());
        if !missing.starts_with(came) {
            return Err(Code::PROTOCOL_ERROR);
        }
        if came.len() == missing.len() {
            self.reading = Reading::Head;
            return Ok(Step::On);
        }
        self.reading =
            Reading::Preface { matched: matched.saturating_add(u8::try_from(came.len()).unwrap_or(u8::MAX)) };
        Ok(Step::Wait)
    }

    fn read_frame<'i>(&mut self, input: &mut &[u8], now: Tick, out: &mut Vec<u8>) -> Result<Step<'i>, Code> {
        if self.begun.as_ref().is_some_and(|begun| !begun.half.is_empty()) {
            return self.complete_frame(input, now, out);
        }
        let Some((head, rest)) = Head::parse(input) else { return Ok(self.keep(input)) };
        self.check(head)?;
        if self.must_wait(head) {
            return Ok(Step::Wait);
        }
        let Some((payload, rest)) = rest.split_at_checked(needed(head)) else { return Ok(self.keep(input)) };
        *input = rest;
        self.act(head, payload, now, out)
    }

    /// Reads on in a frame of which a part came before.
    fn complete_frame<'i>(&mut self, input: &mut &[u8], now: Tick, out: &mut Vec<u8>) -> Result<Step<'i>, Code> {
        let Some(begun) = &mut self.begun else { return Ok(Step::On) };
        fill(&mut begun.half, HEAD_BYTES, input);
        let Some((head, _)) = Head::parse(&begun.half) else { return Ok(Step::Wait) };
        self.check(head)?;
        if self.must_wait(head) {
            return Ok(Step::Wait);
        }
        let Some(begun) = &mut self.begun else { return Ok(Step::On) };
        fill(&mut begun.half, HEAD_BYTES.saturating_add(needed(head)), input);
        let payload = begun.half.get(HEAD_BYTES..).unwrap_or_default();
        if payload.len() < needed(head) {
            return Ok(Step::Wait);
        }
        let frame = std::mem::take(&mut begun.half);
        self.act(head, frame.get(HEAD_BYTES..).unwrap_or_default(), now, out)
    }

    /// Keeps all that came until there is more.
    fn keep<'i>(&mut self, input: &mut &[u8]) -> Step<'i> {
        if !input.is_empty() {
            self.begun.get_or_insert_default().half.extend_from_slice(split(input, usize::MAX));
        }
        Step::Wait
    }

    /// Checks whether a frame may come now (RFC 9113, sections 3.4, 4.2 and 6.10). It is called again if the rest of the
    /// frame comes later.
    fn check(&self, head: Head) -> Result<(), Code> {
        if head.length > MOST_FRAME_BYTES {
            return Err(Code::FRAME_SIZE_ERROR);
        }
        let is_first = self.phase == Phase::Opening;
        if is_first && (head.kind != kind::SETTINGS || head.has(flag::ACK)) {
            return Err(Code::PROTOCOL_ERROR);
        }
        let block = self.begun.as_ref().and_then(|begun| begun.block.as_ref()).map(|block| block.stream());
        let continued = (head.kind == kind::CONTINUATION).then_some(head.stream);
        if block == continued { Ok(()) } else { Err(Code::PROTOCOL_ERROR) }
    }

    /// Whether the frame is a request that is not looked at yet.
    fn must_wait(&self, head: Head) -> bool {
        head.kind == kind::HEADERS && self.is_waiting()
    }

    /// Does what a frame says. The payload is as much of it as is needed.
    fn act<'i>(&mut self, head: Head, payload: &[u8], now: Tick, out: &mut Vec<u8>) -> Result<Step<'i>, Code> {
        self.reading = Reading::Skip { left: small(head.length.saturating_sub(payload.len())) };
        match head.kind {
            kind::DATA => self.data(head, payload, now, out),
            kind::HEADERS => self.headers(head, payload, now, out),
            kind::CONTINUATION => self.continuation(head, payload, now, out),
            _ => self.control(head, payload, now, out),
        }
    }

    /// Notes that the client has begun something, or that it has completed it.
    pub(super) fn watch(&mut self, now: Tick) {
        if self.begun.as_ref().is_none_or(|begun| begun.is_empty()) {
            self.begun = None;
            return;
        }
        // While a request waits for us, the client is not slow.
        let (is_waiting, half_time) = (self.is_waiting(), self.half_time);
        if let Some(begun) = &mut self.begun {
            begun.until = if is_waiting { None } else { begun.until.or_else(|| Some(now.after_span(half_time))) };
        }
    }
}

/// The bytes of a payload that are needed to do what the frame says. What follows is handed on, or skipped.
fn needed(head: Head) -> usize {
    match head.kind {
        // The length of the padding.
        kind::DATA => head.length.min(usize::from(head.has(flag::PADDED))),
        // The last stream and the code. A text may follow.
        kind::GOAWAY => head.length.min(8),
        kind::HEADERS..=kind::CONTINUATION => head.length,
        _ => 0,
    }
}

/// Takes at most so many bytes from the input.
pub(super) fn split<'i>(input: &mut &'i [u8], most: usize) -> &'i [u8] {
    let (taken, rest) = input.split_at(input.len().min(most));
    *input = rest;
    taken
}

/// Fills the buffer to this length, as far as the input goes.
fn fill(buffer: &mut Vec<u8>, length: usize, input: &mut &[u8]) {
    buffer.extend_from_slice(split(input, length.saturating_sub(buffer.len())));
}

/// A number of bytes of a frame, which is small.
pub(super) fn small(bytes: usize) -> u16 {
    debug_assert!(bytes <= MOST_FRAME_BYTES);
    u16::try_from(bytes).unwrap_or(u16::MAX)
}
