//! The log itself: a ring of entries that many cursors read.

mod bounds;
mod clock;
mod entry;
mod holds;
mod lookup;
mod ring;
mod snapshot;
mod view;

pub(super) use ring::Ring;
pub use snapshot::LogSnapshot;
pub use view::{EntryView, LogView, Rate};

use super::ids::{Epoch, trimmed};
use super::index::{INDEX_SHARE, IdIndex};
use super::{Gap, IdPolicy, OnGap, ReplayOptions, Seq};
use crate::sse::{Event, Frame};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Instant;

use clock::Clock;
use entry::{Entry, Kind};
use holds::Holds;

/// The number of entries held for delivery when replay is off, and the bytes that they may cost. A client that falls
/// further behind has lagged, unless it keeps up.
const LIVE_WINDOW: usize = 1000;
const LIVE_BYTES: usize = 64 << 10;

/// The number of marks and checkpoints held, unless the log may hold more events than that. They do not count as
/// events, because an unsteady origin would otherwise push out the last values. They are bounded, because an origin
/// may send nothing else.
const MOST_BESIDE: usize = 1000;

/// What dropped entries may cost that clients which keep up are still to be given. A burst may push out more events
/// than the log holds before a busy shard has read them. The log is read at once otherwise, so this much is needed
/// rarely and not for long.
#[derive(Debug)]
pub(in crate::replay) struct Delivery {
    /// The entries held and those kept for delivery may cost this much together.
    pub(in crate::replay) together: usize,
    /// Those kept for delivery may cost this much however large the log is.
    pub(in crate::replay) beside: usize,
}

impl Default for Delivery {
    fn default() -> Self {
        Self { together: 512 << 10, beside: 64 << 10 }
    }
}

/// The bytes that an entry costs beside its frame: its place in the ring and in the index, with room to grow.
const ENTRY_OVERHEAD: usize = 64;

// The ring may have half as much room again as it has entries.
const _: () = assert!(size_of::<Entry>() * 3 / 2 + INDEX_SHARE <= ENTRY_OVERHEAD);

/// The bytes of memory that an entry with this frame costs.
#[must_use]
pub fn cost_of(frame: &Frame) -> usize {
    frame.memory().saturating_add(ENTRY_OVERHEAD)
}

/// What a frame counts for where it is reckoned how much a client is given at once, or how far it is behind: the bytes of
/// its text. A small event counts a third of what it costs, so that a client which keeps up needs no more memory of small
/// events than of large ones.
pub(super) fn weight_of(frame: &Frame) -> usize {
    frame.text_len().max(cost_of(frame) / 3)
}

/// The bounded log of a stream's recent frames.
#[derive(Debug)]
pub struct ReplayLog {
    options: Arc<ReplayOptions>,
    epoch: Epoch,
    ring: Ring,
    clock: Clock,
    /// What clients that keep up are still to be given. The entries there are kept when they are dropped.
    holds: Holds,
    pub(in crate::replay) delivery: Delivery,
    /// The bytes that the entries held cost.
    cost: usize,
    /// The bytes that the entries kept for delivery cost.
    dropped_cost: usize,
    /// The number of events in the ring: neither marks nor checkpoints.
    events: usize,
    before_first: BeforeFirst,
    /// The position of the first entry that was appended. Earlier entries were prepended.
    began_at: Seq,
    /// Whether an entry was ever dropped.
    has_dropped: bool,
    /// The position of the newest mark or checkpoint that was dropped.
    dropped_beside: Option<Seq>,
    /// The positions of each origin id.
    index: IdIndex,
    /// Whether an event had an id. Under `ids = "origin"`, the frames of later events without an id must say so.
    ids_seen: bool,
}

/// The id of the newest dropped entry, if that was the first entry with it. Before an entry was dropped: the id that
/// the origin was asked to resume after. A client whose last id this is has missed nothing that is not held.
#[derive(Debug, Default)]
struct BeforeFirst {
    is_known: bool,
    /// Meaningless while it is not known. The memory is used again for the next id.
    id: Vec<u8>,
}

