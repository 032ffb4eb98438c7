//! HEADERS and CONTINUATION (RFC 9113, sections 6.2 and 6.10): requests, and the fields after their bodies.

use super::super::clock::Tick;
use super::super::encode;
use super::super::frame::{Code, Head, StreamId, dependency, flag, without_padding};
use super::super::hpack::Block;
use super::super::limits::{COST_OF_OTHERS, COST_OF_RESET, MOST_BLOCK_BYTES, MOST_CONTINUATIONS};
use super::super::request::{Malformed, Request, check_trailers};
use super::super::streams::{Answer, Stream};
use super::super::windows::Sending;
use super::{Connection, Event, Phase, Step, Unfit};
use serde::{Deserialize, Serialize};

/// What the frame HEADERS says of its block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Opening {
    stream: StreamId,
    /// The client sends nothing more on the stream.
    ends: bool,
    /// The stream should depend on itself (RFC 7540, section 5.3.1, where it is a stream error).
    is_its_own_parent: bool,
}

/// A block that goes on in the next frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpenBlock {
    opening: Opening,
    bytes: Vec<u8>,
    continuations: u8,
}

impl OpenBlock {
    pub(super) fn stream(&self) -> StreamId {
        self.opening.stream
    }

    /// Whether a client can have begun this.
    pub(super) fn is_possible(&self) -> bool {
        self.opening.stream.is_a_clients()
            && self.bytes.len() <= MOST_BLOCK_BYTES
            && self.continuations <= MOST_CONTINUATIONS
    }
}

