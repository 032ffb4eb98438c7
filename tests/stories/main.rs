//! Stories told with three builders: an origin, the gateway and a client. Each is real and has its own sockets.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a builder that cannot do its work fails the test")]
#![allow(unreachable_pub, reason = "nothing here is reached from outside the test binary")]

#[allow(unused_imports, reason = "the peers need more of it than is needed here")]
mod client;
mod clients;
mod door;
mod early_answers;
mod frames;
mod gateway;
mod guard;
mod hardening;
mod http1;
mod origin;
mod stage;
mod stuck_log;

mod accepting;
mod admin;
mod admin_guard;
mod allocator;
mod answers;
mod bounds;
mod builders;
mod config;
mod contract;
mod cors;
mod crowd_at_the_limit;
mod descriptors;
mod http2;
mod http2_requests;
mod ids;
mod lifecycle;
mod limits;
mod limits_of_clients;
mod log_lines;
mod metrics;
mod metrics_reasons;
mod multiplex;
mod outage;
mod paths;
mod private;
mod probe;
mod probe_routes;
mod probe_secrets;
mod proxy;
mod proxying;
mod proxying_fields;
mod quiet;
mod resume;
mod routing;
mod sharing;
mod signals;
mod slow_readers;
mod soft_refusal;
mod storm;
mod succession;
mod tls_resumption;
mod told;
mod transparent;
mod trust;
mod unix_sockets;
mod unshareable;
mod upgrades;
mod upstream_limit;
mod wire;
