//! Carries connections of HTTP/2: hears them, takes the answers to their requests, and sends what is due on them.

use super::super::arrival::Delivery;
use super::super::batch::Framing;
use super::super::carrier::{Carrier, Heard};
use super::super::effort::{ARRIVAL, LOOK, hearing};
use super::super::h2::StreamId;
use super::super::joining::{Carried, CarriedAgain, Joining, Rejoining};
use super::super::keys::{CarrierKey, ClientKey, Key};
use super::super::policy::LINGER;
use super::super::responder::{Answer, CarrierId, Part};
use super::super::sending::end;
use super::super::sink::{OnCarrier, Sink};
use super::super::strays::Strays;
use super::super::terms::Home;
use super::{Shard, carrier_token};
use crate::hub::Departure;
use mio::Interest;
use mio::unix::SourceFd;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

/// How long a connection without streams is kept in a drain. A request may be on its way.
const LAST_CALL: Duration = Duration::from_secs(1);

impl Shard {
    /// Takes a connection in.
    pub(super) fn carry(&mut self, carried: Carried, now: Instant) {
        let descriptor = carried.socket.as_raw_fd();
        let key = self.output.carriers.insert(|id| Carrier::new(id, carried, now));
        self.room.add_permits(1);
        self.carries(key, descriptor, now);
    }

    /// Takes a connection in that goes on with its clients.
    pub(super) fn carry_again(&mut self, carried: CarriedAgain, now: Instant) {
        let CarriedAgain { rejoining, parts } = carried;
        let descriptor = parts.socket.as_raw_fd();
        let key = self.output.carriers.insert(|id| Carrier::again(id, parts, now));
        for Rejoining { stream, delivery, home } in rejoining {
            self.effort.spend(ARRIVAL);
            self.join(OnCarrier { carrier: key, stream }, delivery, home, now);
        }
        if let Some(carrier) = self.output.carriers.get_mut(key) {
            carrier.cut_unnamed(now);
        }
        self.carries(key, descriptor, now);
    }

    /// Polls a connection that was taken in.
    fn carries(&mut self, key: CarrierKey, descriptor: RawFd, now: Instant) {
        let interest = Interest::READABLE | Interest::WRITABLE;
        if let Err(error) = self.poll.registry().register(&mut SourceFd(&descriptor), carrier_token(key), interest) {
            log::error!("cannot poll a connection: {error}");
            return self.carrier_gone(key, &Departure::Left, now);
        }
        if self.draining.is_some() {
            self.drain_carrier(key, now);
        }
        self.carrier_calls(key);
    }

    /// Notes a carrier that said something or hung up, or whose streams can go on.
    pub(super) fn carrier_calls(&mut self, key: CarrierKey) {
        if let Some(carrier) = self.output.carriers.get_mut(key)
            && !std::mem::replace(&mut carrier.calls, true)
        {
            self.backlog.carriers.push_back(key);
        }
    }

    /// Hears some of the carriers that call.
    pub(super) fn hear_carriers(&mut self, now: Instant) {
        while !self.effort.is_spent()
            && let Some(key) = self.backlog.carriers.pop_front()
        {
            let Some(carrier) = self.output.carriers.get_mut(key) else { continue };
            carrier.calls = false;
            let is_ready = std::mem::take(&mut carrier.is_ready);
            let heard = carrier.hear(&self.inbox, now);
            self.effort.spend(hearing(heard.requests, heard.bytes));
            self.heard(key, Heard { all_opened: heard.all_opened || is_ready, ..heard }, now);
        }
    }

    /// Does what follows from what a carrier's client said.
    fn heard(&mut self, key: CarrierKey, heard: Heard, now: Instant) {
        for label in heard.left {
            self.effort.spend(LOOK);
            self.depart(of_label(label), &Departure::Left, now);
        }
        if let Some(why) = heard.gone {
            return self.carrier_gone(key, &why, now);
        }
        if heard.is_closed {
            return self.carrier_ends(key, now);
        }
        if heard.all_opened {
            self.wake_streams(key, now);
        } else {
            heard.opened.into_iter().for_each(|stream| self.wake_stream(key, stream, now));
        }
        if heard.has_more {
            self.carrier_calls(key);
        }
    }