impl BeforeFirst {
    fn is(&self, id: &[u8]) -> bool {
        self.is_known && self.id == id
    }

    fn forget(&mut self) {
        self.is_known = false;
    }

    fn set(&mut self, id: &[u8]) {
        self.is_known = true;
        self.id.clear();
        self.id.extend_from_slice(id);
    }
}

impl ReplayLog {
    /// An empty log. Its first entry gets the position `first`.
    #[must_use]
    pub fn new(options: Arc<ReplayOptions>, epoch: Epoch, first: Seq) -> Self {
        Self {
            epoch: epoch.within(options.lineage),
            ring: Ring::new(first),
            clock: Clock::new(options.age),
            options,
            holds: Holds::default(),
            delivery: Delivery::default(),
            cost: 0,
            dropped_cost: 0,
            events: 0,
            ids_seen: false,
            before_first: BeforeFirst::default(),
            began_at: first,
            has_dropped: false,
            dropped_beside: None,
            index: IdIndex::default(),
        }
    }

    /// The policy.
    #[must_use]
    pub fn options(&self) -> &ReplayOptions {
        &self.options
    }

    /// The position of the oldest entry held. If none is held, the position of the next append.
    #[must_use]
    pub fn oldest(&self) -> Seq {
        self.ring.first()
    }

    /// The position of the next append.
    #[must_use]
    pub fn end(&self) -> Seq {
        self.ring.end()
    }