impl Connection {
    pub(super) fn headers<'i>(
        &mut self,
        head: Head,
        payload: &[u8],
        now: Tick,
        out: &mut Vec<u8>,
    ) -> Result<Step<'i>, Code> {
        let stream = head.stream;
        if !stream.is_a_clients() {
            return Err(Code::PROTOCOL_ERROR);
        }
        let mut block = without_padding(head, payload)?;
        let mut is_its_own_parent = false;
        if head.has(flag::PRIORITY) {
            let (parent, rest) = dependency(block)?;
            (block, is_its_own_parent) = (rest, parent == stream);
        }
        let opening = Opening { stream, ends: head.has(flag::END_STREAM), is_its_own_parent };
        if head.has(flag::END_HEADERS) {
            return self.block(opening, block, now, out);
        }
        let open = OpenBlock { opening, bytes: block.to_vec(), continuations: 0 };
        self.begun.get_or_insert_default().block = Some(open);
        Ok(Step::On)
    }

    pub(super) fn continuation<'i>(
        &mut self,
        head: Head,
        payload: &[u8],
        now: Tick,
        out: &mut Vec<u8>,
    ) -> Result<Step<'i>, Code> {
        let begun = self.begun.as_mut().ok_or(Code::PROTOCOL_ERROR)?;
        let open = begun.block.as_mut().ok_or(Code::PROTOCOL_ERROR)?;
        open.continuations = open.continuations.saturating_add(1);
        open.bytes.extend_from_slice(payload);
        if open.continuations > MOST_CONTINUATIONS || open.bytes.len() > MOST_BLOCK_BYTES {
            return Err(Code::ENHANCE_YOUR_CALM);
        }
        match begun.block.take_if(|_| head.has(flag::END_HEADERS)) {
            Some(whole) => self.block(whole.opening, &whole.bytes, now, out),
            None => Ok(Step::On),
        }
    }

    /// A whole block. It is decoded whatever it is for, because later blocks may refer to it.
    fn block<'i>(&mut self, opening: Opening, block: &[u8], now: Tick, out: &mut Vec<u8>) -> Result<Step<'i>, Code> {
        let decoded = self.decoder.decode(block).map_err(|_| Code::COMPRESSION_ERROR)?;
        let stream = opening.stream;
        if self.streams.get(stream).is_some() {
            return self.request_trailers(opening, decoded, now, out);
        }
        if stream <= self.last {
            // "An endpoint that receives an unexpected stream identifier MUST respond with a connection error of type
            // PROTOCOL_ERROR." A stream that was closed has another code.
            return Err(if stream == self.last { Code::STREAM_CLOSED } else { Code::PROTOCOL_ERROR });
        }
        if self.phase == Phase::Leaving {
            return self.budget.spend(COST_OF_OTHERS, now).map(|()| Step::On);
        }
        self.last = stream;
        self.idle = None;
        match self.request(opening, decoded) {
            Ok(event) => {
                if let Event::Unfit { why: Unfit::Malformed, .. } = event {
                    self.budget.spend(COST_OF_RESET, now)?;
                }
                Ok(Step::Event(event))
            }
            Err(code) => self.refuse(opening, code, now, out),
        }
    }

    /// A request.
    ///
    /// # Errors
    /// The code with which the stream is reset.
    fn request(&mut self, opening: Opening, decoded: Block) -> Result<Event<'static>, Code> {
        let Opening { stream, ends, .. } = opening;
        if opening.is_its_own_parent {
            return Err(Code::PROTOCOL_ERROR);
        }
        if self.streams.are_full() {
            return Err(Code::REFUSED_STREAM);
        }
        let request = match decoded {
            Block::TooLarge => Err(Unfit::TooLarge),
            Block::Fields(fields) => match Request::new(fields) {
                Ok(request) => Ok(request),
                Err(Malformed::Authority | Malformed::ContentLength) => Err(Unfit::Malformed),
                Err(_) => return Err(Code::PROTOCOL_ERROR),
            },
        };
        let length = request.as_ref().ok().and_then(Request::content_length);
        if ends && length.is_some_and(|length| length > 0) {
            return Err(Code::PROTOCOL_ERROR);
        }
        self.add_stream(opening, Answer::Deciding);
        if !ends {
            self.add_body(stream, length);
        }
        Ok(match request {
            Ok(request) => Event::Request { stream, request, ends },
            Err(why) => Event::Unfit { stream, why },
        })
    }

    fn add_stream(&mut self, opening: Opening, answer: Answer) {
        let (id, is_request_open) = (opening.stream, !opening.ends);
        let sending = Sending::new(self.first_window);
        self.streams.add(Stream { id, sending, turn: 0, label: 0, answer, is_request_open });
    }

    /// Resets a stream that the caller never knows.
    fn refuse<'i>(&mut self, opening: Opening, code: Code, now: Tick, out: &mut Vec<u8>) -> Result<Step<'i>, Code> {
        self.budget.spend(COST_OF_RESET, now)?;
        encode::rst_stream(out, opening.stream, code);
        if !opening.ends {
            self.add_stream(opening, Answer::Over);
        }
        self.note_idle(now);
        Ok(Step::On)
    }

    /// The fields after a request's body (RFC 9113, section 8.1).
    fn request_trailers<'i>(
        &mut self,
        opening: Opening,
        decoded: Block,
        now: Tick,
        out: &mut Vec<u8>,
    ) -> Result<Step<'i>, Code> {
        let stream = opening.stream;
        let Some(known) = self.streams.get(stream) else { return Ok(Step::On) };
        if !known.is_request_open {
            return self.fault(stream, Code::STREAM_CLOSED, now, out);
        }
        let fields = match decoded {
            Block::Fields(fields) if opening.ends && check_trailers(&fields).is_ok() => Some(fields),
            Block::Fields(_) | Block::TooLarge => None,
        };
        match fields {
            _ if known.answer == Answer::Over && opening.ends => self.end_request(stream, None, now, out),
            // It is no end, so the client may send it again and again.
            _ if known.answer == Answer::Over => self.budget.spend(COST_OF_RESET, now).map(|()| Step::On),
            None => self.fault(stream, Code::PROTOCOL_ERROR, now, out),
            Some(fields) => self.end_request(stream, Some(fields), now, out),
        }
    }
}
