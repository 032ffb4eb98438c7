//! The places for clients: how many are served at once, and how many are told at once that they are not.
//!
//! ```text
//!   accepted ─┬─ a place is free ──▶ Client ──────────────────────────────▶ served
//!             ├─ one that is promised ──▶ Guest ─ its request has come ─┬─ a place by now, or soon ──▶ served
//!             │                            │                            └─ none ──▶ 503
//!             │                            └─ the place is needed ──▶ 503
//!             ├─ none ──▶ Late ─ its request has come ─┬─ a place by now, or soon ──▶ served
//!             │            │                           └─ none ───────────▶ 503
//!             │            └─ sends nothing ──▶ closed
//!             └─ none, and many are late ─────────────────────────────────▶ 503 at once
//! ```

use super::times::WITHOUT_A_PLACE;
use crate::counters::process;
use crate::descriptors::{ClientPlace, Descriptors, GuestPlace, Promise};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// The most connections without a place that are read from. Their descriptors are in none of the places.
const MOST_LATE: usize = 16;

/// The most connections of addresses at a limit that are read from. One address must not use up those for the others.
const MOST_OVER: usize = 8;

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
    descriptors: Descriptors,
    late: Arc<Semaphore>,
    /// Those of addresses that are at a limit.
    over: Arc<Semaphore>,
}

/// One place that is taken. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct Place {
    of: Arc<Places>,
    /// `None`: a stream of an HTTP/2 connection, which has no descriptor.
    descriptor: Option<ClientPlace>,
}

/// What an accepted connection is given.
#[derive(Debug)]
pub(super) enum Admission {
    /// A place, and the promise of one for the stream that the client may open.
    Client(Place, Option<Promise>),
    /// A place, until it is needed for another connection.
    Guest(Place, GuestPlace),
    /// Only the permission to send a request. A place may be free by then.
    Late(OwnedSemaphorePermit),
}

impl Places {
    pub(super) fn new(most: usize, descriptors: Descriptors, alive: mpsc::Sender<()>) -> Arc<Self> {
        let (taken, told, late) = (AtomicUsize::new(0), AtomicBool::new(false), Arc::new(Semaphore::new(MOST_LATE)));
        let over = Arc::new(Semaphore::new(MOST_OVER));
        Arc::new(Self { _alive: alive, most, taken, told, descriptors, late, over })
    }

    /// Takes a place for a connection that was just accepted, if one is free. `None`: the connection must be closed at
    /// once.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Admission> {
        process().accepts.add(1);
        if let Some(mut place) = self.take() {
            if let Some(promise) = place.take_descriptor() {
                return Some(Admission::Client(place, Some(promise)));
            }
            if let Some(guest) = self.descriptors.guest() {
                return Some(Admission::Guest(place, guest));
            }
        }
        Arc::clone(&self.late).try_acquire_owned().ok().map(Admission::Late)
    }

    /// Takes a place for a connection of another process. `None`: none is free.
    pub(super) fn take_over(self: &Arc<Self>) -> Option<Place> {
        let mut place = self.take()?;
        place.take_descriptor().map(|_| place)
    }

    /// Permits a connection whose address is at a limit to send a request, which is then refused. `None`: too many do.
    pub(super) fn admit_over(self: &Arc<Self>) -> Option<Admission> {
        process().accepts.add(1);
        Arc::clone(&self.over).try_acquire_owned().ok().map(Admission::Late)
    }

    /// Takes a place for a connection whose request has come. `None`: no place is left.
    async fn admit_late(self: &Arc<Self>) -> Option<Place> {
        let mut place = self.take()?;
        place.descriptor = Some(self.descriptors.client(Instant::now() + WITHOUT_A_PLACE).await?);
        Some(place)
    }

    /// Takes a place for a client that needs no descriptor of its own. `None`: no place is left. That is logged once, and
    /// not for each client.
    pub(super) fn take(self: &Arc<Self>) -> Option<Place> {
        let place = Place { of: Arc::clone(self), descriptor: None };
        process().places.add(1);
        if self.taken.fetch_add(1, Ordering::AcqRel) < self.most {
            return Some(place);
        }
        if !self.told.swap(true, Ordering::AcqRel) {
            log::warn!("all connections are in use: new clients get 503 max_connections={}", self.most);
        }
        None
    }
}

