//! The frames of a client that carry nothing of a request (RFC 9113, sections 6.3 to 6.9).

use super::super::clock::Tick;
use super::super::encode;
use super::super::frame::{Code, Head, StreamId, dependency, flag, kind, number};
use super::super::limits::{
    COST_OF_OTHERS, COST_OF_PING, COST_OF_RESET, COST_OF_SETTINGS, FIRST_WINDOW_BYTES, TABLE_TIMEOUT, UNREAD_BODY_BYTES,
};
use super::super::settings;
use super::super::streams::Answer;
use super::{Announced, Connection, Event, Phase, Step};

impl Connection {
    pub(super) fn control<'i>(
        &mut self,
        head: Head,
        payload: &[u8],
        now: Tick,
        out: &mut Vec<u8>,
    ) -> Result<Step<'i>, Code> {
        let is_of_connection = head.stream == StreamId::CONNECTION;
        match head.kind {
            kind::PUSH_PROMISE => Err(Code::PROTOCOL_ERROR),
            kind::SETTINGS | kind::PING | kind::GOAWAY if !is_of_connection => Err(Code::PROTOCOL_ERROR),
            kind::PRIORITY | kind::RST_STREAM if is_of_connection => Err(Code::PROTOCOL_ERROR),
            kind::PRIORITY => self.priority(head, payload, now, out),
            kind::RST_STREAM => self.rst_stream(head.stream, payload, now),
            kind::SETTINGS if head.has(flag::ACK) => self.settings_ack(payload, now),
            kind::SETTINGS => self.settings(payload, now, out),
            kind::PING => self.ping(head, payload, now, out),
            kind::GOAWAY => self.goaway(payload, now),
            kind::WINDOW_UPDATE => self.window_update(head.stream, payload, now, out),
            // "Implementations MUST ignore and discard frames of unknown types."
            _ => self.budget.spend(COST_OF_OTHERS, now).map(|()| Step::On),
        }
    }

    /// Priorities are not used any more. Only the form of the frame is checked.
    fn priority<'i>(&mut self, head: Head, payload: &[u8], now: Tick, out: &mut Vec<u8>) -> Result<Step<'i>, Code> {
        self.budget.spend(COST_OF_OTHERS, now)?;
        match dependency(payload) {
            Ok((parent, [])) if parent != head.stream => Ok(Step::On),
            Ok((_, [])) => self.fault(head.stream, Code::PROTOCOL_ERROR, now, out),
            Ok(_) | Err(_) => self.fault(head.stream, Code::FRAME_SIZE_ERROR, now, out),
        }
    }

    fn rst_stream<'i>(&mut self, stream: StreamId, payload: &[u8], now: Tick) -> Result<Step<'i>, Code> {
        let code = Code(number(payload).ok_or(Code::FRAME_SIZE_ERROR)?);
        self.check_opened(stream)?;
        self.budget.spend(COST_OF_RESET, now)?;
        self.drop_body(stream);
        let was = self.streams.remove(stream).filter(|was| was.answer != Answer::Over);
        self.note_idle(now);
        Ok(was.map_or(Step::On, |was| Step::Event(Event::Reset { stream, label: was.label, code })))
    }

    /// A frame that only opened streams have. While we leave, later ones are ignored.
    fn check_opened(&self, stream: StreamId) -> Result<(), Code> {
        let is_opened = stream <= self.last || self.phase == Phase::Leaving;
        if is_opened && stream.is_a_clients() { Ok(()) } else { Err(Code::PROTOCOL_ERROR) }
    }

    fn settings<'i>(&mut self, payload: &[u8], now: Tick, out: &mut Vec<u8>) -> Result<Step<'i>, Code> {
        if self.phase == Phase::Opening {
            self.phase = Phase::Open;
        } else {
            self.budget.spend(COST_OF_SETTINGS, now)?;
        }
        let asked = settings::parse(payload)?;
        encode::settings_ack(out);
        let Some(window) = asked.initial_window else { return Ok(Step::On) };
        let by = window.wrapping_sub(self.first_window);
        self.streams.shift(by)?;
        self.first_window = window;
        Ok(if by > 0 { Step::Event(Event::Opened { stream: StreamId::CONNECTION }) } else { Step::On })
    }

    /// Our SETTINGS hold from now on.
    fn settings_ack<'i>(&mut self, payload: &[u8], now: Tick) -> Result<Step<'i>, Code> {
        if !payload.is_empty() {
            return Err(Code::FRAME_SIZE_ERROR);
        }
        let Announced::Sent { .. } = self.announced else {
            return self.budget.spend(COST_OF_OTHERS, now).map(|()| Step::On);
        };
        self.announced = Announced::Known { until: now.after(TABLE_TIMEOUT) };
        self.decoder.acknowledged();
        let by = UNREAD_BODY_BYTES.saturating_sub(FIRST_WINDOW_BYTES);
        self.bodies.all_mut().for_each(|body| body.window.shift(by));
        Ok(Step::On)
    }

    fn ping<'i>(&mut self, head: Head, payload: &[u8], now: Tick, out: &mut Vec<u8>) -> Result<Step<'i>, Code> {
        if payload.len() != 8 {
            return Err(Code::FRAME_SIZE_ERROR);
        }
        if head.has(flag::ACK) {
            return self.budget.spend(COST_OF_OTHERS, now).map(|()| Step::On);
        }
        self.budget.spend(COST_OF_PING, now)?;
        encode::ping_ack(out, payload);
        Ok(Step::On)
    }

    /// The client opens no more streams. Those that it has go on.
    fn goaway<'i>(&mut self, payload: &[u8], now: Tick) -> Result<Step<'i>, Code> {
        if payload.len() < 8 {
            return Err(Code::FRAME_SIZE_ERROR);
        }
        self.budget.spend(COST_OF_OTHERS, now)?;
        self.is_client_leaving = true;
        Ok(Step::On)
    }

    fn window_update<'i>(
        &mut self,
        stream: StreamId,
        payload: &[u8],
        now: Tick,
        out: &mut Vec<u8>,
    ) -> Result<Step<'i>, Code> {
        let by = number(payload).ok_or(Code::FRAME_SIZE_ERROR)? & super::super::frame::MOST_31_BITS;
        self.budget.spend(COST_OF_OTHERS, now)?;
        if stream == StreamId::CONNECTION {
            let by = Some(by).filter(|by| *by > 0).ok_or(Code::PROTOCOL_ERROR)?;
            self.sending.grow(by)?;
            return Ok(Step::Event(Event::Opened { stream }));
        }
        self.check_opened(stream)?;
        if by == 0 {
            return self.fault(stream, Code::PROTOCOL_ERROR, now, out);
        }
        let known = self.streams.get_mut(stream).filter(|known| known.answer != Answer::Over);
        match known.map(|known| known.sending.grow(by)) {
            None => Ok(Step::On),
            Some(Ok(())) => Ok(Step::Event(Event::Opened { stream })),
            Some(Err(code)) => self.fault(stream, code, now, out),
        }
    }
}
