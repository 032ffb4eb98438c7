//! Sends events: in passes to the clients that are caught up, and one by one to the clients served alone.

use super::super::batch::{Batch, Framing};
use super::super::client::{Next, State};
use super::super::effort::{GROUP, JOINING, JUDGEMENT, TURN, noting, sending_among};
use super::super::group::Begun;
use super::super::keys::{ClientKey, GroupKey};
use super::super::sender::Stopped;
use super::super::terms::Sent;
use super::super::wave::Slice;
use super::Shard;
use crate::access::{Access, wants};
use crate::hub::Departure;
use std::sync::Arc;
use std::time::Instant;

/// What one turn of a group may cost for those who are caught up: 64 small sends. Then other groups get their turn.
const PASS: usize = TURN / 2;

/// Events that were written to clients that are caught up.
#[derive(Debug)]
pub(super) struct Written {
    group: GroupKey,
    /// When the first of the events was appended.
    appended: Instant,
    /// The number of events, for all clients together.
    events: u64,
}

impl Shard {
    /// Counts how long the delivery took of what was written since the clock was last read. Events that were written
    /// together count with the time of the first of them.
    pub(super) fn count_lag(&mut self, now: Instant) {
        for Written { group, appended, events } in self.written.drain(..) {
            if let Some(group) = self.members.group(group) {
                let lag = now.saturating_duration_since(appended);
                group.terms.counters().delivery_lag.observe_time(lag, events);
            }
        }
    }

    /// Notes that a group's stream has new frames or is over.
    pub(super) fn changed(&mut self, key: GroupKey, now: Instant) {
        let Some(group) = self.members.group(key) else { return };
        group.changed(now);
        self.schedule(key);
    }

    /// Serves groups in turns until the effort is spent.
    pub(super) fn serve_groups(&mut self, now: Instant) {
        loop {
            while !self.effort.is_spent()
                && !self.wave.is_full()
                && let Some(key) = self.backlog.groups.pop_front()
            {
                self.effort.spend(GROUP);
                // A group in the wave stays queued until the wave is sent, so that it gets no other turn before.
                if !self.serve(key, now)
                    && let Some(group) = self.members.group(key)
                {
                    group.queued = false;
                    self.schedule(key);
                }
            }
            if self.wave.is_empty() {
                return;
            }
            self.send_wave(now);
        }
    }

    /// Serves a group for one turn: a slice of its pass. Returns whether the slice is in the wave.
    fn serve(&mut self, key: GroupKey, now: Instant) -> bool {
        self.begin_pass(key, now);
        let in_wave = self.go_on_with_pass(key);
        self.judge(key);
        in_wave
    }

    /// Serves those who are behind, in the order in which they came, until the effort is spent.
    pub(super) fn serve_behind(&mut self, now: Instant) {
        while !self.effort.is_spent()
            && let Some(key) = self.backlog.behind.next()
        {
            self.catch_up(key, now);
        }
    }

    /// Judges some of the clients whose sockets accept no more bytes: those for whom the log has dropped something.
    fn judge(&mut self, key: GroupKey) {
        let Some((group, clients)) = self.members.group_and_clients(key) else { return };
        let Some((readable, judged)) = group.judge() else { return };
        self.effort.spend(JUDGEMENT * judged.len());
        let fell = |key| Some((key, clients.get_mut(key)?.fell(key, group, readable)?));
        let gone: Vec<_> = judged.into_iter().filter_map(fell).collect();
        for (client, departure) in gone {
            self.gone(client, departure);
        }
    }

    /// Begins a pass, if those who are caught up are to be given something.
    fn begin_pass(&mut self, key: GroupKey, now: Instant) {
        let Some((group, clients)) = self.members.group_and_clients(key) else { return };
        match group.begin_pass(now) {
            Begun::AsBefore => {}
            Begun::Pass => {
                for key in std::mem::take(&mut group.newcomers) {
                    if let Some(client) = clients.get_mut(key) {
                        client.has_event(group, now);
                    }
                }
            }
            Begun::Rests(waited) => self.backlog.behind.come_back(&waited),
            Begun::Disbands(some, left) => {
                self.effort.spend(JOINING * some.len());
                for key in some {
                    if let Some(client) = clients.get_mut(key) {
                        client.leave(left);
                        client.go_on_alone(left.cursor, bytes::Bytes::new(), now);
                        self.backlog.behind.come(key);
                    }
                }
            }
        }
    }

