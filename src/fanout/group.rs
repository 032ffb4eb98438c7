//! The clients on one shard that are sent the same bytes.

use super::batch::{Batch, Framing};
use super::behind::Behind;
use super::caught_up::{CaughtUp, Left};
use super::effort::{Effort, sending};
use super::keys::{ClientKey, GroupKey};
use super::policy::Pass;
use super::replays::Replays;
use super::shard::{Change, ShardInbox};
use super::terms::{Renewal, Sent, Terms};
use crate::hub::{Feed, FeedId, Reading, Seat, Watcher};
use crate::replay::Seq;
use crate::sse::Frame;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

/// The number of clients that leave those who are caught up in one turn, when all of them must.
const DISBANDED: usize = 64;

/// The number of blocked clients that are judged in one turn.
const JUDGED: usize = 64;

/// The bytes of frames taken from the log at a time.
const BATCH_BYTES: usize = 64 << 10;

/// A group's number, which no other group of its shard ever had. Keys and ids are used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Number(pub(super) u64);

/// Identifies a group within its shard. Clients with the same id follow the same stream with the same framing.
pub(super) type GroupId = (FeedId, Framing);

/// The clients of one stream on one shard that share a framing.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) id: GroupId,
    pub(super) number: Number,
    pub(super) feed: Feed,
    pub(super) change: Arc<Change>,
    pub(super) terms: Arc<dyn Terms>,
    /// What the clients of the group are still to be told of a change of its terms.
    pub(super) news: News,
    pub(super) clients: usize,
    /// How many of them use TLS.
    pub(super) sealed: usize,
    /// The clients that share a cursor.
    pub(super) caught_up: CaughtUp,
    /// The clients that are served alone, and whose sockets accept no more bytes.
    pub(super) behind: Behind,
    /// How often the stream has changed, as far as the shard knows.
    changes: u64,
    /// The clients that are caught up and were sent no event so far.
    pub(super) newcomers: BTreeSet<ClientKey>,
    /// When the first event of the present pass was appended.
    pub(super) appended: Option<Instant>,
    /// Up to which blocked client the shard has looked for its answer to the publisher. `None`: it has not begun.
    pub(super) looked_up_to: Option<ClientKey>,
    /// The group is in the shard's queue.
    pub(super) queued: bool,
}

/// What the clients of a group are still to be told of a change of its terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct News {
    /// The longest life of a client changed.
    pub(super) lifetime: bool,
    /// How long a client may take nothing changed.
    pub(super) stall: bool,
    /// The route is gone: the clients are given their end by this time. Clients that come later are told, too.
    pub(super) over: Option<Instant>,
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

/// What became of those who were to be given something.
#[derive(Debug)]
pub(super) enum Begun {
    /// A pass is under way, or nothing is to be done.
    AsBefore,
    /// A pass begins now.
    Pass,
    /// There is nothing to send. These clients waited for the others, and can join them now.
    Rests(Vec<ClientKey>),
    /// They cannot go on together. Some of them go on alone, with what they take along. The others follow in later turns.
    Disbands(Vec<ClientKey>, Left),
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
        (key, number): (GroupKey, Number),
        seat: &Seat,
        terms: Arc<dyn Terms>,
        inbox: &Arc<ShardInbox>,
        now: Instant,
    ) -> Self {
        let change = Arc::new(Change::new(key, Arc::clone(inbox)));
        Self {
            id,
            number,
            feed: Feed::new(seat, Arc::clone(&change) as _),
            change,
            terms,
            news: News::default(),
            clients: 0,
            sealed: 0,
            caught_up: CaughtUp::new(now),
            behind: Behind::default(),
            changes: 0,
            newcomers: BTreeSet::new(),
            appended: None,
            looked_up_to: None,
            queued: false,
        }
    }

    /// Takes the terms that hold now.
    pub(super) fn renew(&mut self) {
        match self.terms.renewed() {
            Renewal::None => {}
            Renewal::Terms(terms) => {
                self.news.lifetime |= terms.lifetime(0.0) != self.terms.lifetime(0.0);
                self.news.stall |= terms.pace().stall != self.terms.pace().stall;
                self.terms = terms;
            }
            Renewal::Over(by) => self.news.over = Some(by),
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
            _ if self.behind.is_unjudged() => Work::Now,
            Pass::Held { until } => Work::At(*until),
            Pass::Idle => Work::Nothing,
        }
    }

    /// The stream has new frames, or is over.
    pub(super) fn changed(&mut self, now: Instant) {
        self.change.clear();
        self.changes += 1;
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
    /// over, each of them finds that out in its own turn.
    pub(super) fn begin_pass(&mut self, now: Instant) -> Begun {
        self.caught_up.let_go(now);
        if !matches!(self.caught_up.pass(), Pass::Unread) {
            return Begun::AsBefore;
        }
        if self.caught_up.is_empty() {
            self.feed.rest();
            return Begun::Rests(self.caught_up.rest());
        }
        let (cursor, mut frames) = (self.caught_up.cursor(), Vec::new());
        let reading = self.feed.read(cursor, BATCH_BYTES, &mut frames);
        match self.batch(cursor, reading, frames) {
            Ok(batch) => {
                self.appended = self.feed.appended();
                self.caught_up.begin(Arc::new(batch), now);
                Begun::Pass
            }
            Err(Reading::CaughtUp | Reading::To(_)) => Begun::Rests(self.caught_up.rest()),
            Err(Reading::Lagged(_) | Reading::Ended(_)) => {
                let (some, left) = self.caught_up.disband(DISBANDED);
                self.feed.rest();
                Begun::Disbands(some, left)
            }
        }
    }

    /// The batch at `cursor`, for the client with this seat, which is served alone. The error says why there is none.
    pub(super) fn replay(
        &self,
        seat: &mut Seat,
        cursor: Seq,
        replays: &mut Replays,
        effort: &mut Effort,
        now: Instant,
    ) -> Result<Arc<Batch>, Reading> {
        if let Some(batch) = replays.get(self.number, cursor, self.changes) {
            return Ok(batch);
        }
        let mut frames = Vec::new();
        let reading = self.feed.read_alone(seat, cursor, BATCH_BYTES, &mut frames);
        let batch = Arc::new(self.batch(cursor, reading, frames)?);
        effort.spend(sending(batch.bytes.len()));
        replays.keep(self.number, &batch, self.changes, now);
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