    /// Lets a stream go on that may be sent more.
    fn wake_stream(&mut self, key: CarrierKey, stream: StreamId, now: Instant) {
        if let Some(label) = self.output.carriers.get_mut(key).map(|carrier| carrier.label(stream)) {
            self.wake(key, stream, label, now);
        }
    }

    /// The same for a stream whose client has this label, if anybody follows a stream of events on it.
    fn wake(&mut self, key: CarrierKey, stream: StreamId, label: u32, now: Instant) {
        if label > 0 {
            self.unblock(of_label(label));
        } else if let Some(carrier) = self.output.carriers.get_mut(key) {
            carrier.go_on(stream, now);
        }
    }

    /// Lets all streams of a carrier go on that may be sent more.
    fn wake_streams(&mut self, key: CarrierKey, now: Instant) {
        let Some(carrier) = self.output.carriers.get_mut(key) else { return };
        let ready = carrier.ready();
        self.effort.spend(LOOK * ready.len() / 8);
        ready.into_iter().for_each(|(stream, label)| self.wake(key, stream, label, now));
    }

    /// Takes some of the answers that have come.
    pub(super) fn take_answers(&mut self, now: Instant) {
        while !self.effort.is_spent()
            && let Some(Answer { carrier: id, stream, part }) = self.backlog.answers.pop_front()
        {
            self.effort.spend(LOOK);
            let Some(carrier) = self.output.carriers.find(id) else { continue };
            match part {
                Part::Adopt(joining) => self.adopt(id, stream, *joining, now),
                part => carrier.answer(stream, part, now),
            }
        }
    }

    /// Serves the client of a stream from now on. If the stream is over, the client is off its stream of events before its
    /// place is free.
    fn adopt(&mut self, CarrierId { key: carrier, .. }: CarrierId, stream: StreamId, joining: Joining, now: Instant) {
        let Joining { delivery, head, home } = joining;
        let stall = delivery.terms.pace().stall;
        debug_assert_eq!(delivery.framing, Framing::Data);
        if !self.output.carriers.get_mut(carrier).is_some_and(|carrier| carrier.begin(stream, &head, stall)) {
            drop(delivery);
            return drop(home);
        }
        self.effort.spend(ARRIVAL);
        self.join(OnCarrier { carrier, stream }, delivery, home, now);
    }

    /// Serves a client on a stream whose head is written.
    fn join(&mut self, on: OnCarrier, delivery: Delivery, home: Box<dyn Home>, now: Instant) {
        let key = self.enter(Sink::Stream(on), delivery, Strays::default(), home, now);
        if let Some(carrier) = self.output.carriers.get_mut(on.carrier) {
            carrier.call(on.stream, key.index() + 1);
        }
        self.welcome(key, now);
    }

    /// Sends what is due on carriers.
    pub(super) fn flush(&mut self, now: Instant) {
        loop {
            let flushed = self.output.flush(now);
            if flushed.is_empty() {
                return;
            }
            for (key, sent) in flushed {
                match sent {
                    Ok(()) => self.settle(key, now),
                    Err(why) => self.carrier_gone(key, &why, now),
                }
            }
        }
    }

