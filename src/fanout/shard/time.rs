//! Deadlines: heartbeats, stalls, lifetimes, the drain and held events.

use super::super::batch::Framing;
use super::super::client::State;
use super::super::keys::ClientKey;
use super::super::policy::Due;
use super::super::sending::send_some;
use super::super::terms::Sent;
use super::Shard;
use crate::hub::Seat;
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
        match client.schedule.next(group.terms.pace(), client.standing(group)) {
            Some(at) => self.wheel.set(key, at),
            None => self.wheel.cancel(key),
        }
    }

    /// Does what is due for a client whose deadline in the wheel has come. That deadline may be out of date. The shard
    /// looks once per stall time whether bytes arrive at a client, so a stall is found after at most twice that time.
    fn due(&mut self, key: ClientKey, now: Instant) {
        let Some((client, group)) = self.members.of(key) else { return };
        client.look(now);
        match client.schedule.due(group.terms.pace(), client.standing(group), now) {
            None => {}
            Some(Due::Heartbeat) => self.beat(key, now),
            Some(Due::Slowness) => client.seat.iter_mut().for_each(Seat::found_slow),
            Some(Due::End(because)) => self.depart(key, &because.into(), now),
            Some(Due::Stall) => self.stalled(key, now),
            Some(Due::Close) => self.remove(key),
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
            self.drain_one(key, now);
            self.arm(key);
        }
    }

    /// Gives a client its end, if the shard drains.
    pub(super) fn drain_one(&mut self, key: ClientKey, now: Instant) {
        if let Some(by) = self.draining
            && let Some((client, _)) = self.members.of(key)
        {
            client.schedule.drain(by, now, fastrand::f64());
        }
    }
}
