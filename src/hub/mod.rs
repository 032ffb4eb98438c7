//! The open streams, by key.
//!
//! The words of this module:
//! - *Opener*: the client whose request opened the stream. Others *join* it.
//! - *Publisher*: the right to write to one stream. An upstream driver holds it.
//! - *Subscription*: one client on one stream: its cursor into the log, and its waking.
//! - *Seat*: only the presence of a client on a stream.
//! - *Feed*: a stream as it is read for many clients at once.
//! - *Hold*: the position from which on a client that keeps up is still to be given the log.
//! - *Audience*: who may be given what the stream holds, everyone or the opener alone.
//! - *Backfill*: a request of its own for what the origin sent after a client's `Last-Event-ID`.
//! - *Linger*: how long a stream outlives its last subscriber.
//!
//! Simultaneous requests for one key open one stream. The hub knows neither origins nor sockets: it opens a stream
//! through the [`Open`] value that it is given. Handles are cheap to clone. A stream lives as long as its publisher.

mod appends;
mod arrivals;
mod backfills;
mod budget;
mod census;
mod departure;
mod end;
mod feed;
mod frozen;
mod hold;
mod key;
mod moving;
mod options;
mod pace;
mod pins;
mod placing;
mod publisher;
mod renewal;
mod restoring;
mod seat;
mod sharing;
mod state;
mod stream;
mod streams;
mod subscription;
#[cfg(test)]
mod tests;
mod upkeep;
mod view;

pub use arrivals::Arrivals;
pub use backfills::Backfilling;
pub use departure::Departure;
pub use end::{Answer, End, Failure};
pub use feed::{Feed, FeedId, Watcher};
pub use key::{RouteId, StreamKey, StreamRequest};
pub use moving::MovingStream;
pub use options::{ClaimField, CookiePolicy, Credentials, Mode, QueryPolicy, ShareOptions, SubscriberLimits};
pub use pins::{Kept, Pin};
pub use publisher::{PATIENCE_WITH_READERS, Publisher};
pub use restoring::{Restored, StreamSnapshot};
pub use seat::{Course, Seat};
pub use sharing::Sharing;
pub use stream::Reading;
pub use subscription::{Detached, Subscription, Verdict};
pub use view::{RATE_WINDOWS, StreamView, Trouble};

use crate::counters::RouteCounters;
use crate::replay::{Epoch, Position, ReplayLog, ReplayOptions, Seq};
use bytes::Bytes;
use parking_lot::MutexGuard;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;
use stream::{Membership, Stream};
use streams::{OpenStreams, Streams};
use tokio::time::Instant;

/// Feeds streams from their origins. The service hands such a value to the hub.
pub trait Open: Send + Sync {
    /// Starts a task that feeds a stream. Must not block. The stream lives until the publisher is dropped.
    fn open(&self, opening: Opening, publisher: Publisher);

    /// Starts a task that asks the origin for what follows an id. Must not block.
    fn backfill(&self, request: StreamRequest, backfilling: Backfilling);
}

/// What [`Open::open`] needs to know of a stream.
#[derive(Debug)]
pub struct Opening {
    /// Everything of the client's request that may reach the origin.
    pub request: StreamRequest,
    /// The id after which the origin is asked to resume. It is given only if no other client can ever be on the
    /// stream.
    pub last_event_id: Option<Bytes>,
    /// The stream has the log of an earlier process.
    pub restored: Option<Restored>,
}

/// What the hub needs to know of a route.
#[derive(Debug, Clone)]
pub struct StreamSettings {
    /// The policy of the streams' replay logs.
    pub replay: Arc<ReplayOptions>,
    /// How long a stream outlives its last subscriber.
    pub linger: Duration,
    /// The number of streams of the route that may be open at once.
    pub max_streams: usize,
    /// How many clients may be on its streams at once.
    pub limits: SubscriberLimits,
    /// The origin's responses end, and `on_close` ends their clients' too. A client that finds no stream then opens
    /// one for itself alone, and its `Last-Event-ID` goes to the origin with the request.
    pub ids_ride: bool,
    /// The route's counters.
    pub counters: Arc<RouteCounters>,
}