    /// Looks what comes next for a carrier that was sent to.
    fn settle(&mut self, key: CarrierKey, now: Instant) {
        let Some(carrier) = self.output.carriers.get_quiet(key) else { return };
        if carrier.leaves_stalled() && carrier.is_blocked() {
            return self.carrier_gone(key, &Departure::Stalled, now);
        }
        if carrier.keeps_too_much() {
            // At once, so that no more clients depart than must.
            return self.carrier_gone(key, &Departure::Lagged, now);
        }
        if carrier.has_something() {
            self.output.carriers.get_mut(key);
            return;
        }
        if carrier.is_done(now) {
            if carrier.link.has_pending() {
                // TLS has last words, too.
                self.output.carriers.get_mut(key);
                return;
            }
            end(&carrier.link, Framing::Data);
            carrier.closes(now + LINGER);
        }
        let deadline = carrier.deadline();
        let calls = !carrier.calls && (carrier.was_short() || carrier.is_ready || carrier.can_be_heard_again());
        let before = carrier.due();
        if before != deadline {
            carrier.set_due(deadline);
            if let Some(before) = before {
                self.carriers_due.remove(&(before, key));
            }
            self.carriers_due.extend(deadline.map(|at| (at, key)));
        }
        carrier.put_away();
        if calls {
            carrier.calls = true;
            self.backlog.carriers.push_back(key);
        }
    }

    /// Notes the carriers for which something is due.
    pub(super) fn expire_carriers(&mut self, now: Instant) {
        while let Some((at, key)) = self.carriers_due.pop_first() {
            if at > now {
                self.carriers_due.insert((at, key));
                return;
            }
            if let Some(carrier) = self.output.carriers.get_mut(key) {
                carrier.set_due(None);
                self.backlog.expired.push_back(key);
            }
        }
    }

    /// Does what is due for some carriers.
    pub(super) fn do_due_of_carriers(&mut self, now: Instant) {
        while !self.effort.is_spent()
            && let Some(key) = self.backlog.expired.pop_front()
        {
            self.effort.spend(LOOK);
            let Some(carrier) = self.output.carriers.get_mut(key) else { continue };
            if carrier.is_overdue(now) {
                self.carrier_gone(key, &Departure::Left, now);
            } else if carrier.expire(now) {
                self.carrier_ends(key, now);
            }
        }
    }

    /// Tells some of the clients that the shard drains.
    pub(super) fn drain_carriers(&mut self, now: Instant) {
        let Some(from) = self.backlog.undrained_carriers.filter(|_| !self.effort.is_spent()) else { return };
        let most = self.effort.pieces(LOOK);
        let keys = self.output.carriers.keys_from(from, most);
        self.effort.spend(keys.len() * LOOK);
        self.backlog.undrained_carriers =
            keys.last().filter(|_| keys.len() == most).map(|last| CarrierKey::of(last.index() + 1));
        keys.into_iter().for_each(|key| self.drain_carrier(key, now));
    }

    fn drain_carrier(&mut self, key: CarrierKey, now: Instant) {
        if let Some(carrier) = self.output.carriers.get_mut(key) {
            carrier.drain(now + LAST_CALL);
        }
    }

    /// The connection ends because of what the client did. It is told why.
    fn carrier_ends(&mut self, key: CarrierKey, now: Instant) {
        let Some(carrier) = self.output.carriers.get_mut(key) else { return };
        carrier.gives_up(now);
        let labels = carrier.labels();
        labels.into_iter().for_each(|label| self.depart(of_label(label), &Departure::Left, now));
        if let Some(carrier) = self.output.carriers.get_mut(key)
            && carrier.is_blocked()
        {
            // It does not take what it would be told.
            self.carrier_gone(key, &Departure::Left, now);
        }
    }

    /// The connection is gone.
    fn carrier_gone(&mut self, key: CarrierKey, why: &Departure, now: Instant) {
        let Some(mut carrier) = self.remove_carrier(key) else { return };
        for label in carrier.goes(why) {
            self.depart(of_label(label), why, now);
        }
        // The clients have left their streams before the place of the connection is free.
        drop(carrier);
    }

    pub(super) fn remove_carrier(&mut self, key: CarrierKey) -> Option<Carrier> {
        let carrier = self.output.carriers.remove(key)?;
        if let Some(at) = carrier.due() {
            self.carriers_due.remove(&(at, key));
        }
        Some(carrier)
    }
}

/// The client that a carrier calls so.
pub(super) fn of_label(label: u32) -> ClientKey {
    ClientKey::of(label.saturating_sub(1))
}
