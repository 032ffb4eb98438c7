//! Tests of a shard. The hub and the sockets are real; Unix sockets, because on them the reader alone sets the pace.
//! The test controls the clock and takes the shard's turns.

#![cfg_attr(fuzzing, allow(unused, reason = "a fuzz target uses the model alone"))]

#[cfg(test)]
mod browser;
#[cfg(test)]
mod carried;
#[cfg(test)]
mod carried_again;
#[cfg(test)]
mod carried_bounds;
#[cfg(test)]
mod delivery;
#[cfg(test)]
mod departures;
mod expecting;
#[cfg(test)]
mod fairness;
#[cfg(test)]
mod holds;
mod model;
#[cfg(test)]
mod pace;
#[cfg(test)]
mod pins;
#[cfg(test)]
mod questions;
#[cfg(test)]
mod released;
#[cfg(test)]
mod reports;
#[cfg(test)]
mod returns;
#[cfg(test)]
mod sealed;

#[cfg(fuzzing)]
pub use model::try_operations;

use super::super::arrival::{Arrival, Delivery};
use super::super::batch::Framing;
use super::super::policy::Pace;
use super::super::terms::{Farewell, Home, Sent, Terms};
use super::{Events, Shard, ShardInbox};
use crate::counters::RouteCounters;
use crate::hub::{
    Backfilling, Departure, End, Hub, Open, Opening, Publisher, RouteId, Seat, ShareOptions, Sharing, StreamRequest,
    StreamSettings,
};
use crate::replay::{Continuation, ReplayOptions};
use crate::sse::Event;
use crate::tls::{Channel, Over};
use bytes::Bytes;
use http::HeaderMap;
use parking_lot::Mutex;
use rustix::net::sockopt;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

const SECOND: Duration = Duration::from_secs(1);

const MIB: usize = 1 << 20;

/// The patience with a client that keeps up is over by then.
const SLOW: Duration = Duration::from_secs(3);

/// Stands for a response's head and the first lines of its body.
const OPENING: &[u8] = b"HEAD\r\n\r\n2\r\n:\n\r\n";

/// The number of turns after which a shard must have no work left, though it does little in each.
const ENOUGH: usize = 2000;

/// Keeps the publishers of the streams that it is told to open. The origins answer at once with a response that may
/// be shared, except on the path [`UNANSWERED`].
#[derive(Default)]
struct Opened(Mutex<Vec<Publisher>>);

/// The path whose origin has not answered yet.
const UNANSWERED: &str = "/unanswered";

impl Open for Opened {
    fn open(&self, opening: Opening, publisher: Publisher) {
        if opening.request.key().path() != UNANSWERED {
            assert!(publisher.connected(&HeaderMap::new(), Sharing::Shared));
        }
        self.0.lock().push(publisher);
    }

    fn backfill(&self, _: StreamRequest, _: Backfilling) {}
}

/// Terms that keep the departures of clients.
#[derive(Debug)]
struct Noting {
    pace: Pace,
    counters: Arc<RouteCounters>,
    departed: Mutex<Vec<(Departure, Sent, u64)>>,
    /// What was said of clients that stay.
    stays: Mutex<Vec<(Sent, Duration)>>,
}

impl Terms for Noting {
    fn pace(&self) -> &Pace {
        &self.pace
    }

    fn counters(&self) -> &RouteCounters {
        &self.counters
    }

    fn last_words(&self, departure: &Departure, _: Option<u64>) -> Vec<u8> {
        match departure {
            Departure::Drained | Departure::Ended(End::Dismissed) => b"retry: 7\n".to_vec(),
            Departure::Expired => b"event: expired\ndata: over\n\n".to_vec(),
            _ => Vec::new(),
        }
    }

    fn came(&self, _: &Seat) {}

    fn stays(&self, _: &Seat, sent: Sent, stayed: Duration, _: u64) {
        self.stays.lock().push((sent, stayed));
    }

    fn departed(&self, farewell: &Farewell<'_>) {
        self.departed.lock().push((farewell.departure.clone(), farewell.sent, farewell.lag));
    }
}

