//! The figures of the process as Prometheus reads them: which there are, their names, and the formats.
//!
//! A scrape reads numbers that are counted already. It takes no lock of a stream and walks over none, so it costs the
//! same whatever the number of streams and clients is.

mod figures;
mod format;
mod now;
mod of_process;
mod of_routes;
mod protobuf;
mod system;

pub use format::Format;
pub use of_process::ProcessValues;
pub use system::SystemValues;

use crate::certificates::Identity;
use crate::counters::CountersByRoute;
use crate::fanout::Engine;
use crate::gateway::CurrentRouting;
use crate::hub::Hub;
use arc_swap::ArcSwap;
use bytes::Bytes;
use now::Now;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

/// What the figures are read from.
#[derive(Debug, Clone)]
pub struct Metrics {
    routing: CurrentRouting,
    hub: Hub,
    engine: Option<Engine>,
    /// The most connections of clients at once.
    most_connections: usize,
    certificates: Arc<ArcSwap<Expiries>>,
    started: SystemTime,
}

/// The first names of certificates, and when these expire. A certificate without a name is called `-`.
type Expiries = BTreeMap<String, SystemTime>;

/// The figures cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the metrics cannot be written: {0}")]
pub struct EncodeError(#[from] std::fmt::Error);

impl Metrics {
    /// The figures of a process that has just started.
    #[must_use]
    pub fn new(routing: CurrentRouting, hub: Hub, engine: Option<Engine>, most_connections: usize) -> Self {
        let (certificates, started) = (Arc::default(), SystemTime::now());
        Self { routing, hub, engine, most_connections, certificates, started }
    }

    /// Clients that use TLS are shown the certificates of this identity from now on. `None`: there are no such clients.
    pub fn are_of(&self, identity: Option<&Identity>) {
        let mut expiries = Expiries::new();
        for pair in identity.into_iter().flat_map(|identity| &identity.options().pairs) {
            let (name, end) = (pair.names().all().next(), pair.not_after());
            let earliest = expiries.entry(name.unwrap_or_else(|| "-".to_owned())).or_insert(end);
            *earliest = end.min(*earliest);
        }
        self.certificates.store(Arc::new(expiries));
    }

    /// The hub that is looked at.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.hub
    }

    /// The routes that are looked at.
    #[must_use]
    pub fn routing(&self) -> &CurrentRouting {
        &self.routing
    }

    /// The counters of every route, with the route's name.
    #[must_use]
    pub fn counters(&self) -> CountersByRoute {
        self.routing.counters()
    }

    /// The values of the process as they are now. It may read files of the kernel, so it is not for a thread that must
    /// not block.
    #[must_use]
    pub fn process(&self) -> ProcessValues {
        ProcessValues::read(self)
    }

    /// All figures as they are now. It may read files of the kernel, so it is not for a thread that must not block.
    ///
    /// # Errors
    /// When the library fails to write them, which is a defect.
    pub fn encode(&self, format: Format) -> Result<Bytes, EncodeError> {
        let now = Now { routes: self.routing.counters(), process: ProcessValues::read(self), created: self.started };
        Ok(format.encode(now)?)
    }
}

#[cfg(test)]
mod tests;
