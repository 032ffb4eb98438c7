//! Ends the responses of clients: of those that leave, and of those that get an orderly end.

use super::super::alone::Alone;
use super::super::batch::Cut;
use super::super::client::{Client, State};
use super::super::effort::{DEPARTURE, RECEIVE, sending_over};
use super::super::group::Group;
use super::super::keys::ClientKey;
use super::super::link::Manner;
use super::super::policy::LINGER;
use super::super::sending::{end, reset_on_close};
use super::super::sink::{OnCarrier, Sink};
use super::super::terms::{Farewell, MOST_STRAY_BYTES, Sent};
use super::Shard;
use crate::hub::Departure;
use crate::replay::Seq;
use crate::sse::Frame;
use bytes::Bytes;
use mio::unix::SourceFd;
use std::os::fd::AsRawFd;
use std::time::Instant;

/// The most bytes that a client may send after our side was closed and before it closes its own side.
const MOST_LATE_BYTES: usize = 1 << 20;

impl Shard {
    /// Notes a client that said something or hung up, or whose last words can go on.
    pub(super) fn calls(&mut self, key: ClientKey) {
        if let Some((client, _)) = self.members.of(key)
            && !std::mem::replace(&mut client.calls, true)
        {
            self.backlog.calling.push_back(key);
        }
    }

    /// Answers some of the clients that call.
    pub(super) fn answer_calls(&mut self, now: Instant) {
        while !self.effort.is_spent()
            && let Some(key) = self.backlog.calling.pop_front()
        {
            let Some((client, _)) = self.members.of(key) else { continue };
            client.calls = false;
            self.listen_to(key, now);
            self.part(key, now);
        }
    }

    /// Takes a departing client off its stream, and begins to send its last bytes if the end is orderly.
    pub(super) fn depart(&mut self, key: ClientKey, departure: &Departure, now: Instant) {
        let Some((client, group)) = self.members.apart(key) else { return };
        let Some(mut alone) = client.alone(now) else { return };
        self.effort.spend(DEPARTURE);
        // What is unsent is sent whole before an orderly end, whatever the log drops meanwhile.
        let is_orderly = departure.is_orderly() && alone.keeps(&group.feed);
        if is_orderly {
            alone.ends_with(client.last_bytes(departure, group));
        }
        group.behind.unblock(key, alone.cursor);
        client.farewell(departure, alone.cursor, group, now);
        if is_orderly {
            client.state = State::Parting(alone);
            return self.part(key, now);
        }
        client.is_stalled |= *departure == Departure::Stalled;
        if client.is_stalled || alone.was_blocked() {
            // The bytes that the client does not take are freed at once.
            client.resets_on_close();
        }
        self.remove(key, now);
    }

    /// Closes the connection of a client that stalls. It may have departed already.
    pub(super) fn stalled(&mut self, key: ClientKey, now: Instant) {
        let Some((client, _)) = self.members.of(key) else { return };
        if let State::Parting(_) = client.state {
            client.is_stalled = true;
            client.resets_on_close();
            return self.remove(key, now);
        }
        self.depart(key, &Departure::Stalled, now);
    }

    /// Sends the rest of a client's last bytes. When all are sent, gives the connection back, or closes our side of it.
    fn part(&mut self, key: ClientKey, now: Instant) {
        let Some((client, group)) = self.members.of(key) else { return };
        let State::Parting(last) = &mut client.state else { return };
        let goes_back = client.strays.is_kept() && self.draining.is_none();
        let manner = if goes_back { Manner::Now } else { Manner::Last };
        loop {
            if last.pending().is_empty() {
                match &client.sink {
                    Sink::Stream(_) => return self.end_stream(key),
                    Sink::Socket(link) => link.close(),
                }
                if !client.sink.has_pending() {
                    break;
                }
            }
            self.effort.spend(sending_over(client.sink.is_sealed(), last.pending().len()));
            let Ok(taken) = self.output.send(&client.sink, manner, last.pending()) else {
                return self.remove(key, now);
            };
            last.took(taken, now);
            if taken.is_cut_short {
                last.block(self.output.on_the_way(&client.sink));
                client.sink.count_kept(&group.feed);
                return self.arm(key);
            }
        }
        if goes_back {
            return self.give_back(key);
        }
        if let Some(link) = client.sink.link() {
            end(link, group.framing());
        }
        client.state = State::Closing { until: Box::new(now + LINGER) };
        // The client may have closed its side already, and the poll does not report that again.
        self.listen_to(key, now);
    }

    /// Reads what a client sent, and notes whether it closed its side.
    fn listen_to(&mut self, key: ClientKey, now: Instant) {
        let Some((client, _)) = self.members.of(key) else { return };
        let Client { sink: Sink::Socket(link), strays, state, .. } = client else { return };
        let most = if matches!(state, State::Closing { .. }) { MOST_LATE_BYTES } else { MOST_STRAY_BYTES };
        let is_sealed = link.is_sealed();
        self.effort.spend(RECEIVE);
        let received = link.receive(most.saturating_sub(strays.bytes()), strays);
        if received.is_err() && link.has_pending() {
            // An alert, for a client that broke the protocol. If the socket does not take it, nobody waits for that.
            let _taken = self.output.sender.send(link, Manner::Now, b"");
        }
        match (received, state) {
            (Ok(()), State::Closing { .. }) => self.arm(key),
            (Ok(()), State::CaughtUp { .. } | State::Waiting { .. }) if link.has_pending() => self.reply(key, now),
            // What is pending for the others is sent in their turns.
            (Ok(()), _) => {}
            (Err(_), State::Closing { .. } | State::Parting(_)) => self.remove(key, now),
            (Err(departure), _) => self.depart(key, &departure, now),
        }
        if is_sealed {
            self.bound_arriving(key, now);
        }
    }