impl Place {
    /// Takes a descriptor along for the client, and one that is promised for the stream that it may open. `None`: there are
    /// too few.
    fn take_descriptor(&mut self) -> Option<Promise> {
        let (descriptor, promise) = self.of.descriptors.newcomer()?;
        self.descriptor = Some(descriptor);
        Some(promise)
    }
}

impl Admission {
    /// Gives a connection whose request has come a place of its own, if it has none and one is free, or becomes free
    /// soon.
    pub(super) async fn settle(self, places: &Arc<Places>) -> Self {
        match self {
            Self::Guest(mut place, guest) => match guest.settle(Instant::now() + WITHOUT_A_PLACE).await {
                Some(descriptor) => {
                    place.descriptor = Some(descriptor);
                    Self::Client(place, None)
                }
                None => Self::Guest(place, guest),
            },
            Self::Late(permit) => match places.admit_late().await {
                Some(place) => Self::Client(place, None),
                None => Self::Late(permit),
            },
            Self::Client(..) => self,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        process().places.sub_one();
        let taken = self.of.taken.fetch_sub(1, Ordering::AcqRel);
        // The next shortage is logged only after a tenth of the places was free in between.
        if taken <= self.of.most.saturating_sub(self.of.most / 10) {
            self.of.told.store(false, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    /// A place for a connection that had none, if there is one at once.
    fn admitted_late(places: &Arc<Places>) -> Option<Place> {
        places.admit_late().now_or_never().expect("no stream gives way")
    }

    #[test]
    fn there_are_so_many_places_and_a_drop_frees_one() {
        let places = Places::new(2, Descriptors::unlimited(), mpsc::channel(1).0);
        let (first, second) = (places.take(), admitted_late(&places));
        assert!(first.is_some() && second.is_some());
        assert!(places.take().is_none() && admitted_late(&places).is_none());
        assert!(matches!(places.admit(), Some(Admission::Late(_))));
        drop(first);
        assert!(matches!(places.admit(), Some(Admission::Client(..))));
        drop(second);
        assert_eq!(places.taken.load(Ordering::Acquire), 0);
    }

    #[test]
    fn few_are_late_at_once_and_the_others_are_turned_away() {
        let places = Places::new(1, Descriptors::unlimited(), mpsc::channel(1).0);
        let first = places.admit();
        let mut late: Vec<_> = (0..MOST_LATE).map(|_| places.admit()).collect();
        assert!(late.iter().all(|late| matches!(late, Some(Admission::Late(_)))));
        assert!(places.admit().is_none());
        late.pop();
        assert!(matches!(places.admit(), Some(Admission::Late(_))));
        drop(first);
        assert!(admitted_late(&places).is_some(), "who is late may have a place that became free");
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_needs_a_descriptor_and_a_guest_has_one_that_is_promised() {
        let places = Places::new(100, Descriptors::new(4), mpsc::channel(1).0);
        let Some(Admission::Client(first, promise)) = places.admit() else { panic!("a place for the first") };
        let Some(guest @ Admission::Guest(..)) = places.admit() else { panic!("a place that is promised") };
        let second = places.admit().unwrap();
        assert!(matches!(second, Admission::Guest(..)), "a promised place may be used by more than one");
        assert!(matches!(places.admit(), Some(Admission::Late(_))), "all are used");
        // The first client joins a stream that is open. So what was promised to it is free.
        let joined = async {
            tokio::task::yield_now().await;
            drop(promise);
        };
        let (guest, ()) = tokio::join!(guest.settle(&places), joined);
        assert!(matches!(guest, Admission::Client(..)));
        // The others keep their places, and one is kept for other connections.
        assert!(matches!(second.settle(&places).await, Admission::Client(..)));
        drop((first, guest));
        assert!(matches!(places.admit(), Some(Admission::Client(..))));
        assert_eq!(places.taken.load(Ordering::Acquire), 0);
    }
}
