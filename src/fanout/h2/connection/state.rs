//! A connection on its way to another process.

use super::super::budget::Budget;
use super::super::clock::{Clock, Span};
use super::super::frame::StreamId;
use super::super::hpack::{Decoder, DecoderState};
use super::super::limits::{MOST_DEAD, MOST_STREAMS};
use super::super::streams::{Answer, Bodies, Stream, Streams};
use super::super::windows::{Receiving, Sending};
use super::reading::Reading;
use super::{Announced, Begun, Connection, Phase};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// What another process needs to go on with a connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionState {
    /// How long ago it began. Its times are counted from there.
    age: Duration,
    reading: Reading,
    begun: Option<Box<Begun>>,
    decoder: DecoderState,
    streams: Vec<StreamState>,
    sending: Sending,
    first_window: i32,
    receiving: Receiving,
    budget: Budget,
    announced: Announced,
    last: StreamId,
    is_client_leaving: bool,
}

/// A stream whose response has begun, or that is over and whose request has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StreamState {
    id: StreamId,
    sending: Sending,
    is_over: bool,
    is_request_open: bool,
}

impl Connection {
    /// Whether another process can go on with the connection: every response has begun, and no body of a request is read.
    #[must_use]
    pub fn can_move(&self) -> bool {
        self.phase == Phase::Open && self.bodies.are_none() && !self.streams.is_any_deciding()
    }

    /// What another process needs to go on with it. `None`: it cannot.
    #[must_use]
    pub fn state(&self, now: Instant) -> Option<ConnectionState> {
        if !self.can_move() {
            return None;
        }
        let streams = self.streams.all().map(|known| StreamState {
            id: known.id,
            sending: known.sending,
            is_over: known.answer == Answer::Over,
            is_request_open: known.is_request_open,
        });
        Some(ConnectionState {
            age: self.clock.age(now),
            reading: self.reading,
            begun: self.begun.clone(),
            decoder: self.decoder.state(),
            streams: streams.collect(),
            sending: self.sending,
            first_window: self.first_window,
            receiving: self.receiving,
            budget: self.budget,
            announced: self.announced,
            last: self.last,
            is_client_leaving: self.is_client_leaving,
        })
    }

    /// A connection of another process. `half`, `idle`: as in [`allow`](Self::allow). `None`: no connection has such a
    /// state.
    #[must_use]
    pub fn of_state(state: ConnectionState, now: Instant, half: Duration, idle: Duration) -> Option<Self> {
        let clock = Clock::new(now.checked_sub(state.age)?);
        let mut streams = Streams::default();
        let mut before = StreamId::CONNECTION;
        for StreamState { id, sending, is_over, is_request_open } in state.streams {
            let is_known = before < id && id <= state.last && id.is_a_clients();
            if !is_known || streams.all().count() >= MOST_STREAMS.saturating_add(MOST_DEAD) {
                return None;
            }
            let answer = if is_over { Answer::Over } else { Answer::Begun };
            streams.add(Stream { id, sending, turn: 0, label: 0, answer, is_request_open });
            before = id;
        }
        let begun = state.begun.filter(|begun| !begun.is_empty());
        if begun.as_ref().is_some_and(|begun| !begun.is_possible()) || !state.receiving.is_possible() {
            return None;
        }
        let mut connection = Self {
            clock,
            phase: Phase::Open,
            reading: state.reading,
            begun,
            decoder: Decoder::of_state(state.decoder)?,
            streams,
            bodies: Bodies::default(),
            sending: state.sending,
            first_window: state.first_window,
            receiving: state.receiving,
            budget: state.budget.bounded(),
            announced: state.announced,
            idle: None,
            idle_time: Span::of(idle),
            half_time: Span::of(half),
            last: state.last,
            is_client_leaving: state.is_client_leaving,
        };
        connection.note_idle(clock.tick(now));
        Some(connection)
    }
}
