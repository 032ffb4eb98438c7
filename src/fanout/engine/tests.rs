//! The engine gives clients to shards.

use super::*;
use crate::counters::RouteCounters;
use crate::fanout::{Delivery, Farewell, Framing, Home, Pace, Sent, Terms};
use crate::hub::{
    Backfilling, Departure, Hub, Open, Opening, Publisher, RouteId, Seat, ShareOptions, StreamRequest, StreamSettings,
};
use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

/// Keeps the publishers, because a stream ends when its publisher is dropped.
#[derive(Default)]
struct Opened(Mutex<Vec<Publisher>>);

impl Open for Opened {
    fn open(&self, _: Opening, publisher: Publisher) {
        self.0.lock().push(publisher);
    }

    fn backfill(&self, _: StreamRequest, _: Backfilling) {}
}

#[derive(Debug)]
struct Untold(Pace, RouteCounters);

impl Terms for Untold {
    fn pace(&self) -> &Pace {
        &self.0
    }

    fn counters(&self) -> &RouteCounters {
        &self.1
    }

    fn last_words(&self, _: &Departure, _: Option<u64>) -> Vec<u8> {
        Vec::new()
    }

    fn came(&self, _: &Seat) {}

    fn stays(&self, _: &Seat, _: Sent, _: Duration, _: u64) {}

    fn departed(&self, _: &Farewell<'_>) {}
}

#[derive(Debug)]
struct Nowhere;

impl Home for Nowhere {
    fn take_back(self: Box<Self>, _: OwnedFd, _: Vec<u8>) {}
}

fn arrival(settings: &StreamSettings) -> (Arrival, UnixStream, Arc<Opened>) {
    let (socket, client) = UnixStream::pair().unwrap();
    let request = StreamRequest::new(RouteId(0), &ShareOptions::default(), "/", None, &HeaderMap::new());
    let pace = Pace { heartbeat: None, stall: Duration::from_secs(30), flush: None, skips: false };
    let opened = Arc::new(Opened::default());
    let arrival = Arrival {
        socket: socket.into(),
        channel: None,
        unread: Vec::new(),
        home: Box::new(Nowhere),
        delivery: Delivery {
            subscription: Hub::new(Arc::clone(&opened) as _).join(request, settings, None).unwrap(),
            framing: Framing::Chunked,
            opening: Bytes::from_static(b"hello"),
            opening_text: 0,
            is_kept: false,
            lifetime: None,
            asked: Instant::now(),
            terms: Arc::new(Untold(pace, RouteCounters::default())),
            past: None,
        },
    };
    (arrival, client, opened)
}

fn settings() -> StreamSettings {
    let (linger, counters) = (Duration::from_secs(1), Arc::default());
    StreamSettings {
        replay: Arc::default(),
        linger,
        max_streams: 10,
        limits: Default::default(),
        ids_ride: false,
        counters,
    }
}

#[tokio::test]
async fn the_first_clients_of_a_stream_are_served_together_and_streams_and_further_clients_are_spread() {
    let engine = Engine::start(NonZeroUsize::new(2).unwrap(), Sending::Loop).unwrap();
    let hub = Hub::new(Arc::new(Opened::default()));
    let joined = |path| {
        let request = StreamRequest::new(RouteId(0), &ShareOptions::default(), path, None, &HeaderMap::new());
        hub.join(request, &settings(), None).unwrap()
    };
    let door = |subscription: &Subscription| engine.shards.door_for(subscription);
    let clients: Vec<_> = (0..=TOGETHER).map(|_| joined("/a")).collect();
    let (further, first) = clients.split_last().unwrap();
    assert!(first.iter().all(|client| door(client) == 0));
    assert_eq!(door(&joined("/b")), 1, "another stream is another shard's");
    for (clients, expected) in [([5, 4], 1), ([4, 5], 0)] {
        engine.shards.doors.iter().zip(clients).for_each(|(door, clients)| door.inbox.has(clients));
        assert_eq!(door(further), expected, "{clients:?}");
    }
}

#[tokio::test]
async fn a_shard_that_has_ended_is_passed_over() {
    let engine = Engine::start(NonZeroUsize::new(2).unwrap(), Sending::Loop).unwrap();
    engine.shards.doors[0].inbox.close();
    for _ in 0..4 {
        let (arrival, mut client, _opened) = arrival(&settings());
        engine.adopt(arrival).await.unwrap();
        let mut heard = [0; 5];
        client.read_exact(&mut heard).unwrap();
        assert_eq!(&heard, b"hello");
    }
}

#[tokio::test]
async fn a_client_that_no_shard_takes_is_off_its_stream_and_its_connection_closed() {
    let engine = Engine::start(NonZeroUsize::MIN, Sending::Loop).unwrap();
    engine.shards.doors[0].inbox.close();
    let settings = settings();
    let (arrival, mut client, _opened) = arrival(&settings);
    assert_eq!(engine.adopt(arrival).await, Err(Refused));
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    assert_eq!((settings.counters.subscribers.value(), settings.counters.subscribers_total.value()), (0, 1));
}

#[tokio::test]
async fn the_end_of_the_engine_closes_its_clients_connections() {
    let engine = Engine::start(NonZeroUsize::MIN, Sending::Loop).unwrap();
    let settings = settings();
    let (arrival, mut client, _opened) = arrival(&settings);
    engine.adopt(arrival).await.unwrap();
    let mut heard = [0; 5];
    client.read_exact(&mut heard).unwrap();
    client.set_nonblocking(true).unwrap();
    let open = client.read(&mut [0]).unwrap_err();
    assert_eq!(open.kind(), io::ErrorKind::WouldBlock, "the connection is open as long as the engine runs");
    client.set_nonblocking(false).unwrap();
    drop(engine);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}
