//! The streams that exist, which of them clients can find, and which of them give way.
//!
//! A stream is *held* from its opening until its publisher is dropped, until another stream takes its place, or until
//! it *gives way*: it is closed to make room. Streams without clients stand in a queue, in the order in which they
//! became empty. A client that comes back takes its stream out of the queue.
//!
//! Lock order: the lock of the streams is taken before the lock of one stream.

use super::budget::Budget;
use super::restoring::Waiting;
use super::sharing::UnshareableKeys;
use super::stream::Stream;
use super::{End, RouteId, StreamKey};
use crate::replay::ReplayLog;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::time::Instant;

/// What all handles of one hub share.
#[derive(Debug)]
pub(super) struct Streams {
    pub(super) open: Mutex<OpenStreams>,
    pub(super) budget: Arc<Budget>,
}

#[derive(Debug, Default)]
pub(super) struct OpenStreams {
    /// The streams that clients can join, and those whose end is remembered.
    pub(super) by_key: HashMap<StreamKey, Arc<Stream>>,
    /// The streams that are held, by their numbers.
    pub(super) by_number: BTreeMap<usize, Arc<Stream>>,
    pub(super) routes: HashMap<RouteId, OfRoute>,
    pub(super) unshareable: UnshareableKeys,
    /// The logs of an earlier process.
    pub(super) waiting: Waiting,
    /// How many streams were opened so far.
    opened: usize,
    /// How many times a stream became empty so far.
    emptied: u64,
}

/// The streams of one route.
#[derive(Debug, Default)]
pub(super) struct OfRoute {
    /// The number of streams held, including those for one client alone.
    pub(super) held: usize,
    /// The streams without clients, the one that has been empty for the longest first.
    pub(super) empty: BTreeMap<u64, Arc<Stream>>,
}

/// A stream's place among the streams held. It changes only under both locks.
#[derive(Debug, Default)]
pub(super) struct Place {
    pub(super) held: bool,
    /// The stream's number in the queue of empty streams.
    turn: Option<u64>,
}

/// A stream that gave way. Dropping it wakes the stream's driver, and must happen when the locks are free.
#[derive(Debug)]
pub(super) struct GaveWay {
    stream: Arc<Stream>,
    /// The log is freed with this value, not under the locks.
    _log: ReplayLog,
}

impl Streams {
    pub(super) fn new(most_bytes: usize) -> Self {
        Self { open: Mutex::default(), budget: Arc::new(Budget::new(most_bytes)) }
    }

    /// Takes a stream out, unless another stream of the same key has taken its place.
    pub(super) fn forget(&self, stream: &Arc<Stream>) {
        self.open.lock().remove(stream);
    }

    /// No client finds this stream any more: its response is for its opener alone, or it was closed for that.
    pub(super) fn withdraw(&self, stream: &Arc<Stream>) {
        let mut open = self.open.lock();
        open.take_from_keys(stream);
        open.unshareable.note(&stream.key, Instant::now());
    }

    /// The last client of a stream left. Another one may have come meanwhile.
    pub(super) fn emptied(&self, stream: &Arc<Stream>) {
        let mut open = self.open.lock();
        let turn = open.emptied;
        let is_empty = stream.locked(|state| {
            let is_empty = state.is_empty() && state.place.held && state.place.turn.is_none();
            if is_empty {
                state.place.turn = Some(turn);
            }
            is_empty
        });
        if is_empty {
            open.emptied += 1;
            open.of(stream.key.route()).empty.insert(turn, Arc::clone(stream));
        }
    }

    /// Lets the stream of these routes that has been empty for the longest give way. Returns whether one is empty.
    pub(super) fn give_way(&self, of: impl Fn(RouteId) -> bool) -> bool {
        let gone = self.open.lock().longest_empty_gives_way(of);
        gone.is_some()
    }

    /// Lets empty streams give way until all streams hold no more than they may, or none is empty.
    pub(super) fn make_room(&self) {
        let gone = self.open.lock().make_room(&self.budget);
        drop(gone);
    }
}

impl OpenStreams {
    pub(super) fn of(&mut self, route: RouteId) -> &mut OfRoute {
        self.routes.entry(route).or_default()
    }

    /// The number of the next stream.
    pub(super) fn next_number(&mut self) -> usize {
        let number = self.opened;
        self.opened = number.wrapping_add(1);
        number
    }

    /// Holds a stream. `joinable`: other clients find it by its key.
    pub(super) fn hold(&mut self, stream: &Arc<Stream>, joinable: bool) {
        self.of(stream.key.route()).held += 1;
        stream.locked(|state| state.place.held = true);
        self.by_number.insert(stream.number, Arc::clone(stream));
        if joinable {
            self.by_key.insert(stream.key.clone(), Arc::clone(stream));
        }
    }

    /// A client is on a stream again.
    pub(super) fn taken(&mut self, stream: &Arc<Stream>) {
        if let Some(turn) = stream.locked(|state| state.place.turn.take()) {
            self.of(stream.key.route()).empty.remove(&turn);
        }
    }

    /// Stops holding a stream.
    pub(super) fn remove(&mut self, stream: &Arc<Stream>) {
        let place = stream.locked(|state| std::mem::take(&mut state.place));
        if !place.held {
            return;
        }
        self.take_from_keys(stream);
        self.by_number.remove(&stream.number);
        let route = self.of(stream.key.route());
        route.held -= 1;
        if let Some(turn) = place.turn {
            route.empty.remove(&turn);
        }
    }

    fn take_from_keys(&mut self, stream: &Arc<Stream>) {
        if self.by_key.get(&stream.key).is_some_and(|held| Arc::ptr_eq(held, stream)) {
            self.by_key.remove(&stream.key);
        }
    }

    /// Lets the stream of a route that has been empty for the longest give way. `None`: none is empty.
    pub(super) fn give_way(&mut self, route: RouteId) -> Option<GaveWay> {
        let stream = self.of(route).empty.first_entry()?.get().clone();
        self.remove(&stream);
        // No client can have joined meanwhile, because joining takes the lock that is held here.
        let log = stream.locked(|state| {
            state.close(End::Idle, None);
            let log = state.log.take();
            stream.account(state);
            log
        });
        stream.counters.streams_evicted.add(1);
        log::debug!("stream gave way stream={}", stream.key);
        Some(GaveWay { stream, _log: log })
    }

    /// Lets the stream of these routes that has been empty for the longest give way. `None`: none is empty.
    fn longest_empty_gives_way(&mut self, of: impl Fn(RouteId) -> bool) -> Option<GaveWay> {
        let routes = self.routes.iter().filter(|(id, _)| of(**id));
        let longest = routes.filter_map(|(id, route)| Some((*route.empty.first_key_value()?.0, *id)));
        let (_, route) = longest.min()?;
        self.give_way(route)
    }

    /// Lets the longest empty streams of all routes give way until all streams hold no more than `budget` allows.
    pub(super) fn make_room(&mut self, budget: &Budget) -> Vec<GaveWay> {
        let mut gone = Vec::new();
        if budget.is_over() {
            self.waiting.forget(budget, |_| true);
        }
        while budget.is_over() {
            let Some(stream) = self.longest_empty_gives_way(|_| true) else { break };
            gone.push(stream);
        }
        gone
    }
}

impl Drop for GaveWay {
    fn drop(&mut self) {
        self.stream.occupancy.notify_one();
    }
}
