//! The counters of the process.

use super::{By, Counter, Refused};
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
    /// Log lines that were dropped, because standard error was not read as fast as they came.
    pub log_lines_dropped: Counter,
}

static PROCESS: LazyLock<ProcessCounters> = LazyLock::new(ProcessCounters::default);

/// The counters of this process.
#[must_use]
pub fn process() -> &'static ProcessCounters {
    &PROCESS
}
