//! The streams whose requests are answered elsewhere, such as pages and requests that are proxied.

use super::super::h2::StreamId;
use super::super::responder::{Incoming, Part};
use super::Carrier;
use super::work::Work;
use bytes::{Buf, Bytes};
use futures_channel::mpsc::Sender;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;

/// A stream whose request is answered elsewhere.
#[derive(Debug)]
pub(super) struct Answering {
    pub(super) stream: StreamId,
    /// Takes what comes of the request.
    pub(super) incoming: Sender<Incoming>,
    /// The bytes of the response that wait.
    waiting: VecDeque<Bytes>,
    /// What follows them. `None`: more bytes may.
    last: Option<Last>,
    /// Gets one permit for each byte that has passed.
    passed: Arc<Semaphore>,
}

/// The end of a response.
#[derive(Debug)]
enum Last {
    Nothing,
    Trailers(Vec<u8>),
}

impl Answering {
    pub(super) fn new(stream: StreamId, incoming: Sender<Incoming>, passed: Arc<Semaphore>) -> Self {
        Self { stream, incoming, waiting: VecDeque::new(), last: None, passed }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        // Nothing more passes.
        self.passed.close();
    }
}

impl Carrier {
    pub(super) fn answering(&mut self, stream: StreamId) -> Option<&mut Answering> {
        if self.at_hand.answering.is_empty() {
            return None;
        }
        self.at_hand.answering.iter_mut().find(|answering| answering.stream == stream)
    }

    pub(super) fn forget_answering(&mut self, stream: StreamId) {
        let Some(place) = self.at_hand.answering.iter().position(|answering| answering.stream == stream) else {
            return;
        };
        let answering = &mut self.at_hand.answering;
        drop(answering.swap_remove(place));
        if answering.is_empty() {
            *answering = Vec::new();
        }
    }

    /// Takes a part of an answer.
    pub(in super::super) fn answer(&mut self, stream: StreamId, part: Part, now: Instant) {
        if !self.is_open() {
            return;
        }
        let Self { connection, at_hand, .. } = self;
        let out = &mut at_hand.out;
        match part {
            Part::Consumed(bytes) => return connection.consumed(stream, bytes, out),
            Part::Reads => return connection.read_body(stream, out),
            Part::Interim(block) => return connection.interim(stream, &block, out),
            Part::Head { block, ends: true } => {
                connection.head_only(stream, &block, now, out);
                return self.forget_answering(stream);
            }
            Part::Head { block, ends: false } => {
                connection.head(stream, &block, out);
            }
            Part::Reset(code) => {
                connection.reset(stream, code, now, out);
                return self.forget_answering(stream);
            }
            Part::Stalled => {
                self.cut_stalled(stream, now);
                return self.forget_answering(stream);
            }
            Part::Data(bytes) => {
                if let Some(answering) = self.answering(stream) {
                    answering.waiting.push_back(bytes);
                }
            }
            Part::End => self.ends_with(stream, Last::Nothing),
            Part::Trailers(block) => self.ends_with(stream, Last::Trailers(block)),
            // The shard does it.
            Part::Adopt(_) => {}
        }
        self.go_on(stream, now);
    }

    fn ends_with(&mut self, stream: StreamId, last: Last) {
        if let Some(answering) = self.answering(stream) {
            answering.last = Some(last);
        }
    }

    /// Takes what waits for a stream, as far as the windows and the turn allow.
    pub(in super::super) fn go_on(&mut self, stream: StreamId, now: Instant) {
        let can_take = self.can_take();
        if self.at_hand.answering.is_empty() {
            return;
        }
        let Self { at_hand, connection, is_short, served, .. } = self;
        let Work { answering, outgoing, out, .. } = &mut **at_hand;
        let Some(answering) = answering.iter_mut().find(|answering| answering.stream == stream) else { return };
        while let Some(bytes) = answering.waiting.front_mut() {
            let taken = if can_take { outgoing.take(connection, stream, bytes) } else { 0 };
            answering.passed.add_permits(taken);
            bytes.advance(taken);
            if taken > 0 {
                *served = stream;
            }
            if !bytes.is_empty() {
                *is_short = true;
                return;
            }
            answering.waiting.pop_front();
        }
        match answering.last.take() {
            None => return,
            Some(Last::Nothing) => {
                let _nothing = outgoing.take_last(connection, stream, &Bytes::new());
            }
            Some(Last::Trailers(block)) => {
                // They follow the bytes that are noted.
                outgoing.write(connection, now, out);
                connection.end_with_trailers(stream, &block, now, out);
            }
        }
        self.forget_answering(stream);
    }
}
