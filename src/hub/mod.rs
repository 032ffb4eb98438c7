//! The streams that are open, by key: single flight, phases, linger.
//!
//! The hub knows no origin and no socket: it opens a stream through the [`Open`] value handed to it. Handles are cheap to
//! clone; a stream lives as long as its publisher.

mod departure;
mod end;
mod feed;
mod key;
mod options;
mod publisher;
mod seat;
mod stream;
mod subscription;
#[cfg(test)]
mod tests;

pub use departure::Departure;
pub use end::{Answer, End, Failure};
pub use feed::{Feed, FeedId, Watcher};
pub use key::{RouteId, StreamKey, StreamRequest, is_forwardable};
pub use options::{CookiePolicy, Credentials, Mode, QueryPolicy, ShareOptions};
pub use publisher::Publisher;
pub use seat::Seat;
pub use stream::Reading;
pub use subscription::{Delivery, Detached, Subscription, Verdict};

use crate::counters::RouteCounters;
use crate::replay::{Epoch, MintedId, ReplayLog, ReplayOptions};
use bytes::Bytes;
use http::HeaderValue;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use stream::Stream;
use tokio::time::Instant;

/// How a stream is fed: the value that the service hands to the hub.
pub trait Open: Send + Sync {
    /// Starts feeding a stream, in a task of its own; must not block. The stream lives until the publisher is dropped.
    fn open(&self, opening: Opening, publisher: Publisher);
}

/// What an opener is told.
#[derive(Debug)]
pub struct Opening {
    /// All that may reach the origin.
    pub request: StreamRequest,
    /// The id after which the origin is asked to resume: that of the client who opened the stream.
    pub last_event_id: Option<Bytes>,
}

/// What the hub needs to know of a route.
#[derive(Debug, Clone)]
pub struct StreamSettings {
    /// The policy of the streams' logs.
    pub replay: Arc<ReplayOptions>,
    /// How long a stream outlives its last subscriber.
    pub linger: Duration,
    /// Streams of the route that may be open at once.
    pub max_streams: usize,
    /// The route's counters.
    pub counters: Arc<RouteCounters>,
}

/// Why a client cannot be on a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JoinError {
    /// The route has `max_streams` open.
    TooManyStreams,
    /// The stream ended a moment ago, and this is its answer.
    Ended(End),
}

/// The streams that are open.
#[derive(Clone)]
pub struct Hub {
    streams: Arc<Streams>,
    opener: Arc<dyn Open>,
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("streams", &self.streams).finish_non_exhaustive()
    }
}

/// What the handles share.
#[derive(Debug, Default)]
struct Streams {
    open: Mutex<OpenStreams>,
}

#[derive(Debug, Default)]
struct OpenStreams {
    by_key: HashMap<StreamKey, Arc<Stream>>,
    per_route: HashMap<RouteId, usize>,
}

impl Hub {
    /// An empty hub that opens streams with `opener`.
    #[must_use]
    pub fn new(opener: Arc<dyn Open>) -> Self {
        Self { streams: Arc::default(), opener }
    }

    /// Joins the stream of `request`, and opens it if nobody did: a thousand simultaneous first requests open one.
    ///
    /// # Errors
    /// When the route has too many streams, or the stream has just ended and its answer is remembered.
    pub fn join(
        &self,
        request: StreamRequest,
        settings: &StreamSettings,
        last_event_id: Option<&Bytes>,
    ) -> Result<Subscription, JoinError> {
        let key = request.key().clone();
        let mut open = self.streams.open.lock();
        if let Some(stream) = open.by_key.get(&key) {
            match Subscription::join(stream, last_event_id) {
                Ok(subscription) => return Ok(subscription),
                Err(over) if over.remembered_until.is_some_and(|until| Instant::now() < until) => {
                    return Err(JoinError::Ended(over.end));
                }
                Err(_) => open.remove(&key),
            }
        }
        if open.per_route.get(&key.route()).is_some_and(|n| *n >= settings.max_streams) {
            return Err(JoinError::TooManyStreams);
        }
        let upstream_id = last_event_id.filter(|id| is_for_the_origin(id)).cloned();
        let log = ReplayLog::new(Arc::clone(&settings.replay), Epoch::new(fastrand::u64(..)), upstream_id.clone());
        let stream = Arc::new(Stream::new(key.clone(), Arc::clone(&settings.counters), log));
        let subscription = Subscription::join(&stream, last_event_id).map_err(|over| JoinError::Ended(over.end))?;
        *open.per_route.entry(key.route()).or_default() += 1;
        open.by_key.insert(key, Arc::clone(&stream));
        drop(open);
        let publisher = Publisher::new(stream, Arc::downgrade(&self.streams), settings.linger);
        self.opener.open(Opening { request, last_event_id: upstream_id }, publisher);
        Ok(subscription)
    }

    /// How many streams are held, ended ones that are remembered included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.streams.open.lock().by_key.len()
    }

    /// Whether no stream is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Whether an origin can be asked to resume after an id. One that was minted means nothing to it, and one that came in a
/// query may hold what no header can: their owners are told a gap.
fn is_for_the_origin(id: &[u8]) -> bool {
    !MintedId::has_form(id) && HeaderValue::from_bytes(id).is_ok()
}

impl Streams {
    /// Takes a stream out, unless another of the same key has taken its place.
    fn forget(&self, stream: &Arc<Stream>) {
        let mut open = self.open.lock();
        if open.by_key.get(&stream.key).is_some_and(|held| Arc::ptr_eq(held, stream)) {
            open.remove(&stream.key);
        }
    }
}

impl OpenStreams {
    fn remove(&mut self, key: &StreamKey) {
        if self.by_key.remove(key).is_some()
            && let Some(n) = self.per_route.get_mut(&key.route())
        {
            *n -= 1;
        }
    }
}
