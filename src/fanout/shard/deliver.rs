//! Sends events: in passes to the clients on the roster, and one by one to the clients served alone.

use super::super::batch::Batch;
use super::super::client::{Behind, Client, State};
use super::super::group::Group;
use super::super::keys::{ClientKey, GroupKey};
use super::super::sender::Stopped;
use super::super::sending::send_some;
use super::super::terms::Sent;
use super::{Shard, placed};
use crate::hub::{Departure, Reading};
use crate::replay::{Gap, Seq};
use crate::sse::Frame;
use std::sync::Arc;
use std::time::Instant;

/// The number of clients that a pass sends to before other groups get their turn. It takes about a millisecond.
const PASS_SLICE: usize = 128;

/// The number of clients served alone that are sent something in one turn of their group. Each send may have
/// [`BATCH_BYTES`].
const BEHIND_SLICE: usize = 16;

/// The bytes of frames taken from the log at a time.
const BATCH_BYTES: usize = 64 << 10;

impl Shard {
    /// Notes that a group's stream has new frames or is over.
    pub(super) fn changed(&mut self, key: GroupKey, now: Instant) {
        let Some(group) = self.groups.get_mut(key) else { return };
        group.change.clear();
        group.unread = true;
        match group.terms.pace().flush {
            Some(_) if group.feed.cannot_wait(group.reads_on_at()) => self.let_go(key),
            Some(flush) if group.held.is_none() && !group.roster.is_empty() => {
                group.held = Some(now + flush);
                self.held.insert((now + flush, key));
            }
            Some(_) | None => {}
        }
        self.enqueue(key);
    }

    /// Serves a group for one turn: a slice of its pass, then some of the clients served alone.
    pub(super) fn serve(&mut self, key: GroupKey, now: Instant) {
        self.begin_pass(key, now);
        self.go_on_with_pass(key, now);
        for _ in 0..BEHIND_SLICE {
            let Some(group) = self.groups.get_mut(key) else { return };
            let Some(client) = group.ready.pop_front() else {
                group.replayed = None;
                return;
            };
            self.catch_up(client, key, now);
        }
    }

    /// Begins a pass, if the roster was not given all frames of the log.
    fn begin_pass(&mut self, key: GroupKey, now: Instant) {
        let Some(group) = self.groups.get_mut(key) else { return };
        if group.batch.is_some() || !group.unread || group.held.is_some() {
            return;
        }
        if group.roster.is_empty() {
            group.unread = false;
            group.feed.rest();
            release(group);
            return;
        }
        let mut frames = Vec::new();
        let reading = group.feed.read(group.cursor, BATCH_BYTES, &mut frames);
        match batch(group, group.cursor, reading, frames) {
            Ok(batch) => {
                group.sent += batch.sent;
                group.last_sent = now;
                group.batch = Some(Arc::new(batch));
                group.roster.begin();
            }
            Err(Reading::CaughtUp) => {
                group.unread = false;
                release(group);
            }
            // The roster fell off the log, or the stream is over. Each client finds that out in its own turn.
            Err(_) => {
                group.unread = false;
                let (cursor, sent) = (group.cursor, group.sent);
                for client in group.roster.clear() {
                    group.ready.push_back(client);
                    if let Some(client) = self.clients.get_mut(client) {
                        client.sent += sent;
                        client.state = State::Behind(Box::new(Behind::at(cursor, now)));
                    }
                }
                group.feed.rest();
                release(group);
            }
        }
    }

    /// Sends the batch to a slice of the roster.
    fn go_on_with_pass(&mut self, key: GroupKey, now: Instant) {
        let Some(group) = self.groups.get_mut(key) else { return };
        let Some(batch) = &group.batch else { return };
        let mut reached = 0_u64;
        let roster = &mut group.roster;
        let slice = std::iter::from_fn(|| roster.next()).take(PASS_SLICE).inspect(|_| reached += 1);
        let sockets = slice.filter_map(|key| Some((key, &self.clients.get(key)?.socket)));
        let stopped = self.sender.send_to_each(sockets, &batch.bytes);
        let batch = Arc::clone(batch);
        let whole = reached.saturating_sub(stopped.len() as u64);
        if !group.roster.in_pass() {
            group.cursor = batch.to;
            group.batch = None;
            release(group);
        }
        self.counted(key, Sent { bytes: batch.sent.bytes * whole, events: batch.sent.events * whole });
        for Stopped { key: client, taken } in stopped {
            match taken {
                Ok(taken) => self.fall_behind(client, &batch, taken, now),
                Err(departure) => {
                    self.fall_behind(client, &batch, 0, now);
                    self.depart(client, &departure, now);
                }
            }
        }
    }