    /// Puts a slice of a pass into the wave: the batch for some of the clients that are caught up. Returns whether there
    /// is a pass.
    fn go_on_with_pass(&mut self, key: GroupKey) -> bool {
        let Some(group) = self.members.group(key) else { return false };
        let Some(batch) = group.caught_up.pass().batch().map(Arc::clone) else { return false };
        let cost = match group.framing() {
            Framing::Data => noting(self.output.carriers.len(), self.output.carriers.clients, batch.bytes.len()),
            Framing::Chunked | Framing::UntilClose => sending_among(group.sealed, group.clients, batch.bytes.len()),
        };
        let mut effort = self.effort.part(PASS);
        let slice = std::iter::from_fn(|| group.caught_up.next()).take(effort.pieces(cost));
        effort.spend(cost * self.wave.add(key, batch, slice));
        self.effort.give_back(effort);
        self.backlog.behind.come_back(&group.caught_up.finish());
        true
    }

    /// Sends the wave. Then its groups can be served again.
    fn send_wave(&mut self, now: Instant) {
        let mut wave = std::mem::take(&mut self.wave);
        let pieces =
            wave.sends().filter_map(|(number, client, batch)| Some((number, self.members.sink(client)?, &batch.bytes)));
        for Stopped { client, taken } in self.output.send_to_each(pieces) {
            if let Some((client, batch)) = wave.stopped(client) {
                self.fall_behind(client, taken, &batch, now);
            }
        }
        for Slice { group: key, batch, whole } in wave.finish() {
            if let Some(group) = self.members.group(key) {
                if let Some(appended) = group.appended {
                    self.written.push(Written { group: key, appended, events: batch.sent.events * whole });
                }
                group.count(Sent { bytes: batch.sent.bytes * whole, events: batch.sent.events * whole });
                group.queued = false;
                self.schedule(key);
            }
        }
        // It keeps its room.
        self.wave = wave;
    }

    /// Takes a client off those who are caught up, because it took only the beginning of a batch. It is served alone
    /// from now on, or departs.
    fn fall_behind(&mut self, key: ClientKey, taken: Result<usize, Departure>, batch: &Batch, now: Instant) {
        let Some((client, group)) = self.members.apart(key) else { return };
        client.fall_behind(batch, *taken.as_ref().unwrap_or(&0), group, &self.output, now);
        self.stopped(key, taken);
    }

    /// Notes that a client, which is served alone from now on, did not take all that it was sent.
    pub(super) fn stopped(&mut self, key: ClientKey, taken: Result<usize, Departure>) {
        match taken {
            Ok(_) => self.blocked(key),
            Err(departure) => self.gone(key, departure),
        }
    }

    /// Notes that the socket of a client, which is served alone, accepts no more bytes.
    pub(super) fn blocked(&mut self, key: ClientKey) {
        let Some((client, group)) = self.members.of(key) else { return };
        if let State::Alone(alone) = &client.state {
            group.behind.block(key, alone.cursor);
        }
        self.arm(key);
    }

    /// Notes that a client, which is served alone, is to depart. It does so in its own turn.
    pub(super) fn gone(&mut self, key: ClientKey, departure: Departure) {
        let Some((client, group)) = self.members.of(key) else { return };
        let State::Alone(alone) = &mut client.state else { return };
        group.behind.unblock(key, alone.cursor);
        alone.goes(departure);
        self.backlog.behind.come(key);
        self.arm(key);
    }

    /// Serves one client alone. The line may name a client that has left, or another that has its key by now.
    fn catch_up(&mut self, key: ClientKey, now: Instant) {
        let Some((client, group)) = self.members.of(key) else { return };
        match client.serve_alone(group, &mut self.replays, &mut self.output, &mut self.effort, now) {
            Next::Nothing => return,
            Next::Ready => return self.backlog.behind.goes_on(key),
            Next::Departs(departure) => return self.depart(key, &departure, now),
            Next::Blocked => return self.blocked(key),
            Next::Waits => group.caught_up.wait(key),
            Next::Joins { cursor, had_batch } => {
                self.effort.spend(JOINING);
                self.members.join(key, cursor, had_batch, now);
            }
        }
        self.arm(key);
    }

    /// Notes that a client's socket accepts bytes again.
    pub(super) fn unblock(&mut self, key: ClientKey) {
        let Some((client, group)) = self.members.of(key) else { return };
        match &mut client.state {
            State::Alone(alone) => {
                if alone.unblock() {
                    if let Some(seat) = client.seat.as_mut().filter(|_| wants(Access::End)) {
                        seat.was_behind(group.feed.lag(alone.cursor));
                    }
                    group.behind.unblock(key, alone.cursor);
                    self.backlog.behind.come(key);
                }
            }
            State::Parting(_) => self.calls(key),
            State::CaughtUp { .. } | State::Waiting { .. } | State::Closing { .. } => {}
        }
    }
}
