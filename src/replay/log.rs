//! The ring itself: one log, many cursors.

use super::ids::{Epoch, trimmed};
use super::index::IdIndex;
use super::{IdPolicy, ReplayOptions, Seq, Start};
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

    /// Where this event is held, if it has an id and is held.
    pub(super) fn meets(&self, event: &Event) -> Option<Seq> {
        let id = event.id.as_ref().filter(|id| !trimmed(id).is_empty())?;
        self.first_held(id).filter(|seq| self.holds_at(*seq, event))
    }

    /// Puts an event before the oldest; says whether there was room. Nothing must have been dropped yet.
    pub(super) fn prepend(&mut self, event: &Event, now: Instant) -> bool {
        let most = self.options.events.map_or(0, std::num::NonZero::get);
        let Some(seq) = self.first.0.checked_sub(1).map(Seq).filter(|_| self.events < most) else { return false };
        self.ids_seen |= !event.last_event_id.is_empty();
        let (id, frame) = self.encode(event, seq);
        let bytes = self.bytes.saturating_add(frame.text_len());
        if bytes > self.options.bytes {
            return false;
        }
        if let EntryId::Origin(id) | EntryId::Checkpoint(id) = &id {
            self.index.insert_first(id, seq);
        }
        let entry = Entry { frame, id, at: now };
        self.bytes = bytes;
        self.events = self.events.saturating_add(usize::from(entry.is_event()));
        self.first = seq;
        self.before_first = None;
        self.entries.push_front(entry);
        true
    }

    /// The origin's id of the newest event, if that has one; marks are passed over.
    #[must_use]
    pub fn newest_id(&self) -> Option<Bytes> {
        match &self.entries.iter().rev().find(|entry| entry.id != EntryId::Mark)?.id {
            EntryId::Origin(id) | EntryId::Checkpoint(id) => Some(id.clone()).filter(|id| !id.is_empty()),
            EntryId::Mark | EntryId::Minted => None,
        }
    }

    /// Whether an entry was ever dropped.
    #[must_use]
    pub fn has_dropped(&self) -> bool {
        self.has_dropped
    }

    /// The bytes that the log holds in all, about: frames, also those that wait for delivery, and what each entry costs beside
    /// its frame.
    #[must_use]
    pub fn footprint(&self) -> usize {
        let entries = self.entries.len().saturating_add(self.behind.len());
        self.bytes.saturating_add(self.behind_bytes).saturating_add(entries.saturating_mul(ENTRY_OVERHEAD))
    }

    /// Drops the oldest entries until what is held costs no more than `most` bytes. The newest `max(1, start)` events stay.
    pub fn give_up(&mut self, most: usize) {
        let cost = |log: &Self| log.bytes.saturating_add(log.entries.len().saturating_mul(ENTRY_OVERHEAD));
        while cost(self) > most && self.entries.front().is_some_and(|oldest| !self.never_ages(oldest)) {
            self.drop_oldest();
        }
        self.entries.shrink_to(self.entries.len().saturating_mul(2));
    }

    /// Gives the log away for good, and leaves an empty one.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let empty = Self::new(Arc::clone(&self.options), self.epoch, self.end());
        std::mem::replace(self, empty)
    }

    pub(super) fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Before a batch of appends: lets go of dropped frames that have been there for delivery. Within a batch none is let go.
    pub fn begin_batch(&mut self) {
        while self.behind_bytes.saturating_add(self.bytes) > self.delivery_bytes
            && let Some(frame) = self.behind.pop_front()
        {
            self.behind_bytes = self.behind_bytes.saturating_sub(frame.text_len());
        }
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

    /// The bytes of the frames from `cursor` on.
    #[must_use]
    pub fn bytes_from(&self, cursor: Seq) -> usize {
        let skip = cursor.distance_from(self.first).unwrap_or(0).min(self.entries.len());
        self.entries.range(skip..).map(|entry| entry.frame.text_len()).fold(0, usize::saturating_add)
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

    /// Whether a bound is passed, but for the newest event, which is held whatever its size.
    fn is_over(&self) -> bool {
        let most = self.options.events.map_or(LIVE_WINDOW, std::num::NonZero::get);
        let beside = self.entries.len().saturating_sub(self.events);
        let ends_with_front = match self.entries.front() {
            Some(entry) if entry.is_event() => self.events <= 1,
            _ => self.entries.len() <= 1,
        };
        self.events > most || beside > MOST_BESIDE.max(most) || (self.bytes > self.options.bytes && !ends_with_front)
    }

    /// Drops what is too old. The newest `max(1, start)` events never age out, so that a quiet stream makes no false gaps
    /// and its last values stay.
    pub fn expire(&mut self, now: Instant) {
        let Some(age) = self.options.age else { return };
        while let Some(oldest) = self.entries.front() {
            if self.never_ages(oldest) || now.saturating_duration_since(oldest.at) <= age {
                return;
            }
            self.drop_oldest();
            // Whoever is that far behind has lagged.
            self.behind.clear();
            self.behind_bytes = 0;
        }
    }

    /// Whether the oldest entry is one of the newest `max(1, start)` events.
    fn never_ages(&self, oldest: &Entry) -> bool {
        let kept = match self.options.start {
            Start::Back(n) => n.get(),
            Start::Live | Start::All => 1,
        };
        oldest.id != EntryId::Mark && self.events <= kept
    }

    fn drop_oldest(&mut self) {
        let Some(entry) = self.entries.pop_front() else { return };
        let seq = self.first;
        self.has_dropped = true;
        self.first = seq.plus(1);
        self.bytes = self.bytes.saturating_sub(entry.frame.text_len());
        self.behind_bytes = self.behind_bytes.saturating_add(entry.frame.text_len());
        self.behind.push_back(entry.frame);
        match entry.id {
            EntryId::Mark => {
                self.dropped_beside = Some(seq);
                // Whoever had the id before it missed the mark.
                self.before_first = None;
            }
            EntryId::Minted => {
                self.events = self.events.saturating_sub(1);
                self.before_first = None;
            }
            EntryId::Checkpoint(id) => {
                self.dropped_beside = Some(seq);
                self.before_first = self.index.remove(&id, seq).then_some(id);
            }
            EntryId::Origin(id) => {
                self.events = self.events.saturating_sub(1);
                // Of an id that came before, a client may have seen the first event alone.
                self.before_first = self.index.remove(&id, seq).then_some(id);
            }
        }
    }

    /// Gives the frames from `cursor` on, at least one if there is one, and no further one that would pass `most` bytes.
    pub fn read(&self, cursor: Seq, most: usize, frames: &mut Vec<Frame>) -> Read {
        let deliverable = Seq(self.first.0.saturating_sub(self.behind.len() as u64));
        let Some(skip) = cursor.distance_from(deliverable) else {
            return Read::Behind { oldest: self.first, missed: self.events_between(cursor, self.first) };
        };
        let of_behind = self.behind.range(skip.min(self.behind.len())..);
        let skip = skip.saturating_sub(self.behind.len()).min(self.entries.len());
        let of_entries = self.entries.range(skip..).map(|entry| &entry.frame);
        let mut taken = 0_usize;
        let mut next = cursor;
        for frame in of_behind.chain(of_entries) {
            let len = frame.text_len();
            if taken > 0 && taken.saturating_add(len) > most {
                break;
            }
            taken = taken.saturating_add(len);
            frames.push(frame.clone());
            next = next.plus(1);
        }
        Read::To(next)
    }

    /// How many events a client misses that goes on at `to`, which is held or the end, instead of `from`; `None` where a
    /// mark is between them, which stands for an unknown number, or a checkpoint that was dropped, which is not counted.
    #[must_use]
    pub fn events_between(&self, from: Seq, to: Seq) -> Option<u64> {
        let held = |seq: Seq| seq.distance_from(self.first).unwrap_or(0).min(self.entries.len());
        let (begin, end) = (held(from), held(to));
        let between = || self.entries.range(begin.min(end)..end);
        let is_uncounted = self.dropped_beside.is_some_and(|beside| beside >= from)
            || between().any(|entry| entry.id == EntryId::Mark);
        let checkpoints = || between().filter(|entry| !entry.is_event()).count();
        (!is_uncounted).then(|| to.0.saturating_sub(from.0).saturating_sub(checkpoints() as u64))
    }

    /// Where a client starts that brings no `Last-Event-ID`.
    #[must_use]
    pub fn start(&self) -> Seq {
        let back = match self.options.start {
            Start::Live => return self.end(),
            _ if self.options.events.is_none() => return self.end(),
            Start::All => return self.first,
            Start::Back(n) => n.get(),
        };
        let nth_event =
            self.entries.iter().enumerate().rev().filter(|(_, entry)| entry.is_event()).nth(back.saturating_sub(1));
        nth_event.map_or(self.first, |(index, _)| self.first.plus(index))
    }

    /// Whether the event that would be appended is the entry at `seq`, id and bytes.
    pub(super) fn holds_at(&self, seq: Seq, event: &Event) -> bool {
        let Some(entry) = seq.distance_from(self.first).and_then(|index| self.entries.get(index)) else { return false };
        if !entry.is_event() {
            return false;
        }
        let (id, frame) = self.encode(event, seq);
        // An origin may well begin each response with its `retry:`, which then joins the block of the first event. And a minted
        // id may stand behind a checkpoint that does not come again.
        let is_compared =
            |line: &&[u8]| !line.starts_with(b"retry: ") && (id != EntryId::Minted || !line.starts_with(b"id: "));
        let lines = |frame: &Frame| {
            frame.text().split(|b| *b == b'\n').filter(is_compared).map(<[u8]>::to_vec).collect::<Vec<_>>()
        };
        entry.id == id && lines(&entry.frame) == lines(&frame)
    }

    /// The first entry at or after `seq` that is this event.
    pub(super) fn find_from(&self, seq: Seq, event: &Event) -> Option<Seq> {
        let skip = seq.distance_from(self.first).unwrap_or(0);
        (skip..self.entries.len()).map(|index| self.first.plus(index)).find(|seq| self.holds_at(*seq, event))
    }

    /// The position after the first event that bears `id`, if all that follows is held.
    pub(super) fn after_id(&self, id: &[u8]) -> Option<Seq> {
        let id = trimmed(id);
        if self.before_first.as_ref().is_some_and(|before| before == id) {
            return Some(self.first);
        }
        self.index.first_held(id).filter(|_| !self.index.was_dropped(id)).map(|seq| seq.plus(1))
    }

    /// The position of the first event at or after `seq`.
    pub(super) fn event_from(&self, seq: Seq) -> Seq {
        let beside = seq
            .distance_from(self.first)
            .filter(|skip| *skip <= self.entries.len())
            .map_or(0, |skip| self.entries.range(skip..).take_while(|entry| !entry.is_event()).count());
        seq.plus(beside)
    }

    /// The position after the first entry held that bears `id`, an origin's; also where one before it did and was dropped.
    pub(super) fn after_first_held(&self, id: &[u8]) -> Option<Seq> {
        self.after_id(id).or_else(|| self.first_held(id).map(|seq| seq.plus(1)))
    }

    /// The position of the first entry held that bears `id`, an origin's.
    pub(super) fn first_held(&self, id: &[u8]) -> Option<Seq> {
        self.index.first_held(trimmed(id))
    }
}
