//! Deadlines: heartbeats, stalls, lifetimes, the drain and held events.

use super::super::batch::Framing;
use super::super::client::{Because, Behind, Client, Ends, State};
use super::super::group::Group;
use super::super::keys::{ClientKey, GroupKey};
use super::super::sending::{reset_on_close, send_some};
use super::super::terms::{SPREAD_OF_DRAIN, Sent};
use super::Shard;
use crate::hub::{Departure, PATIENCE_WITH_READERS, Seat};
use crate::sse::{HEARTBEAT, HEARTBEAT_CHUNK};
use bytes::Bytes;
use std::time::Instant;

impl Shard {
    /// Does what is due by `now`.
    pub(super) fn pass_time(&mut self, now: Instant) {
        while let Some((_, group)) = self.held.first().copied().filter(|(at, _)| *at <= now) {
            self.let_go(group);
        }
        let mut due = std::mem::take(&mut self.due);
        self.wheel.expire(now, &mut due);
        for key in due.drain(..) {
            self.due(key, now);
        }
        self.due = due;
    }

    /// Sends a group's held events.
    pub(super) fn let_go(&mut self, key: GroupKey) {
        if let Some(group) = self.groups.get_mut(key)
            && let Some(at) = group.held.take()
        {
            self.held.remove(&(at, key));
            self.enqueue(key);
        }
    }

    /// Sets a client's deadline in the wheel to the earliest of its deadlines.
    pub(super) fn arm(&mut self, key: ClientKey) {
        let Some(client) = self.clients.get(key) else { return };
        let Some(group) = self.groups.get(client.group) else { return };
        match next_deadline(client, group) {
            Some(at) => self.wheel.set(key, at),
            None => self.wheel.cancel(key),
        }
    }

    /// Does what is due for a client whose deadline in the wheel has come. That deadline may be out of date.
    fn due(&mut self, key: ClientKey, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(group) = self.groups.get(client.group) else { return };
        let pace = group.terms.pace();
        let Client { socket, state, seat, .. } = client;
        if let (State::Behind(behind), Some(seat)) = (&mut *state, seat)
            && seat.has_hold()
            && behind.stalls(PATIENCE_WITH_READERS, socket, now)
        {
            seat.found_slow();
        }
        let stalls = match state {
            State::Behind(behind) | State::Parting(behind) => behind.stalls(pace.stall, socket, now),
            State::CaughtUp { .. } | State::Waiting { .. } | State::Closing { .. } => false,
        };
        match state {
            State::Closing { until } if *until <= now => return self.remove(key),
            State::Parting(_) if stalls => {
                reset_on_close(socket);
                return self.remove(key);
            }
            State::Closing { .. } | State::Parting(_) => return self.arm(key),
            State::CaughtUp { .. } | State::Waiting { .. } | State::Behind(_) => {}
        }
        if let Some(ends) = client.ends.filter(|ends| ends.at <= now) {
            return self.depart(key, &ends.because.into(), now);
        }
        match &client.state {
            State::Behind(_) if stalls => return self.depart(key, &Departure::Stalled, now),
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
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(group) = self.groups.get(client.group) else { return };
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
        group.terms.counters().bytes_out.add(told.bytes);
        if taken < line.len() {
            self.leave_roster(key);
            let Some(client) = self.clients.get_mut(key) else { return };
            if let State::Waiting { cursor } = client.state {
                let pending = Bytes::from_static(line).slice(taken..);
                let mut behind = Behind { pending, ..Behind::at(cursor, now) };
                behind.block(&client.socket);
                client.state = State::Behind(Box::new(behind));
                self.hold_alone(key, cursor);
                self.blocked(key);
            }
        }
    }

    /// Begins the drain: every client gets its end, spread over most of the time until `by`.
    pub(super) fn drain(&mut self, by: Instant, now: Instant) {
        self.draining = Some(by);
        let clients: Vec<ClientKey> = self.clients.iter().map(|(key, _)| key).collect();
        for key in clients {
            self.end_by(key, by, now);
            self.arm(key);
        }
    }

    /// Gives a client its end in the drain, at a random instant before `by`.
    pub(super) fn end_by(&mut self, key: ClientKey, by: Instant, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let at = now + by.saturating_duration_since(now).mul_f64(SPREAD_OF_DRAIN * fastrand::f64());
        if client.ends.is_none_or(|ends| at < ends.at) {
            client.ends = Some(Ends { at, because: Because::Drain });
        }
    }
}

/// When a client was last sent something.
fn last_sent(client: &Client, group: &Group) -> Instant {
    match client.state {
        State::CaughtUp { .. } => client.last_sent.max(group.last_sent),
        _ => client.last_sent,
    }
}

fn next_deadline(client: &Client, group: &Group) -> Option<Instant> {
    let pace = group.terms.pace();
    let ends = client.ends.map(|ends| ends.at);
    let stalls = |behind: &Behind| behind.blocked.then(|| behind.accepted + pace.stall);
    let has_hold = client.seat.as_ref().is_some_and(Seat::has_hold);
    let slow = |behind: &Behind| (behind.blocked && has_hold).then(|| behind.accepted + PATIENCE_WITH_READERS);
    match &client.state {
        State::Closing { until } => Some(*until),
        State::Parting(last) => stalls(last),
        // A client that is not blocked is served in its group's turn, which sets its deadline again.
        State::Behind(behind) => [ends, stalls(behind), slow(behind)].into_iter().flatten().min(),
        State::CaughtUp { .. } | State::Waiting { .. } => {
            let beat = pace.heartbeat.map(|interval| last_sent(client, group) + interval);
            [ends, beat].into_iter().flatten().min()
        }
    }
}
