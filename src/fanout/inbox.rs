//! A shard's inbox: the messages of other threads to the shard. They are about arriving clients, changed streams, and
//! the drain. Publishers also ask whether clients receive bytes.
//!
//! A message does not wake a shard that is working, because the shard looks into the inbox once more before it sleeps.
//! So a thousand changes of a stream in that time cost a thousand locks and no system call, and none is lost.

use super::keys::GroupKey;
use crate::sync::{AtomicBool, AtomicUsize, Ordering, thread};
use parking_lot::Mutex;
use std::any::Any;
use std::fmt;
use std::sync::Arc;

/// Ends a shard's sleep. Calling it while the shard is awake does no harm.
pub(super) trait Wake {
    fn wake(&self);
}

/// The way into a shard. `A` is an arriving client, `D` the time of a drain, `W` what wakes the shard.
#[derive(Debug)]
pub(super) struct Inbox<A, D, W> {
    told: Mutex<Told<A, D>>,
    /// Set by the thread that leaves a message, cleared by the shard before it sleeps. Only the thread that sets it
    /// wakes the shard.
    awake: AtomicBool,
    waker: W,
    /// The number of clients that the shard has, as it last said.
    clients: AtomicUsize,
}

/// What a shard wants of the time until its next look into the inbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// The shard has work, so it does not sleep.
    None,
    /// The shard has nothing to do, but more clients may follow from a thread that needs this core. So the shard yields
    /// the core and does not sleep yet. The clients then arrive together, and none of them has to wake the shard.
    Yield,
    /// The shard has nothing to do, so it sleeps until a message comes.
    Sleep,
}

/// The messages that arrived since the shard last looked.
#[derive(Debug)]
pub(super) struct Told<A, D> {
    pub(super) arrivals: Vec<A>,
    /// The groups whose streams changed. Bounded, because a [`Flag`] names its group only once until the shard has
    /// looked.
    pub(super) changed: Vec<GroupKey>,
    /// The groups whose publishers ask whether clients receive bytes. Bounded in the same way.
    pub(super) asked: Vec<GroupKey>,
    /// Other messages, into which the inbox does not look. Bounded by those who post them.
    pub(super) posted: Vec<Box<dyn Any + Send>>,
    pub(super) drain: Option<D>,
    /// The policies of routes changed.
    pub(super) renew: bool,
    is_closed: bool,
}

impl<A, D> Default for Told<A, D> {
    fn default() -> Self {
        Self {
            arrivals: Vec::new(),
            changed: Vec::new(),
            asked: Vec::new(),
            posted: Vec::new(),
            drain: None,
            renew: false,
            is_closed: false,
        }
    }
}

impl<A, D, W: Wake> Inbox<A, D, W> {
    pub(super) fn new(waker: W) -> Self {
        Self { told: Mutex::default(), awake: AtomicBool::new(false), waker, clients: AtomicUsize::new(0) }
    }

    /// Hands an arriving client over. Gives it back if the shard has ended.
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
    fn changed(&self, group: GroupKey) {
        self.told.lock().changed.push(group);
        self.wake();
    }

    /// A group's publisher asks whether the group's clients receive bytes.
    fn asked(&self, group: GroupKey) {
        self.told.lock().asked.push(group);
        self.wake();
    }

    /// The shard says how many clients it has.
    pub(super) fn has(&self, clients: usize) {
        self.clients.store(clients, Ordering::Relaxed);
    }

    /// The number of clients that the shard has, as it last said.
    pub(super) fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Hands a message over. Drops it if the shard has ended.
    pub(super) fn post(&self, message: Box<dyn Any + Send>) {
        {
            let mut told = self.told.lock();
            if told.is_closed {
                return;
            }
            told.posted.push(message);
        }
        self.wake();
    }

    /// Begins the drain. Clients that arrive later are drained too.
    pub(super) fn drain(&self, drain: D) {
        self.told.lock().drain = Some(drain);
        self.wake();
    }

