//! Deadlines: heartbeats, stalls, lifetimes, the drain and held events.

use super::super::batch::{Cut, Framing};
use super::super::client::State;
use super::super::effort::{LOOK, sending_over};
use super::super::keys::{ClientKey, Key};
use super::super::policy::{Due, LastSent};
use super::super::sender::Stopped;
use super::super::terms::Sent;
use super::Shard;
use crate::hub::{Departure, Seat};
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
        self.replays.expire(now);
        self.begin_report(now);
        self.expire_carriers(now);
        self.wheel.expire(now, &mut self.backlog.due);
    }

    /// Does what is due for some of the clients whose deadline has come. Those that are due for a heartbeat get it
    /// together.
    pub(super) fn do_due(&mut self, now: Instant) {
        let mut beats = [Vec::new(), Vec::new(), Vec::new()];
        while !self.effort.is_spent()
            && let Some(key) = self.backlog.due.pop_front()
        {
            self.effort.spend(LOOK);
            match self.due(key, now) {
                Some(Framing::Chunked) => beats[0].push(key),
                Some(Framing::UntilClose) => beats[1].push(key),
                Some(Framing::Data) => beats[2].push(key),
                None => {}
            }
        }
        let [chunked, bare, data] = beats;
        self.beat(&chunked, HEARTBEAT_CHUNK, now);
        self.beat(&bare, HEARTBEAT, now);
        self.beat(&data, HEARTBEAT, now);
    }

    /// Sets a client's deadline in the wheel to the earliest of its deadlines.
    pub(super) fn arm(&mut self, key: ClientKey) {
        let Some((client, group)) = self.members.of(key) else { return };
        match client.schedule.next(group.terms.pace(), client.standing(group)) {
            Some(at) => self.wheel.set(key, at),
            None => self.wheel.cancel(key),
        }
    }

    /// Does what is due for a client whose deadline in the wheel has come, unless that is a heartbeat. Then the framing
    /// is returned in which the client must get it. The deadline may be out of date. The shard looks once per stall time
    /// whether bytes arrive at a client, so a stall is found after at most twice that time.
    fn due(&mut self, key: ClientKey, now: Instant) -> Option<Framing> {
        let (client, group) = self.members.of(key)?;
        client.look(&self.output, now);
        match client.schedule.due(group.terms.pace(), client.standing(group), now) {
            None => {}
            Some(Due::Heartbeat) => {
                self.effort.spend(sending_over(client.sink.is_sealed(), HEARTBEAT.len()));
                if let Some(link) = client.sink.link() {
                    client.trust.forgive(link, group.terms.pace().stall);
                }
                return Some(group.framing());
            }
            Some(Due::Slowness) => {
                client.seat.iter_mut().for_each(Seat::found_slow);
                group.behind.has_dropped();
                let (group, keeps_too_much) = (client.group, client.sink.count_kept(&group.feed));
                self.schedule(group);
                if keeps_too_much {
                    self.gone(key, Departure::Lagged);
                    // At once, so that no more clients depart than must.
                    self.depart(key, &Departure::Lagged, now);
                }
            }
            Some(Due::End(because)) => self.depart(key, &because.into(), now),
            Some(Due::Stall) => self.stalled(key, now),
            Some(Due::Close) => self.remove(key, now),
        }
        self.arm(key);
        None
    }

    /// Sends a heartbeat, which is a comment line, to clients that were sent nothing for an interval.
    fn beat(&mut self, keys: &[ClientKey], line: &'static [u8], now: Instant) {
        if keys.is_empty() {
            return;
        }
        let line = Bytes::from_static(line);
        let pieces = keys.iter().filter_map(|key| Some((*key, self.members.sink(*key)?, &line)));
        let stopped = self.output.send_to_each(pieces);
        for key in keys {
            let Some((client, group)) = self.members.of(*key) else { continue };
            client.last_sent = LastSent::heartbeat(now);
            let told = Sent { bytes: HEARTBEAT.len() as u64, events: 0 };
            client.sent += told;
            group.count(told);
            self.arm(*key);
        }
        for Stopped { client: key, taken } in stopped {
            let Some((client, group)) = self.members.apart(key) else { continue };
            let State::Waiting { cursor } = client.state else { continue };
            let rest = line.slice(*taken.as_ref().unwrap_or(&0)..);
            client.block_after(Cut::at(cursor, rest), group, &self.output, now);
            self.stopped(key, taken);
        }
    }

    /// Gives some of the clients their end, in a drain. The ends are spread over most of the drain's time.
    pub(super) fn drain(&mut self, now: Instant) {
        let Some(from) = self.backlog.undrained.filter(|_| !self.effort.is_spent()) else { return };
        let most = self.effort.pieces(LOOK);
        let keys = self.members.keys_from(from, most);
        self.effort.spend(keys.len() * LOOK);
        // A client that comes later is told when it arrives.
        self.backlog.undrained = keys.last().filter(|_| keys.len() == most).map(|last| ClientKey::of(last.index() + 1));
        for key in keys {
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
