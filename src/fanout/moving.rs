//! A client that leaves its shard in the middle of its response, which goes on elsewhere.

use super::arrival::{Arrival, Delivery};
use super::batch::Framing;
use super::terms::{Home, Sent, Terms};
use crate::caller::Caller;
use crate::hub::{Course, Subscription};
use crate::replay::Seq;
use crate::tls::Channel;
use bytes::Bytes;
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// What it was sent.
    pub sent: Sent,
    /// It was sent no event.
    pub is_new: bool,
}

impl Moving {
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
