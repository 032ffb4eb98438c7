//! One client: a socket, a place on a stream, and what it was sent.

use super::terms::Sent;
use crate::hub::{Departure, Seat};
use crate::replay::Seq;
use bytes::Bytes;
use std::any::Any;
use std::os::fd::OwnedFd;
use std::time::Instant;

/// A client of a shard.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) socket: OwnedFd,
    /// The group that it is in.
    pub(super) group: u32,
    /// Bytes that it sent after its request.
    pub(super) stray_bytes: u32,
    pub(super) state: State,
    /// Its presence on the stream; none once it has departed.
    pub(super) seat: Option<Seat>,
    /// What is held as long as the socket is open.
    pub(super) _place: Box<dyn Any + Send>,
    /// When it last was sent something, but for what it was sent as one of those that are caught up.
    pub(super) heard: Instant,
    /// When its time is over, whatever it has been sent by then.
    pub(super) ends: Option<Ends>,
    /// What it was sent; of those that are caught up, less what the group was sent when they joined it.
    pub(super) sent: Sent,
}

/// The end of a client's time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    pub(super) at: Instant,
    /// Its lifetime or the drain.
    pub(super) because: Because,
}

/// Why a client's time is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Because {
    Lifetime,
    Drain,
}

impl From<Because> for Departure {
    fn from(because: Because) -> Self {
        match because {
            Because::Lifetime => Self::Lifetime,
            Because::Drain => Self::Drained,
        }
    }
}

/// Where a client stands.
///
/// ```text
///              ┌──────────── caught up with the group ───────────┐
///              ▼                                                 │
///   adopted ▶ Behind ◀── a send was cut short ── CaughtUp        │
///              │ ▲                                │              │
///              │ └─ the group has caught up ── Waiting ◀─ ahead of it
///              ▼                                                 
///           Parting ──── last words sent ──▶ Closing ──▶ dropped
/// ```
#[derive(Debug)]
pub(super) enum State {
    /// On the group's roster, at this index: it shares the group's cursor.
    CaughtUp { index: u32 },
    /// Caught up with the log, but not with the group, which has a pass to make first.
    Waiting { cursor: Seq },
    /// On its own.
    Behind(Box<Behind>),
    /// Departed; what is left to be said to it is on its way.
    Parting(Box<Behind>),
    /// Our side is ended; its end is waited for until then.
    Closing { until: Instant },
}

/// A client with something of its own to be sent.
#[derive(Debug)]
pub(super) struct Behind {
    /// The next position of the log that it has not been given.
    pub(super) cursor: Seq,
    /// What is to be sent before that.
    pub(super) pending: Bytes,
    /// The socket takes no more; a word of the poll is awaited. If not, the client is in the group's queue.
    pub(super) blocked: bool,
    /// When it last accepted a byte.
    pub(super) accepted: Instant,
}
