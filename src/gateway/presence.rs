//! The clients of shared streams that sessions serve, for an operator who looks at them.

use crate::caller::Caller;
use crate::counters::since_start;
use crate::fanout::Sent;
use crate::replay::Seq;
use http::Version;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The clients that are taken from the list while it is locked once.
const SLICE: usize = 512;

/// Says that no write waits for a client.
const TAKES_ALL: u64 = u64::MAX;

/// The clients that sessions serve. Clones share one list.
#[derive(Debug, Clone, Default)]
pub struct Presence(Arc<Mutex<Listed>>);

#[derive(Debug, Default)]
struct Listed {
    next: u64,
    by_number: BTreeMap<u64, Arc<Present>>,
}

/// A client that a session serves.
#[derive(Debug)]
pub struct Present {
    /// The number of its stream.
    pub stream: usize,
    /// Who it is.
    pub caller: Caller,
    /// The version of its request.
    pub version: Version,
    /// When its request came.
    pub asked: Instant,
    cursor: AtomicU64,
    bytes: AtomicU64,
    events: AtomicU64,
    /// When the client was last seen to take a byte, if a write waits for it, as [`since_start`] has it.
    slow_since: AtomicU64,
    dismissed: Notify,
}

/// A client on the list. Dropping it takes the client off.
#[derive(Debug)]
pub(super) struct Listing {
    presence: Presence,
    number: u64,
    pub(super) present: Arc<Present>,
}

impl Presence {
    /// Puts a client on the list.
    pub(super) fn enter(&self, present: Present) -> Listing {
        let present = Arc::new(present);
        let mut listed = self.0.lock();
        let number = listed.next;
        listed.next += 1;
        listed.by_number.insert(number, Arc::clone(&present));
        Listing { presence: self.clone(), number, present }
    }

    /// Looks at every client, a slice of them while the list is locked once.
    pub fn each(&self, mut look: impl FnMut(u64, &Present)) {
        let mut from = 0;
        loop {
            let slice: Vec<_> = {
                let listed = self.0.lock();
                let some = listed.by_number.range(from..).take(SLICE);
                some.map(|(number, present)| (*number, Arc::clone(present))).collect()
            };
            let Some((last, _)) = slice.last() else { return };
            from = last + 1;
            slice.iter().for_each(|(number, present)| look(*number, present));
        }
    }

    /// Ends one client of a stream in order. Returns whether it is there.
    #[must_use]
    pub fn dismiss(&self, stream: usize, number: u64) -> bool {
        let present = self.0.lock().by_number.get(&number).filter(|present| present.stream == stream).cloned();
        present.is_some_and(|present| {
            present.dismissed.notify_one();
            true
        })
    }
}

impl Present {
    /// A client that was sent nothing so far.
    pub(super) fn new(stream: usize, caller: Caller, version: Version, asked: Instant, cursor: Seq) -> Self {
        Self {
            stream,
            caller,
            version,
            asked,
            cursor: AtomicU64::new(cursor.0),
            bytes: AtomicU64::new(0),
            events: AtomicU64::new(0),
            slow_since: AtomicU64::new(TAKES_ALL),
            dismissed: Notify::new(),
        }
    }

    /// The client took what it was sent: this much, and everything before `cursor`.
    pub(super) fn went_on(&self, cursor: Seq, sent: Sent) {
        self.cursor.store(cursor.0, Ordering::Relaxed);
        self.bytes.store(sent.bytes, Ordering::Relaxed);
        self.events.store(sent.events, Ordering::Relaxed);
        self.slow_since.store(TAKES_ALL, Ordering::Relaxed);
    }

    /// A write waits for the client, which was last seen to take a byte at this time.
    pub(super) fn takes_nothing_since(&self, accepted: Instant) {
        self.slow_since.store(since_start(accepted), Ordering::Relaxed);
    }

    /// How long the client has taken nothing, if a write waits for it.
    #[must_use]
    pub fn slow_for(&self) -> Option<Duration> {
        let since = self.slow_since.load(Ordering::Relaxed);
        (since != TAKES_ALL).then(|| Duration::from_micros(since_start(Instant::now()).saturating_sub(since)))
    }

    /// Resolves when an operator ends the client. Cancel-safe.
    pub(super) async fn dismissed(&self) {
        self.dismissed.notified().await;
    }

    /// The position of the next frame for the client.
    #[must_use]
    pub fn cursor(&self) -> Seq {
        Seq(self.cursor.load(Ordering::Relaxed))
    }

    /// What the client was sent.
    #[must_use]
    pub fn sent(&self) -> Sent {
        Sent { bytes: self.bytes.load(Ordering::Relaxed), events: self.events.load(Ordering::Relaxed) }
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.presence.0.lock().by_number.remove(&self.number);
    }
}
