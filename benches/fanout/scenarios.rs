//! The scenarios: the goals of the delivery engine, and sweeps over what a server's work depends on.

use super::scale::number;
use super::specs::{Crowd, Policy, Work};
use super::target::Target;
use super::trial::Case;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The number of clients that fit into a process with 20,000 descriptors, beside manifold's reserve.
const MANY: usize = 18_000;

/// The default options of every server.
const HEARTBEAT_SECS: u64 = 15;

const SIZE: usize = 128;
const ALL: &[Target] = &[Target::Floor, Target::Manifold, Target::Nchan];
const SERVERS: &[Target] = &[Target::Manifold, Target::Nchan];

/// The name of the only crowd, or of the crowd that is measured.
pub(crate) const READERS: &str = "readers";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scenario {
    /// Processor time per delivery: 5,000 clients, 10 events/s
    Cpu,
    /// Latency: 1,000 clients, 10 events/s
    Latency,
    /// Memory per connection: 18,000 clients on one stream
    Memory,
    /// How fast 18,000 clients are connected
    Connect,
    /// A million deliveries a second: 1,000 clients, 1,000 events/s
    Throughput,
    /// Latency of 4,950 clients while 50 more read nothing
    Slow,
    /// Latency of a stream of 10 clients beside one of 10,000
    Neighbours,
    /// Processor time of 18,000 clients that get nothing but heartbeats
    Idle,
    /// From 100 to 18,000 clients
    Clients,
    /// From 1 to 1,000 events a second
    Rates,
    /// Events from 100 bytes to 16 KB
    Sizes,
    /// 1 and 1,000 streams
    Streams,
}

impl Scenario {
    /// The length of the window in seconds, unless another is asked for.
    fn secs(self, quick: bool) -> u64 {
        match self {
            Self::Throughput | Self::Idle if !quick => 30,
            Self::Clients | Self::Rates | Self::Sizes | Self::Streams if !quick => 6,
            Self::Idle => HEARTBEAT_SECS,
            _ if quick => 3,
            _ => 10,
        }
    }

    pub(crate) fn targets(self) -> &'static [Target] {
        match self {
            Self::Slow | Self::Neighbours => &[Target::Manifold],
            Self::Idle => SERVERS,
            _ => ALL,
        }
    }

    pub(crate) fn cases(self, quick: bool, secs: Option<u64>) -> Vec<Case> {
        let mut cases = self.all_cases();
        for case in &mut cases {
            // A shorter window might contain no heartbeat, and heartbeats are all that this scenario measures.
            let least = if self == Self::Idle { HEARTBEAT_SECS } else { 1 };
            case.secs = secs.unwrap_or_else(|| self.secs(quick)).max(least);
        }
        cases
    }

    fn all_cases(self) -> Vec<Case> {
        let one = |case: Case| vec![case];
        match self {
            Self::Cpu => one(case("5,000 clients", 5_000, 1, 10, SIZE)),
            Self::Latency => one(case("1,000 clients", 1_000, 1, 10, SIZE)),
            Self::Memory => one(case("18,000 clients", MANY, 1, 1, SIZE)),
            Self::Connect => one(case("18,000 clients", MANY, 1, 0, SIZE)),
            Self::Throughput => one(case("1,000 clients", 1_000, 1, 1_000, SIZE)),
            Self::Slow => slow(),
            Self::Neighbours => neighbours(),
            Self::Idle => one(case("18,000 clients", MANY, 1, 0, SIZE)),
            Self::Clients => [100, 1_000, 5_000, 10_000, MANY]
                .map(|clients| case(&named(clients, "clients"), clients, 1, 10, SIZE))
                .to_vec(),
            Self::Rates => {
                [1, 10, 100, 1_000].map(|rate| case(&named(rate, "events/s"), 1_000, 1, rate, SIZE)).to_vec()
            }
            Self::Sizes => [100, 1_024, 16_384].map(|size| case(&named(size, "bytes"), 1_000, 1, 10, size)).to_vec(),
            Self::Streams => {
                [1, 1_000].map(|streams| case(&named(streams, "streams"), 5_000, streams, 10, SIZE)).to_vec()
            }
        }
    }
}

/// A label such as "1,000 clients".
fn named(count: impl TryInto<u32>, what: &str) -> String {
    format!("{} {what}", number(f64::from(count.try_into().unwrap_or(u32::MAX))))
}

/// A crowd of clients that read all streams.
fn case(name: &str, clients: usize, streams: u64, rate: u64, size: usize) -> Case {
    Case {
        name: name.to_owned(),
        work: Work { streams, rate, size, ids: true },
        crowds: vec![crowd(READERS, clients, 0, streams)],
        warm_secs: 2,
        secs: 0,
        policy: Policy { heartbeat_secs: HEARTBEAT_SECS, stall_secs: 30 },
    }
}

fn crowd(name: &str, clients: usize, first_stream: u64, streams: u64) -> Crowd {
    Crowd { name: name.to_owned(), clients, first_stream, streams, slow: false }
}

/// Two cases with the same 4,950 clients: once alone, and once beside 50 clients that read nothing. The events are
/// larger than in other scenarios and the warm-up is longer. So the kernel's buffers of the slow clients are full when
/// the window begins, if the server bounds them to less than 100 KB. No server closes the slow clients within the
/// window.
fn slow() -> Vec<Case> {
    let alone = Case {
        warm_secs: 10,
        policy: Policy { heartbeat_secs: HEARTBEAT_SECS, stall_secs: 600 },
        ..case("4,950 alone", 4_950, 1, 10, 1_024)
    };
    let mut beside = Case { name: "beside 50 slow".to_owned(), ..alone.clone() };
    beside.crowds.insert(0, Crowd { slow: true, ..crowd("slow", 50, 0, 1) });
    vec![alone, beside]
}

/// Ten clients of one stream, once alone and once beside 10,000 clients of another. Both streams are open in both
/// cases.
fn neighbours() -> Vec<Case> {
    let few = crowd(READERS, 10, 1, 1);
    let alone = Case { crowds: vec![few.clone()], ..case("10 alone", 10, 2, 10, SIZE) };
    let many = crowd("neighbours", 10_000, 0, 1);
    let beside = Case { name: "beside 10,000".to_owned(), crowds: vec![many, few], ..alone.clone() };
    vec![alone, beside]
}
