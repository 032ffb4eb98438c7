//! The log itself: a ring of entries that many cursors read.

mod bounds;
mod lookup;

use super::ids::{Epoch, trimmed};
use super::index::IdIndex;
use super::{Gap, IdPolicy, OnGap, ReplayOptions, Seq};
use crate::sse::{Event, Frame};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

/// The number of entries held for delivery when replay is off. A client that falls further behind has lagged.
const LIVE_WINDOW: usize = 1000;

/// The number of marks and checkpoints held, unless the log may hold more events than that. They do not count as
/// events, because an unsteady origin would otherwise push out the last values. They are bounded, because an origin
/// may send nothing else.
const MOST_BESIDE: usize = 1000;

/// The bytes of frames kept for delivery if the log may hold less. One read from the origin is up to 64 KiB and may
/// contain more events than the log holds. Clients that were caught up before it must get all of them.
const DELIVERY_BYTES: usize = 512 << 10;

/// The bytes that an entry costs beside its frame's text: the entry, its id, their places in the ring and the index
/// with room to grow, and the cost of each allocation.
pub const ENTRY_OVERHEAD: usize = 384;

// An entry and a place in the index (a key, and a position or a list of them), with room to grow by half, and four
// allocations.
const _: () =
    assert!(3 * (size_of::<Entry>() + size_of::<(Bytes, VecDeque<Seq>, bool)>()) / 2 + 4 * 32 <= ENTRY_OVERHEAD);

/// The bounded ring of a stream's recent frames.
///
/// Positions are dense and ascend. A position never changes its meaning. Its entry is held, dropped, or still to
/// come.
#[derive(Debug)]
pub struct ReplayLog {
    options: Arc<ReplayOptions>,
    epoch: Epoch,
    /// The entries from `first` on.
    entries: VecDeque<Entry>,
    /// The position of the oldest entry held. If none is held, the position of the next append.
    first: Seq,
    /// Frames that were dropped, at the positions right before `first`. They are kept for clients that are being sent
    /// them, and no client can resume from them.
    behind: VecDeque<Frame>,
    /// The bytes of the frames in `behind`.
    behind_bytes: usize,
    /// [`DELIVERY_BYTES`], except in tests.
    pub(super) delivery_bytes: usize,
    /// The bytes of the frames in `entries`.
    bytes: usize,
    /// The number of events in `entries`: neither marks nor checkpoints.
    events: usize,
    /// The id of the newest dropped entry, if that was the first entry with it. Before an entry was dropped: the id
    /// that the origin was asked to resume after. A client whose last id this is has missed nothing that is not held.
    before_first: Option<Bytes>,
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

#[derive(Debug)]
struct Entry {
    frame: Frame,
    id: EntryId,
    at: Instant,
}

/// The id of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
enum EntryId {
    /// A mark: no id, and not an event of the origin's.
    Mark,
    /// The origin's id, trimmed. Under `ids = "origin"` the effective id, empty for none.
    Origin(Bytes),
    /// The origin's id of a checkpoint.
    Checkpoint(Bytes),
    /// A minted id, made of the position.
    Minted,
}

impl Entry {
    fn is_event(&self) -> bool {
        matches!(self.id, EntryId::Origin(_) | EntryId::Minted)
    }
}

/// What a read of the log found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Read {
    /// The cursor moves here, past the frames that were given. If none was given, it is at the end of the log.
    To(Seq),
    /// The entry at the cursor was dropped.
    Behind {
        /// The position of the oldest entry held.
        oldest: Seq,
        /// The number of events between the cursor and `oldest`, if it is known.
        missed: Option<u64>,
    },
}

impl ReplayLog {
    /// An empty log. Its first entry gets the position `first`.
    #[must_use]
    pub fn new(options: Arc<ReplayOptions>, epoch: Epoch, first: Seq) -> Self {
        Self {
            epoch: epoch.within(options.lineage),
            options,
            entries: VecDeque::new(),
            first,
            behind: VecDeque::new(),
            behind_bytes: 0,
            delivery_bytes: DELIVERY_BYTES,
            bytes: 0,
            events: 0,
            ids_seen: false,
            before_first: None,
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
        self.first
    }

    /// The position of the next append.
    #[must_use]
    pub fn end(&self) -> Seq {
        self.first.plus(self.entries.len())
    }

    /// The bytes of all frames held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
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
        let Some(seq) = self.first.0.checked_sub(1).map(Seq).filter(|_| self.events < most) else { return false };
        self.ids_seen |= !event.last_event_id.is_empty();
        let (id, frame) = self.encode(event, seq);
        if !self.push_front(Entry { frame, id, at: now }, seq) {
            return false;
        }
        if let Some(EntryId::Origin(id) | EntryId::Checkpoint(id)) = self.entries.front().map(|entry| &entry.id) {
            self.index.insert_first(id, seq);
        }
        true
    }

