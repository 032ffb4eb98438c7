//! The state that the streams of one HTTP/2 connection share.

use crate::gateway::connection::{KeptPeer, Peer};
use crate::gateway::places::Place;
use parking_lot::Mutex;
use pingora::http::ResponseHeader;
use pingora::protocols::http::ServerSession;
use pingora::protocols::raw_connect::ProxyDigest;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long the client may accept no byte while no stream is open.
const STALL: Duration = Duration::from_secs(30);

/// The state that the streams of a connection share, and that the task of the connection reads.
#[derive(Debug)]
pub(in crate::gateway) struct Link {
    /// The other end of the connection.
    peer: KeptPeer,
    streams: Mutex<Streams>,
    /// What the task of a session watches. `None`: a shard carries the connection, and there is no such task.
    watched: Option<Box<Watched>>,
}

#[expect(clippy::box_collection, reason = "most connections have one stream, and so room for a pointer only")]
#[derive(Debug)]
struct Streams {
    open: u32,
    /// The places of all streams but one. That one uses the place of the connection. `None`: there is no other.
    places: Option<Box<Vec<Place>>>,
    /// Whether a stream was given up because the client accepted no byte, and no stream was opened after that.
    is_stalled: bool,
    /// Whether the whole connection was given up because the client accepted no byte.
    is_given_up: bool,
}

/// What the task of a session watches.
#[derive(Debug)]
struct Watched {
    limits: Mutex<Limits>,
    /// Notified when the last stream ends, and when the stall limit changes.
    changed: Notify,
}

#[derive(Debug)]
struct Limits {
    /// How long the client may accept no byte. There is one value for each stream that limits this time.
    stalls: Vec<Duration>,
    /// When the last stream ended, or when the connection began if there was no stream yet.
    idle_since: Instant,
}

impl Watched {
    fn new() -> Self {
        let limits = Limits { stalls: Vec::new(), idle_since: Instant::now() };
        Self { limits: Mutex::new(limits), changed: Notify::new() }
    }

    /// Changes the limits, and tells the task so.
    fn change(&self, change: impl FnOnce(&mut Limits)) {
        change(&mut self.limits.lock());
        self.changed.notify_one();
    }
}

/// A guard that counts an open stream and holds its place.
#[derive(Debug)]
pub(in crate::gateway) struct OpenStream(Arc<Link>);

/// A guard that limits how long the client may accept no byte.
#[derive(Debug)]
pub(in crate::gateway) struct StallLimit {
    link: Arc<Link>,
    stall: Duration,
}

impl Link {
    /// The state of a connection that a shard carries.
    pub(in crate::gateway) fn carried(peer: Peer) -> Arc<Self> {
        Self::new(peer, None)
    }

    /// The state of a connection that a task watches.
    pub(super) fn watched(peer: Peer) -> Arc<Self> {
        Self::new(peer, Some(Box::new(Watched::new())))
    }

    fn new(peer: Peer, watched: Option<Box<Watched>>) -> Arc<Self> {
        let streams = Streams { open: 0, places: None, is_stalled: false, is_given_up: false };
        Arc::new(Self { peer: peer.into(), streams: Mutex::new(streams), watched })
    }

    /// The value in which each session carries the link. pingora passes no other value of a connection on to its
    /// sessions that can hold one of ours.
    pub(in crate::gateway) fn digest(self: &Arc<Self>) -> Option<Arc<ProxyDigest>> {
        let unused = ResponseHeader::build(200, Some(0)).ok()?;
        Some(Arc::new(ProxyDigest::new(Box::new(unused), Some(Box::new(Arc::clone(self))))))
    }

    /// The connection of a session. `None` for HTTP/1.x.
    pub(in crate::gateway) fn of(session: &ServerSession) -> Option<Arc<Self>> {
        let user_data = session.digest()?.proxy_digest.as_ref()?.user_data.as_ref()?;
        user_data.downcast_ref::<Arc<Self>>().cloned()
    }

    /// The other end of the connection.
    pub(in crate::gateway) fn peer(&self) -> Peer {
        self.peer.peer()
    }

    /// Opens a stream. `take` takes a further place. Returns `None` if there is no place for the stream. One open
    /// stream uses the place of the connection itself.
    pub(in crate::gateway) fn open(self: &Arc<Self>, take: impl FnOnce() -> Option<Place>) -> Option<OpenStream> {
        let mut streams = self.streams.lock();
        if streams.open > 0 {
            streams.places.get_or_insert_default().push(take()?);
        }
        streams.open += 1;
        streams.is_stalled = false;
        Some(OpenStream(Arc::clone(self)))
    }

    /// Limits how long the client may accept no byte. The limit holds for as long as the guard lives.
    pub(in crate::gateway) fn limit_stall(self: &Arc<Self>, stall: Duration) -> StallLimit {
        self.change(|limits| limits.stalls.push(stall));
        StallLimit { link: Arc::clone(self), stall }
    }

