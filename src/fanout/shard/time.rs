//! Deadlines: heartbeats, stalls, lifetimes, the drain and held events.

use super::super::batch::Framing;
use super::super::client::{Because, Client, Ends, State};
use super::super::group::Group;
use super::super::keys::ClientKey;
use super::super::policy::SPREAD_OF_DRAIN;
use super::super::sending::{reset_on_close, send_some};
use super::super::terms::Sent;
use super::Shard;
use crate::hub::{Departure, PATIENCE_WITH_READERS, Seat};
use crate::sse::{HEARTBEAT, HEARTBEAT_CHUNK};
use bytes::Bytes;
use std::time::Instant;

impl Shard {
    /// Does what is due by `now`.
    pub(super) fn pass_time(&mut self, now: Instant) {
        while let Some((at, key)) = self.held.pop_first() {
            if at > now {
                self.held.insert((at, key));
                break;
            }
            if let Some(group) = self.members.group(key) {
                group.caught_up.let_go(now);
                self.schedule(key);
            }
        }
        let mut due = std::mem::take(&mut self.due);
        self.wheel.expire(now, &mut due);
        for key in due.drain(..) {
            self.due(key, now);
        }
        self.due = due;
    }

    /// Sets a client's deadline in the wheel to the earliest of its deadlines.
    pub(super) fn arm(&mut self, key: ClientKey) {
        let Some((client, group)) = self.members.of(key) else { return };
        match next_deadline(client, group) {
            Some(at) => self.wheel.set(key, at),
            None => self.wheel.cancel(key),
        }
    }

    /// Does what is due for a client whose deadline in the wheel has come. That deadline may be out of date.
    fn due(&mut self, key: ClientKey, now: Instant) {
        let Some((client, group)) = self.members.of(key) else { return };
        let pace = group.terms.pace();
        let Client { socket, state, seat, .. } = client;
        if let (State::Alone(alone), Some(seat)) = (&mut *state, seat)
            && seat.has_hold()
            && alone.stalls(PATIENCE_WITH_READERS, socket, now)
        {
            seat.found_slow();
        }
        let stalls = match state {
            State::Alone(alone) | State::Parting(alone) => alone.stalls(pace.stall, socket, now),
            State::CaughtUp { .. } | State::Waiting { .. } | State::Closing { .. } => false,
        };
        match state {
            State::Closing { until } if *until <= now => return self.remove(key),
            State::Parting(_) if stalls => {
                reset_on_close(socket);
                return self.remove(key);
            }
            State::Closing { .. } | State::Parting(_) => return self.arm(key),
            State::CaughtUp { .. } | State::Waiting { .. } | State::Alone(_) => {}
        }
        if let Some(ends) = client.ends.filter(|ends| ends.at <= now) {
            return self.depart(key, &ends.because.into(), now);
        }
        match &client.state {
            State::Alone(_) if stalls => return self.depart(key, &Departure::Stalled, now),
            State::CaughtUp { .. } | State::Waiting { .. }
                if pace.heartbeat.is_some_and(|interval| last_sent(client, group) + interval <= now) =>
            {
                self.beat(key, now);
            }
            _ => {}
        }
        self.arm(key);
    }

    /// Sends a heartbeat, which is a comment line, to a client that was sent nothing for an interval.
    fn beat(&mut self, key: ClientKey, now: Instant) {
        let Some((client, group)) = self.members.of(key) else { return };
        let line = match group.framing() {
            Framing::Chunked => HEARTBEAT_CHUNK,
            Framing::UntilClose => HEARTBEAT,
        };
        client.trust.forgive(&client.socket, group.terms.pace().stall);
        let taken = match send_some(&client.socket, line) {
            Ok(taken) => taken,
            Err(departure) => return self.depart(key, &departure, now),
        };
        client.last_sent = now;
        let told = Sent { bytes: HEARTBEAT.len() as u64, events: 0 };
        client.sent += told;
        group.count(told);
        if taken == line.len() {
            return;
        }
        let Some((client, group)) = self.members.apart(key) else { return };
        if let State::Waiting { cursor } = client.state {
            client.block_with(cursor, Bytes::from_static(line).slice(taken..), group, now);
            group.behind.block(key);
        }
    }

    /// Begins the drain: every client gets its end, spread over most of the time until `by`.
    pub(super) fn drain(&mut self, by: Instant, now: Instant) {
        self.draining = Some(by);
        for key in self.members.keys() {
            self.end_by(key, by, now);
            self.arm(key);
        }
    }

    /// Gives a client its end in the drain, at a random instant before `by`.
    pub(super) fn end_by(&mut self, key: ClientKey, by: Instant, now: Instant) {
        let Some((client, _)) = self.members.of(key) else { return };
        let at = now + by.saturating_duration_since(now).mul_f64(SPREAD_OF_DRAIN * fastrand::f64());
        if client.ends.is_none_or(|ends| at < ends.at) {
            client.ends = Some(Ends { at, because: Because::Drain });
        }
    }
}

/// When a client was last sent something.
fn last_sent(client: &Client, group: &Group) -> Instant {
    match client.state {
        State::CaughtUp { .. } => client.last_sent.max(group.caught_up.last_sent()),
        _ => client.last_sent,
    }
}

fn next_deadline(client: &Client, group: &Group) -> Option<Instant> {
    let pace = group.terms.pace();
    let ends = client.ends.map(|ends| ends.at);
    let slow = client.seat.as_ref().is_some_and(Seat::has_hold).then_some(PATIENCE_WITH_READERS);
    match &client.state {
        State::Closing { until } => Some(*until),
        State::Parting(last) => last.stalls_at(pace.stall),
        // A client that is not blocked is served in its group's turn, which sets its deadline again.
        State::Alone(alone) => {
            let slow = slow.and_then(|slow| alone.stalls_at(slow));
            [ends, alone.stalls_at(pace.stall), slow].into_iter().flatten().min()
        }
        State::CaughtUp { .. } | State::Waiting { .. } => {
            let beat = pace.heartbeat.map(|interval| last_sent(client, group) + interval);
            [ends, beat].into_iter().flatten().min()
        }
    }
}
