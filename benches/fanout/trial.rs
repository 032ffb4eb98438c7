//! The load of one run, and its result.

use super::process::float;
use super::specs::{Crowd, Policy, Received, Sent, Work};
use super::target::Target;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The load of a server, and what is measured.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The case's name within the scenario.
    pub(crate) name: String,
    pub(crate) work: Work,
    pub(crate) crowds: Vec<Crowd>,
    /// The time from the first event to the window.
    pub(crate) warm_secs: u64,
    /// The length of the window.
    pub(crate) secs: u64,
    pub(crate) policy: Policy,
}

/// The result of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Trial {
    pub(crate) case: String,
    pub(crate) target: Target,
    pub(crate) repeat: usize,
    pub(crate) clients: usize,
    pub(crate) secs: f64,
    /// The counts of each crowd, by its name.
    pub(crate) received: BTreeMap<String, Received>,
    pub(crate) sent: Sent,
    /// The time from the first connection to the last head.
    pub(crate) connect_secs: f64,
    /// The server's processor time within the window.
    pub(crate) cpu_secs: f64,
    /// The processor time of the clients and the origin.
    pub(crate) load_cpu_secs: f64,
    /// The time of the server's core that other processes, or the hypervisor, used within the window.
    pub(crate) foreign_secs: f64,
    /// The server's memory without clients, after some have come and gone, and with all clients, in KB.
    pub(crate) idle_kb: u64,
    pub(crate) busy_kb: u64,
}

impl Trial {
    /// The deliveries within the window.
    pub(crate) fn deliveries(&self) -> f64 {
        self.received.values().map(|received| float(received.in_window)).sum()
    }
}
