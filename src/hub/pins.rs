//! What slow clients keep in memory although the logs have dropped it.
//!
//! A client whose connection accepts no more is in the middle of an event. The rest of that event is still to be sent
//! whole, however long that takes and whatever the log drops meanwhile. So what all such clients keep together has a
//! bound of its own. Clients in the same event keep it once.
//!
//! Some clients keep bytes that are theirs alone: parts of TLS records, and what a connection of HTTP/2 has begun to send.
//! For all of these together there is a bound of the same size.

use crate::sync::{AtomicUsize, Ordering};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;

/// Slow clients may keep one part in so many of the bytes that all logs may hold.
const PART: usize = 16;

/// The most bytes that slow clients may keep, however much the logs may hold. A few large events are enough: a client
/// that comes back is given what it missed, or is told of the gap.
const MOST: usize = 16 << 20;

/// What slow clients may keep, however little the logs may hold. It is enough for many small events.
const LEAST: usize = 1 << 20;

/// A rest that is at most one part in so many of its event is copied, so that it does not keep the event.
const SMALL_PART: usize = 4;

/// What slow clients keep, and the limit of that.
#[derive(Debug)]
pub(super) struct Pins {
    most: AtomicUsize,
    pinned: Mutex<Pinned>,
    /// The bytes that are kept for one client alone.
    of_clients: AtomicUsize,
}

/// Bytes that are kept for one client alone. Dropping this means that they are freed.
#[derive(Debug)]
pub struct Kept {
    pins: Arc<Pins>,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Pinned {
    /// The bytes of all pieces of memory.
    bytes: usize,
    /// The pieces of memory, each by the address at which it ends, with its bytes and the number of its clients.
    pieces: HashMap<usize, (usize, usize)>,
}

/// The right of one slow client to keep the rest of an event.
#[derive(Debug)]
pub struct Pin {
    pins: Arc<Pins>,
    end: usize,
}

impl Pins {
    /// Pins beside logs that hold `of_logs` bytes together.
    pub(super) fn beside(of_logs: usize) -> Self {
        Self { most: AtomicUsize::new(most_beside(of_logs)), pinned: Mutex::default(), of_clients: AtomicUsize::new(0) }
    }

    /// Counts bytes that are kept for one client alone.
    pub(super) fn keep(self: &Arc<Self>, bytes: usize) -> Kept {
        self.of_clients.fetch_add(bytes, Ordering::Relaxed);
        Kept { pins: Arc::clone(self), bytes }
    }

    /// The logs may hold `of_logs` bytes together from now on.
    pub(super) fn allow_beside(&self, of_logs: usize) {
        self.most.store(most_beside(of_logs), Ordering::Relaxed);
    }

    /// Lets a client keep `rest`, which keeps `whole` bytes in memory: those of its event. A small rest is copied, and
    /// keeps only itself. `None`: slow clients keep too much already.
    pub(super) fn pin(self: &Arc<Self>, rest: &mut Bytes, whole: usize) -> Option<Pin> {
        let mut bytes = whole;
        if rest.len() <= whole / SMALL_PART {
            *rest = Bytes::copy_from_slice(rest);
            bytes = rest.len();
        }
        // Every rest of an event ends where the event ends.
        let end = rest.as_ptr_range().end.addr();
        let mut pinned = self.pinned.lock();
        if let Some((_, clients)) = pinned.pieces.get_mut(&end) {
            *clients += 1;
        } else if pinned.bytes.saturating_add(bytes) <= self.most.load(Ordering::Relaxed) {
            pinned.bytes += bytes;
            pinned.pieces.insert(end, (bytes, 1));
        } else {
            return None;
        }
        Some(Pin { pins: Arc::clone(self), end })
    }

    /// The bytes that slow clients keep.
    pub(super) fn bytes(&self) -> usize {
        self.pinned.lock().bytes + self.of_clients.load(Ordering::Relaxed)
    }
}

impl Kept {
    /// The number of the bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether more is kept for all such clients than may be.
    #[must_use]
    pub fn is_too_much(&self) -> bool {
        let Pins { most, of_clients, .. } = &*self.pins;
        of_clients.load(Ordering::Relaxed) > most.load(Ordering::Relaxed)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.pins.of_clients.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What slow clients may keep beside logs that hold `of_logs` bytes together.
fn most_beside(of_logs: usize) -> usize {
    (of_logs / PART).clamp(LEAST, MOST)
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pinned = self.pins.pinned.lock();
        let Some((bytes, clients)) = pinned.pieces.get_mut(&self.end) else { return };
        *clients -= 1;
        if *clients == 0 {
            let bytes = *bytes;
            pinned.bytes -= bytes;
            pinned.pieces.remove(&self.end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pins that may keep 1000 bytes.
    fn pins() -> Arc<Pins> {
        Arc::new(Pins { most: AtomicUsize::new(1000), ..Pins::beside(0) })
    }

    #[test]
    fn clients_in_the_same_event_keep_it_once() {
        let pins = pins();
        let event = Bytes::from(vec![b'x'; 600]);
        let [mut early, mut late, mut whole] = [event.slice(1..), event.slice(400..), event];
        let [first, second, third] = [&mut early, &mut late, &mut whole].map(|rest| pins.pin(rest, 600).unwrap());
        assert_eq!(pins.bytes(), 600);
        assert!(pins.pin(&mut Bytes::from(vec![b'y'; 600]), 600).is_none(), "there is no room for another event");
        drop((first, second));
        assert_eq!(pins.bytes(), 600);
        drop(third);
        assert_eq!(pins.bytes(), 0);
        assert!(pins.pin(&mut Bytes::from(vec![b'y'; 1000]), 1000).is_some());
        assert!(pins.pin(&mut Bytes::from(vec![b'y'; 1001]), 1001).is_none());
        assert_eq!(pins.bytes(), 0, "what is refused is not counted");
    }

    #[test]
    fn what_is_kept_for_single_clients_is_counted_beside_the_events() {
        let pins = pins();
        let first = pins.keep(600);
        let event = pins.pin(&mut Bytes::from(vec![b'x'; 1000]), 1000);
        assert!(event.is_some() && !first.is_too_much());
        let second = pins.keep(401);
        assert!(first.is_too_much() && second.is_too_much());
        assert_eq!(pins.bytes(), 2001);
        drop(first);
        assert!(!second.is_too_much());
        drop((second, event));
        assert_eq!(pins.bytes(), 0);
    }

    #[test]
    fn a_small_rest_does_not_keep_its_event() {
        let pins = pins();
        let event = Bytes::from(vec![b'x'; 600]);
        let (mut small, mut large) = (event.slice(450..), event.slice(449..));
        let small_pin = pins.pin(&mut small, 600);
        assert_eq!((small_pin.is_some(), pins.bytes(), small.len()), (true, 150, 150));
        let large_pin = pins.pin(&mut large, 600);
        assert_eq!((large_pin.is_some(), pins.bytes()), (true, 750));
        drop(large);
        assert!(event.is_unique(), "the small rest is a copy");
    }

    #[test]
    fn the_bound_is_a_part_of_that_of_the_logs_and_neither_useless_nor_more_than_is_useful() {
        for (of_logs, most) in [(0, 1 << 20), (64 << 20, 4 << 20), (256 << 20, 16 << 20), (usize::MAX, 16 << 20)] {
            assert_eq!(Pins::beside(of_logs).most.load(Ordering::Relaxed), most, "{of_logs}");
        }
    }
}
