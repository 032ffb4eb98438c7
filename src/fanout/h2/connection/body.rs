//! DATA of a client (RFC 9113, section 6.1): the bodies of requests.

use super::super::clock::Tick;
use super::super::frame::{Code, Head, StreamId, flag};
use super::super::limits::{
    BODY_BYTES, CONNECTION_BYTES, COST_OF_EMPTY_DATA, COST_OF_SMALL_DATA, FIRST_WINDOW_BYTES, SMALL_DATA_BYTES,
    UNREAD_BODY_BYTES,
};
use super::super::streams::{Answer, Body};
use super::super::windows::Receiving;
use super::super::{encode, fields::Fields};
use super::reading::{Data, Reading, small, split};
use super::{Announced, Connection, Event, Phase, Step};

impl Connection {
    /// The head of DATA. The payload is the length of its padding, if it has any.
    pub(super) fn data<'i>(
        &mut self,
        head: Head,
        payload: &[u8],
        now: Tick,
        out: &mut Vec<u8>,
    ) -> Result<Step<'i>, Code> {
        let stream = head.stream;
        if !stream.is_a_clients() || (stream > self.last && self.phase != Phase::Leaving) {
            return Err(Code::PROTOCOL_ERROR);
        }
        if head.has(flag::PADDED) && payload.is_empty() {
            return Err(Code::FRAME_SIZE_ERROR);
        }
        let padding = payload.first().copied().unwrap_or(0);
        let padded = payload.len().saturating_add(padding.into());
        let left = head.length.checked_sub(padded).ok_or(Code::PROTOCOL_ERROR)?;
        let ends = head.has(flag::END_STREAM);
        self.receiving.take(head.length)?;
        self.budget.spend(cost(left, ends, stream <= self.last), now)?;
        self.reading = Reading::Data(Data { stream, left: small(left), padding, ends });
        let admitted = self.admit(stream, head.length, left);
        self.consumed(stream, padded, out);
        match admitted {
            Ok(()) => Ok(Step::On),
            // The rest of the frame is dropped as it comes.
            Err(code) => self.fault(stream, code, now, out),
        }
    }

    /// Whether a stream takes DATA with `left` bytes of a body.
    fn admit(&mut self, stream: StreamId, length: usize, left: usize) -> Result<(), Code> {
        if stream > self.last || self.streams.get(stream).is_some_and(|stream| stream.answer == Answer::Over) {
            return Ok(());
        }
        let body = self.body(stream).ok_or(Code::STREAM_CLOSED)?;
        body.window.take(length)?;
        if let Some(missing) = &mut body.missing {
            *missing = missing.checked_sub(left as u64).ok_or(Code::PROTOCOL_ERROR)?;
        }
        Ok(())
    }

    /// The rest of DATA.
    pub(super) fn read_data<'i>(
        &mut self,
        mut data: Data,
        input: &mut &'i [u8],
        now: Tick,
        out: &mut Vec<u8>,
    ) -> Result<Step<'i>, Code> {
        let bytes = split(input, data.left.into());
        data.left = data.left.saturating_sub(small(bytes.len()));
        self.reading = Reading::Data(data);
        if !bytes.is_empty() {
            if self.body(data.stream).is_some() {
                return Ok(Step::Event(Event::Data { stream: data.stream, bytes }));
            }
            self.give_back_on_connection(bytes.len(), out);
        }
        let skipped = if data.left == 0 { split(input, data.padding.into()) } else { &[] };
        data.padding = data.padding.saturating_sub(u8::try_from(skipped.len()).unwrap_or(u8::MAX));
        self.reading = Reading::Data(data);
        if data.left > 0 || data.padding > 0 {
            return Ok(Step::Wait);
        }
        self.reading = Reading::Head;
        if data.ends { self.end_request(data.stream, None, now, out) } else { Ok(Step::On) }
    }

    /// The client has sent all of a request.
    pub(super) fn end_request<'i>(
        &mut self,
        stream: StreamId,
        trailers: Option<Fields>,
        now: Tick,
        out: &mut Vec<u8>,
    ) -> Result<Step<'i>, Code> {
        let Some(known) = self.streams.get_mut(stream) else { return Ok(Step::On) };
        known.is_request_open = false;
        if known.answer == Answer::Over {
            self.streams.remove(stream);
            return Ok(Step::On);
        }
        let missing = self.drop_body(stream).and_then(|body| body.missing);
        if missing.is_some_and(|missing| missing > 0) {
            return self.fault(stream, Code::PROTOCOL_ERROR, now, out);
        }
        Ok(Step::Event(Event::End { stream, trailers }))
    }

    /// A body begins. `length`: what the request says of it.
    pub(super) fn add_body(&mut self, stream: StreamId, length: Option<u64>) {
        // A client that does not know our SETTINGS has the first window.
        let is_known = !matches!(self.announced, Announced::Sent { .. });
        let window = Receiving::new(if is_known { UNREAD_BODY_BYTES } else { FIRST_WINDOW_BYTES });
        self.bodies.add(Body { stream, window, missing: length, is_read: false });
    }

    pub(super) fn body(&mut self, stream: StreamId) -> Option<&mut Body> {
        self.bodies.get_mut(stream)
    }

    pub(super) fn drop_body(&mut self, stream: StreamId) -> Option<Body> {
        self.bodies.remove(stream)
    }

    /// Somebody reads the body of a request from now on, so the client may send more of it.
    pub fn read_body(&mut self, stream: StreamId, out: &mut Vec<u8>) {
        let more = BODY_BYTES.saturating_sub(UNREAD_BODY_BYTES);
        if let Some(body) = self.body(stream).filter(|body| !body.is_read) {
            body.is_read = true;
            if body.window.grow(more) {
                encode::window_update(out, stream, more.unsigned_abs());
            }
        }
    }

    /// Bytes of an [`Event::Data`] were consumed or dropped, so the client may send more. This must be said once of
    /// each byte, even if its stream is over.
    pub fn consumed(&mut self, stream: StreamId, bytes: usize, out: &mut Vec<u8>) {
        if self.phase == Phase::Closed {
            return;
        }
        self.give_back_on_connection(bytes, out);
        if let Some(body) = self.body(stream)
            && let Some(by) = body.window.give_back(bytes, if body.is_read { BODY_BYTES } else { UNREAD_BODY_BYTES })
        {
            encode::window_update(out, stream, by);
        }
    }

    fn give_back_on_connection(&mut self, bytes: usize, out: &mut Vec<u8>) {
        if let Some(by) = self.receiving.give_back(bytes, CONNECTION_BYTES) {
            encode::window_update(out, StreamId::CONNECTION, by);
        }
    }
}

/// What DATA with so many bytes costs. `is_of_request`: its stream is or was one that is served. Each of these ends once.
fn cost(bytes: usize, ends: bool, is_of_request: bool) -> u32 {
    match bytes {
        _ if ends && is_of_request => 0,
        0 if !ends => COST_OF_EMPTY_DATA,
        _ if bytes < SMALL_DATA_BYTES => COST_OF_SMALL_DATA,
        _ => 0,
    }
}
