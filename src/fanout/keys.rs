//! The keys of a shard's clients. A key is small and dense, and names another client once its own has gone.

/// Names a client within its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ClientKey(u32);

/// A key that is the index of a place in a table.
pub(super) trait Key: Copy {
    /// The key of the place at `index`.
    fn of(index: u32) -> Self;

    /// The index of the key's place.
    fn index(self) -> u32;
}

impl Key for ClientKey {
    fn of(index: u32) -> Self {
        Self(index)
    }

    fn index(self) -> u32 {
        self.0
    }
}
