//! Sends events: in passes to the clients that are caught up, and one by one to the clients served alone.

use super::super::batch::Batch;
use super::super::client::{Next, State};
use super::super::keys::{ClientKey, GroupKey};
use super::super::sender::Stopped;
use super::super::terms::Sent;
use super::Shard;
use std::sync::Arc;
use std::time::Instant;

/// The number of clients that a pass sends to before other groups get their turn. It takes about a millisecond.
const PASS_SLICE: usize = 128;

/// The number of clients served alone that are sent something in one turn of their group.
const BEHIND_SLICE: usize = 16;

impl Shard {
    /// Notes that a group's stream has new frames or is over.
    pub(super) fn changed(&mut self, key: GroupKey, now: Instant) {
        let Some(group) = self.members.group(key) else { return };
        group.changed(now);
        self.schedule(key);
    }

    /// Serves a group for one turn: a slice of its pass, then some of the clients served alone.
    pub(super) fn serve(&mut self, key: GroupKey, now: Instant) {
        self.begin_pass(key, now);
        self.go_on_with_pass(key, now);
        for _ in 0..BEHIND_SLICE {
            let Some(client) = self.members.group(key).and_then(|group| group.behind.next()) else { return };
            self.catch_up(client, key, now);
        }
    }

    /// Begins a pass, if those who are caught up are to be given something.
    fn begin_pass(&mut self, key: GroupKey, now: Instant) {
        let Some((group, clients)) = self.members.group_and_clients(key) else { return };
        let Some((all, left)) = group.begin_pass(now) else { return };
        for client in all {
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
        let mut reached = 0_u64;
        let slice = std::iter::from_fn(|| group.caught_up.next()).take(PASS_SLICE).inspect(|_| reached += 1);
        let sockets = slice.filter_map(|key| Some((key, &clients.get(key)?.socket)));
        let stopped = self.sender.send_to_each(sockets, &batch.bytes);
        group.finish_pass();
        let whole = reached.saturating_sub(stopped.len() as u64);
        group.count(Sent { bytes: batch.sent.bytes * whole, events: batch.sent.events * whole });
        for Stopped { key, taken } in stopped {
            self.fall_behind(key, &batch, *taken.as_ref().unwrap_or(&0), now);
            if let Err(departure) = taken {
                self.depart(key, &departure, now);
            }
        }
    }

    /// Takes a client off those who are caught up, because it took only the beginning of a batch. It is served alone
    /// from now on.
    fn fall_behind(&mut self, key: ClientKey, batch: &Batch, taken: usize, now: Instant) {
        let Some((client, group)) = self.members.apart(key) else { return };
        client.fall_behind(batch, taken, group, now);
        group.behind.block(key);
        self.arm(key);
    }

    /// Serves one client alone.
    fn catch_up(&mut self, key: ClientKey, group: GroupKey, now: Instant) {
        // The queue may name a client that has left, whose key another client has by now.
        let Some((client, group)) = self.members.of(key).filter(|(client, _)| client.group == group) else { return };
        match client.serve_alone(group, now) {
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
    pub(super) fn unblock(&mut self, key: ClientKey, now: Instant) {
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
            State::Parting(_) => self.part(key, now),
            State::CaughtUp { .. } | State::Waiting { .. } | State::Closing { .. } => {}
        }
    }
}
