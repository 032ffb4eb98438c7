//! Gives clients up in the middle of their responses.

use super::super::alone::Alone;
use super::super::batch::Framing;
use super::super::client::{Client, State};
use super::super::keys::{CarrierKey, ClientKey, Key};
use super::super::link::Link;
use super::super::moving::{MovingCarrier, MovingClient, MovingSocket, Past, Released};
use super::super::releasing::Part;
use super::super::sink::{OnCarrier, Sink};
use super::super::strays::Strays;
use super::super::terms::Sent;
use super::Shard;
use super::carry::of_label;
use crate::hub::Seat;
use crate::replay::Seq;
use crate::sse::Frame;
use bytes::{Bytes, BytesMut};
use mio::unix::SourceFd;
use std::collections::HashSet;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Instant;

/// So many connections go together, so that the other end begins with them while the next are given up.
const TOGETHER: usize = 128;

impl Shard {
    /// Gives all clients of a stream up that can go. All at once, because nobody serves them until they are elsewhere.
    pub(super) fn release_all(&mut self, stream: usize, moved: &HashSet<usize>, part: &Part, now: Instant) {
        let mut released = Released::default();
        for key in self.members.keys_from(ClientKey::of(0), usize::MAX) {
            self.release(key, (stream, moved), &mut released, now);
            if released.sockets.len() + released.carriers.len() >= TOGETHER {
                part.add(std::mem::take(&mut released));
            }
        }
        part.add(released);
    }

    /// Gives a client of this stream up, and adds it to `released`. A client of HTTP/2 goes with its whole connection, if all
    /// clients there are on streams that `moved`. Nothing happens if it is no client of the stream, or cannot go.
    fn release(
        &mut self,
        key: ClientKey,
        (stream, moved): (usize, &HashSet<usize>),
        released: &mut Released,
        now: Instant,
    ) {
        let Some((client, _)) = self.members.of(key) else { return };
        if client.seat.as_ref().map(Seat::number) != Some(stream) || !client.state.can_move() {
            return;
        }
        match client.sink {
            Sink::Socket(_) => released.sockets.extend(self.release_socket(key, now)),
            Sink::Stream(OnCarrier { carrier, .. }) => {
                released.carriers.extend(self.release_carrier(carrier, moved, now));
            }
        }
    }

    fn release_socket(&mut self, key: ClientKey, now: Instant) -> Option<MovingSocket> {
        let (client, sink, strays) = self.release_client(key, now)?;
        let Sink::Socket(link) = sink else { return None };
        self.unpoll(&link);
        let (socket, channel) = link.into_parts();
        Some(MovingSocket { socket, channel, is_kept: strays.is_kept(), unread: strays.into_unread(), client })
    }

    fn release_carrier(&mut self, key: CarrierKey, moved: &HashSet<usize>, now: Instant) -> Option<MovingCarrier> {
        let carrier = self.output.carriers.get_quiet(key).filter(|carrier| carrier.can_move())?;
        let called = carrier.called();
        let members = &mut self.members;
        let can_all = called.iter().all(|(_, label)| {
            members.of(of_label(*label)).is_some_and(|(client, _)| {
                let number = client.seat.as_ref().map(Seat::number);
                client.state.can_move() && number.is_some_and(|number| moved.contains(&number))
            })
        });
        if !can_all {
            return None;
        }
        let clients = called.into_iter().filter_map(|(stream, label)| {
            let (client, ..) = self.release_client(of_label(label), now)?;
            Some((stream, client))
        });
        let clients = clients.collect();
        let carrier = self.remove_carrier(key)?;
        self.unpoll(&carrier.link);
        Some(MovingCarrier { clients, parts: carrier.into_parts(now) })
    }

    /// Takes a client that can move off its stream.
    fn release_client(&mut self, key: ClientKey, now: Instant) -> Option<(MovingClient, Sink, Strays)> {
        let (client, group) = self.members.apart(key)?;
        let (cursor, rest) = client.state.place()?;
        let (frames, cursor) = group.feed.dropped(cursor);
        let kept =
            Sent { bytes: frames.iter().map(|frame| frame.text_len() as u64).sum(), events: frames.len() as u64 };
        let framing = group.framing();
        let pending = with_frames(rest, &frames, framing);
        let terms = Arc::clone(&group.terms);
        let (lifetime, stayed) = (client.schedule.rest(now), client.stayed(now));
        let Client { sink, strays, seat: Some(seat), home, sent, is_new, .. } = self.forget(key)? else { return None };
        let (stream, course) = (seat.number(), seat.course());
        let (past, caller) = (Past { sent: sent.and(kept), is_new }, seat.leave());
        let client =
            MovingClient { stream, framing, pending, cursor, lifetime, stayed, past, caller, course, terms, home };
        Some((client, sink, strays))
    }

    fn unpoll(&self, link: &Link) {
        if let Err(error) = self.poll.registry().deregister(&mut SourceFd(&link.socket().as_raw_fd())) {
            log::error!("cannot give a connection up: {error}");
        }
    }
}

/// What a client is sent first, and then these frames.
fn with_frames(rest: Bytes, frames: &[Frame], framing: Framing) -> Bytes {
    if frames.is_empty() {
        return rest;
    }
    let mut all = BytesMut::from(rest);
    frames.iter().for_each(|frame| all.extend_from_slice(framing.wire(frame)));
    all.freeze()
}

impl State {
    /// Whether the response goes on, so that another shard can go on with it.
    fn can_move(&self) -> bool {
        match self {
            Self::CaughtUp { .. } | Self::Waiting { .. } => true,
            Self::Alone(alone) => !alone.departs(),
            Self::Parting(_) | Self::Closing { .. } => false,
        }
    }

    /// Where a client is that is not caught up: what it is sent first, and the position at which it goes on.
    fn place(&self) -> Option<(Seq, Bytes)> {
        match self {
            Self::Waiting { cursor } => Some((*cursor, Bytes::new())),
            Self::Alone(alone) => Some((alone.cursor, Alone::pending(alone).clone())),
            Self::CaughtUp { .. } | Self::Parting(_) | Self::Closing { .. } => None,
        }
    }
}
