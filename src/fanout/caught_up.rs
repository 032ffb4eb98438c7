//! The clients of a group that are caught up: they share one cursor, and are sent each batch in one pass.

use super::batch::Batch;
use super::keys::ClientKey;
use super::policy::{LastSent, Pass};
use super::roster::Roster;
use super::terms::Sent;
use crate::replay::Seq;
use std::sync::Arc;
use std::time::Instant;

/// The clients of a group that are caught up.
#[derive(Debug)]
pub(super) struct CaughtUp {
    roster: Roster,
    pass: Pass<Arc<Batch>>,
    /// The position of the next frame for all of them. During a pass it is the beginning of the batch.
    cursor: Seq,
    /// When something was last sent to all of them.
    last_sent: LastSent,
    /// What was sent to a client that has been here from the beginning, including the present batch.
    sent: Sent,
    /// The clients that are ahead of the others, at the end of the log. They join after the next pass. The list may
    /// name clients that have left.
    waiting: Vec<ClientKey>,
    /// The clients cannot go on together. Some leave in each turn, and nobody joins.
    disbands: bool,
}

/// What a client takes along that leaves those who are caught up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    /// The position of the next frame for the client.
    pub(super) cursor: Seq,
    /// When something was last sent to it together with the others.
    pub(super) last_sent: LastSent,
    /// What was sent to a client that has been here from the beginning.
    pub(super) sent: Sent,
}

impl CaughtUp {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            roster: Roster::default(),
            pass: Pass::Idle,
            cursor: Seq(0),
            last_sent: LastSent::with_others(now),
            sent: Sent::default(),
            waiting: Vec::new(),
            disbands: false,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.roster.is_empty()
    }

    pub(super) fn cursor(&self) -> Seq {
        self.cursor
    }

    /// The position at which they are read for next.
    pub(super) fn reads_on_at(&self) -> Seq {
        self.pass.batch().map_or(self.cursor, |batch| batch.to)
    }

    pub(super) fn last_sent(&self) -> LastSent {
        self.last_sent
    }

    pub(super) fn pass(&self) -> &Pass<Arc<Batch>> {
        &self.pass
    }

    /// The log has new frames, or is over. `hold_until`: when new frames are to be sent. `None`: at once.
    pub(super) fn changed(&mut self, hold_until: Option<Instant>) {
        self.pass.changed(hold_until);
    }

    /// The time of held frames may have come.
    pub(super) fn let_go(&mut self, now: Instant) {
        self.pass.let_go(now);
    }

    /// Begins the pass of a batch, which must begin at the cursor.
    pub(super) fn begin(&mut self, batch: Arc<Batch>, now: Instant) {
        debug_assert_eq!(batch.from, self.cursor);
        self.sent += batch.sent;
        self.last_sent = LastSent::with_others(now);
        self.pass.begin(batch);
        self.roster.begin();
    }

    /// There was nothing to read. Returns the clients that wait, because they can join now.
    pub(super) fn rest(&mut self) -> Vec<ClientKey> {
        self.pass.rest();
        self.disbands = false;
        std::mem::take(&mut self.waiting)
    }

    /// The clients cannot go on together. Returns at most `most` of them, and what they take along. The pass stays
    /// unread, so that the others follow.
    pub(super) fn disband(&mut self, most: usize) -> (Vec<ClientKey>, Left) {
        self.disbands = true;
        let left = Left { cursor: self.cursor, last_sent: self.last_sent, sent: self.sent };
        (self.roster.take(most), left)
    }

    /// The next client that has not had the batch of the pass. It counts as having had it from now on.
    pub(super) fn next(&mut self) -> Option<ClientKey> {
        self.roster.next()
    }

    /// Ends the pass if all clients have had its batch. Returns the clients that waited for that.
    pub(super) fn finish(&mut self) -> Vec<ClientKey> {
        if self.roster.in_pass() {
            return Vec::new();
        }
        let Some(batch) = self.pass.finish() else { return Vec::new() };
        self.cursor = batch.to;
        std::mem::take(&mut self.waiting)
    }

    /// Notes a client that is ahead of the others.
    pub(super) fn wait(&mut self, key: ClientKey) {
        self.waiting.push(key);
    }

    /// Whether a client at `cursor` can join. If so, the value says whether it already has the batch of the present
    /// pass.
    pub(super) fn admits(&self, cursor: Seq) -> Option<bool> {
        match self.pass.batch() {
            Some(batch) if batch.to == cursor => Some(true),
            Some(batch) if batch.from == cursor => Some(false),
            Some(_) => None,
            None => (self.cursor == cursor && !self.is_empty() && !self.disbands).then_some(true),
        }
    }

    /// Whether nobody is here, so that a client at the end of the log can be the first one. Its cursor is then that of
    /// all who join.
    pub(super) fn begins_at(&mut self, cursor: Seq) -> bool {
        let begins = self.is_empty() && self.pass.batch().is_none();
        if begins {
            self.cursor = cursor;
        }
        begins
    }

    /// A client joins. `moved` is called with the key and the new place of each client that moves.
    pub(super) fn join(&mut self, key: ClientKey, had_batch: bool, moved: impl FnMut(ClientKey, u32)) {
        self.roster.join(key, had_batch, moved);
    }

    /// The client at `index` leaves. `moved` is called with the key and the new place of each client that moves.
    pub(super) fn leave(&mut self, index: u32, moved: impl FnMut(ClientKey, u32)) -> Left {
        let (cursor, sent) = self.given_to(index);
        self.roster.leave(index, moved);
        Left { cursor, last_sent: self.last_sent, sent }
    }

    /// The position of the next frame for the client at `index`, and what was sent to a client like it that has been
    /// here from the beginning.
    pub(super) fn given_to(&self, index: u32) -> (Seq, Sent) {
        let had_batch = self.roster.had_batch(index);
        let cursor = self.pass.batch().filter(|_| had_batch).map_or(self.cursor, |batch| batch.to);
        (cursor, self.sent_to(had_batch))
    }

    /// What was sent to a client that has been here from the beginning. `had_batch`: it already has the batch of the
    /// present pass.
    pub(super) fn sent_to(&self, had_batch: bool) -> Sent {
        let mut sent = self.sent;
        if let Some(batch) = self.pass.batch().filter(|_| !had_batch) {
            sent -= batch.sent;
        }
        sent
    }
}