/// The connections that were given back, with the bytes that their clients had sent.
type Returned = Arc<Mutex<Vec<(OwnedFd, Vec<u8>)>>>;

#[derive(Debug)]
struct Kept(Returned);

impl Home for Kept {
    fn take_back(self: Box<Self>, socket: OwnedFd, unread: Vec<u8>) {
        self.0.lock().push((socket, unread));
    }
}

/// A shard, its hub and the test's clock.
struct Stage {
    shard: Shard,
    inbox: Arc<ShardInbox>,
    events: Events,
    now: Instant,
    hub: Hub,
    opened: Arc<Opened>,
    settings: StreamSettings,
    terms: Arc<Noting>,
    kept: Returned,
}

impl Stage {
    fn new() -> Self {
        Self::with(ReplayOptions::default(), |_| {})
    }

    fn with(replay: ReplayOptions, change: impl FnOnce(&mut Pace)) -> Self {
        Self::bounded(usize::MAX, replay, change)
    }

    /// A stage whose streams may hold `most_bytes` together.
    fn bounded(most_bytes: usize, replay: ReplayOptions, change: impl FnOnce(&mut Pace)) -> Self {
        let now = Instant::now();
        let mut pace = Pace { heartbeat: None, stall: 30 * SECOND, flush: None, skips: false };
        change(&mut pace);
        let counters = Arc::new(RouteCounters::default());
        let opened = Arc::new(Opened::default());
        let (shard, inbox) = Shard::new(Arc::new(Semaphore::new(0)), now).unwrap();
        Self {
            shard,
            inbox,
            events: Events::with_capacity(8),
            now,
            hub: Hub::bounded(Arc::clone(&opened) as Arc<dyn Open>, most_bytes),
            opened,
            settings: StreamSettings {
                replay: Arc::new(replay),
                linger: SECOND,
                max_streams: 100,
                limits: Default::default(),
                ids_ride: false,
                counters: Arc::clone(&counters),
            },
            terms: Arc::new(Noting { pace, counters, departed: Mutex::default(), stays: Mutex::default() }),
            kept: Returned::default(),
        }
    }

    /// A stage whose clients may keep a megabyte beside the logs.
    fn narrow() -> Self {
        Self::bounded(16 * MIB, ReplayOptions::default(), |pace| pace.stall = 1000 * SECOND)
    }

    /// A client that joins the stream of a path and is on its way to the shard.
    fn client(&mut self, path: &str) -> Reader {
        self.client_with(path, |_| {})
    }

    fn client_with(&mut self, path: &str, change: impl FnOnce(&mut Arrival)) -> Reader {
        let (socket, reader) = sockets();
        let mut arrival = Arrival {
            socket: OwnedFd::from(socket),
            channel: None,
            unread: Vec::new(),
            home: Box::new(Kept(Arc::clone(&self.kept))),
            delivery: self.delivery(path, Framing::Chunked, OPENING),
        };
        change(&mut arrival);
        self.inbox.arrive(arrival).unwrap();
        Reader { socket: reader, heard: Vec::new(), channel: None, was_told: false }
    }

    /// What a client that joins the stream of a path is sent. `opening`: the first comment, framed.
    fn delivery(&self, path: &str, framing: Framing, opening: &'static [u8]) -> Delivery {
        let request = StreamRequest::new(RouteId(1), &ShareOptions::default(), path, None, &HeaderMap::new());
        Delivery {
            subscription: self.hub.join(request, &self.settings, None).unwrap(),
            framing,
            opening: Bytes::from_static(opening),
            opening_text: 2,
            is_kept: false,
            lifetime: None,
            asked: self.now,
            terms: Arc::clone(&self.terms) as _,
            past: None,
        }
    }

    /// The publisher of the stream that was opened last.
    fn publisher(&self) -> Publisher {
        self.opened.0.lock().pop().expect("a stream was opened")
    }

    /// The first client of a path, which has read its response's head, and the publisher of its stream.
    fn opened(&mut self, path: &str) -> (Reader, Publisher) {
        let mut client = self.client(path);
        self.settle();
        client.expect(OPENING);
        (client, self.publisher())
    }

