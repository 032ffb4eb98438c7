//! Ends the responses of clients: of those that leave, and of those that get an orderly end.

use super::super::batch::Framing;
use super::super::client::{Behind, Client, State};
use super::super::group::Group;
use super::super::keys::ClientKey;
use super::super::sending::{end, receive, reset_on_close, send_last, send_some};
use super::super::terms::{Farewell, LINGER, MOST_STRAY_BYTES, Sent};
use super::Shard;
use super::arrive::joined;
use crate::hub::Departure;
use crate::sse::Frame;
use mio::unix::SourceFd;
use std::os::fd::AsRawFd;
use std::time::Instant;

/// The most bytes that a client may send after our side was closed and before it closes its own side.
const MOST_LATE_BYTES: usize = 1 << 20;

impl Shard {
    /// Takes a departing client off its stream, and begins to send its last bytes if the end is orderly.
    pub(super) fn depart(&mut self, key: ClientKey, departure: &Departure, now: Instant) {
        self.leave_roster(key);
        let Some(client) = self.clients.get_mut(key) else { return };
        let Some(group) = self.groups.get(client.group) else { return };
        let (cursor, mut pending) = match &mut client.state {
            State::Behind(behind) => (behind.cursor, std::mem::take(&mut behind.pending)),
            State::Waiting { cursor } => (*cursor, bytes::Bytes::new()),
            State::CaughtUp { .. } | State::Parting(_) | State::Closing { .. } => return,
        };
        let is_orderly = departure.is_orderly();
        if is_orderly {
            let words = group.terms.last_words(departure, group.feed.origin_retry());
            let framing = group.framing();
            if !words.is_empty() {
                let told = Sent { bytes: words.len() as u64, events: 0 };
                client.sent += told;
                group.terms.counters().bytes_out.add(told.bytes);
                pending = joined(pending, framing.wire(&Frame::of_text(&words)));
            }
            pending = joined(pending, framing.end());
        }
        if let Some(seat) = client.seat.take() {
            // The seat is dropped before the departure is logged, so that the client has left its stream when the line
            // appears.
            let (stream, lag) = (seat.key().clone(), group.feed.lag(cursor));
            drop(seat);
            let (sent, client) = (client.sent, client.home.client());
            group.terms.departed(&Farewell { stream: &stream, client, sent, departure, lag });
        }
        if !is_orderly {
            if *departure == Departure::Stalled {
                reset_on_close(&client.socket);
            }
            return self.remove(key);
        }
        client.state = State::Parting(Box::new(Behind { pending, ..Behind::at(cursor, now) }));
        self.part(key, now);
    }

    /// Sends the rest of a client's last bytes. When all are sent, gives the connection back, or closes our side of it.
    pub(super) fn part(&mut self, key: ClientKey, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let State::Parting(last) = &mut client.state else { return };
        let goes_back = client.strays.is_kept() && self.draining.is_none();
        let send = if goes_back { send_some } else { send_last };
        let Ok(taken) = send(&client.socket, &last.pending) else { return self.remove(key) };
        last.took(taken, now);
        if last.pending.is_empty() && goes_back {
            return self.give_back(key);
        }
        if last.pending.is_empty() {
            let framing = self.groups.get(client.group).map_or(Framing::Chunked, Group::framing);
            end(&client.socket, framing);
            client.state = State::Closing { until: now + LINGER };
            // The client may have closed its side already, and the poll does not report that again.
            return self.listen_to(key, now);
        }
        last.block(&client.socket);
        self.arm(key);
    }

    /// Reads what a client sent, and notes whether it closed its side.
    pub(super) fn listen_to(&mut self, key: ClientKey, now: Instant) {
        let Some(client) = self.clients.get_mut(key) else { return };
        let is_closing = matches!(client.state, State::Closing { .. });
        let most = if is_closing { MOST_LATE_BYTES } else { MOST_STRAY_BYTES };
        let mut strays = std::mem::take(&mut client.strays);
        let received = receive(&client.socket, most.saturating_sub(strays.bytes()), |bytes| strays.add(bytes));
        client.strays = strays;
        match (received, &client.state) {
            (Ok(()), _) => {
                if is_closing {
                    self.arm(key);
                }
            }
            (Err(_), State::Closing { .. } | State::Parting(_)) => self.remove(key),
            (Err(departure), _) => self.depart(key, &departure, now),
        }
    }

    /// Gives a connection back to its home, after an orderly end, so that it serves another request.
    fn give_back(&mut self, key: ClientKey) {
        let Some(Client { socket, strays, home, .. }) = self.forget(key) else { return };
        match self.poll.registry().deregister(&mut SourceFd(&socket.as_raw_fd())) {
            Ok(()) => home.take_back(socket, strays.into_unread()),
            Err(error) => log::error!("cannot give a connection back: {error}"),
        }
    }

    /// Closes a client's socket and forgets it.
    pub(super) fn remove(&mut self, key: ClientKey) {
        drop(self.forget(key));
    }

    /// Removes a client from the shard, and its group if it was the last client there.
    fn forget(&mut self, key: ClientKey) -> Option<Client> {
        self.wheel.cancel(key);
        let client = self.clients.remove(key)?;
        let Some(group) = self.groups.get_mut(client.group) else { return Some(client) };
        group.blocked.remove(&key);
        group.clients -= 1;
        if group.clients == 0 {
            self.let_go(client.group);
            if let Some(group) = self.groups.remove(client.group) {
                self.by_id.remove(&group.id);
            }
        }
        Some(client)
    }
}
