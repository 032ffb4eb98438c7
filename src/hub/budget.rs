//! The bytes that all streams may hold together.

use super::pins::Pins;
use crate::sync::{AtomicUsize, Ordering};
use std::sync::Arc;

/// The bytes that a stream holds beside its log and its request, about: its driver's task, its connection to the origin
/// and its state. A connection by TLS takes some more.
pub(super) const STREAM_OVERHEAD: usize = 6 << 10;

/// The bytes that all streams hold together, and the limit of that.
#[derive(Debug)]
pub(super) struct Budget {
    most: AtomicUsize,
    held: AtomicUsize,
    streams: AtomicUsize,
    /// What slow clients keep beside the streams.
    pub(super) pins: Arc<Pins>,
}

impl Budget {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: AtomicUsize::new(most),
            held: AtomicUsize::new(0),
            streams: AtomicUsize::new(0),
            pins: Arc::new(Pins::beside(most)),
        }
    }

    /// All streams may hold so many bytes together from now on.
    pub(super) fn allow(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
        self.pins.allow_beside(most);
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    /// A new stream exists, which holds nothing yet.
    pub(super) fn enter(&self) {
        self.streams.fetch_add(1, Ordering::Relaxed);
    }

    /// A stream that held `held` bytes is gone.
    pub(super) fn leave(&self, held: usize) {
        self.streams.fetch_sub(1, Ordering::Relaxed);
        self.held.fetch_sub(held, Ordering::Relaxed);
    }

    /// A stream that held `from` bytes holds `to` now. Returns whether all streams hold too much together.
    pub(super) fn change(&self, from: usize, to: usize) -> bool {
        // Wrapping, so that one addition serves for growth and for shrinking.
        let change = to.wrapping_sub(from);
        self.held.fetch_add(change, Ordering::Relaxed).wrapping_add(change) > self.most()
    }

    /// Whether all streams hold too much together.
    pub(super) fn is_over(&self) -> bool {
        self.held() > self.most()
    }

    /// The bytes that all streams hold together.
    pub(super) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// The bytes that one stream may hold if every stream wants more.
    pub(super) fn share(&self) -> usize {
        self.most() / self.streams.load(Ordering::Relaxed).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_streams_hold_is_added_up_and_bounded() {
        let budget = Budget::new(100);
        budget.enter();
        budget.enter();
        assert_eq!(budget.share(), 50);
        for (from, to, is_over, held) in
            [(0, 60, false, 60), (0, 40, false, 100), (40, 41, true, 101), (60, 10, false, 51), (41, 41, false, 51)]
        {
            assert_eq!((budget.change(from, to), budget.held()), (is_over, held), "{from} {to}");
            assert_eq!(budget.is_over(), is_over);
        }
        budget.leave(41);
        assert_eq!((budget.held(), budget.share()), (10, 100));
        budget.leave(10);
        assert_eq!((budget.held(), budget.share()), (0, 100));
    }
}