    fn turn(&mut self) {
        let now = self.now;
        assert!(self.shard.turn(&mut self.events, Some(Duration::ZERO), || now).unwrap());
    }

    /// Takes turns until the shard has no work.
    fn settle(&mut self) {
        for _ in 0..ENOUGH {
            self.turn();
            if self.shard.backlog.is_empty() && self.events.is_empty() {
                return;
            }
        }
        panic!("the shard has work after {ENOUGH} turns");
    }

    /// Lets time pass in one step.
    fn later(&mut self, by: Duration) {
        self.now += by;
        self.settle();
    }

    /// Lets time pass in steps of a tenth of a second.
    fn slowly(&mut self, by: Duration) {
        let end = self.now + by;
        while self.now < end {
            self.later(SECOND / 10);
        }
    }

    fn departed(&self) -> Vec<Departure> {
        self.terms.departed.lock().drain(..).map(|(departure, ..)| departure).collect()
    }
}

/// The client's end of a connection.
struct Reader {
    socket: UnixStream,
    heard: Vec<u8>,
    /// The client's end of TLS.
    channel: Option<Channel>,
    /// close_notify came.
    was_told: bool,
}

/// The state of a connection as its client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Open,
    Ended,
}

impl Reader {
    /// Reads what has arrived.
    fn read(&mut self) -> Link {
        let mut buffer = [0; 64 << 10];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Link::Ended,
                Ok(n) => self.hear(&mut buffer[..n]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Link::Open,
                Err(_) => return Link::Ended,
            }
        }
    }

    /// Takes bytes that were read.
    fn hear(&mut self, bytes: &mut [u8]) {
        match &mut self.channel {
            None => self.heard.extend_from_slice(bytes),
            Some(channel) => {
                assert!(!self.was_told, "nothing follows close_notify");
                match channel.receive(bytes, |said| self.heard.extend_from_slice(said)) {
                    Ok(()) => {}
                    Err(over) => {
                        assert_eq!(over, Over::Gone);
                        self.was_told = true;
                    }
                }
            }
        }
    }

    /// Reads this many bytes, which have arrived, and no more.
    fn read_exactly(&mut self, bytes: usize) {
        let mut buffer = vec![0; bytes];
        self.socket.read_exact(&mut buffer).unwrap();
        self.heard.append(&mut buffer);
    }

    /// The bytes read since the last call.
    fn take(&mut self) -> Vec<u8> {
        self.read();
        std::mem::take(&mut self.heard)
    }

    fn text(&mut self) -> String {
        String::from_utf8(self.take()).unwrap()
    }

    fn expect(&mut self, bytes: &[u8]) {
        let heard = self.take();
        assert_eq!(heard.escape_ascii().to_string(), bytes.escape_ascii().to_string());
    }

    /// The data of the events read since the last call.
    fn data(&mut self) -> String {
        let text = self.text();
        text.lines().filter_map(|line| line.strip_prefix("data: ")).collect::<Vec<_>>().join(" ")
    }

    fn say(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).unwrap();
    }
}

/// Both ends of a connection.
fn sockets() -> (UnixStream, UnixStream) {
    let (socket, reader) = UnixStream::pair().unwrap();
    socket.set_nonblocking(true).unwrap();
    reader.set_nonblocking(true).unwrap();
    (socket, reader)
}

/// Makes the kernel hold little for a client that reads nothing.
fn hold_little(arrival: &mut Arrival) {
    sockopt::set_socket_send_buffer_size(&arrival.socket, 1).unwrap();
}

fn event(data: &str) -> Event {
    Event::of_type("", data.to_owned())
}

/// Publishes one event per item of `data`.
fn publish(publisher: &Publisher, data: &[&str]) {
    let events: Vec<_> = data.iter().map(|data| event(data)).collect();
    publisher.append(&events, &mut Continuation::fresh(false));
}

/// Ends a stream.
fn end(publisher: Publisher, end: End) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(publisher.close(end, Duration::ZERO));
}
