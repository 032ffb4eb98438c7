//! The counters of the process.

use super::{By, Counter, Handshake, Refused, Reloads, RouteCounters};
use std::sync::LazyLock;

/// The counters of the process.
#[derive(Debug, Default)]
pub struct ProcessCounters {
    /// Connections of clients that were accepted.
    pub accepts: Counter,
    /// Gauge: places for connections that are taken.
    pub places: Counter,
    /// Requests and connections that were not served.
    pub refusals: By<Refused>,
    /// Those of them that no route refused.
    pub refusals_without_route: By<Refused>,
    /// TLS handshakes with clients.
    pub handshakes: By<Handshake>,
    /// The times that the configuration was read again.
    pub reloads: Reloads,
    /// Log lines that were dropped, because standard error was not read as fast as they came.
    pub log_lines_dropped: Counter,
}

impl ProcessCounters {
    /// Counts a refusal, for the process and for the route that refused. `None`: no route did.
    pub fn refused(&self, route: Option<&RouteCounters>, reason: Refused) {
        self.refusals.add_one(reason);
        route.map_or(&self.refusals_without_route, |route| &route.refused).add_one(reason);
    }
}

static PROCESS: LazyLock<ProcessCounters> = LazyLock::new(ProcessCounters::default);

/// The counters of this process.
#[must_use]
pub fn process() -> &'static ProcessCounters {
    &PROCESS
}