    /// Whether an entry was ever appended.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.end() > self.began_at
    }

    /// Whether events were appended and none of them had an id.
    #[must_use]
    pub fn lacks_ids(&self) -> bool {
        self.has_begun() && !self.ids_seen
    }

    /// Puts an event before the oldest entry. Returns whether there was room. Nothing may have been dropped yet.
    pub(in crate::replay) fn prepend(&mut self, event: &Event, now: Instant) -> bool {
        let most = self.options.events.map_or(0, std::num::NonZero::get);
        let Some(seq) = self.oldest().0.checked_sub(1).map(Seq).filter(|_| self.events < most) else { return false };
        self.ids_seen |= !event.last_event_id.is_empty();
        let (kind, frame) = self.encode(event, seq);
        let has_room = self.push_front(frame, kind, now);
        if has_room {
            self.index.insert_first(seq, &mut self.ring);
        }
        has_room
    }

    /// Puts a mark before the oldest entry, if the route tells clients of gaps. Returns whether there was room.
    pub(in crate::replay) fn prepend_mark(&mut self, gap: Gap, now: Instant) -> bool {
        if self.options.on_gap != OnGap::Event {
            return true;
        }
        let frame = gap.frame(&self.options.gap_event);
        self.oldest() > Seq(0) && self.push_front(frame, Kind::Mark, now)
    }

    fn push_front(&mut self, frame: Frame, kind: Kind, now: Instant) -> bool {
        let cost = self.cost.saturating_add(cost_of(&frame));
        if cost > self.most_cost() {
            return false;
        }
        self.cost = cost;
        self.events = self.events.saturating_add(usize::from(kind.is_event()));
        self.before_first.forget();
        self.ring.push_before(Entry::new(frame, kind, self.clock.now(now)));
        true
    }

    /// The origin's id of the newest event, if it has one. Marks are passed over. The id before the first entry is
    /// never returned, because a client may have made it up.
    #[must_use]
    pub fn newest_id(&self) -> Option<Bytes> {
        let id = self.ring.iter().rev().find(|entry| entry.kind() != Kind::Mark)?.id()?;
        (!id.is_empty() && !self.before_first.is(id)).then(|| Bytes::copy_from_slice(id))
    }

    /// Whether an entry was ever dropped.
    #[must_use]
    pub fn has_dropped(&self) -> bool {
        self.has_dropped
    }

    /// The number of this log.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Sets the id of the event right before the first entry. Nothing may have been dropped yet.
    pub fn know_before_first(&mut self, id: &[u8]) {
        self.ids_seen = true;
        self.before_first.set(trimmed(id));
    }

    /// Appends an event or a checkpoint: gives it its position and its id, and encodes its frame once. A checkpoint
    /// that would move no client is left out, because some origins repeat one again and again.
    pub fn append(&mut self, event: &Event, now: Instant) -> Seq {
        let seq = self.end();
        if event.is_checkpoint && self.moves_nobody(event) {
            return seq;
        }
        self.ids_seen |= !event.last_event_id.is_empty();
        let (kind, frame) = self.encode(event, seq);
        let was_dropped = kind.id_in(&frame).is_some_and(|id| self.before_first.is(id));
        self.push(frame, kind, now);
        self.index.insert(seq, was_dropped, &mut self.ring);
        self.keep_bounds(now);
        seq
    }

    /// Whether a checkpoint is not for clients. It is not if clients already have its id from the newest entry. Under
    /// `ids = "auto"` a checkpoint with an empty id is not, either: a client without an id would reconnect as a new
    /// client.
    fn moves_nobody(&self, checkpoint: &Event) -> bool {
        let id = trimmed(&checkpoint.last_event_id);
        let is_there = self.ring.newest().is_some_and(|newest| newest.id() == Some(id));
        is_there || (id.is_empty() && self.options.ids == IdPolicy::Auto)
    }

    /// The kind and the frame of the entry that an event becomes at `seq`.
    fn encode(&self, event: &Event, seq: Seq) -> (Kind, Frame) {
        if event.is_checkpoint {
            return (Kind::Checkpoint, Frame::encode(Some(&event.last_event_id), event));
        }
        match self.options.ids {
            IdPolicy::Auto => match event.id.as_ref().filter(|id| !trimmed(id).is_empty()) {
                Some(id) => (Kind::Origin, Frame::encode(Some(id), event)),
                None => {
                    let id = self.epoch.mint(seq, &event.last_event_id);
                    (Kind::Minted, Frame::encode(Some(&id), event))
                }
            },
            IdPolicy::Origin => {
                let id = &event.last_event_id;
                (Kind::Origin, Frame::encode(self.ids_seen.then_some(&id[..]), event))
            }
        }
    }

    /// Appends a mark: a frame without an id, which every subscriber gets at this place.
    pub fn append_mark(&mut self, frame: Frame, now: Instant) -> Seq {
        let seq = self.end();
        self.push(frame, Kind::Mark, now);
        self.keep_bounds(now);
        seq
    }

    /// A client that keeps up is still to be given the entries from `at` on. They are here until it is released, even
    /// if the log drops them.
    pub fn hold(&mut self, at: Seq) {
        self.holds.add(at);
    }

    /// So many holds at `at` end.
    pub fn release(&mut self, at: Seq, holders: u32) {
        self.holds.remove(at, holders);
        self.let_go();
    }

    /// The client with a hold at `from` was given the entries before `to`.
    pub fn move_hold(&mut self, from: Seq, to: Seq) {
        if from != to {
            self.holds.add(to);
            self.release(from, 1);
        }
    }

    fn push(&mut self, frame: Frame, kind: Kind, now: Instant) {
        if self.clock.moves(now) {
            self.ring.iter_mut().for_each(|entry| entry.set_at(entry.at().moved()));
        }
        self.cost = self.cost.saturating_add(cost_of(&frame));
        self.events = self.events.saturating_add(usize::from(kind.is_event()));
        self.ring.push(Entry::new(frame, kind, self.clock.now(now)));
    }

    fn keep_bounds(&mut self, now: Instant) {
        while self.is_over() {
            self.drop_oldest();
        }
        self.expire(now, usize::MAX);
        debug_assert_eq!(self.cost, self.ring.iter().map(|entry| cost_of(&entry.frame)).sum::<usize>());
    }
}