impl StreamSettings {
    /// Whether another client may be on the route. The caller holds the lock under which clients join. The gauge of
    /// subscribers grows only under this lock, so there is never one too many.
    fn check_room(&self) -> Result<(), JoinError> {
        let is_full = |most| self.counters.subscribers.value() >= most as u64;
        if self.limits.subscribers.is_some_and(is_full) { Err(JoinError::RouteFull) } else { Ok(()) }
    }
}

/// Why a client cannot join a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinError {
    /// The route has `max_streams` open, and a client is on each.
    TooManyStreams,
    /// As many clients as `limits.subscribers` allows are on the streams of the route.
    RouteFull,
    /// As many clients as `limits.per_stream` allows are on the stream.
    StreamFull,
    /// The stream ended a moment ago. This is its end, which is the client's answer.
    Ended(End),
}

/// The open streams.
#[derive(Clone)]
pub struct Hub {
    streams: Arc<Streams>,
    opener: Arc<dyn Open>,
}

/// The streams of a hub that no client is on. They keep their connections to origins in case clients come back.
#[derive(Debug)]
pub struct EmptyStreams(Weak<Streams>);

impl EmptyStreams {
    /// Closes the stream that has been empty for the longest, which frees its connection. Returns whether there is one.
    #[must_use]
    pub fn give_way(&self) -> bool {
        self.0.upgrade().is_some_and(|streams| streams.give_way(|_| true))
    }

    /// The same, among the streams of these routes.
    #[must_use]
    pub fn give_way_of(&self, routes: &[RouteId]) -> bool {
        self.0.upgrade().is_some_and(|streams| streams.give_way(|route| routes.contains(&route)))
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("streams", &self.streams).finish_non_exhaustive()
    }
}

impl Hub {
    /// An empty hub that opens streams with `opener`. What its streams hold together is not bounded.
    #[must_use]
    pub fn new(opener: Arc<dyn Open>) -> Self {
        Self::bounded(opener, usize::MAX)
    }

    /// An empty hub whose streams hold about `most_bytes` together. Beyond that, the streams that have been empty for
    /// the longest are closed. If no stream is empty, a log that holds more than its equal part drops its oldest
    /// events as new ones come.
    #[must_use]
    pub fn bounded(opener: Arc<dyn Open>, most_bytes: usize) -> Self {
        Self { streams: Arc::new(Streams::new(most_bytes)), opener }
    }

    /// The streams that no client is on.
    #[must_use]
    pub fn empty_streams(&self) -> EmptyStreams {
        EmptyStreams(Arc::downgrade(&self.streams))
    }

    /// Joins the stream of `request`, or opens it: a thousand simultaneous first requests open one stream. If the
    /// key's response was unshareable a moment ago, the client gets a stream of its own.
    ///
    /// # Errors
    /// Fails when the route has too many streams or clients, when the stream has too many clients, or when the stream
    /// ended a moment ago and its end is remembered.
    pub fn join(
        &self,
        request: StreamRequest,
        settings: &StreamSettings,
        last_event_id: Option<&Bytes>,
    ) -> Result<Subscription, JoinError> {
        let mut open = self.streams.open.lock();
        settings.check_room()?;
        let alone = !request.has_credentials() && open.unshareable.holds(request.key(), Instant::now());
        let found = open.by_key.get(request.key()).filter(|stream| !alone || !stream.is_undecided()).cloned();
        if let Some(stream) = found {
            // Clients join only under the lock of the streams. So none can take the place meanwhile.
            if settings.limits.per_stream.is_some_and(|most| stream.is_full(most)) {
                return Err(JoinError::StreamFull);
            }
            match Subscription::join(&stream, last_event_id) {
                Ok(subscription) => {
                    open.taken(&stream);
                    drop(open);
                    backfills::begin(&stream, &self.opener, &request);
                    return Ok(subscription);
                }
                Err(over) if over.remembered_until.is_some_and(|until| Instant::now() < until) => {
                    return Err(JoinError::Ended(over.end));
                }
                Err(_) => open.remove(&stream),
            }
        }
        self.open(open, request, settings, last_event_id, alone)
    }

