//! The places for connections: each open connection, of a client or to an origin, takes a descriptor of the process.
//!
//! ```text
//!                  ┌──────────────────────── most ────────────────────────┐
//!   clients        │ connections of clients                               │
//!   promised       │ for the stream that a client may open whose request is not known yet
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
//! A stream keeps its place while it is not connected. So it always finds a place when it connects again.

mod counts;
#[cfg(test)]
mod tests;

use crate::log_limit::LogLimit;
use counts::{Counts, Kind};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

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
    lines: LogLimit,
}

/// The place of a client. Dropping it frees the place.
#[derive(Debug)]
pub struct ClientPlace(Descriptors);

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
        let (turn, freed) = (tokio::sync::Mutex::new(()), Notify::new());
        Self(Arc::new(Shared { counts, turn, freed, lines: LogLimit::new(1, TOLD_EVERY) }))
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
        self.take(Kind::Newcomer).then(|| (ClientPlace(self.clone()), Promise(self.clone())))
    }

    /// A place for a client whose request is known. `None`: no place is left, which is logged.
    #[must_use]
    pub fn client(&self) -> Option<ClientPlace> {
        let place = self.take(Kind::Client).then(|| ClientPlace(self.clone()));
        if place.is_none() {
            self.tell("clients");
        }
        place
    }

    /// A place for a stream. `None`: no place is left, which is logged.
    #[must_use]
    pub fn stream(&self) -> Option<StreamPlace> {
        if !self.take(Kind::Stream) {
            self.tell("connections to origins");
            return None;
        }
        let of = self.clone();
        Some(StreamPlace(Arc::new(Lending { of, is_lent: AtomicBool::new(false), returned: Notify::new() })))
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
            while !self.take(Kind::Others(n)) {
                self.0.freed.notified().await;
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
        self.0.counts.lock().take(kind)
    }

    fn give_back(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.0.counts.lock());
        self.0.freed.notify_one();
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
    /// The place for a connection of the stream, if no other connection has it.
    fn lend(&self) -> Option<ConnectionPlace> {
        let was_lent = self.0.is_lent.swap(true, Ordering::AcqRel);
        (!was_lent).then(|| ConnectionPlace(Source::Lent(self.clone())))
    }

    async fn lent(&self) -> ConnectionPlace {
        loop {
            match self.lend() {
                Some(place) => return place,
                None => self.0.returned.notified().await,
            }
        }
    }
}

impl Drop for ClientPlace {
    fn drop(&mut self) {
        self.0.give_back(|counts| counts.clients -= 1);
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
