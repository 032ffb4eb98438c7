//! What the caller does with streams: heads, bytes, ends and resets.

use super::super::encode;
use super::super::frame::{Code, StreamId};
use super::super::limits::COST_OF_RESET;
use super::super::streams::Answer;
use super::reading::small;
use super::{Connection, Phase};
use std::time::Instant;

impl Connection {
    /// Gives a stream a name that [`Event::Reset`](super::Event::Reset) tells. Without one it is 0.
    pub fn call(&mut self, stream: StreamId, label: u32) {
        if let Some(stream) = self.streams.get_mut(stream) {
            stream.label = label;
        }
    }

    /// What a stream is called. 0: it has no name, or is over.
    #[must_use]
    pub fn label(&self, stream: StreamId) -> u32 {
        self.streams.get(stream).filter(|known| known.answer == Answer::Begun).map_or(0, |known| known.label)
    }

    /// What the streams are called that have a name and are not over.
    pub fn labels(&self) -> impl Iterator<Item = u32> {
        self.streams.begun().map(|known| known.label).filter(|label| *label > 0)
    }

    /// The streams that are not over, and what they are called.
    pub fn called(&self) -> impl Iterator<Item = (StreamId, u32)> {
        self.streams.begun().map(|known| (known.id, known.label))
    }

    /// The streams that may be sent something now, and what they are called. Those that follow `after` come first.
    #[must_use]
    pub fn ready(&self, after: StreamId) -> Vec<(StreamId, u32)> {
        let (mut first, mut then) = (Vec::new(), Vec::new());
        for known in self.streams.begun().filter(|known| known.room(self.sending) > 0) {
            let part = if known.id > after { &mut first } else { &mut then };
            part.push((known.id, known.label));
        }
        first.append(&mut then);
        first
    }

    /// Whether the windows let a stream be sent something, in this turn or a later one.
    #[must_use]
    pub fn has_window(&self, stream: StreamId) -> bool {
        let known = self.streams.get(stream).filter(|known| known.answer == Answer::Begun);
        known.is_some_and(|known| known.sending.room_of_stream(self.sending) > 0)
    }

    /// The head of a response, as a block of [`encode`]. Returns whether the stream still waited for it.
    pub fn head(&mut self, stream: StreamId, block: &[u8], out: &mut Vec<u8>) -> bool {
        let Some(known) = self.streams.get_mut(stream).filter(|known| known.answer == Answer::Deciding) else {
            return false;
        };
        known.answer = Answer::Begun;
        encode::headers(out, stream, block, false);
        true
    }

    /// An interim response, such as 103. More of them and the head of the response follow.
    pub fn interim(&mut self, stream: StreamId, block: &[u8], out: &mut Vec<u8>) {
        if self.is_deciding(stream) {
            encode::headers(out, stream, block, false);
        }
    }

    /// A response without a body: its head.
    pub fn head_only(&mut self, stream: StreamId, block: &[u8], now: Instant, out: &mut Vec<u8>) {
        if self.is_deciding(stream) {
            encode::headers(out, stream, block, true);
            self.end(stream, now, out);
        }
    }

    /// The end of a response: its trailers.
    pub fn end_with_trailers(&mut self, stream: StreamId, block: &[u8], now: Instant, out: &mut Vec<u8>) {
        if self.is_begun(stream) {
            encode::headers(out, stream, block, true);
            self.end(stream, now, out);
        }
    }

    /// Resets a stream, for a reason that is not the client's fault. It does nothing if the stream is over.
    pub fn reset(&mut self, stream: StreamId, code: Code, now: Instant, out: &mut Vec<u8>) {
        if self.streams.end(stream).is_some() {
            encode::rst_stream(out, stream, code);
            self.settle(stream, now);
        }
    }

    /// The number of bytes that a stream may be sent now, by the windows and in this turn.
    #[must_use]
    pub fn room(&self, stream: StreamId) -> usize {
        self.streams.get(stream).map_or(0, |known| known.room(self.sending))
    }

    /// Whether nothing may be sent on the whole connection until the client opens its window.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.sending.room() == 0
    }

    /// Takes room for bytes that are sent. Returns their number: at most `bytes`, and no more than there is room for.
    pub(in super::super) fn take(&mut self, stream: StreamId, bytes: usize) -> usize {
        let Some(known) = self.streams.get_mut(stream) else { return 0 };
        let taken = known.room(self.sending).min(bytes);
        if taken > 0 {
            known.sending.take(taken);
            known.turn = known.turn.saturating_add(small(taken));
            self.sending.take(taken);
        }
        taken
    }

    /// Whether a stream waits for its head.
    fn is_deciding(&self, stream: StreamId) -> bool {
        self.streams.get(stream).is_some_and(|known| known.answer == Answer::Deciding)
    }

    /// Whether a stream has a head and no end.
    #[must_use]
    pub fn is_begun(&self, stream: StreamId) -> bool {
        self.streams.get(stream).is_some_and(|known| known.answer == Answer::Begun)
    }

    /// So many DATA frames were written, which the client may answer with updates of windows.
    pub(in super::super) fn sent(&mut self, frames: u32) {
        self.budget.earn(frames);
    }

    /// Bytes for which room was taken were not sent, because their stream is over.
    pub(in super::super) fn return_room(&mut self, bytes: usize) {
        // There was this room before, so there is no error.
        let _always_fits = self.sending.grow(u32::try_from(bytes).unwrap_or_default());
    }

    /// A turn is over for a stream. Returns whether the stream has a head and no end.
    pub(in super::super) fn end_turn(&mut self, stream: StreamId) -> bool {
        let Some(known) = self.streams.get_mut(stream) else { return false };
        known.turn = 0;
        known.answer == Answer::Begun
    }

    /// END_STREAM was written. If the client still sends of its request, it is told to stop: "a server MAY request that
    /// the client abort transmission of a request without error by sending a RST_STREAM with an error code of NO_ERROR
    /// after sending a complete response" (RFC 9113, section 8.1).
    pub(in super::super) fn end(&mut self, stream: StreamId, now: Instant, out: &mut Vec<u8>) {
        if self.streams.end(stream).is_some_and(|was| was.is_request_open) {
            // If the client has too few tokens, its next frame is too much.
            let _is_noticed_later = self.budget.spend(COST_OF_RESET, self.clock.tick(now));
            encode::rst_stream(out, stream, Code::NO_ERROR);
        }
        self.settle(stream, now);
    }

    /// A stream is over.
    fn settle(&mut self, stream: StreamId, now: Instant) {
        self.drop_body(stream);
        self.note_idle(self.clock.tick(now));
    }

    /// The server ends in a while, and wants no more requests. Those that come are served nevertheless, because the
    /// client may have sent them before it knew (RFC 9113, section 6.8).
    pub fn drain(&self, out: &mut Vec<u8>) {
        if matches!(self.phase, Phase::Opening | Phase::Open) {
            encode::goaway(out, StreamId(super::super::frame::MOST_31_BITS), Code::NO_ERROR);
        }
    }

    /// The server takes no more requests. Those that it has are answered to their ends.
    pub fn leave(&mut self, out: &mut Vec<u8>) {
        if matches!(self.phase, Phase::Opening | Phase::Open) {
            encode::goaway(out, self.last, Code::NO_ERROR);
            self.phase = Phase::Leaving;
        }
    }
}
