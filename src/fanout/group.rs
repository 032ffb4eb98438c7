//! The clients on one shard that are sent the same bytes.

use super::batch::{Batch, Framing};
use super::keys::ClientKey;
use super::roster::Roster;
use super::shard::Change;
use super::terms::{Sent, Terms};
use crate::hub::{Feed, FeedId, Watcher};
use crate::replay::Seq;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// Identifies a group within its shard. Clients with the same id follow the same stream with the same framing.
pub(super) type GroupId = (FeedId, Framing);

/// The clients of one stream on one shard that share a framing.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: GroupId,
    pub(super) feed: Feed,
    pub(super) change: Arc<Change>,
    pub(super) terms: Arc<dyn Terms>,
    pub(super) clients: usize,
    /// The clients that are caught up.
    pub(super) roster: Roster,
    /// The cursor of the clients on the roster. During a pass it is the beginning of the batch.
    pub(super) cursor: Seq,
    /// The batch of the present pass.
    pub(super) batch: Option<Arc<Batch>>,
    /// When something was last sent to the whole roster.
    pub(super) last_sent: Instant,
    /// What was sent to a client that has been on the roster from the beginning, including the present batch.
    pub(super) sent: Sent,
    /// The log may hold frames that the clients on the roster were not given.
    pub(super) unread: bool,
    /// When held events are sent. They wait until then, so that further events can share the write. `None`: no events
    /// are held.
    pub(super) held: Option<Instant>,
    /// The clients served alone that can be sent something.
    pub(super) ready: VecDeque<ClientKey>,
    /// The clients served alone whose sockets accept no more bytes. The set may name clients that have departed.
    pub(super) blocked: BTreeSet<ClientKey>,
    /// The clients that are ahead of the roster and join it after its next pass. The list may name clients that have
    /// left.
    pub(super) waiting: Vec<ClientKey>,
    /// The batch that was last built for a client served alone. Many clients that resume at the same position share it.
    pub(super) replayed: Option<Arc<Batch>>,
    /// The group is in the shard's queue.
    pub(super) queued: bool,
}

impl Watcher for Change {
    fn changed(&self) {
        self.raise();
    }

    fn asked(&self) {
        self.ask();
    }
}

impl Group {
    pub(super) fn new(id: GroupId, feed: Feed, change: Arc<Change>, terms: Arc<dyn Terms>, now: Instant) -> Self {
        Self {
            id,
            feed,
            change,
            terms,
            clients: 0,
            roster: Roster::default(),
            cursor: Seq(0),
            batch: None,
            last_sent: now,
            sent: Sent::default(),
            unread: false,
            held: None,
            ready: VecDeque::new(),
            blocked: BTreeSet::new(),
            waiting: Vec::new(),
            replayed: None,
            queued: false,
        }
    }

    pub(super) fn framing(&self) -> Framing {
        self.id.1
    }

    /// The position at which the clients on the roster are read for next.
    pub(super) fn reads_on_at(&self) -> Seq {
        self.batch.as_ref().map_or(self.cursor, |batch| batch.to)
    }

    /// Whether a client at `cursor` can join the roster. If so, the value says whether it already has the batch of
    /// the present pass.
    pub(super) fn admits(&self, cursor: Seq) -> Option<bool> {
        match &self.batch {
            Some(batch) if batch.to == cursor => Some(true),
            Some(batch) if batch.from == cursor => Some(false),
            Some(_) => None,
            None => (self.cursor == cursor && !self.roster.is_empty()).then_some(true),
        }
    }

    /// What was sent to a client on the roster. `had_batch`: it already has the batch of the present pass.
    pub(super) fn sent_to(&self, had_batch: bool) -> Sent {
        let mut sent = self.sent;
        if let Some(batch) = self.batch.as_ref().filter(|_| !had_batch) {
            sent -= batch.sent;
        }
        sent
    }

    /// Whether there is something to do now.
    pub(super) fn has_work(&self) -> bool {
        self.batch.is_some() || (self.unread && self.held.is_none()) || !self.ready.is_empty()
    }
}
