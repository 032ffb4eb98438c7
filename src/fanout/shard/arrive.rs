//! Takes arriving clients in.

use super::super::arrival::Arrival;
use super::super::batch::Framing;
use super::super::client::{Because, Behind, Client, Ends, State, Strays};
use super::super::group::Group;
use super::super::keys::GroupKey;
use super::super::sending::reset_on_close;
use super::super::terms::{Sent, Terms};
use super::super::trust::Trust;
use super::{Change, Shard, token};
use crate::hub::{Departure, Detached, Feed, Seat};
use bytes::{Bytes, BytesMut};
use mio::Interest;
use mio::unix::SourceFd;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Instant;

impl Shard {
    /// Takes a client in. The response's head and first lines are sent in the group's turn.
    pub(super) fn arrive(&mut self, arrival: Arrival, now: Instant) {
        let delivery = arrival.delivery;
        let framing = delivery.framing;
        let Detached { seat, cursor, told_first } = delivery.subscription.detach();
        let group = self.group_of(&seat, framing, &delivery.terms, now);
        let mut sent = Sent { bytes: delivery.opening_text, events: 0 };
        let pending = match &told_first {
            None => delivery.opening,
            Some(frame) => {
                sent += Sent { bytes: frame.text_len() as u64, events: 1 };
                joined(delivery.opening, framing.wire(frame))
            }
        };
        let ends = delivery.lifetime.map(|lifetime| Ends { at: now + lifetime, because: Because::Lifetime });
        let state = State::Behind(Box::new(Behind { pending, ..Behind::at(cursor, now) }));
        let client = Client {
            socket: arrival.socket,
            group,
            strays: Strays::new(delivery.is_kept, &arrival.unread),
            state,
            seat: Some(seat),
            home: arrival.home,
            last_sent: now,
            trust: Trust::default(),
            ends,
            sent,
        };
        if framing == Framing::UntilClose {
            // An ordinary close of this socket looks like the end of the response. So the close is set to be a reset.
            // An orderly end undoes that.
            reset_on_close(&client.socket);
        }
        self.counted(group, sent);
        let socket = client.socket.as_raw_fd();
        let key = self.clients.insert(client);
        let registered =
            self.poll.registry().register(&mut SourceFd(&socket), token(key), Interest::READABLE | Interest::WRITABLE);
        if let Some(group) = self.groups.get_mut(group) {
            group.clients += 1;
            group.ready.push_back(key);
        }
        if let Err(error) = registered {
            log::error!("cannot poll a client: {error}");
            self.depart(key, &Departure::Left, now);
            return;
        }
        if let Some(by) = self.draining {
            self.end_by(key, by, now);
        }
        self.arm(key);
        self.enqueue(group);
    }

    /// The key of the group of an arriving client. The group is made if it does not exist.
    fn group_of(&mut self, seat: &Seat, framing: Framing, terms: &Arc<dyn Terms>, now: Instant) -> GroupKey {
        let id = (Feed::id(seat), framing);
        if let Some(key) = self.by_id.get(&id) {
            return *key;
        }
        let key = self.groups.next_key();
        let change = Arc::new(Change::new(key, Arc::clone(&self.inbox)));
        let feed = Feed::new(seat, Arc::clone(&change) as _);
        self.groups.insert(Group::new(id, feed, change, Arc::clone(terms), now));
        self.by_id.insert(id, key);
        key
    }

    /// Adds what clients of a group were sent to the route's counters.
    pub(super) fn counted(&self, group: GroupKey, sent: Sent) {
        if let Some(group) = self.groups.get(group) {
            let counters = group.terms.counters();
            counters.events_out.add(sent.events);
            counters.bytes_out.add(sent.bytes);
        }
    }
}

/// Joins two pieces of bytes.
pub(super) fn joined(first: Bytes, second: &[u8]) -> Bytes {
    if first.is_empty() {
        return Bytes::copy_from_slice(second);
    }
    let mut both = BytesMut::from(first);
    both.extend_from_slice(second);
    both.freeze()
}
