//! The positions of each origin id in the log.

use super::Seq;
use super::log::Ring;
use hashbrown::HashTable;
use std::hash::{BuildHasher, RandomState};

/// Places are positions without their highest bits, which the ring's own position tells. A ring never holds so many
/// entries that two have the same place.
const PLACE_BITS: u32 = 31;

/// Finds the entries with an origin id. A crowd of resuming clients costs a look-up each and no scan of the log.
///
/// It holds no id: those are in the frames of the ring. Of several entries with the same id it knows the first and the
/// last, and each of them the next one.
#[derive(Debug, Default)]
pub(super) struct IdIndex {
    ids: HashTable<Alike>,
    hasher: RandomState,
}

/// The entries held with one id. There is at least one.
#[derive(Debug, Clone, Copy)]
struct Alike {
    /// The place of the first, and in the lowest bit whether an earlier one was dropped.
    first_and_dropped: u32,
    /// The place of the last.
    last: u32,
}

/// What an entry costs in the index, at most: a place in the table, which doubles when it is filled to seven eighths.
pub(super) const INDEX_SHARE: usize = (size_of::<Alike>() + 1) * 16 / 7;

impl Alike {
    fn new(first: u32, is_dropped: bool, last: u32) -> Self {
        Self { first_and_dropped: first << 1 | u32::from(is_dropped), last }
    }

    fn first(self) -> u32 {
        self.first_and_dropped >> 1
    }

    fn is_dropped(self) -> bool {
        self.first_and_dropped & 1 == 1
    }
}

/// The place of a position.
#[expect(clippy::cast_possible_truncation, reason = "a place is the lower part of a position")]
fn place(seq: Seq) -> u32 {
    seq.0 as u32 & ((1 << PLACE_BITS) - 1)
}

/// The position of a place in the ring.
fn position(place_of_it: u32, ring: &Ring) -> Seq {
    let distance = place_of_it.wrapping_sub(place(ring.first())) & ((1 << PLACE_BITS) - 1);
    ring.first().plus(distance as usize)
}

/// The id of the entry at a place.
fn id_at(place: u32, ring: &Ring) -> &[u8] {
    ring.get(position(place, ring)).and_then(|entry| entry.id()).unwrap_or_default()
}

impl IdIndex {
    /// The first entry held with this id, and whether an earlier one was dropped. A client may have seen only that one.
    pub(super) fn first_held(&self, id: &[u8], ring: &Ring) -> Option<(Seq, bool)> {
        if self.ids.is_empty() {
            return None;
        }
        let hash = self.hasher.hash_one(id);
        let alike = self.ids.find(hash, |alike| id_at(alike.first(), ring) == id)?;
        Some((position(alike.first(), ring), alike.is_dropped()))
    }

    /// The ring's newest entry, at `seq`, has an id. `is_dropped`: an entry that the log no longer holds had the id
    /// before.
    pub(super) fn insert(&mut self, seq: Seq, is_dropped: bool, ring: &mut Ring) {
        let Some(id) = ring.get(seq).and_then(|entry| entry.id()).filter(|id| !id.is_empty()) else { return };
        let hash = self.hasher.hash_one(id);
        let is_it = |alike: &Alike| id_at(alike.first(), ring) == id;
        let Some(alike) = self.ids.find_mut(hash, is_it) else {
            return self.insert_new(hash, Alike::new(place(seq), is_dropped, place(seq)), ring);
        };
        let last = position(std::mem::replace(&mut alike.last, place(seq)), ring);
        link(last, seq, ring);
    }

    /// The ring's oldest entry, at `seq`, has an id.
    pub(super) fn insert_first(&mut self, seq: Seq, ring: &mut Ring) {
        let Some(id) = ring.get(seq).and_then(|entry| entry.id()).filter(|id| !id.is_empty()) else { return };
        let hash = self.hasher.hash_one(id);
        let is_it = |alike: &Alike| id_at(alike.first(), ring) == id;
        let Some(alike) = self.ids.find_mut(hash, is_it) else {
            return self.insert_new(hash, Alike::new(place(seq), false, place(seq)), ring);
        };
        let next = position(alike.first(), ring);
        *alike = Alike::new(place(seq), alike.is_dropped(), alike.last);
        link(seq, next, ring);
    }

    fn insert_new(&mut self, hash: u64, alike: Alike, ring: &Ring) {
        let hasher = &self.hasher;
        self.ids.insert_unique(hash, alike, |alike| hasher.hash_one(id_at(alike.first(), ring)));
    }

    /// The ring's oldest entry, at `seq`, is about to be dropped. Returns whether it was the first with its id.
    pub(super) fn remove(&mut self, seq: Seq, ring: &Ring) -> bool {
        let Some(entry) = ring.get(seq) else { return false };
        let Some(id) = entry.id().filter(|id| !id.is_empty()) else { return false };
        let hash = self.hasher.hash_one(id);
        let Ok(mut found) = self.ids.find_entry(hash, |alike| alike.first() == place(seq)) else { return false };
        let alike = *found.get();
        match entry.next_alike {
            0 => _ = found.remove(),
            distance => *found.get_mut() = Alike::new(place(seq.plus(distance as usize)), true, alike.last),
        }
        !alike.is_dropped()
    }

    /// Gives room back if most of it is unused.
    pub(super) fn shrink(&mut self, ring: &Ring) {
        let Self { ids, hasher } = self;
        if ids.capacity() > ids.len().saturating_mul(4).saturating_add(32) {
            ids.shrink_to(ids.len(), |alike| hasher.hash_one(id_at(alike.first(), ring)));
        }
    }
}

/// The entry at `next` is the next one with the id of the entry at `seq`.
fn link(seq: Seq, next: Seq, ring: &mut Ring) {
    let distance = next.distance_from(seq).and_then(|distance| u32::try_from(distance).ok()).unwrap_or(0);
    if let Some(entry) = ring.get_mut(seq) {
        entry.next_alike = distance;
    }
}
