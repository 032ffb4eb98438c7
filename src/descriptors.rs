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

use crate::log_limit::LogLimit;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// How often it is logged that no place is left.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// One part in this many is kept for connections to origins that are not those of a stream, but not more than
/// `MOST_KEPT` places.
const KEPT_PART: usize = 16;
const MOST_KEPT: usize = 64;

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

/// The places that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    most: usize,
    kept: usize,
    clients: usize,
    promised: usize,
    streams: usize,
    others: usize,
}

/// What a place is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A client whose request is not known yet.
    Newcomer,
    /// A client that is served from what is open.
    Client,
    /// A stream. It may take a place that was promised to a client, because the client that opens it has a promise.
    Stream,
    /// Other connections to origins, which need this many descriptors.
    Others(usize),
}

impl Counts {
    fn new(most: usize) -> Self {
        let kept = (most / KEPT_PART).clamp(2, MOST_KEPT).min(most / 4);
        Self { most, kept, clients: 0, promised: 0, streams: 0, others: 0 }
    }

    /// Takes places if they are there. Returns whether they were.
    fn take(&mut self, kind: Kind) -> bool {
        let ours = self.clients + self.streams;
        let others = self.others.max(self.kept);
        let after = match kind {
            Kind::Newcomer => ours + self.promised + others + 2,
            Kind::Client => ours + self.promised + others + 1,
            Kind::Stream => ours + others + 1,
            Kind::Others(n) => ours + self.promised + self.others + n,
        };
        if after > self.most {
            return false;
        }
        match kind {
            Kind::Newcomer => {
                self.clients += 1;
                self.promised += 1;
            }
            Kind::Client => self.clients += 1,
            Kind::Stream => self.streams += 1,
            Kind::Others(n) => self.others += n,
        }
        true
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    /// Plays steps against this many places. `n`: a newcomer, `c`: a client, `s`: a stream, `o`: another connection,
    /// `l`: one of two descriptors. `-` before the letter: the oldest of these goes. `=`: the oldest newcomer is
    /// settled. Returns the letters of the steps for which there was a place, and `.` for each of the others.
    fn played(most: usize, kept: usize, steps: &str) -> String {
        let mut counts = Counts { kept, ..Counts::new(most) };
        let mut record = String::new();
        let mut steps = steps.chars().filter(|step| !step.is_whitespace());
        while let Some(step) = steps.next() {
            let kind = match step {
                'n' => Kind::Newcomer,
                'c' => Kind::Client,
                's' => Kind::Stream,
                'o' => Kind::Others(1),
                'l' => Kind::Others(2),
                '=' => {
                    counts.promised -= 1;
                    continue;
                }
                _ => {
                    match steps.next().unwrap() {
                        'c' => counts.clients -= 1,
                        's' => counts.streams -= 1,
                        _ => counts.others -= 1,
                    }
                    continue;
                }
            };
            record.push(if counts.take(kind) { step } else { '.' });
            assert!(counts.clients + counts.streams + counts.others <= most, "{counts:?}");
        }
        record
    }

    #[test]
    fn a_client_has_a_place_only_with_one_for_its_stream_until_its_request_is_known() {
        for (most, kept, steps, record) in [
            (4, 0, "nnn", "nn."),
            // Both open a stream of their own.
            (4, 0, "nn s= s= nc", "nnss.."),
            // All join one stream. The last of them has no promise, because there is no place for another stream.
            (4, 0, "n s= n= n c s", "nsn.c."),
            // Who left makes room.
            (4, 0, "nn s= s= n -c n -s n", "nnss..n"),
            // A stream may take a promised place, and what was promised is nobody else's.
            (3, 0, "n o", "no"),
            (2, 0, "n o s", "n.s"),
            (2, 0, "n = o s", "no."),
            // The last places are for other connections to origins.
            (6, 2, "n n s= s= c o o o", "nnss.oo."),
            (6, 2, "n n s= s= l o", "nnssl."),
            (6, 2, "o o o n n -o n", "ooon.n"),
            (6, 2, "o o o n -o -o n n", "ooonn."),
        ] {
            assert_eq!(played(most, kept, steps), record, "{most} {kept} {steps}");
        }
    }

    #[test]
    fn a_crowd_of_clients_leaves_a_place_for_the_stream_of_each() {
        let descriptors = Descriptors::new(236);
        let newcomers: Vec<_> = (0..220).map(|_| descriptors.newcomer()).collect();
        let mut served = Vec::new();
        for newcomer in newcomers {
            let (client, promise) = match newcomer {
                Some((client, promise)) => (client, Some(promise)),
                // The client has sent its request in the meantime.
                None => match descriptors.client() {
                    Some(client) => (client, None),
                    None => continue,
                },
            };
            let stream = descriptors.stream();
            drop(promise);
            served.push((client, stream.expect("each client that has a place has a stream")));
        }
        assert_eq!(served.len(), 111);
        served.truncate(110);
        assert!(descriptors.newcomer().is_some(), "there is room when they have left");
    }

    #[test]
    fn some_places_are_kept_for_connections_that_no_stream_has() {
        for (most, kept) in [(0, 0), (1, 0), (4, 1), (8, 2), (40, 2), (236, 14), (20_000, 64), (usize::MAX / 2, 64)] {
            assert_eq!(Counts::new(most).kept, kept, "{most}");
        }
    }

    #[test]
    fn everything_that_was_taken_is_given_back() {
        let descriptors = Descriptors::new(16);
        let before = *descriptors.0.counts.lock();
        let (newcomer, client) = (descriptors.newcomer(), descriptors.client());
        let stream = descriptors.stream().unwrap();
        let connection = descriptors.connection(Some(&stream), 1).unwrap();
        let successor = descriptors.connection(Some(&stream), 1).unwrap();
        assert_eq!(descriptors.0.counts.lock().others, 1, "the first has the place of the stream");
        drop(stream);
        assert_eq!(descriptors.0.counts.lock().streams, 1, "a connection outlives its stream");
        drop((connection, successor, descriptors.connection(None, 2), newcomer, client));
        assert_eq!(*descriptors.0.counts.lock(), before);
    }

    #[test]
    fn a_connection_waits_for_its_turn_or_for_the_place_of_its_stream() {
        fn is_ready(waiting: std::pin::Pin<&mut impl Future<Output = ConnectionPlace>>) -> Option<ConnectionPlace> {
            match waiting.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(place) => Some(place),
                Poll::Pending => None,
            }
        }
        let descriptors = Descriptors::new(3);
        let (stream, two) = (descriptors.stream().unwrap(), descriptors.connection(None, 2));
        let own = descriptors.connection(Some(&stream), 1);
        let mut first = pin!(descriptors.free_connection(None, 1));
        let mut second = pin!(descriptors.free_connection(None, 1));
        let mut of_stream = pin!(descriptors.free_connection(Some(&stream), 1));
        assert!(is_ready(first.as_mut()).is_none() && is_ready(second.as_mut()).is_none());
        assert!(is_ready(of_stream.as_mut()).is_none());
        drop(own);
        assert!(is_ready(of_stream.as_mut()).is_some(), "the stream's place is for its own connections");
        assert!(is_ready(first.as_mut()).is_none());
        drop(two);
        let held = is_ready(first.as_mut());
        assert!(held.is_some());
        assert!(is_ready(second.as_mut()).is_some(), "there was room for both");
    }
}
