//! The clients on one shard that are sent the same bytes.

use super::batch::{Batch, Framing};
use super::behind::Behind;
use super::caught_up::{CaughtUp, Left};
use super::effort::{Effort, sending};
use super::keys::{ClientKey, GroupKey};
use super::policy::Pass;
use super::shard::{Change, ShardInbox};
use super::terms::{Sent, Terms};
use crate::counters::since_start;
use crate::hub::{Feed, FeedId, Reading, Seat, Watcher};
use crate::replay::Seq;
use crate::sse::Frame;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

/// The number of clients that leave those who are caught up in one turn, when all of them must.
const DISBANDED: usize = 64;

/// The number of blocked clients that are judged in one turn.
const JUDGED: usize = 64;

/// The bytes of frames taken from the log at a time.
const BATCH_BYTES: usize = 64 << 10;

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
    /// The clients that share a cursor.
    pub(super) caught_up: CaughtUp,
    /// The clients that are served alone.
    pub(super) behind: Behind,
    /// The clients that are caught up and were sent no event so far, with the time of their requests.
    pub(super) newcomers: BTreeMap<ClientKey, u64>,
    /// When the first event of the present pass was appended.
    pub(super) appended: Option<Instant>,
    /// Up to which blocked client the shard has looked for its answer to the publisher. `None`: it has not begun.
    pub(super) looked_up_to: Option<ClientKey>,
    /// The group is in the shard's queue.
    pub(super) queued: bool,
}

/// When a group has work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// There is something to do now.
    Now,
    /// There is nothing to do before this time.
    At(Instant),
    /// There is nothing to do.
    Nothing,
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
    /// A group without clients, for clients with this seat.
    pub(super) fn new(
        id: GroupId,
        key: GroupKey,
        seat: &Seat,
        terms: Arc<dyn Terms>,
        inbox: &Arc<ShardInbox>,
        now: Instant,
    ) -> Self {
        let change = Arc::new(Change::new(key, Arc::clone(inbox)));
        Self {
            id,
            feed: Feed::new(seat, Arc::clone(&change) as _),
            change,
            terms,
            clients: 0,
            caught_up: CaughtUp::new(now),
            behind: Behind::new(),
            newcomers: BTreeMap::new(),
            appended: None,
            looked_up_to: None,
            queued: false,
        }
    }

    pub(super) fn framing(&self) -> Framing {
        self.id.1
    }

    /// Adds what clients of the group were sent to the route's counters.
    pub(super) fn count(&self, sent: Sent) {
        let counters = self.terms.counters();
        counters.events_out.add(sent.events);
        counters.bytes_out.add(sent.bytes);
    }

    pub(super) fn work(&self) -> Work {
        match self.caught_up.pass() {
            Pass::Unread | Pass::Sending { .. } => Work::Now,
            _ if self.behind.has_ready() || self.behind.is_unjudged() => Work::Now,
            Pass::Held { until } => Work::At(*until),
            Pass::Idle => Work::Nothing,
        }
    }

    /// The stream has new frames, or is over.
    pub(super) fn changed(&mut self, now: Instant) {
        self.change.clear();
        // Nothing is held for clients that are not caught up.
        let cannot_wait = || self.caught_up.is_empty() || self.feed.cannot_wait(self.caught_up.reads_on_at());
        let hold = self.terms.pace().hold_until(cannot_wait, now);
        self.caught_up.changed(hold);
        self.behind.has_dropped();
    }

    /// Where the log begins, and some of the clients that are to be judged for that. `None`: nobody is.
    pub(super) fn judge(&mut self) -> Option<(Seq, Vec<ClientKey>)> {
        self.behind.judge(|| self.feed.readable(), JUDGED)
    }

    /// Begins a pass, if those who are caught up are to be given something. If they fell off the log, or the stream is
    /// over, each of them finds that out in its own turn. Then some of them and what they take along are returned, and
    /// the others follow in later turns.
    pub(super) fn begin_pass(&mut self, now: Instant) -> Option<(Vec<ClientKey>, Left)> {
        self.caught_up.let_go(now);
        if !matches!(self.caught_up.pass(), Pass::Unread) {
            return None;
        }
        if self.caught_up.is_empty() {
            self.rest();
            return None;
        }
        let (cursor, mut frames) = (self.caught_up.cursor(), Vec::new());
        let reading = self.feed.read(cursor, BATCH_BYTES, &mut frames);
        match self.batch(cursor, reading, frames) {
            Ok(batch) => {
                self.appended = self.feed.appended();
                self.caught_up.begin(Arc::new(batch), now);
                self.count_newcomers(now);
                None
            }
            Err(Reading::CaughtUp | Reading::To(_)) => {
                self.behind.all_ready(&self.caught_up.rest());
                None
            }
            Err(Reading::Lagged(_) | Reading::Ended(_)) => {
                let (some, left) = self.caught_up.disband(DISBANDED);
                self.behind.all_ready(&some);
                self.feed.rest();
                Some((some, left))
            }
        }
    }

    /// Counts how long those who are caught up waited for their first event, which they are sent now.
    fn count_newcomers(&mut self, now: Instant) {
        let (counters, now) = (self.terms.counters(), since_start(now));
        for (_, asked) in std::mem::take(&mut self.newcomers) {
            counters.time_to_first_event.observe(now.saturating_sub(asked), 1);
        }
    }

    /// Nobody is caught up. Those that wait can be served.
    fn rest(&mut self) {
        self.feed.rest();
        self.behind.all_ready(&self.caught_up.rest());
    }

    /// Ends the pass if all clients have had its batch.
    pub(super) fn finish_pass(&mut self) {
        self.behind.all_ready(&self.caught_up.finish());
    }

    /// The batch at `cursor`, for the client with this seat, which is served alone. The error says why there is none.
    pub(super) fn replay(&mut self, seat: &mut Seat, cursor: Seq, effort: &mut Effort) -> Result<Arc<Batch>, Reading> {
        if let Some(batch) = self.behind.replayed(cursor) {
            return Ok(batch);
        }
        let mut frames = Vec::new();
        let reading = self.feed.read_alone(seat, cursor, BATCH_BYTES, &mut frames);
        let batch = Arc::new(self.batch(cursor, reading, frames)?);
        effort.spend(sending(batch.bytes.len()));
        self.behind.keep(&batch);
        Ok(batch)
    }

    /// The batch that a read from `cursor` on found. The error says why there is none.
    fn batch(&self, cursor: Seq, reading: Reading, frames: Vec<Frame>) -> Result<Batch, Reading> {
        match reading {
            Reading::To(next) => Ok(Batch::new(self.framing(), cursor, next, frames)),
            other => Err(other),
        }
    }
}