    /// Notes that a stream is given up because the client accepts no byte.
    pub(in crate::gateway) fn stalled(&self) {
        self.streams.lock().is_stalled = true;
    }

    /// Notes that the connection is given up because the client accepts no byte. Its streams then break, and ask with
    /// [`Self::is_given_up`] why.
    pub(in crate::gateway) fn give_up(&self) {
        self.streams.lock().is_given_up = true;
    }

    /// Whether the connection was given up because the client accepts no byte.
    pub(in crate::gateway) fn is_given_up(&self) -> bool {
        self.streams.lock().is_given_up
    }

    fn change(&self, change: impl FnOnce(&mut Limits)) {
        if let Some(watched) = &self.watched {
            watched.change(change);
        }
    }

    fn has_streams(&self) -> bool {
        self.streams.lock().open > 0
    }

    /// How long the client may accept no byte. `None`: there are streams, and none of them limits this time.
    pub(super) fn stall(&self) -> Option<Duration> {
        let shortest = self.watched.as_ref().and_then(|watched| watched.limits.lock().stalls.iter().min().copied());
        shortest.or_else(|| (!self.has_streams()).then_some(STALL))
    }

    /// Since when no stream is open. `None`: a stream is open.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let since = self.watched.as_ref().map(|watched| watched.limits.lock().idle_since);
        since.filter(|_| !self.has_streams())
    }

    /// Begins to measure the idle time anew.
    pub(super) fn count_anew(&self) {
        self.change(|limits| limits.idle_since = Instant::now());
    }

    /// Whether no stream is open and one was given up because the client accepted no byte.
    pub(super) fn is_stalled(&self) -> bool {
        let streams = self.streams.lock();
        streams.open == 0 && streams.is_stalled
    }

    /// Whether a stream was given up because the client accepted no byte, and no stream was opened after that.
    pub(in crate::gateway) fn has_stalled(&self) -> bool {
        self.streams.lock().is_stalled
    }

    /// Resolves at the next notification.
    pub(super) async fn changed(&self) {
        match &self.watched {
            Some(watched) => watched.changed.notified().await,
            None => pending().await,
        }
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut streams = self.0.streams.lock();
        streams.open -= 1;
        let places = streams.open.saturating_sub(1) as usize;
        if places == 0 {
            streams.places = None;
        } else if let Some(taken) = &mut streams.places {
            taken.truncate(places);
        }
        let was_last = streams.open == 0;
        drop(streams);
        if was_last {
            self.0.count_anew();
        }
    }
}

impl Drop for StallLimit {
    fn drop(&mut self) {
        self.link.change(|limits| {
            if let Some(at) = limits.stalls.iter().position(|stall| *stall == self.stall) {
                limits.stalls.swap_remove(at);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::descriptors::Descriptors;
    use crate::gateway::places::Places;
    use tokio::sync::mpsc;

    const NOBODY: Peer = Peer { socket: None, told: None, is_tls: false, certificate: None };

    #[test]
    fn each_stream_has_a_place_and_the_first_has_the_connections() {
        let places = Places::new(3, Descriptors::unlimited(), mpsc::channel(1).0);
        let connection = places.take();
        let link = Link::watched(NOBODY);
        let open = || link.open(|| places.take());
        let (first, second, third) = (open(), open(), open());
        assert!(first.is_some() && second.is_some() && third.is_some());
        assert!(open().is_none());
        drop(first);
        assert!(places.take().is_some(), "any stream that ends frees a place");
        let fourth = open();
        assert!(fourth.is_some() && open().is_none());
        drop((second, third, fourth));
        assert!(link.idle_since().is_some());
        let others = [places.take(), places.take()];
        assert!(others.iter().all(Option::is_some) && places.take().is_none(), "the connection keeps its own");
        drop(connection);
    }

    #[test]
    fn the_shortest_patience_is_the_connections() {
        let link = Link::watched(NOBODY);
        assert_eq!(link.stall(), Some(STALL));
        let _stream = link.open(|| None).unwrap();
        assert_eq!(link.stall(), None, "the open stream sets no limit");
        let [short, long] = [2, 50].map(Duration::from_secs);
        let (first, second) = (link.limit_stall(long), link.limit_stall(short));
        assert_eq!(link.stall(), Some(short));
        drop(second);
        assert_eq!(link.stall(), Some(long));
        drop(first);
        assert_eq!(link.stall(), None);
    }

    #[test]
    fn a_client_is_given_up_once_its_last_stream_has_stalled() {
        let link = Link::watched(NOBODY);
        let (first, second) =
            (link.open(|| None), link.open(|| Places::new(1, Descriptors::unlimited(), mpsc::channel(1).0).take()));
        link.stalled();
        drop(first);
        assert!(!link.is_stalled());
        drop(second);
        assert!(link.is_stalled());
        let _next = link.open(|| None);
        assert!(!link.is_stalled());
    }
}