    /// Takes a client off the roster that took only the beginning of a batch. It is served alone from now on.
    fn fall_behind(&mut self, key: ClientKey, batch: &Batch, taken: usize, now: Instant) {
        let cut = batch.cut(taken);
        self.leave_roster(key);
        let Some(client) = self.clients.get_mut(key) else { return };
        client.sent -= batch.sent;
        client.sent += cut.sent;
        client.last_sent = now;
        let mut behind = Behind { pending: cut.rest, ..Behind::at(cut.cursor, now) };
        behind.block(&client.socket);
        client.state = State::Behind(Box::new(behind));
        let group = client.group;
        self.hold_alone(key, cut.cursor);
        self.counted(group, cut.sent);
        self.blocked(key);
    }

    /// The log keeps what follows `cursor` for a client that has left the roster and may keep up all the same.
    pub(super) fn hold_alone(&mut self, key: ClientKey, cursor: Seq) {
        if let Some(client) = self.clients.get_mut(key)
            && let Some(group) = self.groups.get_mut(client.group)
            && let Some(seat) = &mut client.seat
        {
            group.feed.leave(seat, cursor);
        }
    }

    /// Notes that a client's socket accepts no more bytes. The shard waits until the poll reports it writable.
    pub(super) fn blocked(&mut self, key: ClientKey) {
        let Some(client) = self.clients.get(key) else { return };
        if let Some(group) = self.groups.get_mut(client.group) {
            group.blocked.insert(key);
        }
        self.arm(key);
    }

    /// Serves one client alone: the rest of its last send, then a batch of its own.
    fn catch_up(&mut self, key: ClientKey, group_key: GroupKey, now: Instant) {
        // The queue may name a client that has left, whose key another client has by now.
        let Some(client) = self.clients.get_mut(key).filter(|client| client.group == group_key) else {
            return;
        };
        let Some(group) = self.groups.get_mut(group_key) else { return };
        let Client { socket, state, last_sent, .. } = client;
        let cursor = match state {
            State::Waiting { cursor } => *cursor,
            State::Behind(behind) if !behind.blocked => {
                if !behind.pending.is_empty() {
                    let taken = match send_some(socket, &behind.pending) {
                        Ok(taken) => taken,
                        Err(departure) => return self.depart(key, &departure, now),
                    };
                    behind.took(taken, now);
                    *last_sent = now;
                }
                if !behind.pending.is_empty() {
                    behind.block(socket);
                    client.trust.begin(&client.socket, now);
                    return self.blocked(key);
                }
                behind.cursor
            }
            State::CaughtUp { .. } | State::Behind(_) | State::Parting(_) | State::Closing { .. } => return,
        };
        if let Some(had_batch) = group.admits(cursor) {
            return self.join_roster(key, cursor, had_batch, now);
        }
        let batch = match group.replayed.take().filter(|batch| batch.from == cursor) {
            Some(batch) => Ok(batch),
            None => {
                let Some(seat) = &mut client.seat else { return };
                let mut frames = Vec::new();
                let reading = group.feed.read_alone(seat, cursor, BATCH_BYTES, &mut frames);
                batch(group, cursor, reading, frames).map(Arc::new)
            }
        };
        match batch {
            Ok(batch) => {
                group.replayed = Some(Arc::clone(&batch));
                self.send_own(key, &batch, now);
            }
            Err(Reading::CaughtUp) if group.roster.is_empty() && group.batch.is_none() => {
                group.cursor = cursor;
                self.join_roster(key, cursor, true, now);
            }
            Err(Reading::Lagged(gap)) if group.terms.pace().skips => self.skip(key, cursor, gap, now),
            Err(Reading::Lagged(_)) => self.depart(key, &Departure::Lagged, now),
            Err(Reading::Ended(end)) => self.depart(key, &Departure::Ended(end), now),
            Err(Reading::CaughtUp | Reading::To(_)) => {
                group.waiting.push(key);
                client.state = State::Waiting { cursor };
                self.arm(key);
            }
        }
    }

