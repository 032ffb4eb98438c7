//! The ring itself: one log, many cursors.

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

/// Entries held for delivery alone where replay is off: a client that falls further behind has lagged.
const LIVE_WINDOW: usize = 1000;

/// Marks and checkpoints held beside the events, where there may be fewer events than that. They do not count as events, or an
/// origin that flaps would push the last values out; but an origin that does nothing else must not fill the memory.
const MOST_BESIDE: usize = 1000;

/// Bytes of frames kept for delivery where the log is to hold less. One read of the origin is up to 64 KiB and may hold more
/// events than that: clients that were caught up before it must still get all of them.
const DELIVERY_BYTES: usize = 512 << 10;

/// What an entry costs beside the text of its frame, in bytes: the entry and its id, their places in the ring and the index with
/// room to grow, and what each allocation costs.
pub const ENTRY_OVERHEAD: usize = 384;

// An entry, a place in the index (a key, a position or a list of them), each with room to grow by half, and four allocations.
const _: () =
    assert!(3 * (size_of::<Entry>() + size_of::<(Bytes, VecDeque<Seq>, bool)>()) / 2 + 4 * 32 <= ENTRY_OVERHEAD);

/// The bounded ring of a stream's recent frames.
///
/// Positions are dense: the entry at `Seq` n is the one appended as the n-th. What a position meant never changes; it is
/// held, dropped, or still to come.
#[derive(Debug)]
pub struct ReplayLog {
    options: Arc<ReplayOptions>,
    epoch: Epoch,
    /// The entries from `first` on, without a hole.
    entries: VecDeque<Entry>,
    /// The position of the oldest entry held; that of the next append where none is.
    first: Seq,
    /// Frames that were dropped, for those who are on their way past them: the positions right before `first`. They are
    /// nothing to resume from.
    behind: VecDeque<Frame>,
    /// The frames' bytes in `behind`.
    behind_bytes: usize,
    /// [`DELIVERY_BYTES`], but for tests.
    pub(super) delivery_bytes: usize,
    /// The frames' bytes in `entries`.
    bytes: usize,
    /// The events (neither marks nor checkpoints) in `entries`.
    events: usize,
    /// The id of the newest entry that was dropped, if that was the first event to bear it; before any was dropped, the id
    /// from which the origin was asked to resume. A client that has it as its last missed nothing that is not held.
    before_first: Option<Bytes>,
    /// The position of the first entry that was appended: what is before it was prepended.
    began_at: Seq,
    /// Whether an entry was ever dropped.
    has_dropped: bool,
    /// The newest mark or checkpoint that was dropped.
    dropped_beside: Option<Seq>,
    /// Where each origin id stands first.
    index: IdIndex,
    /// Under `ids = "origin"`: an id was seen, so that its absence must be written as well.
    ids_seen: bool,
}

#[derive(Debug)]
struct Entry {
    frame: Frame,
    id: EntryId,
    at: Instant,
}

/// What an entry's frame says in its `id` line.
#[derive(Debug, Clone, PartialEq, Eq)]
enum EntryId {
    /// A mark: no id, and not an event of the origin's.
    Mark,
    /// The origin's, or under `ids = "origin"` the effective one (empty: none), trimmed.
    Origin(Bytes),
    /// The origin's, of a block that is no event.
    Checkpoint(Bytes),
    /// Ours, made of the position.
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
    /// The cursor moved to here; the frames were given. It is at the end of the log if nothing was given.
    To(Seq),
    /// The cursor's position was dropped: the oldest held, and how many entries are lost to this reader.
    Behind {
        /// The oldest position held.
        oldest: Seq,
        /// Events between the cursor and it, where their number is known.
        missed: Option<u64>,
    },
}

impl ReplayLog {
    /// An empty log whose first event gets the position `first`.
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

    /// The position of the oldest entry held, or of the next one where none is.
    #[must_use]
    pub fn oldest(&self) -> Seq {
        self.first
    }

    /// The position that the next entry will get.
    #[must_use]
    pub fn end(&self) -> Seq {
        self.first.plus(self.entries.len())
    }

    /// The bytes of all frames held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether anything was ever appended.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.end() > self.began_at
    }

    /// Whether events were appended and none of them bore an id.
    #[must_use]
    pub fn lacks_ids(&self) -> bool {
        self.has_begun() && !self.ids_seen
    }

    /// Puts an event before the oldest; says whether there was room. Nothing must have been dropped yet.
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

    /// The same for the mark of a gap, where clients are told of gaps.
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

    /// The origin's id of the newest event, if that has one; marks are passed over. The id that stands before the first event
    /// may be one that a client made up, and is not given.
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

    /// Takes `id` for that of the event right before the first entry, of which nothing was dropped.
    pub fn know_before_first(&mut self, id: &[u8]) {
        self.ids_seen = true;
        self.before_first = Some(Bytes::copy_from_slice(trimmed(id)));
    }

    /// Appends an event or a checkpoint: gives it its position and its id, and encodes its frame once. A checkpoint that moves no
    /// client is left out: some origins send one again and again.
    pub fn append(&mut self, event: &Event, now: Instant) -> Seq {
        let seq = self.end();
        if event.is_checkpoint && self.moves_nobody(event) {
            return seq;
        }
        self.ids_seen |= !event.last_event_id.is_empty();
        let (mut id, frame) = self.encode(event, seq);
        if let EntryId::Origin(id) | EntryId::Checkpoint(id) = &mut id {
            // It may be a slice of a large read, which neither the entry nor the index must pin.
            *id = Bytes::copy_from_slice(id);
            let dropped = self.before_first.as_ref() == Some(&*id);
            self.index.insert(id, seq, dropped);
        }
        let entry = Entry { frame, id, at: now };
        self.events = self.events.saturating_add(usize::from(entry.is_event()));
        self.push(entry, now);
        seq
    }

    /// Whether a checkpoint is not for clients: those who have the newest entry have its id. And where ids are ours too, a client
    /// without one would come back as one that saw nothing.
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

    /// Appends a mark: a frame without an id that every subscriber gets at this place.
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
