//! A client's connection: bytes in; requests, bodies, resets and control frames out. It has no socket and no clock.
//!
//! ```text
//!               the preface         SETTINGS
//!   Preface ───────────────▶ Opening ───────▶ Open ──leave()──▶ Leaving
//!      │                        │              │                   │
//!      └────────────────────────┴──────────────┴───────────────────┴── a connection error, or a deadline ──▶ Closed
//! ```
//!
//! The caller writes [`open`](Connection::open) first. It hands what it read to [`read`](Connection::read) until that
//! returns nothing, and does what each [`Event`] says. What `read` and the other methods add to `out` is sent before all
//! else. The states of a stream are drawn in `streams`, those of our SETTINGS beside [`Announced`].

mod answers;
mod blocks;
mod body;
mod control;
mod reading;
mod state;
#[cfg(test)]
mod tests;
mod time;

use super::budget::Budget;
use super::clock::{Clock, Span, Tick};
use super::encode;
use super::fields::Fields;
use super::frame::{Code, HEAD_BYTES, StreamId};
use super::hpack::Decoder;
use super::limits::{
    CONNECTION_BYTES, COST_OF_RESET, FIRST_WINDOW_BYTES, HALF_TIMEOUT, IDLE_TIMEOUT, MOST_FRAME_BYTES, SETTINGS_TIMEOUT,
};
use super::request::Request;
use super::streams::{Bodies, Streams};
use super::windows::{Receiving, Sending};
use blocks::OpenBlock;
use reading::Reading;
use serde::{Deserialize, Serialize};
pub use state::ConnectionState;
use std::time::{Duration, Instant};

/// What happened on a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event<'i> {
    /// A request. Its stream waits for an answer.
    Request {
        /// The stream.
        stream: StreamId,
        /// The request.
        request: Request,
        /// It has no body.
        ends: bool,
    },
    /// A request that cannot be served. Its stream waits for an answer that says so.
    Unfit {
        /// The stream.
        stream: StreamId,
        /// Why.
        why: Unfit,
    },
    /// A part of a request's body. It must be [given back](Connection::consumed) when it is consumed or dropped.
    Data {
        /// The stream.
        stream: StreamId,
        /// The bytes.
        bytes: &'i [u8],
    },
    /// A request's body has ended.
    End {
        /// The stream.
        stream: StreamId,
        /// The fields that followed it.
        trailers: Option<Fields>,
    },
    /// A stream that was not answered to its end is over.
    Reset {
        /// The stream.
        stream: StreamId,
        /// What the caller [calls](Connection::call) it.
        label: u32,
        /// Why.
        code: Code,
    },
    /// More may be sent than before: on a stream, or on the whole connection.
    Opened {
        /// The stream, or the connection.
        stream: StreamId,
    },
    /// The connection must be closed after what is in `out` was sent. All its streams are over.
    Closed {
        /// Why.
        code: Code,
    },
}

/// Why a request cannot be served, though nothing is wrong with its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It has too many or too large fields. The answer is 431.
    TooLarge,
    /// Its authority is none or differs from `host`, or its length is no number. The answer is 400. What else is malformed
    /// is reset.
    Malformed,
}

/// A client's connection.
#[derive(Debug)]
pub struct Connection {
    clock: Clock,
    phase: Phase,
    reading: Reading,
    /// What the client has begun to send. `None`: the last frame was whole.
    begun: Option<Box<Begun>>,
    decoder: Decoder,
    streams: Streams,
    bodies: Bodies,
    /// What may be sent on the whole connection.
    sending: Sending,
    /// What a new stream may be sent.
    first_window: i32,
    /// What the client may send on the whole connection.
    receiving: Receiving,
    budget: Budget,
    announced: Announced,
    /// When the connection closes. `None`: it has streams.
    idle: Option<Tick>,
    /// How long it stays without streams.
    idle_time: Span,
    /// How long what was begun may take.
    half_time: Span,
    /// The last stream that the client opened.
    last: StreamId,
    /// The client opens no more streams: it sent GOAWAY.
    is_client_leaving: bool,
}

/// How far a connection is. See the drawing above.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The client's SETTINGS have not come.
    Opening,
    Open,
    /// Streams that are opened from now on are ignored: we sent GOAWAY with the last one that is served.
    Leaving,
    Closed,
}

/// Whether our SETTINGS hold.
///
/// ```text
///   Sent ──acknowledgement──▶ Known ── the client had its time to give up its table ──▶ Settled
///    └── too late ──▶ the connection closes
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Announced {
    /// The client has not acknowledged them.
    Sent {
        until: Tick,
    },
    /// It has, and may have a compression table from before.
    Known {
        until: Tick,
    },
    Settled,
}

/// The beginning of a frame or of a block of fields.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
struct Begun {
    /// The frame as far as it came.
    half: Vec<u8>,
    /// The block.
    block: Option<OpenBlock>,
    /// When the connection closes. `None`: it was not decided that the client is slow.
    until: Option<Tick>,
}

