//! Takes arriving clients in.

use super::super::alone::Alone;
use super::super::arrival::{Arrival, Delivery};
use super::super::batch::Framing;
use super::super::client::{Client, State};
use super::super::effort::ARRIVAL;
use super::super::keys::ClientKey;
use super::super::link::Link;
use super::super::moving::Returning;
use super::super::policy::{LastSent, Phase, Schedule};
use super::super::sending::{limit_stall, reset_on_close};
use super::super::sink::Sink;
use super::super::strays::Strays;
use super::super::terms::{Home, Sent};
use super::super::trust::Trust;
use super::{FEW_ARRIVALS, Shard, token};
use crate::counters::since_start;
use crate::hub::{Departure, Detached};
use bytes::{Bytes, BytesMut};
use mio::Interest;
use mio::unix::SourceFd;
use std::os::fd::AsRawFd;
use std::time::Instant;

impl Shard {
    /// Takes some of the clients in that have arrived, and makes room for as many.
    pub(super) fn take_in(&mut self, now: Instant) {
        let mut taken = 0;
        while !self.effort.is_spent()
            && let Some(arrival) = self.backlog.arriving.pop_front()
        {
            self.effort.spend(ARRIVAL);
            self.arrive(arrival, now);
            taken += 1;
        }
        if self.backlog.arriving.is_empty() {
            self.backlog.arriving.shrink_to(FEW_ARRIVALS);
        }
        self.room.add_permits(taken);
    }

    /// Takes clients in that are in the middle of their responses. All at once, because nobody else serves them.
    pub(super) fn take_back(&mut self, returning: Returning, now: Instant) {
        let Returning { sockets, carriers } = returning;
        sockets.into_iter().for_each(|arrival| self.arrive(arrival, now));
        carriers.into_iter().for_each(|carried| self.carry_again(carried, now));
    }

    /// Takes a client in. The response's head and first lines are sent in the client's turn.
    fn arrive(&mut self, arrival: Arrival, now: Instant) {
        let Arrival { delivery, socket, channel, unread, home } = arrival;
        // The channel cannot leave the engine.
        let is_kept = delivery.is_kept && channel.is_none();
        if delivery.framing == Framing::UntilClose {
            // An ordinary close of this socket looks like the end of the response. So the close is set to be a reset.
            // An orderly end undoes that.
            reset_on_close(&socket);
        }
        if delivery.past.is_some() {
            // The shard before may have judged by itself whether the client stalls.
            limit_stall(&socket, Some(delivery.terms.pace().stall));
        }
        let descriptor = socket.as_raw_fd();
        let sink = Sink::Socket(Link::new(socket, channel));
        let key = self.enter(sink, delivery, Strays::new(is_kept, &unread), home, now);
        let mut source = SourceFd(&descriptor);
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut source, token(key), interest) {
            log::error!("cannot poll a client: {error}");
            self.depart(key, &Departure::Left, now);
            return;
        }
        self.welcome(key, now);
    }

    /// Puts a client into its group.
    pub(super) fn enter(
        &mut self,
        sink: Sink,
        delivery: Delivery,
        strays: Strays,
        home: Box<dyn Home>,
        now: Instant,
    ) -> ClientKey {
        let Detached { seat, cursor, told_first } = delivery.subscription.detach();
        let framing = delivery.framing;
        let group_key = self.members.group_for(&seat, framing, &delivery.terms, &self.inbox, now);
        let before = delivery.past.map(|past| past.sent).unwrap_or_default();
        let mut sent = Sent { bytes: delivery.opening_text, events: 0 };
        let pending = match &told_first {
            None => delivery.opening,
            Some(frame) => {
                sent += Sent { bytes: frame.text_len() as u64, events: 1 };
                joined(delivery.opening, framing.wire(frame))
            }
        };
        self.output.carriers.clients += usize::from(sink.stream().is_some());
        let key = self.members.insert(Client {
            sink,
            group: group_key,
            strays,
            state: State::Alone(Box::new(Alone::new(cursor, pending, now))),
            seat: Some(seat),
            home,
            last_sent: LastSent::with_others(now),
            trust: Trust::default(),
            calls: false,
            schedule: Schedule::new(delivery.lifetime, Phase::random(), now),
            sent: before.and(sent),
            asked: since_start(delivery.asked),
            is_new: delivery.past.is_none_or(|past| past.is_new),
            is_stalled: false,
        });
        if let Some((client, group)) = self.members.of(key) {
            group.count(sent);
            if delivery.past.is_some() {
                return key;
            }
            client.seat.iter().for_each(|seat| group.terms.came(seat));
            let counters = group.terms.counters();
            counters.opens.add(1);
            counters.time_to_head.observe_time(now.saturating_duration_since(delivery.asked), 1);
        }
        key
    }

    /// Lets a client that was put into its group be served.
    pub(super) fn welcome(&mut self, key: ClientKey, now: Instant) {
        self.drain_one(key, now);
        self.renew_one(key, now);
        self.arm(key);
        self.backlog.behind.come(key);
    }
}

/// Joins two pieces of bytes.
fn joined(first: Bytes, second: &[u8]) -> Bytes {
    if first.is_empty() {
        return Bytes::copy_from_slice(second);
    }
    let mut both = BytesMut::from(first);
    both.extend_from_slice(second);
    both.freeze()
}
