//! The keys of a shard's clients, carriers and groups. Keys are small and dense. The key of one that is gone names the next one
//! that comes.

/// Names a client within its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ClientKey(u32);

/// Names a group within its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct GroupKey(u32);

/// Names a carrier within its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct CarrierKey(u32);

/// A key that is the index of a place.
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

impl Key for CarrierKey {
    fn of(index: u32) -> Self {
        Self(index)
    }

    fn index(self) -> u32 {
        self.0
    }
}

impl Key for GroupKey {
    fn of(index: u32) -> Self {
        Self(index)
    }

    fn index(self) -> u32 {
        self.0
    }
}