    /// Opens a stream for this client alone, even if other clients ask for the same key. It is for a client that waited
    /// on a stream whose response turned out to be for another client alone ([`End::Unshareable`]).
    ///
    /// # Errors
    /// Fails when the route has too many streams or clients.
    pub fn join_alone(
        &self,
        request: StreamRequest,
        settings: &StreamSettings,
        last_event_id: Option<&Bytes>,
    ) -> Result<Subscription, JoinError> {
        let open = self.streams.open.lock();
        settings.check_room()?;
        self.open(open, request, settings, last_event_id, true)
    }

    fn open(
        &self,
        mut open: MutexGuard<'_, OpenStreams>,
        request: StreamRequest,
        settings: &StreamSettings,
        last_event_id: Option<&Bytes>,
        alone: bool,
    ) -> Result<Subscription, JoinError> {
        let rides = alone || settings.ids_ride;
        let id = last_event_id.filter(|_| rides).and_then(|id| backfills::for_the_origin(&settings.replay, id));
        let alone = alone || id.is_some();
        let route = request.key().route();
        let mut gone = open.make_room(&self.streams.budget);
        while open.of(route).held >= settings.max_streams {
            gone.push(open.give_way(route).ok_or(JoinError::TooManyStreams)?);
        }
        let OpenStreams { waiting, .. } = &mut *open;
        let earlier = if alone { None } else { waiting.take(request.key(), &settings.replay, &self.streams.budget) };
        let restored = earlier.as_ref().map(Restored::of);
        let log = earlier.unwrap_or_else(|| {
            let (epoch, first) = (Epoch::new(fastrand::u64(..)), room_for_backfill(&settings.replay));
            let mut log = ReplayLog::new(Arc::clone(&settings.replay), epoch, first);
            if let Some(id) = &id {
                log.know_before_first(id);
            }
            log
        });
        let membership = self.membership(alone);
        let stream =
            Arc::new(Stream::new(&request, Arc::clone(&settings.counters), log, membership, open.next_number()));
        stream.locked(|state| {
            state.is_restored = restored.is_some();
            stream.account(state)
        });
        let subscription = Subscription::open(&stream, last_event_id);
        open.hold(&stream, !alone);
        drop(open);
        drop(gone);
        let publisher = Publisher::new(Arc::clone(&stream), settings.linger);
        backfills::begin(&stream, &self.opener, &request);
        self.opener.open(Opening { request, last_event_id: id, restored }, publisher);
        Ok(subscription)
    }

    /// The log that has this id, and the position behind its event. `None`: no stream of this key is open, or its log does
    /// not hold the id.
    #[must_use]
    pub fn position_of(&self, key: &StreamKey, last_event_id: &[u8]) -> Option<(Epoch, Seq)> {
        let stream = self.streams.open.lock().by_key.get(key).cloned()?;
        match stream.locked(|state| state.log.position(last_event_id)) {
            Position::Known(position) => Some((stream.epoch, position)),
            Position::Gone(_) => None,
        }
    }

    fn membership(&self, alone: bool) -> Membership {
        Membership { streams: Arc::downgrade(&self.streams), budget: Arc::clone(&self.streams.budget), alone }
    }

    /// The number of streams held, including ended streams whose end is remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.streams.open.lock().routes.values().map(|route| route.held).sum()
    }

    /// Whether no stream is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes that all streams hold together: their logs, and what they keep of requests.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.streams.budget.held()
    }

    /// The bytes that clients keep beside the logs: events that the logs have dropped, for slow clients, and what their
    /// connections have begun to send: parts of TLS records, and frames of HTTP/2.
    #[must_use]
    pub fn pinned_bytes(&self) -> usize {
        self.streams.budget.pins.bytes()
    }

    /// Counts bytes that are kept for one client alone, beside the logs.
    #[must_use]
    pub fn keep(&self, bytes: usize) -> Kept {
        self.streams.budget.pins.keep(bytes)
    }

    /// Does something while the lock of the streams is held, to show that it needs no such lock.
    #[cfg(test)]
    pub(crate) fn with_streams_locked<T>(&self, what: impl FnOnce() -> T) -> T {
        let _locked = self.streams.open.lock();
        what()
    }
}

/// The position of a log's first live event. It leaves room for as many backfilled events as the log may hold.
fn room_for_backfill(options: &ReplayOptions) -> Seq {
    Seq(options.events.map_or(0, |most| most.get() as u64))
}
