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
    /// The servers that can do this work.
    pub(crate) targets: &'static [Target],
    pub(crate) work: Work,
    /// The clients that connect before the window.
    pub(crate) crowds: Vec<Crowd>,
    /// Some clients come and go before memory is measured, so that what a server allocates once is already there.
    pub(crate) vanguard: bool,
    /// The time from the first event to the window.
    pub(crate) warm_secs: u64,
    /// The events per second on each stream shortly before the window and in it. `None`: as many as before.
    pub(crate) pace: Option<u64>,
    /// The length of the window, and the shortest one that still shows what the case is about.
    pub(crate) secs: u64,
    pub(crate) least_secs: u64,
    /// What happens within the window, in this order.
    pub(crate) acts: Vec<Act>,
    pub(crate) policy: Policy,
}

/// Clients that come or go within the window.
#[derive(Debug, Clone)]
pub(crate) struct Act {
    /// The time from the beginning of the window.
    pub(crate) at_secs: u64,
    pub(crate) deed: Deed,
}

#[derive(Debug, Clone)]
pub(crate) enum Deed {
    Come(Crowd),
    /// All clients of the crowd with this name close their connections at once.
    Go(&'static str),
}

/// The result of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Trial {
    pub(crate) case: String,
    pub(crate) target: Target,
    pub(crate) repeat: usize,
    /// The clients that connected, and those of them that left.
    pub(crate) clients: usize,
    #[serde(default)]
    pub(crate) left: usize,
    /// The streams that clients could ask for.
    #[serde(default)]
    pub(crate) streams: u64,
    pub(crate) secs: f64,
    /// The counts of each crowd, by its name.
    pub(crate) received: BTreeMap<String, Received>,
    pub(crate) sent: Sent,
    /// The time from the first connection to the last head, of all crowds together.
    pub(crate) connect_secs: f64,
    /// The server's processor time within the window.
    pub(crate) cpu_secs: f64,
    /// The part of it while crowds came, until each client had its response's head and what it missed.
    #[serde(default)]
    pub(crate) coming_cpu_secs: f64,
    /// The processor time of the origin and of those clients that were there for the whole window.
    pub(crate) load_cpu_secs: f64,
    /// The time of the server's core that other processes, or the hypervisor, used within the window.
    pub(crate) foreign_secs: f64,
    /// The server's memory before the clients, and with all clients at the end of the window, in KB.
    pub(crate) idle_kb: u64,
    pub(crate) busy_kb: u64,
}

impl Trial {
    /// The deliveries within the window.
    pub(crate) fn deliveries(&self) -> f64 {
        float(self.received.values().map(|received| received.in_window).sum())
    }
}
