//! The clients of streams that sessions serve, for an operator who looks at them. A stream of a private route is known
//! here alone, with its one client.

use super::meter::Meter;
use super::served::StreamRoute;
use super::writer::Broken;
use crate::caller::Caller;
use crate::counters::since_start;
use crate::fanout::{Sent, Terms};
use crate::hub::{Departure, End, StreamKey, StreamView};
use crate::replay::Seq;
use http::Version;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// The clients that are taken from the list while it is locked once.
const SLICE: usize = 512;

/// What is to become of a client: nothing, an end by an operator, an end of its permission.
const STAYS: u8 = 0;
const DISMISSED: u8 = 1;
const REVOKED: u8 = 2;

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
    on: On,
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
    /// When its permission ends.
    expires: Option<Instant>,
    dismissal: AtomicU8,
    dismissed: Notify,
}

/// The stream that a client is on.
#[derive(Debug)]
pub(super) enum On {
    /// A stream of the hub, by its number.
    Shared(usize),
    /// The client's own stream.
    Own(Own),
}

/// The stream of one client of a private route.
#[derive(Debug)]
pub(super) struct Own {
    key: StreamKey,
    /// What came from the origin.
    came: Mutex<Meter>,
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
    fn enter(&self, present: Present) -> Listing {
        let present = Arc::new(present);
        let mut listed = self.0.lock();
        let number = listed.next;
        listed.next += 1;
        listed.by_number.insert(number, Arc::clone(&present));
        Listing { presence: self.clone(), number, present }
    }

    /// Puts a client on the list. If its permission was taken back meanwhile, it is to end at once.
    pub(super) fn admit(&self, present: Present, served: &StreamRoute) -> Listing {
        let listing = self.enter(present);
        if !served.permits(&listing.present.caller) {
            listing.present.revoke();
        }
        listing
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

    /// The client with this number.
    #[must_use]
    pub fn client(&self, number: u64) -> Option<Arc<Present>> {
        self.0.lock().by_number.get(&number).cloned()
    }
}

impl Present {
    /// A client that was sent nothing so far.
    pub(super) fn new(on: On, caller: Caller, version: Version, asked: Instant, cursor: Seq) -> Self {
        let left = caller.left();
        Self {
            expires: left.and_then(|left| Instant::now().checked_add(left)),
            on,
            caller,
            version,
            asked,
            cursor: AtomicU64::new(cursor.0),
            bytes: AtomicU64::new(0),
            events: AtomicU64::new(0),
            slow_since: AtomicU64::new(TAKES_ALL),
            dismissal: AtomicU8::new(STAYS),
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

    /// A write waits for the client, which was last seen to take a byte at this time. Returns why the client is to end at
    /// once, if it is.
    pub(super) fn takes_nothing_since(&self, accepted: Instant) -> Option<Broken> {
        self.slow_since.store(since_start(accepted), Ordering::Relaxed);
        match self.dismissal.load(Ordering::Relaxed) {
            DISMISSED => Some(Broken::Dismissed),
            REVOKED => Some(Broken::Revoked),
            _ if self.expires.is_some_and(|expires| expires <= Instant::now()) => Some(Broken::Expired),
            _ => None,
        }
    }

    /// The origin sent this to the client's own stream.
    pub(super) fn came(&self, events: u64, bytes: usize) {
        if let On::Own(own) = &self.on {
            own.came.lock().add(Instant::now(), events, bytes as u64);
        }
    }

    /// The number of the client's stream. `None`: the stream is its own.
    #[must_use]
    pub fn shared_stream(&self) -> Option<usize> {
        match self.on {
            On::Shared(number) => Some(number),
            On::Own(_) => None,
        }
    }

    /// The client's own stream, under the number of the client. `None`: the client is on a stream of the hub.
    #[must_use]
    pub fn own_stream(&self, number: u64) -> Option<StreamView> {
        let On::Own(Own { key, came }) = &self.on else { return None };
        let (now, came) = (Instant::now(), came.lock());
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        Some(StreamView::of_private(number, key, self.asked.into(), came.events(), came.rates(now)))
    }

    /// Ends the client: in order, or by a cut if it takes nothing.
    pub fn dismiss(&self) {
        self.ends_as(DISMISSED);
    }

    /// Ends the client, because it may not listen any more.
    pub(super) fn revoke(&self) {
        self.ends_as(REVOKED);
    }

    fn ends_as(&self, dismissal: u8) {
        self.dismissal.store(dismissal, Ordering::Relaxed);
        self.dismissed.notify_one();
    }

    /// How long the client has taken nothing, if a write waits for it.
    #[must_use]
    pub fn slow_for(&self) -> Option<Duration> {
        let since = self.slow_since.load(Ordering::Relaxed);
        (since != TAKES_ALL).then(|| Duration::from_micros(since_start(Instant::now()).saturating_sub(since)))
    }

    /// Resolves when an operator ends the client, or it may not listen any more. Cancel-safe.
    pub(super) async fn dismissed(&self) -> Departure {
        self.dismissed.notified().await;
        if self.dismissal.load(Ordering::Relaxed) == REVOKED {
            Departure::Revoked
        } else {
            Departure::Ended(End::Dismissed)
        }
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

impl On {
    /// The own stream of a client of a private route.
    pub(super) fn own(key: StreamKey, asked: Instant) -> Self {
        Self::Own(Own { key, came: Mutex::new(Meter::new(asked)) })
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.presence.0.lock().by_number.remove(&self.number);
    }
}
