//! The places for connections: each open connection, of a client or to an origin, takes a descriptor of the process.
//!
//! ```text
//!                  ┌──────────────────────── most ────────────────────────┐
//!   clients        │ connections of clients                               │
//!   promised       │ for the stream that a client may open whose request is not known yet; guests use them until then
//!   streams        │ one for each stream, as long as the stream is open   │
//!   others         │ further connections to origins; `kept` places are for them alone
//!                  └──────────────────────────────────────────────────────┘
//! ```
//!
//! A client that opens a stream needs two places: its own, and one for the connection to the origin. So a crowd of
//! clients must not take all places before their streams ask for theirs. A client that has just come is given a place
//! only if there is one for its stream, too. The second place is promised until its request is known: most clients join
//! a stream that is open.
//!
//! A crowd that has only connected would soon be promised all places, although its streams will need few of them. Who
//! comes then is a guest on a place that is promised to others. When its request is known, and what was promised
//! meanwhile is settled, it gets a place of its own. A crowd that never says what it wants keeps what it was promised only
//! for a moment from a guest that asks. A guest goes when its place is needed.
//!
//! A stream keeps its place while it is not connected. So it always finds a place when it connects again. A stream that
//! no client is on gives way to whoever finds no place.

mod counts;
mod gives_way;
#[cfg(test)]
mod tests;

pub use gives_way::GivesWay;

use crate::log_limit::LogLimit;
use counts::{Counts, Kind};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::timeout_at;

/// How often it is logged that no place is left.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// The places of the process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Descriptors(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    counts: Mutex<Counts>,
    /// Held by the first of those that wait for a place of [`Kind::Others`]. The others wait for the lock, which they
    /// get in their order.
    turn: tokio::sync::Mutex<()>,
    /// Wakes the one that holds `turn`.
    freed: Notify,
    /// Wakes a guest when there are more connections than places.
    needed: Notify,
    /// Wakes a guest that waits for a place of its own.
    settled: Notify,
    /// Wakes the streams that wait until enough guests have gone.
    enough: Notify,
    /// Wakes one of those for whom a stream gave way.
    room: Notify,
    gives_way: GivesWay<()>,
    lines: LogLimit,
}

/// The place of a client. Dropping it frees the place.
#[derive(Debug)]
pub struct ClientPlace(Descriptors);

/// A guest's right to its place. Dropping it frees the place.
#[derive(Debug)]
pub struct GuestPlace(Descriptors);

/// The promise of a place for the stream that a client may open. It is dropped when the client's request is known, and
/// the stream that it asks for is open and has its place, or it asks for none.
#[derive(Debug)]
pub struct Promise(Descriptors);

/// The place of a stream. Its connections use it one after another. It is free again when all its clones and the
/// connection are gone. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StreamPlace(Arc<Lending>);

#[derive(Debug)]
struct Lending {
    of: Descriptors,
    is_lent: AtomicBool,
    returned: Notify,
}

/// The place of one connection to an origin. Dropping it frees the place.
#[derive(Debug)]
pub struct ConnectionPlace(Source);

#[derive(Debug)]
enum Source {
    /// The place of the connection's stream.
    Lent(StreamPlace),
    /// Places of its own.
    Own(Descriptors, usize),
}