    /// The policies of routes changed.
    pub(super) fn renew(&self) {
        self.told.lock().renew = true;
        self.wake();
    }

    /// Ends the shard, or notes that it has ended. The shard takes no more clients. Clients that it has not taken in
    /// are dropped.
    pub(super) fn close(&self) {
        let dropped = {
            let mut told = self.told.lock();
            told.is_closed = true;
            (std::mem::take(&mut told.arrivals), std::mem::take(&mut told.posted))
        };
        drop(dropped);
        self.wake();
    }

    /// Lets the shard pause, and moves the messages that have come by then into `told`, which must be empty. `poll` is
    /// called once. It is told whether it may sleep. If so, the next message wakes it. Returns whether the shard goes on.
    ///
    /// ```text
    ///   awake ──── no message waits ────▶ about to sleep ──── poll sleeps ────▶ asleep
    ///     ▲  ◀──── a message waits ───────────┘ │                                │
    ///     └───── a message came: poll is woken ─┴────────────────────────────────┘
    /// ```
    ///
    /// # Errors
    /// Fails with what `poll` fails with.
    pub(super) fn look<E>(
        &self,
        told: &mut Told<A, D>,
        pause: Pause,
        poll: impl FnOnce(bool) -> Result<(), E>,
    ) -> Result<bool, E> {
        if pause == Pause::Yield {
            thread::yield_now();
        }
        poll(pause == Pause::Sleep && self.may_sleep())?;
        self.awake.store(true, Ordering::SeqCst);
        Ok(self.take(told))
    }

    /// Moves the messages into `told`. Returns whether the shard goes on.
    fn take(&self, told: &mut Told<A, D>) -> bool {
        debug_assert!(told.arrivals.is_empty() && told.changed.is_empty() && told.asked.is_empty());
        let mut waiting = self.told.lock();
        std::mem::swap(&mut waiting.arrivals, &mut told.arrivals);
        std::mem::swap(&mut waiting.changed, &mut told.changed);
        std::mem::swap(&mut waiting.asked, &mut told.asked);
        std::mem::swap(&mut waiting.posted, &mut told.posted);
        told.drain = waiting.drain.take();
        told.renew = std::mem::take(&mut waiting.renew);
        !waiting.is_closed
    }

    /// Whether the shard may sleep, because no message waits. After `true`, the next message wakes the shard.
    fn may_sleep(&self) -> bool {
        self.awake.store(false, Ordering::SeqCst);
        let told = self.told.lock();
        let is_empty = told.arrivals.is_empty()
            && told.changed.is_empty()
            && told.asked.is_empty()
            && told.posted.is_empty()
            && told.drain.is_none()
            && !told.renew
            && !told.is_closed;
        if !is_empty {
            self.awake.store(true, Ordering::SeqCst);
        }
        is_empty
    }

    fn wake(&self) {
        if !self.awake.swap(true, Ordering::SeqCst) {
            self.waker.wake();
        }
    }
}

/// The messages of one group's stream to its shard: the stream has changed, or its publisher asks. Until the shard has
/// looked, each of the two is put into the inbox only once.
pub(super) struct Flag<A, D, W> {
    group: GroupKey,
    raised: AtomicBool,
    asks: AtomicBool,
    inbox: Arc<Inbox<A, D, W>>,
}

impl<A, D, W: Wake> Flag<A, D, W> {
    pub(super) fn new(group: GroupKey, inbox: Arc<Inbox<A, D, W>>) -> Self {
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

    /// The shard is about to answer the publisher. The next question is a new message.
    pub(super) fn answer(&self) {
        self.asks.store(false, Ordering::SeqCst);
    }

    /// The shard is about to read the stream. The next change is a new message.
    pub(super) fn clear(&self) {
        self.raised.store(false, Ordering::SeqCst);
    }
}

impl<A, D, W> fmt::Debug for Flag<A, D, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flag").field("group", &self.group).field("raised", &self.raised).finish_non_exhaustive()
    }
}
