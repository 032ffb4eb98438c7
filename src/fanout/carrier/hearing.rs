//! What a client sends on a connection of HTTP/2.

use super::super::h2::{Code, Event, StreamId};
use super::super::link::Read;
use super::super::responder::{Asked, Incoming, Responder};
use super::super::shard::ShardInbox;
use super::Carrier;
use super::answering::Answering;
use crate::hub::Departure;
use bytes::Bytes;
use futures_channel::mpsc;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::Semaphore;

/// The most bytes that are read of one connection in a turn.
const MOST_READ_BYTES: usize = 64 << 10;

/// The parts of a request's body that may wait for whoever reads it. Only a client that sends many tiny parts has more.
const MOST_PARTS: usize = 1024;

/// The bytes of unsent answers to frames such as PING at which a client that does not read is not heard any more.
const MOST_UNSENT_ANSWERS: usize = 4 << 10;

/// What the shard is to do about what was heard.
#[derive(Debug, Default)]
pub(in super::super) struct Heard {
    /// The clients whose streams are over.
    pub(in super::super) left: Vec<u32>,
    /// The streams that may be sent more.
    pub(in super::super) opened: Vec<StreamId>,
    /// All streams may be sent more.
    pub(in super::super) all_opened: bool,
    /// The client said something that ends the connection. It is told so.
    pub(in super::super) is_closed: bool,
    /// Why the connection is gone, if it is.
    pub(in super::super) gone: Option<Departure>,
    /// There may be more to read.
    pub(in super::super) has_more: bool,
    /// The number of requests that came.
    pub(in super::super) requests: usize,
    /// The number of bytes that came.
    pub(in super::super) bytes: usize,
}

impl Carrier {
    /// Whether it should be heard: it is open, and does not wait for decisions or for a client that reads nothing.
    pub(in super::super) fn may_be_heard(&self) -> bool {
        !self.is_open() || (!self.connection.is_waiting() && self.at_hand.out.len() <= MOST_UNSENT_ANSWERS)
    }

    /// Hears what the client sent, up to some size.
    pub(in super::super) fn hear(&mut self, inbox: &Arc<ShardInbox>, now: Instant) -> Heard {
        let mut heard = Heard::default();
        self.is_unheard = false;
        let kept = std::mem::take(&mut self.at_hand.unread);
        self.at_hand.unread = self.note(&kept, &mut heard, inbox, now);
        while !heard.is_closed && heard.gone.is_none() {
            if !self.at_hand.unread.is_empty() || !self.may_be_heard() {
                self.is_unheard = true;
                break;
            }
            if heard.bytes >= MOST_READ_BYTES {
                heard.has_more = true;
                break;
            }
            let mut said = Vec::new();
            match self.link.read(&mut said) {
                Read::Some(bytes) => heard.bytes += bytes,
                Read::Nothing => break,
                Read::Gone(why) => heard.gone = Some(why),
            }
            if self.is_open() {
                self.at_hand.unread = self.note(&said, &mut heard, inbox, now);
            }
        }
        heard
    }

    /// Takes note of these bytes. Returns those that cannot be read yet.
    fn note(&mut self, bytes: &[u8], heard: &mut Heard, inbox: &Arc<ShardInbox>, now: Instant) -> Vec<u8> {
        let mut input = bytes;
        while let Some(event) = self.connection.read(&mut input, now, &mut self.at_hand.out) {
            heard.requests += usize::from(matches!(event, Event::Request { .. } | Event::Unfit { .. }));
            match event {
                Event::Request { stream, request, ends } => {
                    self.ask(stream, Asked { request: Ok(request), ends }, inbox);
                }
                Event::Unfit { stream, why } => self.ask(stream, Asked { request: Err(why), ends: false }, inbox),
                Event::Data { stream, bytes } => self.note_body(stream, bytes, now),
                Event::End { stream, trailers } => {
                    self.pass_on(stream, Incoming::End(trailers), now);
                }
                Event::Reset { stream, label, .. } => {
                    self.forget_answering(stream);
                    heard.left.extend((label > 0).then_some(label));
                }
                Event::Opened { stream: StreamId::CONNECTION } => heard.all_opened = true,
                Event::Opened { stream } => heard.opened.push(stream),
                Event::Closed { .. } => heard.is_closed = true,
            }
        }
        input.to_vec()
    }

    /// Takes note of a part of a request's body.
    fn note_body(&mut self, stream: StreamId, bytes: &[u8], now: Instant) {
        if !self.pass_on(stream, Incoming::Data(Bytes::copy_from_slice(bytes)), now) {
            // Nobody wants it.
            self.connection.consumed(stream, bytes.len(), &mut self.at_hand.out);
        }
    }

    /// Passes on what came of a request to whoever answers it. Returns whether somebody does.
    fn pass_on(&mut self, stream: StreamId, said: Incoming, now: Instant) -> bool {
        let Some(answering) = self.answering(stream) else { return false };
        match answering.incoming.try_send(said) {
            Ok(()) => true,
            Err(error) if error.is_disconnected() => false,
            Err(_) => {
                self.connection.reset(stream, Code::ENHANCE_YOUR_CALM, now, &mut self.at_hand.out);
                self.forget_answering(stream);
                false
            }
        }
    }

    /// Lets a request be decided.
    fn ask(&mut self, stream: StreamId, asked: Asked, inbox: &Arc<ShardInbox>) {
        self.has_stalled = false;
        // This channel takes memory only for what is in it. Most requests have no body.
        let (incoming, receiver) = mpsc::channel(MOST_PARTS);
        let passed = Arc::new(Semaphore::new(0));
        self.at_hand.answering.push(Answering::new(stream, incoming, Arc::clone(&passed)));
        let responder = Responder::new(Arc::clone(inbox), (self.id(), stream), receiver, passed);
        self.requests.asked(asked, responder);
    }
}
