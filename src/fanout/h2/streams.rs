//! The streams of a connection.
//!
//! ```text
//!              ┌─────────▶ Deciding ───head───▶ Begun ─┐
//!   a request ─┤              │                   │    │ the last words, or a reset of ours
//!              │              └───────────────────┴────┤
//!              └─ it is refused, or malformed ─────────┤
//!                                                      ▼
//!      the client may still send of its request ────▶ Over ── its end, or its reset ──▶ gone
//!      it has sent all ───────────────────────────────────────────────────────────────▶ gone
//! ```
//!
//! A reset by the client ends each of them.

use super::frame::{Code, StreamId};
use super::limits::{MOST_DEAD, MOST_DECIDING, MOST_STREAMS, TURN_OF_STREAM_BYTES};
use super::windows::Sending;
use smallvec::SmallVec;

/// A stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    pub(super) sending: Sending,
    /// Bytes that it was sent in this turn.
    pub(super) turn: u16,
    /// What the caller calls it.
    pub(super) label: u32,
    pub(super) answer: Answer,
    /// The client has not sent all of the request.
    pub(super) is_request_open: bool,
}

impl Stream {
    /// The number of bytes that it may be sent now, by its window, by that of its connection and in this turn.
    pub(super) fn room(&self, connection: Sending) -> usize {
        if self.answer != Answer::Begun {
            return 0;
        }
        let rest_of_turn = TURN_OF_STREAM_BYTES.saturating_sub(self.turn.into());
        self.sending.room_of_stream(connection).min(rest_of_turn)
    }
}

/// How far the answer to a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nobody has decided what it is.
    Deciding,
    /// Its head is sent.
    Begun,
    /// It has ended, or was reset. What the client still sends is dropped.
    Over,
}

/// The streams of a connection, in the order of their identifiers.
#[derive(Debug, Default)]
pub(super) struct Streams {
    /// Most connections have one stream, which takes no memory of its own.
    list: SmallVec<[Stream; 1]>,
}

impl Streams {
    pub(super) fn get(&self, id: StreamId) -> Option<&Stream> {
        self.list.get(self.place(id)?)
    }

    pub(super) fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        let place = self.place(id)?;
        self.list.get_mut(place)
    }

    /// Those whose responses have begun and not ended.
    pub(super) fn begun(&self) -> impl Iterator<Item = &Stream> {
        self.list.iter().filter(|stream| stream.answer == Answer::Begun)
    }

    /// All of them, also those that are over.
    pub(super) fn all(&self) -> impl Iterator<Item = &Stream> {
        self.list.iter()
    }

    /// Whether the answer to some request has not begun.
    pub(super) fn is_any_deciding(&self) -> bool {
        self.list.iter().any(|stream| stream.answer == Answer::Deciding)
    }

    /// Where a stream is in the list. Clients number their streams without gaps, so as long as none of them is over, the
    /// number says it.
    fn place(&self, id: StreamId) -> Option<usize> {
        let first = self.list.first()?.id;
        let likely = (id.0.checked_sub(first.0)? / 2) as usize;
        if self.list.get(likely).is_some_and(|stream| stream.id == id) {
            return Some(likely);
        }
        self.list.binary_search_by_key(&id, |stream| stream.id).ok()
    }

    /// Adds a stream. Its identifier must be higher than those of the others.
    pub(super) fn add(&mut self, stream: Stream) {
        debug_assert!(self.list.last().is_none_or(|last| last.id < stream.id));
        self.list.push(stream);
        self.forget_dead();
    }

    pub(super) fn remove(&mut self, id: StreamId) -> Option<Stream> {
        let place = self.place(id)?;
        let removed = self.list.remove(place);
        if self.list.len() <= self.list.inline_size() {
            self.list.shrink_to_fit();
        }
        Some(removed)
    }

    /// The answer of a stream is over: the stream is gone, or dead if the client may still send of the request. Returns
    /// the stream as it was, unless it was over before.
    pub(super) fn end(&mut self, id: StreamId) -> Option<Stream> {
        let stream = self.get_mut(id).filter(|stream| stream.answer != Answer::Over)?;
        let was = *stream;
        stream.answer = Answer::Over;
        if was.is_request_open {
            self.forget_dead();
        } else {
            self.remove(id);
        }
        Some(was)
    }

    /// Forgets the oldest dead stream if there are too many.
    fn forget_dead(&mut self) {
        let mut dead = self.list.iter().filter(|stream| stream.answer == Answer::Over).map(|stream| stream.id);
        if let Some(oldest) = dead.next().filter(|_| dead.count() >= MOST_DEAD) {
            self.remove(oldest);
        }
    }

    /// Whether the client has as many streams as it may.
    pub(super) fn are_full(&self) -> bool {
        self.list.iter().filter(|stream| stream.answer != Answer::Over).count() >= MOST_STREAMS
    }

    /// Whether no request is read until others are decided.
    pub(super) fn are_many_deciding(&self) -> bool {
        self.list.iter().filter(|stream| stream.answer == Answer::Deciding).count() >= MOST_DECIDING
    }

    /// Whether no stream is answered. There may be dead ones.
    pub(super) fn are_over(&self) -> bool {
        self.list.iter().all(|stream| stream.answer == Answer::Over)
    }

    /// The client changed the window that streams have at first, and so that of each stream (RFC 9113, section 6.9.2).
    ///
    /// # Errors
    /// `FLOW_CONTROL_ERROR` if a window became too large.
    pub(super) fn shift(&mut self, by: i32) -> Result<(), Code> {
        self.list.iter_mut().try_for_each(|stream| stream.sending.shift(by))
    }
}

