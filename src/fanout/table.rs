//! A table whose places are named by keys of one kind.

use super::keys::Key;
use slab::Slab;
use std::marker::PhantomData;

/// Values, each named by a key. The key of a value that was removed names the next one that is put in.
#[derive(Debug)]
pub(super) struct Table<K, V> {
    slab: Slab<V>,
    keys: PhantomData<fn() -> K>,
}

impl<K: Key, V> Table<K, V> {
    pub(super) fn new() -> Self {
        Self { slab: Slab::new(), keys: PhantomData }
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
        key(self.slab.insert(value))
    }

    pub(super) fn remove(&mut self, key: K) -> Option<V> {
        self.slab.try_remove(key.index() as usize)
    }

    /// All values and their keys, in the order of the keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.slab.iter().map(|(index, value)| (key(index), value))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }
}

#[expect(clippy::cast_possible_truncation, reason = "there are fewer clients than descriptors, and fewer groups")]
fn key<K: Key>(index: usize) -> K {
    K::of(index as u32)
}
