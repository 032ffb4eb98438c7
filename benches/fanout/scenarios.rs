//! The scenarios: the goals of the delivery engine, and sweeps over what a server's work depends on.

use super::cases;
use super::trial::Case;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The default options of every server.
pub(crate) const HEARTBEAT_SECS: u64 = 15;

/// The name of the only crowd, or of the crowd that is measured.
pub(crate) const READERS: &str = "readers";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scenario {
    /// Processor time per delivery: 5,000 clients at 10 events/s, 18,000 at 1/s
    Cpu,
    /// Processor time per delivery: 100 clients, 10 events/s
    Few,
    /// Latency: 1,000 clients, 10 events/s
    Latency,
    /// Many streams: one with 5,000 clients, 1,000 with 5 clients each, and 5,000 with one client each
    Streams,
    /// A million deliveries a second: 1,000 clients, 1,000 events/s
    Throughput,
    /// As many deliveries as one core makes: 1,000 clients of one stream
    Flood,
    /// Bursts of 50 events: each event a chunk of the origin's response, and all of them in one
    Bursts,
    /// How fast 18,000 clients connect: 128 at a time, and all at once
    Connect,
    /// 18,000 clients come back at once, 100 events behind: with one id, and with 50 different ids
    Return,
    /// Latency of 10 clients while 9,000 of another stream leave at once and come back
    Departure,
    /// Memory per connection: 18,000 clients that connect at once, 5 s later; and after others came and went
    Memory,
    /// Memory per stream: 1,000 streams without events, and 1,000 with five clients each and a full log
    Logs,
    /// Processor time of 18,000 clients that get nothing but heartbeats, and of no client
    Idle,
    /// Latency of a stream beside 16,000 clients of another that get nothing but heartbeats
    Quiet,
    /// Latency of a stream of 10 clients beside one of 10,000
    Neighbours,
    /// Latency of 4,950 clients while 50 more read nothing
    Slow,
    /// One, two and four shards on one core: 5,000 clients, 10 events/s
    Shards,
    /// TLS 1.3 beside plain connections: processor time per delivery, memory per connection, handshakes, and latency
    /// while 2,000 clients come
    Tls,
    /// HTTP/2 beside HTTP/1.1, plain and over TLS: processor time per delivery, memory per connection and per stream, and
    /// latency beside a stream that stalled
    #[value(name = "h2")]
    #[serde(rename = "h2")]
    Http2,
    /// From 100 to 18,000 clients
    Clients,
    /// From 1 to 1,000 events a second
    Rates,
    /// Events from 100 bytes to 16 KB
    Sizes,
}

impl Scenario {
    pub(crate) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// What is measured, in words.
    pub(crate) fn about(self) -> String {
        let value = self.to_possible_value();
        value.and_then(|value| value.get_help().map(ToString::to_string)).unwrap_or_default()
    }

    /// Whether it shows how figures depend on the load, and no goal is about it.
    pub(crate) fn is_sweep(self) -> bool {
        matches!(self, Self::Clients | Self::Rates | Self::Sizes)
    }

    /// The cases. `quick`: with short windows, and only the first and the last of a sweep. `secs`: the length of each
    /// window, unless the case needs a longer one.
    pub(crate) fn cases(self, quick: bool, secs: Option<u64>) -> Vec<Case> {
        let mut cases = self.all_cases();
        if quick && self.is_sweep() {
            cases = cases.first().into_iter().chain(cases.last()).cloned().collect();
        }
        for case in &mut cases {
            if quick {
                case.secs = case.secs.min(2);
                case.warm_secs = case.warm_secs.min(4);
                // Connecting takes most of the time of a short run.
                case.vanguard = false;
            }
            case.secs = secs.unwrap_or(case.secs).max(case.least_secs);
        }
        cases
    }

    fn all_cases(self) -> Vec<Case> {
        match self {
            Self::Cpu => cases::cpu(),
            Self::Few => cases::few(),
            Self::Latency => cases::latency(),
            Self::Streams => cases::streams(),
            Self::Throughput => cases::throughput(),
            Self::Flood => cases::flood(),
            Self::Bursts => cases::bursts(),
            Self::Connect => cases::connect(),
            Self::Return => cases::returns(),
            Self::Departure => cases::departure(),
            Self::Memory => cases::memory(),
            Self::Logs => cases::logs(),
            Self::Idle => cases::idle(),
            Self::Quiet => cases::quiet(),
            Self::Neighbours => cases::neighbours(),
            Self::Slow => cases::slow(),
            Self::Shards => cases::shards(),
            Self::Tls => cases::tls(),
            Self::Http2 => cases::http2(),
            Self::Clients => cases::clients(),
            Self::Rates => cases::rates(),
            Self::Sizes => cases::sizes(),
        }
    }
}
