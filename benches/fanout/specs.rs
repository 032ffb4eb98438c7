//! What the processes of a run are told, as JSON on their command lines, and what they report, as JSON in lines.

use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// The events of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) streams: u64,
    /// Events a second on each stream; 0: none ever.
    pub(crate) rate: u64,
    /// Bytes of each event's data.
    pub(crate) size: usize,
    /// The origin numbers its events.
    pub(crate) ids: bool,
}

/// Clients of one process, which are reported together.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Crowd {
    pub(crate) name: String,
    pub(crate) clients: usize,
    /// They are spread evenly over so many streams, from this one on.
    pub(crate) first_stream: u64,
    pub(crate) streams: u64,
    /// Once the head is there, they read nothing.
    pub(crate) slow: bool,
}

/// What a process of clients does.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ClientsSpec {
    pub(crate) crowd: Crowd,
    pub(crate) server: SocketAddr,
    /// The path of stream 0 is this and a 0.
    pub(crate) path: String,
    /// Bytes of each event's data.
    pub(crate) size: usize,
    /// Responses that are waited for at once while connecting.
    pub(crate) at_once: usize,
    /// For all to be connected.
    pub(crate) connect_secs: u64,
    /// Events come and are read, so one that was sent after the window is waited for.
    pub(crate) events: bool,
}

/// What a process that posts events to nginx does.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PublisherSpec {
    pub(crate) work: Work,
    pub(crate) server: SocketAddr,
    pub(crate) path: String,
}

/// All clients have their response's head.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Connected {
    pub(crate) clients: usize,
    /// From the first connection to the last head.
    pub(crate) secs: f64,
}

/// From when until when is measured, in nanoseconds of the clock.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Window {
    pub(crate) from: u64,
    pub(crate) until: u64,
}

/// What the clients of a crowd got. Faults are counted from the first event of the run to the end of the window.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Received {
    /// Events that came within the window.
    pub(crate) in_window: u64,
    /// Events that came, from the first one on.
    pub(crate) events: u64,
    /// Never came, although they were sent before the end of the window.
    pub(crate) lost: u64,
    /// Clients to whom the first event after the window did not come in time: they lack more than is known.
    pub(crate) unfinished: u64,
    pub(crate) doubled: u64,
    pub(crate) out_of_order: u64,
    /// Of another size than was sent.
    pub(crate) damaged: u64,
    /// Events that the origin did not send, such as those that tell of a gap.
    pub(crate) foreign: u64,
    /// Comment lines: heartbeats.
    pub(crate) comments: u64,
    /// Connections that the server ended, or that made no sense.
    pub(crate) closed: u64,
    /// From sending to reading, of the events that were sent within the window.
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

/// What a sender of events did.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Sent {
    /// Of all streams together.
    pub(crate) events: u64,
    /// Milliseconds that an event was sent after it was due, at most.
    pub(crate) latest_ms: f64,
    /// Sockets that were lost on the way.
    pub(crate) departed: u64,
}