impl Descriptors {
    /// This many places.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let counts = Mutex::new(Counts::new(most));
        let turn = tokio::sync::Mutex::new(());
        let [freed, needed, settled, enough, room] = [0; 5].map(|_| Notify::new());
        let (gives_way, lines) = (GivesWay::default(), LogLimit::new(1, TOLD_EVERY));
        Self(Arc::new(Shared { counts, turn, freed, needed, settled, enough, room, gives_way, lines }))
    }

    /// Who gives way when no place is left.
    #[must_use]
    pub fn gives_way(&self) -> &GivesWay<()> {
        &self.0.gives_way
    }

    /// As many places as anybody asks for.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::new(usize::MAX / 2)
    }

    /// A place for a client that has just come, with the promise of a place for the stream that it may open. `None`:
    /// there are not both. When the client's request is known, [`Self::client`] may still have a place.
    #[must_use]
    pub fn newcomer(&self) -> Option<(ClientPlace, Promise)> {
        self.take_of_crowd(Kind::Newcomer).then(|| (ClientPlace(self.clone()), Promise(self.clone())))
    }

    /// A place for a client that has just come, which may be promised to others. `None`: every place is taken.
    #[must_use]
    pub fn guest(&self) -> Option<GuestPlace> {
        self.take_of_crowd(Kind::Guest).then(|| GuestPlace(self.clone()))
    }

    /// Waits until a guest must go, because no stream gives way. Only one of those that wait is told at a time.
    pub async fn needed(&self) {
        loop {
            self.0.needed.notified().await;
            if self.0.counts.lock().are_needed() && !self.give_way() {
                return;
            }
        }
    }

    /// A place for a client whose request is known. If no place is left, one of a stream that gives way is waited for,
    /// until `deadline` at most. `None`: there is no place, which is logged.
    pub async fn client(&self, deadline: Instant) -> Option<ClientPlace> {
        let is_taken = self.take_by(Kind::Client, deadline).await;
        self.client_place(is_taken)
    }

    /// The place of a client, if it was taken. That there was none is logged.
    fn client_place(&self, is_taken: bool) -> Option<ClientPlace> {
        if !is_taken {
            self.tell("clients");
        }
        is_taken.then(|| ClientPlace(self.clone()))
    }

    /// A place for a stream. `None`: no place is left.
    #[must_use]
    pub fn stream(&self) -> Option<StreamPlace> {
        self.take(Kind::Stream).then(|| self.stream_place())
    }

    /// A place for a stream, as [`Self::client`] waits for one.
    pub async fn stream_by(&self, deadline: Instant) -> Option<StreamPlace> {
        let place = self.take_by(Kind::Stream, deadline).await.then(|| self.stream_place());
        if place.is_none() {
            self.tell("connections to origins");
        }
        place
    }

    /// Takes a place for one that has just come. Others may follow. So if few places are left, a stream gives way for them
    /// already.
    fn take_of_crowd(&self, kind: Kind) -> bool {
        let (taken, counts) = self.taken(kind);
        if counts.are_few_left() {
            self.give_way();
        }
        taken
    }

    fn stream_place(&self) -> StreamPlace {
        let of = self.clone();
        StreamPlace(Arc::new(Lending { of, is_lent: AtomicBool::new(false), returned: Notify::new() }))
    }

    /// Takes a place. If none is left, lets a stream give way, and waits until `deadline` for the place.
    async fn take_by(&self, kind: Kind, deadline: Instant) -> bool {
        if self.take(kind) {
            return true;
        }
        if !self.give_way() {
            return false;
        }
        loop {
            let room = self.0.room.notified();
            if self.take(kind) {
                return true;
            }
            if timeout_at(deadline.into(), room).await.is_err() {
                return false;
            }
        }
    }

    /// Lets a stream that no client is on give way. Returns whether there is one.
    fn give_way(&self) -> bool {
        self.0.gives_way.give_way(&())
    }

    /// A place for a connection to an origin that needs `n` descriptors: that of its stream if it has one and no other
    /// connection uses it, or else places of its own. `None`: there are none now.
    #[must_use]
    pub fn connection(&self, stream: Option<&StreamPlace>, n: usize) -> Option<ConnectionPlace> {
        let lent = stream.and_then(StreamPlace::lend);
        lent.or_else(|| self.take(Kind::Others(n)).then(|| ConnectionPlace(Source::Own(self.clone(), n))))
    }

    /// Waits for the place of a [`Self::connection`]. Those who wait for places of their own get them in the order in
    /// which they came.
    pub async fn free_connection(&self, stream: Option<&StreamPlace>, n: usize) -> ConnectionPlace {
        let lent = async {
            match stream {
                Some(stream) => stream.lent().await,
                None => std::future::pending().await,
            }
        };
        let own = async {
            let _turn = self.0.turn.lock().await;
            if !self.take(Kind::Others(n)) {
                for _ in 0..n {
                    self.give_way();
                }
                while !self.take(Kind::Others(n)) {
                    self.0.freed.notified().await;
                }
            }
            ConnectionPlace(Source::Own(self.clone(), n))
        };
        tokio::select! {
            biased;
            place = lent => place,
            place = own => place,
        }
    }

    fn take(&self, kind: Kind) -> bool {
        self.taken(kind).0
    }

    /// Takes a place if there is one. Returns whether there was, and the counts after that.
    fn taken(&self, kind: Kind) -> (bool, Counts) {
        let (taken, counts) = {
            let mut counts = self.0.counts.lock();
            (counts.take(kind), *counts)
        };
        if counts.are_needed() {
            self.0.needed.notify_one();
        }
        (taken, counts)
    }

    fn give_back(&self, change: impl FnOnce(&mut Counts)) {
        let (before, after) = {
            let mut counts = self.0.counts.lock();
            let before = *counts;
            change(&mut counts);
            (before, *counts)
        };
        self.0.freed.notify_one();
        self.0.room.notify_one();
        if before.guests == 0 {
            return;
        }
        match after.promised {
            // Nothing more becomes free for the guests that wait.
            0 => self.0.settled.notify_waiters(),
            _ => self.0.settled.notify_one(),
        }
        if after.are_needed() {
            self.0.needed.notify_one();
        } else if before.are_needed() {
            self.0.enough.notify_waiters();
        }
    }

    fn tell(&self, whom: &str) {
        if let Some(untold) = self.0.lines.next(Instant::now()) {
            let most = self.0.counts.lock().most;
            log::warn!(
                "no descriptor is left for {whom}: new clients get 503 until others leave: raise the limit of open \
                 files connections={most}{untold}"
            );
        }
    }
}