impl Begun {
    fn is_empty(&self) -> bool {
        self.half.is_empty() && self.block.is_none()
    }

    /// Whether a client can have begun this.
    fn is_possible(&self) -> bool {
        let most = HEAD_BYTES.saturating_add(MOST_FRAME_BYTES);
        self.half.len() <= most && self.block.as_ref().is_none_or(OpenBlock::is_possible)
    }
}

const _: () = assert!(size_of::<Connection>() <= 160, "there may be a hundred thousand connections");

impl Connection {
    /// A connection from its preface on.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let clock = Clock::new(now);
        let began = clock.tick(now);
        Self {
            clock,
            phase: Phase::Opening,
            reading: Reading::Preface { matched: 0 },
            begun: None,
            decoder: Decoder::default(),
            streams: Streams::default(),
            bodies: Bodies::default(),
            sending: Sending::new(FIRST_WINDOW_BYTES),
            first_window: FIRST_WINDOW_BYTES,
            receiving: Receiving::new(CONNECTION_BYTES),
            budget: Budget::new(began),
            announced: Announced::Sent { until: began.after(SETTINGS_TIMEOUT) },
            idle: Some(began.after(IDLE_TIMEOUT)),
            idle_time: Span::of(IDLE_TIMEOUT),
            half_time: Span::of(HALF_TIMEOUT),
            last: StreamId::CONNECTION,
            is_client_leaving: false,
        }
    }

    /// Changes how long the client may take for what it begins, and how long the connection stays without streams. It is
    /// called before anything is read.
    pub fn allow(&mut self, half: Duration, idle: Duration) {
        (self.half_time, self.idle_time) = (Span::of(half), Span::of(idle));
        self.idle = Some(Tick(0).after_span(self.idle_time));
    }

    /// Writes what the server sends first.
    pub fn open(&self, out: &mut Vec<u8>) {
        encode::settings(out);
        let more = CONNECTION_BYTES.saturating_sub(FIRST_WINDOW_BYTES);
        encode::window_update(out, StreamId::CONNECTION, more.unsigned_abs());
    }

    /// Reads on in `input`, and adds answers to `out`. It is called until it returns `None`. Then nothing is left of the
    /// input, unless the connection [waits](Self::is_waiting): then the rest is to be read again later.
    pub fn read<'i>(&mut self, input: &mut &'i [u8], now: Instant, out: &mut Vec<u8>) -> Option<Event<'i>> {
        let now = self.clock.tick(now);
        let event = loop {
            if self.phase == Phase::Closed {
                *input = &[];
                break None;
            }
            match self.step(input, now, out) {
                Ok(Step::On) => {}
                Ok(Step::Event(event)) => break Some(event),
                Ok(Step::Wait) => break None,
                Err(code) => break Some(self.close(code, out)),
            }
        };
        self.watch(now);
        event
    }

    /// Whether as many requests wait for a decision as may. Until one is decided, nothing more is read.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.phase != Phase::Closed && self.streams.are_many_deciding()
    }

    /// Whether nothing more happens on the connection: it was closed, or one side leaves and all streams are over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        let is_leaving = self.phase == Phase::Leaving || self.is_client_leaving;
        self.phase == Phase::Closed || (is_leaving && self.streams.are_over())
    }

    /// Whether it has no stream that is not answered to its end.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.streams.are_over()
    }

    /// Ends the connection with an error (RFC 9113, section 5.4.1). The caller may still ask for the labels of streams.
    fn close(&mut self, code: Code, out: &mut Vec<u8>) -> Event<'static> {
        encode::goaway(out, self.last, code);
        self.phase = Phase::Closed;
        self.begun = None;
        self.bodies = Bodies::default();
        self.decoder.forget_table();
        Event::Closed { code }
    }

    /// Ends a stream with an error (RFC 9113, section 5.4.2). Returns an event if the caller knows the stream.
    ///
    /// # Errors
    /// A connection error if the stream was never opened, or there are too many such errors.
    fn fault(&mut self, stream: StreamId, code: Code, now: Tick, out: &mut Vec<u8>) -> Result<Step<'static>, Code> {
        if stream > self.last || !stream.is_a_clients() {
            return Err(code);
        }
        self.budget.spend(COST_OF_RESET, now)?;
        encode::rst_stream(out, stream, code);
        self.drop_body(stream);
        let was = self.streams.end(stream);
        self.note_idle(now);
        Ok(was.map_or(Step::On, |was| Step::Event(Event::Reset { stream, label: was.label, code })))
    }
}

/// What comes after a step of reading.
#[derive(Debug)]
enum Step<'i> {
    /// The next step.
    On,
    /// The caller is told something.
    Event(Event<'i>),
    /// More bytes are needed, or a decision.
    Wait,
}
