//! What a shard is asked about its clients. It answers in slices, so that no client waits for an answer.

use super::batch::Framing;
use super::client::{Client, State};
use super::group::Group;
use super::releasing::Part;
use super::terms::Sent;
use crate::caller::Caller;
use crate::replay::Seq;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A client of a shard, as it is at one moment.
#[derive(Debug, Clone)]
pub struct ClientView {
    /// Its shard.
    pub shard: usize,
    /// Its place there.
    pub place: u32,
    /// Tells it apart from others that had its place.
    pub asked: u64,
    /// Who it is.
    pub caller: Caller,
    /// The framing of its response, which tells the version of HTTP.
    pub framing: Framing,
    /// The position of the next frame for it.
    pub cursor: Seq,
    /// What it was sent.
    pub sent: Sent,
    /// How long ago its request came.
    pub age: Duration,
    /// When it was last seen to take a byte, if its socket accepts no more.
    pub slow_since: Option<Instant>,
}

/// Where a client comes among those that are shown: those that are the furthest behind first, and of those that are
/// equally far the ones whose sockets accept no more.
pub(super) type Rank = (Seq, bool);

impl ClientView {
    /// Where the client comes.
    pub(super) fn rank(&self) -> Rank {
        (self.cursor, self.slow_since.is_none())
    }
}

/// A question to a shard.
#[derive(Debug)]
pub(super) enum Question {
    /// The clients of a stream that are the furthest behind.
    Clients {
        stream: usize,
        most: usize,
        found: Vec<ClientView>,
        /// The last in rank of those found, if there are enough. Only those before it are still wanted.
        last: Option<Rank>,
        reply: oneshot::Sender<Vec<ClientView>>,
    },
    /// The position of the client that is the furthest behind, for each stream.
    Slowest { found: HashMap<usize, Seq>, reply: oneshot::Sender<HashMap<usize, Seq>> },
    /// To give all clients of a stream up whose responses can go on elsewhere. `moved`: it, and the streams that went before
    /// it.
    Release { stream: usize, moved: Arc<HashSet<usize>>, part: Part },
    /// To end one client in order. The answer says whether it was there.
    Dismiss { stream: usize, place: u32, asked: u64, reply: oneshot::Sender<bool> },
}

impl Question {
    /// Whether nobody waits for the answer any more.
    pub(super) fn is_moot(&self) -> bool {
        match self {
            Self::Clients { reply, .. } => reply.is_closed(),
            Self::Slowest { reply, .. } => reply.is_closed(),
            Self::Dismiss { .. } | Self::Release { .. } => false,
        }
    }

    /// Takes note of a client.
    pub(super) fn note(&mut self, place: u32, client: &Client, group: &Group, now: u64) {
        let Some(number) = client.seat.as_ref().map(crate::hub::Seat::number) else { return };
        match self {
            Self::Slowest { found, .. } => {
                if let Some((cursor, _)) = client.given(group) {
                    found.entry(number).and_modify(|least| *least = cursor.min(*least)).or_insert(cursor);
                }
            }
            Self::Clients { stream, most, found, last, .. } if *stream == number => {
                let Some(view) = client.view(place, group, now, *last) else { return };
                found.push(view);
                if found.len() >= most.saturating_mul(2) {
                    *last = shorten(found, *most);
                }
            }
            Self::Clients { .. } | Self::Dismiss { .. } | Self::Release { .. } => {}
        }
    }

    /// Gives the answer. The asker may have gone.
    pub(super) fn answer(self) {
        let _gone = match self {
            Self::Clients { mut found, most, reply, .. } => {
                shorten(&mut found, most);
                reply.send(found).is_err()
            }
            Self::Slowest { found, reply } => reply.send(found).is_err(),
            Self::Dismiss { reply, .. } => reply.send(false).is_err(),
            // Nobody was given up.
            Self::Release { .. } => false,
        };
    }
}

/// Leaves the clients that come first. Returns the rank of the last of them, if there are so many.
pub(super) fn shorten(found: &mut Vec<ClientView>, most: usize) -> Option<Rank> {
    found.sort_by_key(ClientView::rank);
    found.truncate(most);
    found.last().filter(|_| found.len() == most).map(ClientView::rank)
}

impl Client {
    /// The position of the next frame for the client, and what it was sent. `None`: it has departed.
    fn given(&self, group: &Group) -> Option<(Seq, Sent)> {
        match &self.state {
            State::CaughtUp { index } => {
                let (cursor, mut sent) = group.caught_up.given_to(*index);
                sent += self.sent;
                Some((cursor, sent))
            }
            State::Waiting { cursor } => Some((*cursor, self.sent)),
            State::Alone(alone) => Some((alone.cursor, self.sent)),
            State::Parting(_) | State::Closing { .. } => None,
        }
    }

    /// `before`: nothing is wanted of a client that does not come before this.
    fn view(&self, place: u32, group: &Group, now: u64, before: Option<Rank>) -> Option<ClientView> {
        let (cursor, sent) = self.given(group)?;
        let slow_since = match &self.state {
            State::Alone(alone) if alone.is_blocked() => Some(alone.accepted()),
            _ => None,
        };
        if before.is_some_and(|before| (cursor, slow_since.is_none()) >= before) {
            return None;
        }
        Some(ClientView {
            shard: 0,
            place,
            asked: self.asked,
            caller: self.seat.as_ref()?.caller().clone(),
            framing: group.framing(),
            cursor,
            sent,
            age: Duration::from_micros(now.saturating_sub(self.asked)),
            slow_since,
        })
    }
}