/// The body of a request that the client has not sent whole.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) stream: StreamId,
    pub(super) window: super::windows::Receiving,
    /// Bytes that are missing, if the request says how many there are.
    pub(super) missing: Option<u64>,
    /// Somebody reads it, so its window is the large one.
    pub(super) is_read: bool,
}

/// The bodies of requests that the client has not sent whole.
#[expect(clippy::box_collection, reason = "few connections have a body, and the others have room for a pointer only")]
#[derive(Debug, Default)]
pub(super) struct Bodies(Option<Box<Vec<Body>>>);

impl Bodies {
    pub(super) fn add(&mut self, body: Body) {
        self.0.get_or_insert_default().push(body);
    }

    pub(super) fn get_mut(&mut self, stream: StreamId) -> Option<&mut Body> {
        self.all_mut().find(|body| body.stream == stream)
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Body> {
        self.0.iter_mut().flat_map(|list| list.iter_mut())
    }

    pub(super) fn remove(&mut self, stream: StreamId) -> Option<Body> {
        let list = self.0.as_mut()?;
        let place = list.iter().position(|body| body.stream == stream)?;
        let removed = list.swap_remove(place);
        if list.is_empty() {
            self.0 = None;
        }
        Some(removed)
    }

    pub(super) fn are_none(&self) -> bool {
        self.0.is_none()
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = &Body> {
        self.0.iter().flat_map(|list| list.iter())
    }
}

const _: () = assert!(size_of::<Stream>() <= 24, "there may be hundreds of streams on a connection");

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(id: u32, answer: Answer) -> Stream {
        let is_request_open = answer == Answer::Over;
        Stream { id: StreamId(id), sending: Sending::new(1), turn: 0, label: 0, answer, is_request_open }
    }

    #[test]
    fn a_stream_is_gone_when_both_sides_have_ended() {
        let mut streams = Streams::default();
        for (id, is_request_open) in [(1, false), (3, true)] {
            streams.add(Stream { is_request_open, ..stream(id, Answer::Begun) });
            assert!(streams.end(StreamId(id)).is_some_and(|was| was.answer == Answer::Begun));
            assert!(streams.end(StreamId(id)).is_none(), "it ends once");
            assert_eq!(streams.get(StreamId(id)).is_some(), is_request_open);
        }
        assert!(streams.are_over());
        assert!(streams.remove(StreamId(3)).is_some() && streams.remove(StreamId(1)).is_none());
    }

    #[test]
    fn a_stream_is_found_whatever_streams_are_over() {
        let mut streams = Streams::default();
        assert!(streams.get(StreamId(1)).is_none());
        for id in [3, 5, 9, 11, 21] {
            streams.add(stream(id, Answer::Begun));
        }
        for id in 0..30 {
            let found = streams.get(StreamId(id)).map(|stream| stream.id);
            assert_eq!(found, [3, 5, 9, 11, 21].contains(&id).then_some(StreamId(id)));
        }
    }

    #[test]
    fn one_stream_takes_no_memory_of_its_own() {
        let mut streams = Streams::default();
        for id in [1, 3, 5] {
            streams.add(stream(id, Answer::Begun));
        }
        assert!(streams.list.spilled());
        assert!(streams.remove(StreamId(1)).is_some() && streams.remove(StreamId(5)).is_some());
        assert!(!streams.list.spilled() && streams.get(StreamId(3)).is_some());
        let mut bodies = Bodies::default();
        bodies.add(Body {
            stream: StreamId(3),
            window: super::super::windows::Receiving::new(1),
            missing: None,
            is_read: true,
        });
        assert!(bodies.remove(StreamId(1)).is_none() && !bodies.are_none());
        assert!(bodies.remove(StreamId(3)).is_some_and(|body| body.is_read) && bodies.are_none());
    }

    #[test]
    fn the_dead_are_few_and_the_oldest_is_forgotten() {
        let mut streams = Streams::default();
        streams.add(stream(1, Answer::Begun));
        let ids = (3..).step_by(2);
        ids.take(MOST_DEAD).for_each(|id| streams.add(stream(id, Answer::Over)));
        assert!(streams.get(StreamId(3)).is_some());
        streams.add(stream(1001, Answer::Over));
        assert!(streams.get(StreamId(3)).is_none() && streams.get(StreamId(5)).is_some());
        streams.add(Stream { is_request_open: true, ..stream(1003, Answer::Begun) });
        streams.end(StreamId(1003));
        assert!(streams.get(StreamId(5)).is_none() && streams.get(StreamId(1)).is_some());
    }

    #[test]
    fn the_dead_take_no_place() {
        let mut streams = Streams::default();
        let mut ids = (1..).step_by(2);
        ids.by_ref().take(MOST_DEAD).for_each(|id| streams.add(stream(id, Answer::Over)));
        ids.by_ref().take(MOST_STREAMS - 1).for_each(|id| streams.add(stream(id, Answer::Begun)));
        assert!(!streams.are_full());
        streams.add(stream(ids.next().unwrap(), Answer::Deciding));
        assert!(streams.are_full() && !streams.are_many_deciding());
    }
}
