//! The orders to the processes of a run, as JSON on their command lines, and their reports, as JSON lines.

use super::identity::Identity;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The events of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Work {
    /// The streams that have events.
    pub(crate) streams: u64,
    /// Further streams, which have none. They come after the others.
    pub(crate) quiet: u64,
    /// Events per second on each stream. 0: no events.
    pub(crate) rate: u64,
    /// The number of bytes in each event's data.
    pub(crate) size: usize,
    /// The origin gives each event an id.
    pub(crate) ids: bool,
    /// The number of events of a stream that are due together. It is not 0.
    pub(crate) burst: u64,
    pub(crate) chunks: Chunks,
}

/// How the origin's response is cut into chunks of HTTP/1.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Chunks {
    /// Each event is a chunk.
    PerEvent,
    /// The events that are sent together are one chunk.
    PerBurst,
}

/// Clients of one process that are reported together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Crowd {
    pub(crate) name: String,
    pub(crate) clients: usize,
    /// The clients are spread evenly over this many streams, from this one on.
    pub(crate) first_stream: u64,
    pub(crate) streams: u64,
    pub(crate) reads: Reads,
    /// All clients connect at once. If not, only as many answers are awaited at a time as the server bears.
    pub(crate) at_once: bool,
    /// The clients were here before. `None`: they are new.
    pub(crate) returns: Option<Returns>,
    /// `None`: each client has a connection of HTTP/1.1.
    pub(crate) http2: Option<Http2>,
    /// Other crowds have the core first, so that their latency does not include the work of these clients.
    pub(crate) yields: bool,
}

/// What the clients do with the bytes of their responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reads {
    /// They check every event.
    Events,
    /// Every tenth client checks every event. The others take the bytes and only count them, so that the clients need
    /// less of their core than the server does of its own.
    Bytes,
    /// They read nothing after their response's head.
    Nothing,
    /// They ask for nothing. They make TLS handshakes, one after the other.
    Handshakes {
        /// Each resumes a session by a ticket. If not, each is a full one.
        resumed: bool,
    },
}

/// Clients that share connections of HTTP/2. They check every event, and they are new.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Http2 {
    /// The number of clients on each connection. Each has a request of its own. It is not 0.
    pub(crate) clients: usize,
    /// The first client of each connection never opens its window, so after a while the server may send it nothing. Its
    /// events are not counted.
    pub(crate) stalled: bool,
}

/// Clients that come back with the id of an event that they got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Returns {
    /// The number of events that they have missed.
    pub(crate) behind: u64,
    /// The number of different ids that they bring. The clients take turns over the ids.
    pub(crate) ids: u64,
}

impl Returns {
    /// The event that client `number` got last. `newest`: the newest event of the stream.
    pub(crate) fn last_of(self, number: u64, newest: u64) -> u64 {
        newest.saturating_sub(self.behind + number % self.ids)
    }
}

/// The order to an origin, or to the bare loop.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SourceSpec {
    pub(crate) work: Work,
    /// What the bare loop shows to clients over TLS. `None`: the connections are plain.
    pub(crate) identity: Option<Identity>,
}

/// The order to a process of clients.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ClientsSpec {
    pub(crate) crowd: Crowd,
    pub(crate) server: SocketAddr,
    /// The server that the clients trust, over TLS. `None`: the connections are plain.
    pub(crate) identity: Option<Identity>,
    /// The path of stream 0 is this and a 0.
    pub(crate) path: String,
    /// The number of bytes in each event's data.
    pub(crate) size: usize,
    /// The number of answers that are awaited at a time, unless all clients connect at once.
    pub(crate) awaited: usize,
    /// How long all clients may take to connect.
    pub(crate) connect_secs: u64,
    /// The newest event of the stream, for clients that come back.
    pub(crate) newest: u64,
    /// Events come and are read, so the clients wait for one that was sent after the window.
    pub(crate) events: bool,
}

/// The order to a process that gives events to a server that asks no origin.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PublisherSpec {
    pub(crate) work: Work,
    pub(crate) server: SocketAddr,
    pub(crate) to: Publishing,
}

/// How a server takes events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Publishing {
    /// Nchan: a POST for each event.
    Post,
    /// Pushpin: a message of ZeroMQ for each event.
    Push,
}

/// Every client has its response's head and, if it came back, what it missed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Connected {
    pub(crate) clients: usize,
    /// The time from the first connection to the last head.
    pub(crate) secs: f64,
}

/// The window of measurement, in nanoseconds of the clock.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) from: u64,
    pub(crate) until: u64,
}

/// The events that the clients of a crowd got. Faults are counted from the first event of the run to the end of the
/// window.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Received {
    /// Events that came within the window.
    pub(crate) in_window: u64,
    /// Events that came, from the first one on.
    pub(crate) events: u64,
    /// Events that were sent before the end of the window and never came.
    pub(crate) lost: u64,
    /// Clients that did not get the first event after the window in time. They miss an unknown number of events.
    pub(crate) unfinished: u64,
    pub(crate) doubled: u64,
    pub(crate) out_of_order: u64,
    /// Events of another size than was sent.
    pub(crate) damaged: u64,
    /// Events that the origin did not send, such as gap events.
    pub(crate) foreign: u64,
    /// Comment lines: heartbeats.
    pub(crate) comments: u64,
    /// Connections that the server ended, or whose response was invalid. Also handshakes that failed or were of the
    /// wrong kind.
    pub(crate) closed: u64,
    /// TLS handshakes that were made within the window, by clients that do nothing else.
    #[serde(default)]
    pub(crate) handshakes: u64,
    /// The time from sending to reading, for events that were sent within the window.
    pub(crate) latency: Latency,
}

/// Percentiles, in milliseconds.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Latency {
    pub(crate) count: u64,
    pub(crate) p50: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) p999: f64,
    pub(crate) max: f64,
}

/// The work of a sender of events.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// The events of all streams together.
    pub(crate) events: u64,
    /// The longest time between an event's due time and its sending, in milliseconds.
    pub(crate) latest_ms: f64,
    /// Sockets that were lost during the run.
    pub(crate) departed: u64,
}

/// The options of the servers, as far as each has them.
#[derive(Debug, Clone)]
pub(crate) struct Policy {
    pub(crate) heartbeat_secs: u64,
    pub(crate) stall_secs: u64,
    pub(crate) shards: u64,
    /// The number of events that each stream's log keeps. `None`: as many as by default.
    pub(crate) log_events: Option<u64>,
    /// Clients connect over TLS.
    pub(crate) tls: bool,
    /// Clients speak HTTP/2.
    pub(crate) http2: bool,
}