    /// Counts what is kept of a client's TLS records. A client of which a record has arrived in part departs, if too much is
    /// kept for all clients.
    fn bound_arriving(&mut self, key: ClientKey, now: Instant) {
        let Some((client, group)) = self.members.of(key) else { return };
        let Sink::Socket(link) = &mut client.sink else { return };
        if !link.count_kept(&group.feed) || !link.is_within_record() {
            return;
        }
        match client.state {
            State::Closing { .. } | State::Parting(_) => self.remove(key, now),
            State::CaughtUp { .. } | State::Waiting { .. } | State::Alone(_) => self.depart(key, &Departure::Left, now),
        }
    }

    /// Sends a client that is caught up the answer to what it asked on TLS. If its socket does not take it, the client is
    /// served alone, because the answer goes before all else.
    fn reply(&mut self, key: ClientKey, now: Instant) {
        let Some(Sink::Socket(link)) = self.members.sink(key) else { return };
        let taken = match self.output.sender.send(link, Manner::Now, b"") {
            Ok(taken) if !taken.is_cut_short => return,
            Ok(taken) => Ok(taken.bytes),
            Err(departure) => Err(departure),
        };
        let Some((client, group)) = self.members.apart(key) else { return };
        let State::Waiting { cursor } = client.state else { return };
        client.block_after(Cut::at(cursor, Bytes::new()), group, &self.output, now);
        self.stopped(key, taken);
    }

    /// Gives a connection back to its home, after an orderly end, so that it serves another request.
    fn give_back(&mut self, key: ClientKey) {
        let Some(Client { sink: Sink::Socket(link), strays, home, .. }) = self.forget(key) else { return };
        let Some(socket) = link.into_plain() else { return };
        match self.poll.registry().deregister(&mut SourceFd(&socket.as_raw_fd())) {
            Ok(()) => home.take_back(socket, strays.into_unread()),
            Err(error) => log::error!("cannot give a connection back: {error}"),
        }
    }

    /// Ends the response of a client on a stream, which was sent its last bytes.
    fn end_stream(&mut self, key: ClientKey) {
        let Some(stream) = self.forget(key).and_then(|client| client.sink.stream()) else { return };
        if let Some(carrier) = self.output.carriers.get_mut(stream.carrier) {
            carrier.end(stream.stream);
        }
    }

    /// Closes a client's socket, or breaks its stream off, and forgets it.
    pub(super) fn remove(&mut self, key: ClientKey, now: Instant) {
        let Some(client) = self.forget(key) else { return };
        let Some(OnCarrier { carrier, stream }) = client.sink.stream() else { return };
        match self.output.carriers.get_mut(carrier) {
            Some(carrier) if client.is_stalled => carrier.cut_stalled(stream, now),
            Some(carrier) => carrier.cut(stream, now),
            None => {}
        }
    }

    pub(super) fn forget(&mut self, key: ClientKey) -> Option<Client> {
        self.wheel.cancel(key);
        let client = self.members.remove(key)?;
        self.output.carriers.clients -= usize::from(client.sink.stream().is_some());
        Some(client)
    }
}

impl Client {
    /// The bytes that the client does not take are freed as soon as its connection is closed.
    fn resets_on_close(&self) {
        if let Some(link) = self.sink.link() {
            reset_on_close(link);
        }
    }

    /// What a departing client, which is not caught up, has not been sent. `None`: it has departed already.
    fn alone(&mut self, now: Instant) -> Option<Box<Alone>> {
        match std::mem::replace(&mut self.state, State::Waiting { cursor: Seq(0) }) {
            State::Alone(alone) => Some(alone),
            State::Waiting { cursor } => Some(Box::new(Alone::new(cursor, Bytes::new(), now))),
            departed => {
                self.state = departed;
                None
            }
        }
    }

    /// The last bytes of a response that ends in order: the route's last words, and the end of the framing.
    fn last_bytes(&mut self, departure: &Departure, group: &Group) -> Bytes {
        let framing = group.framing();
        let words = group.terms.last_words(departure, group.feed.origin_retry());
        if words.is_empty() {
            return Bytes::from_static(framing.end());
        }
        let told = Sent { bytes: words.len() as u64, events: 0 };
        self.sent += told;
        group.count(told);
        [framing.wire(&Frame::of_text(&words)), framing.end()].concat().into()
    }

    /// Takes the client off its stream, and reports that.
    fn farewell(&mut self, departure: &Departure, cursor: Seq, group: &Group, now: Instant) {
        let Some(seat) = self.seat.take() else { return };
        // The seat is dropped before the departure is logged, so that the client has left its stream when the line
        // appears.
        let (stream, lag) = (seat.key().clone(), group.feed.lag(cursor));
        let place = Some((seat.epoch(), cursor));
        let course = seat.course();
        let caller = seat.leave();
        let sent = self.sent;
        let stayed = self.stayed(now);
        group.terms.departed(&Farewell {
            stream: &stream,
            caller: &caller,
            course,
            sent,
            stayed,
            departure,
            lag,
            place,
        });
    }
}