impl StreamPlace {
    /// The place for a connection of the stream, if no other connection and no guest has it.
    fn lend(&self) -> Option<ConnectionPlace> {
        if self.0.of.0.counts.lock().are_needed() {
            return None;
        }
        let was_lent = self.0.is_lent.swap(true, Ordering::AcqRel);
        (!was_lent).then(|| ConnectionPlace(Source::Lent(self.clone())))
    }

    async fn lent(&self) -> ConnectionPlace {
        loop {
            // It is told of guests that go from here on.
            let enough = self.0.of.0.enough.notified();
            if let Some(place) = self.lend() {
                return place;
            }
            tokio::select! {
                () = enough => {}
                () = self.0.returned.notified() => {}
            }
        }
    }
}

impl Drop for ClientPlace {
    fn drop(&mut self) {
        self.0.give_back(|counts| counts.clients -= 1);
    }
}

impl GuestPlace {
    /// A place for the guest as a client, now that its request is known. It waits while places are promised to others, and
    /// then as [`Descriptors::client`] does, until `deadline` at most. Who has been promised a place and has said nothing
    /// until then does not keep it from who asks. `None`: there is no place, which is logged.
    pub async fn settle(&self, deadline: Instant) -> Option<ClientPlace> {
        let Self(descriptors) = self;
        loop {
            let settled = descriptors.0.settled.notified();
            if descriptors.take(Kind::Client) {
                return Some(ClientPlace(descriptors.clone()));
            }
            if descriptors.0.counts.lock().promised == 0 {
                return descriptors.client(deadline).await;
            }
            if timeout_at(deadline.into(), settled).await.is_err() {
                return descriptors.client_place(descriptors.take(Kind::Patient));
            }
        }
    }

    /// The places that this is one of.
    #[must_use]
    pub fn of(&self) -> &Descriptors {
        &self.0
    }
}

impl Drop for GuestPlace {
    fn drop(&mut self) {
        self.0.give_back(|counts| counts.guests -= 1);
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.0.give_back(|counts| counts.promised -= 1);
    }
}

impl Drop for Lending {
    fn drop(&mut self) {
        self.of.give_back(|counts| counts.streams -= 1);
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        match &self.0 {
            Source::Lent(stream) => {
                stream.0.is_lent.store(false, Ordering::Release);
                stream.0.returned.notify_one();
            }
            Source::Own(of, n) => of.give_back(|counts| counts.others -= n),
        }
    }
}
