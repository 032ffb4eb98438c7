//! The figures of the process.

use super::figures::{Family, Read};
use super::system::SystemValues;
use super::{Expiries, Metrics};
use crate::counters::process;
use crate::fanout::Engine;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What the figures of the process are read from, at one moment.
#[derive(Debug)]
pub struct ProcessValues {
    /// What the kernel knows.
    pub system: SystemValues,
    /// How long each thread of the delivery engine worked.
    pub shards: Vec<Duration>,
    /// The most connections of clients at once.
    pub most_connections: usize,
    /// What all streams hold.
    pub held_bytes: usize,
    /// What clients keep beside the logs.
    pub pinned_bytes: usize,
    /// The certificates that clients are shown: the first name of each, and when it expires.
    pub certificates: Arc<Expiries>,
    /// When the process started.
    pub started: SystemTime,
}

impl ProcessValues {
    pub(super) fn read(of: &Metrics) -> Self {
        Self {
            system: SystemValues::read(),
            shards: of.engine.as_ref().map(Engine::busy).unwrap_or_default(),
            most_connections: of.most_connections,
            held_bytes: of.hub.held_bytes(),
            pinned_bytes: of.hub.pinned_bytes(),
            certificates: of.certificates.load_full(),
            started: of.started,
        }
    }
}

/// The figures of the process. Those that any program has are named as Prometheus' own libraries name them.
pub(super) const OF_PROCESS: &[Family<ProcessValues>] = &[
    Family {
        name: "manifold_build",
        help: "The version of this program.",
        read: Read::Info(|_| vec![("version", env!("CARGO_PKG_VERSION").to_owned())]),
    },
    Family {
        name: "manifold_shard_busy_seconds",
        help: "Seconds that each thread of the delivery engine has worked.",
        read: Read::SecondsOfEach("shard", |of| of.shards.iter().map(Duration::as_secs_f64).collect()),
    },
    Family {
        name: "manifold_accepts",
        help: "Connections of clients that were accepted.",
        read: Read::Counter(|_| process().accepts.value()),
    },
    Family {
        name: "manifold_connections",
        help: "Places for clients that are taken now. A connection takes one, and so does each further stream of an HTTP/2 connection.",
        read: Read::Gauge(|_| process().places.value()),
    },
    Family {
        name: "manifold_connections_limit",
        help: "The number of places for clients.",
        read: Read::Gauge(|of| of.most_connections as u64),
    },
    Family {
        name: "manifold_refusals",
        help: "Requests and connections that were refused, by reason.",
        read: Read::CounterBy("reason", |_| process().refusals.values()),
    },
    Family {
        name: "manifold_tls_handshakes",
        help: "TLS handshakes with clients, by outcome.",
        read: Read::CounterBy("outcome", |_| process().handshakes.values()),
    },
    Family {
        name: "manifold_tls_certificate_expiry_timestamp_seconds",
        help: "The time at which the certificate with this first name expires, in seconds since 1970. The earliest, if several have it.",
        read: Read::MeasureOfEach("name", |of| {
            of.certificates.iter().filter_map(|(name, at)| Some((name.clone(), seconds_since_1970(*at)?))).collect()
        }),
    },
    Family {
        name: "manifold_config_reloads",
        help: "Times that the configuration was read again, by outcome.",
        read: Read::CounterBy("outcome", |_| process().reloads.outcomes.values()),
    },
    Family {
        name: "manifold_config_last_reload_successful",
        help: "1 if the configuration that was read last is in force. 0 if it had errors.",
        read: Read::Gauge(|_| u64::from(!process().reloads.has_failed())),
    },
    Family {
        name: "manifold_config_last_reload_timestamp_seconds",
        help: "The time at which the configuration was read last, in seconds since 1970.",
        read: Read::Measure(|of| seconds_since_1970(process().reloads.last().map_or(of.started, |last| last.at))),
    },
    Family {
        name: "manifold_held_bytes",
        help: "Memory that all streams use now. server.replay_bytes limits it.",
        read: Read::Gauge(|of| of.held_bytes as u64),
    },
    Family {
        name: "manifold_pinned_bytes",
        help: "Memory that clients need beside the logs: dropped events that slow clients still get, parts of TLS records, and what a connection of HTTP/2 has begun to send.",
        read: Read::Gauge(|of| of.pinned_bytes as u64),
    },
    Family {
        name: "manifold_log_lines_dropped",
        help: "Lines of manifold's own log that were dropped because standard error was read too slowly.",
        read: Read::Counter(|_| process().log_lines_dropped.value()),
    },
    Family {
        name: "process_start_time_seconds",
        help: "The time at which the process started, in seconds since 1970.",
        read: Read::Measure(|of| seconds_since_1970(of.started)),
    },
    Family {
        name: "process_cpu_seconds",
        help: "Seconds of CPU time, in user mode and kernel mode.",
        read: Read::Seconds(|of| of.system.cpu_seconds),
    },
    Family {
        name: "process_resident_memory_bytes",
        help: "Resident memory.",
        read: Read::Measure(|of| of.system.resident_bytes.map(shown)),
    },
    Family {
        name: "process_open_fds",
        help: "Open file descriptors.",
        read: Read::Measure(|of| of.system.open_files.map(shown)),
    },
    Family {
        name: "process_max_fds",
        help: "The limit of open file descriptors.",
        read: Read::Measure(|of| of.system.most_open_files.map(shown)),
    },
];

fn seconds_since_1970(time: SystemTime) -> Option<f64> {
    time.duration_since(UNIX_EPOCH).ok().as_ref().map(Duration::as_secs_f64)
}

#[expect(clippy::cast_precision_loss, reason = "a gauge needs no more digits")]
fn shown(number: u64) -> f64 {
    number as f64
}