    /// Sends a batch to one client that has nothing else to be sent.
    fn send_own(&mut self, key: ClientKey, batch: &Batch, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let taken = match send_some(&client.socket, &batch.bytes) {
            Ok(taken) => taken,
            Err(departure) => return self.depart(key, &departure, now),
        };
        let blocked = taken < batch.bytes.len();
        let cut = batch.cut(taken);
        client.sent += cut.sent;
        client.last_sent = now;
        let accepted = match &mut client.state {
            State::Behind(behind) if taken == 0 => behind.accepted,
            _ => now,
        };
        let mut behind = Behind { pending: cut.rest, ..Behind::at(cut.cursor, accepted) };
        if blocked {
            behind.block(&client.socket);
            client.trust.begin(&client.socket, now);
        }
        client.state = State::Behind(Box::new(behind));
        let group = client.group;
        self.counted(group, cut.sent);
        if blocked {
            self.blocked(key);
        } else if let Some(group) = self.groups.get_mut(group) {
            group.ready.push_back(key);
        }
    }

    /// Tells a client that fell off the log of the gap. The client goes on with the oldest event of the log.
    fn skip(&mut self, key: ClientKey, cursor: Seq, gap: Gap, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(group) = self.groups.get_mut(client.group) else { return };
        let (cursor, frame) = group.feed.skip(cursor, gap);
        let told = Sent { bytes: frame.text_len() as u64, events: 1 };
        client.sent += told;
        let pending = group.framing().shared_wire(&frame);
        client.state = State::Behind(Box::new(Behind { pending, ..Behind::at(cursor, now) }));
        group.ready.push_back(key);
        let key = client.group;
        self.counted(key, told);
    }

    fn join_roster(&mut self, key: ClientKey, cursor: Seq, had_batch: bool, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(group) = self.groups.get_mut(client.group) else { return };
        client.sent -= group.sent_to(had_batch);
        client.trust.end(&client.socket, group.terms.pace().stall, now);
        if let Some(seat) = &mut client.seat {
            group.feed.join(seat, cursor);
        }
        group.roster.join(key, had_batch, placed(&mut self.clients));
        self.arm(key);
    }

    /// Takes a client off the roster, if it is on it, and adds its share of what the group was sent.
    pub(super) fn leave_roster(&mut self, key: ClientKey) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let State::CaughtUp { index } = client.state else { return };
        let Some(group) = self.groups.get_mut(client.group) else { return };
        let had_batch = group.roster.had_batch(index);
        client.sent += group.sent_to(had_batch);
        client.last_sent = client.last_sent.max(group.last_sent);
        let cursor = match &group.batch {
            Some(batch) if had_batch => batch.to,
            Some(_) | None => group.cursor,
        };
        client.state = State::Waiting { cursor };
        group.roster.leave(index, placed(&mut self.clients));
    }

    /// Notes that a client's socket accepts bytes again.
    pub(super) fn unblock(&mut self, key: ClientKey, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        match &mut client.state {
            State::Behind(behind) if behind.blocked => {
                behind.blocked = false;
                let group = client.group;
                if let Some(group) = self.groups.get_mut(group) {
                    group.blocked.remove(&key);
                    group.ready.push_back(key);
                }
                self.enqueue(group);
            }
            State::Parting(_) => self.part(key, now),
            State::CaughtUp { .. } | State::Waiting { .. } | State::Behind(_) | State::Closing { .. } => {}
        }
    }
}

/// The batch that a read from `cursor` on found. The error says why there is none.
fn batch(group: &Group, cursor: Seq, reading: Reading, frames: Vec<Frame>) -> Result<Batch, Reading> {
    match reading {
        Reading::To(next) => Ok(Batch::new(group.framing(), cursor, next, frames)),
        other => Err(other),
    }
}

/// Lets the clients that wait for the roster be served again, because the roster has moved or is empty.
fn release(group: &mut Group) {
    group.ready.extend(group.waiting.drain(..));
}
