//! Sends events: in passes to the clients that are caught up, and one by one to the clients served alone.

use super::super::batch::Batch;
use super::super::client::{Next, State};
use super::super::effort::{GROUP, TURN, sending};
use super::super::keys::{ClientKey, GroupKey};
use super::super::sender::Stopped;
use super::super::terms::Sent;
use super::Shard;
use std::sync::Arc;
use std::time::Instant;

/// What one turn of a group may cost for those who are caught up: 64 small sends. Then other groups get their turn.
const PASS: usize = TURN / 2;

/// What one turn of a group may cost for the clients served alone.
const ALONE: usize = TURN / 4;

impl Shard {
    /// Notes that a group's stream has new frames or is over.
    pub(super) fn changed(&mut self, key: GroupKey, now: Instant) {
        let Some(group) = self.members.group(key) else { return };
        group.changed(now);
        self.schedule(key);
    }

    /// Serves groups in turns until the effort is spent.
    pub(super) fn serve_groups(&mut self, now: Instant) {
        while !self.effort.is_spent()
            && let Some(key) = self.backlog.groups.pop_front()
        {
            let Some(group) = self.members.group(key) else { continue };
            group.queued = false;
            self.effort.spend(GROUP);
            self.serve(key, now);
            self.schedule(key);
        }
    }

    /// Serves a group for one turn: a slice of its pass, then some of the clients served alone.
    fn serve(&mut self, key: GroupKey, now: Instant) {
        self.begin_pass(key, now);
        self.go_on_with_pass(key, now);
        let mut left = self.effort;
        self.effort = left.part(ALONE);
        while !self.effort.is_spent()
            && let Some(client) = self.members.group(key).and_then(|group| group.behind.next())
        {
            self.catch_up(client, key, now);
        }
        left.give_back(self.effort);
        self.effort = left;
    }

    /// Begins a pass, if those who are caught up are to be given something.
    fn begin_pass(&mut self, key: GroupKey, now: Instant) {
        let Some((group, clients)) = self.members.group_and_clients(key) else { return };
        let Some((some, left)) = group.begin_pass(now) else { return };
        for client in some {
            if let Some(client) = clients.get_mut(client) {
                client.leave(left);
                client.go_on_alone(left.cursor, bytes::Bytes::new(), now);
            }
        }
    }

    /// Sends the batch of a pass to a slice of the clients that are caught up.
    fn go_on_with_pass(&mut self, key: GroupKey, now: Instant) {
        let Some((group, clients)) = self.members.group_and_clients(key) else { return };
        let Some(batch) = group.caught_up.pass().batch().map(Arc::clone) else { return };
        let cost = sending(batch.bytes.len());
        let mut effort = self.effort.part(PASS);
        let mut reached = 0;
        let slice = std::iter::from_fn(|| group.caught_up.next()).take(effort.pieces(cost)).inspect(|_| reached += 1);
        let sockets = slice.filter_map(|key| Some((key, &clients.get(key)?.socket)));
        let stopped = self.sender.send_to_each(sockets, &batch.bytes);
        effort.spend(cost * reached);
        self.effort.give_back(effort);
        group.finish_pass();
        let whole = reached.saturating_sub(stopped.len()) as u64;
        group.count(Sent { bytes: batch.sent.bytes * whole, events: batch.sent.events * whole });
        for stopped in stopped {
            self.fall_behind(stopped, &batch, now);
        }
    }

    /// Takes a client off those who are caught up, because it took only the beginning of a batch. It is served alone
    /// from now on, or departs.
    fn fall_behind(&mut self, Stopped { key, taken }: Stopped, batch: &Batch, now: Instant) {
        let Some((client, group)) = self.members.apart(key) else { return };
        client.fall_behind(batch, *taken.as_ref().unwrap_or(&0), group, now);
        match taken {
            Ok(_) => group.behind.block(key),
            Err(departure) => {
                client.goes(departure);
                group.behind.ready(key);
            }
        }
        self.arm(key);
    }

    /// Serves one client alone.
    fn catch_up(&mut self, key: ClientKey, group: GroupKey, now: Instant) {
        // The queue may name a client that has left, whose key another client has by now.
        let Some((client, group)) = self.members.of(key).filter(|(client, _)| client.group == group) else { return };
        match client.serve_alone(group, &mut self.effort, now) {
            Next::Nothing => return,
            Next::Ready => return group.behind.ready(key),
            Next::Departs(departure) => return self.depart(key, &departure, now),
            Next::Blocked => group.behind.block(key),
            Next::Waits => group.caught_up.wait(key),
            Next::Joins { cursor, had_batch } => self.members.join(key, cursor, had_batch, now),
        }
        self.arm(key);
    }

    /// Notes that a client's socket accepts bytes again.
    pub(super) fn unblock(&mut self, key: ClientKey) {
        let Some((client, group)) = self.members.of(key) else { return };
        match &mut client.state {
            State::Alone(alone) => {
                if alone.unblock() {
                    let key_of_group = client.group;
                    group.behind.unblock(key);
                    group.behind.ready(key);
                    self.schedule(key_of_group);
                }
            }
            State::Parting(_) => self.calls(key),
            State::CaughtUp { .. } | State::Waiting { .. } | State::Closing { .. } => {}
        }
    }
}
