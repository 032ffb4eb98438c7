//! The clients of one stream that get the same bytes.

use super::batch::{Batch, Framing};
use super::roster::Roster;
use super::shard::Change;
use super::terms::{Sent, Terms};
use crate::hub::{Feed, FeedId, Watcher};
use crate::replay::Seq;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

/// What tells the groups of a shard apart: a subscriber's cursor belongs to an encoding of a stream.
pub(super) type GroupId = (FeedId, Framing);

/// The clients of a stream, on one shard, that share a framing.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: GroupId,
    pub(super) feed: Feed,
    pub(super) change: Arc<Change>,
    pub(super) terms: Arc<dyn Terms>,
    pub(super) clients: usize,
    /// Those that are caught up.
    pub(super) roster: Roster,
    /// Where they stand: at the end of the batch if all got it, else at its beginning.
    pub(super) cursor: Seq,
    /// What they are being sent.
    pub(super) batch: Option<Arc<Batch>>,
    /// When they were last sent something.
    pub(super) heard: Instant,
    /// What each was sent that has been there from the beginning, the present batch included.
    pub(super) sent: Sent,
    /// The log may hold more than they were given.
    pub(super) unread: bool,
    /// Their events wait until then for others to share a write with.
    pub(super) held: Option<Instant>,
    /// Clients that are behind and can be sent something.
    pub(super) ready: VecDeque<u32>,
    /// Clients that are behind and cannot be sent more now. May name some that have departed.
    pub(super) blocked: BTreeSet<u32>,
    /// Clients that are ahead of the roster: it has a pass to make first. May name some that have left.
    pub(super) waiting: Vec<u32>,
    /// The batch that was last made for one who is behind: a crowd that resumes at one place shares it.
    pub(super) replayed: Option<Arc<Batch>>,
    /// It is in the shard's queue.
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
            heard: now,
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

    /// Whether a client at `cursor` can join the roster, and then whether it has had the batch that is on its way.
    pub(super) fn admits(&self, cursor: Seq) -> Option<bool> {
        match &self.batch {
            Some(batch) if batch.to == cursor => Some(true),
            Some(batch) if batch.from == cursor => Some(false),
            Some(_) => None,
            None => (self.cursor == cursor && !self.roster.is_empty()).then_some(true),
        }
    }

    /// What each on the roster was sent that has, or has not, had the batch that is on its way.
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
