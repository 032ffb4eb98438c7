//! A client that leaves its shard in the middle of its response, which goes on elsewhere.

use super::arrival::{Arrival, Delivery};
use super::batch::Framing;
use super::terms::{Home, Sent, Terms};
use crate::caller::{Caller, CallerState};
use crate::hub::{Course, Subscription};
use crate::replay::Seq;
use crate::tls::{Channel, ChannelState};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A client that has left its shard. It is off its stream, and nobody reads or writes its socket.
#[derive(Debug)]
pub struct Moving {
    /// The number of its stream.
    pub stream: usize,
    /// Its connection.
    pub socket: OwnedFd,
    /// The connection is TLS, and everything goes through this channel. `None`: it is plain.
    pub channel: Option<Box<Channel>>,
    /// The framing of the response's body.
    pub framing: Framing,
    /// The response's head promises that the connection serves another request, and the client has not sent too much for
    /// that.
    pub is_kept: bool,
    /// The bytes that the client sent after its request, if they are kept.
    pub unread: Vec<u8>,
    /// What the client is sent before the frame at `cursor`: the rest of something that it was sent in part.
    pub pending: Bytes,
    /// The position of the next frame for the client.
    pub cursor: Seq,
    /// How long the client may still stay. `None`: no limit.
    pub lifetime: Option<Duration>,
    /// How long ago its request came.
    pub stayed: Duration,
    /// What it was sent so far.
    pub past: Past,
    /// Who it is.
    pub caller: Caller,
    /// What it met so far.
    pub course: Course,
    /// The policy of its route.
    pub terms: Arc<dyn Terms>,
    /// What it holds outside of the engine.
    pub home: Box<dyn Home>,
}

/// What a client was sent before it came to its shard, if it was served before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// What it was sent.
    pub sent: Sent,
    /// It was sent no event.
    pub is_new: bool,
}

/// A client on its way to another process, without its socket. It holds the keys of its TLS.
#[derive(Debug, Serialize, Deserialize)]
pub struct Passage {
    channel: Option<ChannelState>,
    framing: Framing,
    is_kept: bool,
    unread: Vec<u8>,
    pending: Bytes,
    cursor: Seq,
    lifetime: Option<Duration>,
    stayed: Duration,
    past: Past,
    caller: CallerState,
    course: Course,
    /// What [`Home::passport`] says.
    passport: Vec<u8>,
}

impl Passage {
    /// The position of the next frame for the client.
    #[must_use]
    pub fn cursor(&self) -> Seq {
        self.cursor
    }

    /// What [`Home::passport`] said.
    #[must_use]
    pub fn passport(&self) -> &[u8] {
        &self.passport
    }

    /// What is known of the client, which it takes along to its place on the stream.
    #[must_use]
    pub fn who(&self) -> (Caller, Course) {
        (Caller::of_state(self.caller.clone()), self.course)
    }

    /// The client in this process. `stream`: the number of its stream here. `None`: no client has such a passage.
    #[must_use]
    pub fn arrives(self, stream: usize, socket: OwnedFd, terms: Arc<dyn Terms>, home: Box<dyn Home>) -> Option<Moving> {
        let (caller, course) = self.who();
        let Self { channel, framing, is_kept, unread, pending, cursor, lifetime, stayed, past, .. } = self;
        let channel = match channel {
            None => None,
            Some(state) => Some(Box::new(Channel::of_state(state)?)),
        };
        Some(Moving {
            stream,
            socket,
            channel,
            framing,
            is_kept,
            unread,
            pending,
            cursor,
            lifetime,
            stayed,
            past,
            caller,
            course,
            terms,
            home,
        })
    }
}

impl Moving {
    /// What of the client goes to another process, besides its socket. `None`: it cannot go there.
    #[must_use]
    pub fn passage(&self) -> Option<Passage> {
        Some(Passage {
            channel: self.channel.as_ref().map(|channel| channel.state()),
            framing: self.framing,
            is_kept: self.is_kept,
            unread: self.unread.clone(),
            pending: self.pending.clone(),
            cursor: self.cursor,
            lifetime: self.lifetime,
            stayed: self.stayed,
            past: self.past,
            caller: self.caller.state(),
            course: self.course,
            passport: self.home.passport()?,
        })
    }

    /// The client on its way to a shard. `subscription`: its place on its stream, at [`cursor`](Self::cursor).
    #[must_use]
    pub fn goes_on(self, subscription: Subscription, now: Instant) -> Arrival {
        let Self { socket, channel, framing, is_kept, unread, pending, lifetime, stayed, past, terms, home, .. } = self;
        let delivery = Delivery {
            subscription,
            framing,
            opening: pending,
            opening_text: 0,
            is_kept,
            lifetime,
            asked: now.checked_sub(stayed).unwrap_or(now),
            terms,
            past: Some(past),
        };
        Arrival { delivery, socket, channel, unread, home }
    }
}
