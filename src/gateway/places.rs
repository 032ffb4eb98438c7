//! The limit on the number of connections that may be open at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// The places for connections. Each open connection has one, and there are only `most`.
#[derive(Debug)]
pub(super) struct Places {
    /// Tells the receiver when all connections are over. It is dropped with the last `Arc` of the places, so the
    /// channel closes when no connection has a place and no new one can take one.
    _alive: mpsc::Sender<()>,
    most: usize,
    taken: AtomicUsize,
    /// Whether the log was told that no place is left.
    told: AtomicBool,
}

/// The place of one connection. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct Place(Arc<Places>);

impl Places {
    pub(super) fn new(most: usize, alive: mpsc::Sender<()>) -> Arc<Self> {
        Arc::new(Self { _alive: alive, most, taken: AtomicUsize::new(0), told: AtomicBool::new(false) })
    }

    /// Takes a place. `None` if there is none left, which is logged once and not for each connection.
    pub(super) fn take(self: &Arc<Self>) -> Option<Place> {
        let place = Place(Arc::clone(self));
        if self.taken.fetch_add(1, Ordering::AcqRel) < self.most {
            return Some(place);
        }
        if !self.told.swap(true, Ordering::AcqRel) {
            log::warn!("all connections are in use: new clients get 503 max_connections={}", self.most);
        }
        None
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let taken = self.0.taken.fetch_sub(1, Ordering::AcqRel);
        // The log is told again only after a tenth of the places has become free.
        if taken <= self.0.most.saturating_sub(self.0.most / 10) {
            self.0.told.store(false, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_so_many_places_and_a_drop_frees_one() {
        let places = Places::new(2, mpsc::channel(1).0);
        let (first, second) = (places.take(), places.take());
        assert!(first.is_some() && second.is_some());
        assert!(places.take().is_none() && places.take().is_none());
        drop(first);
        assert!(places.take().is_some());
        drop(second);
        assert_eq!(places.taken.load(Ordering::Acquire), 0);
    }
}
