//! Gives clients up in the middle of their responses.

use super::super::alone::Alone;
use super::super::batch::Framing;
use super::super::client::{Client, State};
use super::super::effort::DEPARTURE;
use super::super::keys::ClientKey;
use super::super::moving::{Moving, Past};
use super::super::sink::Sink;
use super::super::terms::Sent;
use super::Shard;
use crate::hub::Seat;
use crate::replay::Seq;
use crate::sse::Frame;
use bytes::{Bytes, BytesMut};
use mio::unix::SourceFd;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::Instant;

impl Shard {
    /// Gives a client of this stream up. `None`: it is no client of the stream, it departs already, or its connection carries
    /// other clients, too.
    pub(super) fn release(&mut self, key: ClientKey, stream: usize, now: Instant) -> Option<Moving> {
        let (client, _) = self.members.of(key)?;
        let is_meant = client.seat.as_ref().map(Seat::number) == Some(stream) && client.sink.link().is_some();
        if !is_meant || !client.state.can_move() {
            return None;
        }
        self.effort.spend(DEPARTURE);
        let (client, group) = self.members.apart(key)?;
        let (cursor, rest) = client.state.place()?;
        let (frames, cursor) = group.feed.dropped(cursor);
        let kept =
            Sent { bytes: frames.iter().map(|frame| frame.text_len() as u64).sum(), events: frames.len() as u64 };
        let pending = with_frames(rest, &frames, group.framing());
        let (framing, terms) = (group.framing(), Arc::clone(&group.terms));
        let (lifetime, stayed) = (client.schedule.rest(now), client.stayed(now));
        let Client { sink: Sink::Socket(link), strays, seat: Some(seat), home, sent, is_new, .. } = self.forget(key)?
        else {
            return None;
        };
        let (socket, channel) = link.into_parts();
        if let Err(error) = self.poll.registry().deregister(&mut SourceFd(&socket.as_raw_fd())) {
            log::error!("cannot give a client up: {error}");
        }
        let (is_kept, course) = (strays.is_kept(), seat.course());
        Some(Moving {
            stream,
            socket,
            channel,
            framing,
            is_kept,
            unread: strays.into_unread(),
            pending,
            cursor,
            lifetime,
            stayed,
            past: Past { sent: sent.and(kept), is_new },
            caller: seat.leave(),
            course,
            terms,
            home,
        })
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
