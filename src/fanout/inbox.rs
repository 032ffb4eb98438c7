//! What others tell a shard: arrivals, changes, the drain.
//!
//! A shard that is told something while it works is not woken for it: it looks once more before it sleeps. So a thousand
//! changes while it is busy cost a thousand locks and no system call, and none is lost.

use crate::sync::{AtomicBool, Ordering};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;

/// Ends a shard's sleep. May be called when it is awake.
pub(super) trait Wake {
    fn wake(&self);
}

/// The way into a shard.
#[derive(Debug)]
pub(super) struct Inbox<A, D, W> {
    told: Mutex<Told<A, D>>,
    /// Set by whoever tells something, cleared by the shard before it sleeps: only the first one wakes it.
    awake: AtomicBool,
    waker: W,
}

/// What was told since the shard last looked.
#[derive(Debug)]
pub(super) struct Told<A, D> {
    pub(super) arrivals: Vec<A>,
    /// The groups whose streams changed. Bounded: each is told once until the shard has looked.
    pub(super) changed: Vec<u32>,
    /// The groups whose streams' publishers wait until somebody takes something. Bounded like that.
    pub(super) asked: Vec<u32>,
    pub(super) drain: Option<D>,
    is_closed: bool,
}

impl<A, D> Default for Told<A, D> {
    fn default() -> Self {
        Self { arrivals: Vec::new(), changed: Vec::new(), asked: Vec::new(), drain: None, is_closed: false }
    }
}

impl<A, D, W: Wake> Inbox<A, D, W> {
    pub(super) fn new(waker: W) -> Self {
        Self { told: Mutex::default(), awake: AtomicBool::new(false), waker }
    }

    /// Hands an arrival over; gives it back if the shard is gone.
    pub(super) fn arrive(&self, arrival: A) -> Result<(), A> {
        {
            let mut told = self.told.lock();
            if told.is_closed {
                return Err(arrival);
            }
            told.arrivals.push(arrival);
        }
        self.wake();
        Ok(())
    }

    /// A group's stream changed.
    fn changed(&self, group: u32) {
        self.told.lock().changed.push(group);
        self.wake();
    }

    /// A group is asked whether bytes arrived at its clients.
    fn asked(&self, group: u32) {
        self.told.lock().asked.push(group);
        self.wake();
    }

    /// The drain begins. Who arrives later is drained too.
    pub(super) fn drain(&self, drain: D) {
        self.told.lock().drain = Some(drain);
        self.wake();
    }

    /// The shard is to end, or has: nobody arrives any more, and who has not been looked at is dropped.
    pub(super) fn close(&self) {
        let dropped = {
            let mut told = self.told.lock();
            told.is_closed = true;
            std::mem::take(&mut told.arrivals)
        };
        drop(dropped);
        self.wake();
    }

    /// Moves what was told into `told`, which is to be empty; says whether the shard is to go on.
    pub(super) fn take(&self, told: &mut Told<A, D>) -> bool {
        debug_assert!(told.arrivals.is_empty() && told.changed.is_empty() && told.asked.is_empty());
        let mut waiting = self.told.lock();
        std::mem::swap(&mut waiting.arrivals, &mut told.arrivals);
        std::mem::swap(&mut waiting.changed, &mut told.changed);
        std::mem::swap(&mut waiting.asked, &mut told.asked);
        told.drain = waiting.drain.take();
        !waiting.is_closed
    }

    /// Before the shard sleeps: whether it may. From then on whoever tells something wakes it.
    pub(super) fn may_sleep(&self) -> bool {
        self.awake.store(false, Ordering::SeqCst);
        let told = self.told.lock();
        let is_empty = told.arrivals.is_empty()
            && told.changed.is_empty()
            && told.asked.is_empty()
            && told.drain.is_none()
            && !told.is_closed;
        if !is_empty {
            self.awake.store(true, Ordering::SeqCst);
        }
        is_empty
    }

    /// The shard is awake: it is not to be woken until it sleeps again.
    pub(super) fn woke(&self) {
        self.awake.store(true, Ordering::SeqCst);
    }

    fn wake(&self) {
        if !self.awake.swap(true, Ordering::SeqCst) {
            self.waker.wake();
        }
    }
}

/// Tells a shard that one group's stream changed, and asks it for that stream: each once until the shard has looked.
pub(super) struct Flag<A, D, W> {
    group: u32,
    raised: AtomicBool,
    asks: AtomicBool,
    inbox: Arc<Inbox<A, D, W>>,
}

impl<A, D, W: Wake> Flag<A, D, W> {
    pub(super) fn new(group: u32, inbox: Arc<Inbox<A, D, W>>) -> Self {
        Self { group, raised: AtomicBool::new(false), asks: AtomicBool::new(false), inbox }
    }

    /// The stream changed.
    pub(super) fn raise(&self) {
        if !self.raised.swap(true, Ordering::SeqCst) {
            self.inbox.changed(self.group);
        }
    }

    /// The publisher asks whether bytes arrived at the group's clients.
    pub(super) fn ask(&self) {
        if !self.asks.swap(true, Ordering::SeqCst) {
            self.inbox.asked(self.group);
        }
    }

    /// The shard is about to answer: what is asked from now on is asked again.
    pub(super) fn answer(&self) {
        self.asks.store(false, Ordering::SeqCst);
    }

    /// The shard is about to read the stream: changes from now on are told again.
    pub(super) fn clear(&self) {
        self.raised.store(false, Ordering::SeqCst);
    }
}

impl<A, D, W> fmt::Debug for Flag<A, D, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flag").field("group", &self.group).field("raised", &self.raised).finish_non_exhaustive()
    }
}