    /// Puts a mark before the oldest entry, if the route tells clients of gaps. Returns whether there was room.
    pub(in crate::replay) fn prepend_mark(&mut self, gap: Gap, now: Instant) -> bool {
        if self.options.on_gap != OnGap::Event {
            return true;
        }
        let Some(seq) = self.first.0.checked_sub(1).map(Seq) else { return false };
        let frame = gap.frame(&self.options.gap_event);
        self.push_front(Entry { frame, id: EntryId::Mark, at: now }, seq)
    }

    fn push_front(&mut self, entry: Entry, seq: Seq) -> bool {
        let bytes = self.bytes.saturating_add(entry.frame.text_len());
        if bytes > self.options.bytes {
            return false;
        }
        self.bytes = bytes;
        self.events = self.events.saturating_add(usize::from(entry.is_event()));
        self.first = seq;
        self.before_first = None;
        self.entries.push_front(entry);
        true
    }

    /// The origin's id of the newest event, if it has one. Marks are passed over. The id before the first entry is
    /// never returned, because a client may have made it up.
    #[must_use]
    pub fn newest_id(&self) -> Option<Bytes> {
        match &self.entries.iter().rev().find(|entry| entry.id != EntryId::Mark)?.id {
            EntryId::Origin(id) | EntryId::Checkpoint(id) => {
                Some(id.clone()).filter(|id| !id.is_empty() && self.before_first.as_ref() != Some(id))
            }
            EntryId::Mark | EntryId::Minted => None,
        }
    }

    /// Whether an entry was ever dropped.
    #[must_use]
    pub fn has_dropped(&self) -> bool {
        self.has_dropped
    }

    pub(in crate::replay) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Sets the id of the event right before the first entry. Nothing may have been dropped yet.
    pub fn know_before_first(&mut self, id: &[u8]) {
        self.ids_seen = true;
        self.before_first = Some(Bytes::copy_from_slice(trimmed(id)));
    }

    /// Appends an event or a checkpoint: gives it its position and its id, and encodes its frame once. A checkpoint
    /// that would move no client is left out, because some origins repeat one again and again.
    pub fn append(&mut self, event: &Event, now: Instant) -> Seq {
        let seq = self.end();
        if event.is_checkpoint && self.moves_nobody(event) {
            return seq;
        }
        self.ids_seen |= !event.last_event_id.is_empty();
        let (mut id, frame) = self.encode(event, seq);
        if let EntryId::Origin(id) | EntryId::Checkpoint(id) = &mut id {
            // Copied, because a slice of a large read would keep that read in memory.
            *id = Bytes::copy_from_slice(id);
            let dropped = self.before_first.as_ref() == Some(&*id);
            self.index.insert(id, seq, dropped);
        }
        let entry = Entry { frame, id, at: now };
        self.events = self.events.saturating_add(usize::from(entry.is_event()));
        self.push(entry, now);
        seq
    }

    /// Whether a checkpoint is not for clients. It is not if clients already have its id from the newest entry. Under
    /// `ids = "auto"` a checkpoint with an empty id is not, either: a client without an id would reconnect as a new
    /// client.
    fn moves_nobody(&self, checkpoint: &Event) -> bool {
        let id = trimmed(&checkpoint.last_event_id);
        let is_there = self.entries.back().is_some_and(|newest| match &newest.id {
            EntryId::Origin(newest) | EntryId::Checkpoint(newest) => newest == id,
            EntryId::Mark | EntryId::Minted => false,
        });
        is_there || (id.is_empty() && self.options.ids == IdPolicy::Auto)
    }

    /// The id and the frame of an event at `seq`.
    fn encode(&self, event: &Event, seq: Seq) -> (EntryId, Frame) {
        let compared = |id: &Bytes| id.slice_ref(trimmed(id));
        if event.is_checkpoint {
            let id = &event.last_event_id;
            return (EntryId::Checkpoint(compared(id)), Frame::encode(Some(id), event));
        }
        match self.options.ids {
            IdPolicy::Auto => match event.id.as_ref().filter(|id| !trimmed(id).is_empty()) {
                Some(id) => (EntryId::Origin(compared(id)), Frame::encode(Some(id), event)),
                None => {
                    let id = self.epoch.mint(seq, &event.last_event_id);
                    (EntryId::Minted, Frame::encode(Some(&id), event))
                }
            },
            IdPolicy::Origin => {
                let id = &event.last_event_id;
                (EntryId::Origin(compared(id)), Frame::encode(self.ids_seen.then_some(&id[..]), event))
            }
        }
    }

    /// Appends a mark: a frame without an id, which every subscriber gets at this place.
    pub fn append_mark(&mut self, frame: Frame, now: Instant) -> Seq {
        let seq = self.end();
        self.push(Entry { frame, id: EntryId::Mark, at: now }, now);
        seq
    }

    fn push(&mut self, entry: Entry, now: Instant) {
        self.bytes = self.bytes.saturating_add(entry.frame.text_len());
        self.entries.push_back(entry);
        while self.is_over() {
            self.drop_oldest();
        }
        self.expire(now);
        debug_assert_eq!(self.bytes, self.entries.iter().map(|e| e.frame.text_len()).sum::<usize>());
    }
}
