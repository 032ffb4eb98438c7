//! The limit on the number of clients that are served at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::mpsc;

/// The places for clients. Each connection that is served has one. On an HTTP/2 connection, each stream beyond the
/// first has one too, because a proxy may serve many clients through one connection. There are `most` places.
#[derive(Debug)]
pub(super) struct Places {
    /// Tells the receiver when all connections are gone. It is dropped with the last `Arc` of the places. So the
    /// channel closes when no place is taken and none can be taken any more.
    _alive: mpsc::Sender<()>,
    most: usize,
    taken: AtomicUsize,
    /// Whether it was logged that no place is left.
    told: AtomicBool,
}

/// One place that is taken. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct Place(Arc<Places>);

impl Places {
    pub(super) fn new(most: usize, alive: mpsc::Sender<()>) -> Arc<Self> {
        Arc::new(Self { _alive: alive, most, taken: AtomicUsize::new(0), told: AtomicBool::new(false) })
    }

    /// Takes a place. `None`: no place is left. That is logged once, and not for each client.
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
        // The next shortage is logged only after a tenth of the places was free in between.
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
