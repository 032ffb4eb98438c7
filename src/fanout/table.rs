//! A table whose places are named by keys of one kind.

use super::keys::Key;
use slab::Slab;
use std::marker::PhantomData;

/// Values, each named by a key. The key of a value that was removed names the next one that is put in.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    slab: Slab<V>,
    /// The number of places that were ever used. Every key is less.
    places: u32,
    keys: PhantomData<fn() -> K>,
}

impl<K: Key, V> Table<K, V> {
    pub(super) fn new() -> Self {
        Self { slab: Slab::new(), places: 0, keys: PhantomData }
    }

    pub(super) fn get(&self, key: K) -> Option<&V> {
        self.slab.get(key.index() as usize)
    }

    pub(super) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        self.slab.get_mut(key.index() as usize)
    }

    /// The key that the next value gets.
    pub(super) fn next_key(&self) -> K {
        key(self.slab.vacant_key())
    }

    pub(super) fn insert(&mut self, value: V) -> K {
        let key: K = key(self.slab.insert(value));
        self.places = self.places.max(key.index() + 1);
        key
    }

    pub(super) fn remove(&mut self, key: K) -> Option<V> {
        self.slab.try_remove(key.index() as usize)
    }

    /// The keys from `from` on that name a value, in order.
    pub(super) fn keys_from(&self, from: K) -> impl Iterator<Item = K> {
        self.every_nth_from(from, 1)
    }

    /// The key `from` and every `nth` key after it, as far as they name a value, in order.
    pub(super) fn every_nth_from(&self, from: K, nth: usize) -> impl Iterator<Item = K> {
        (from.index()..self.places).step_by(nth).map(K::of).filter(|key| self.get(*key).is_some())
    }

    /// All values and their keys, in the order of the keys.
    #[cfg(test)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.slab.iter().map(|(index, value)| (key(index), value))
    }

    /// All values, in the order of their keys.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.slab.iter_mut().map(|(_, value)| value)
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "there are fewer clients than descriptors, and fewer groups")]
fn key<K: Key>(index: usize) -> K {
    K::of(index as u32)
}
