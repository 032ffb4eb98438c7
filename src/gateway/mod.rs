//! pingora's downstream side: who comes in, what is decided, and the way back to each client.
//!
//! ```text
//!   Front                     a connection: its heads, their limits     front, first, head
//!     ├ plan                  what is to be done with a request               plan
//!     ├ engine                a plain GET of a shared stream                  shared, handover
//!     └ Sessions              every other request: pingora's proxy            sessions, after
//!         └ Gateway (ProxyHttp)                                               proxy
//!             ├ shared stream                                                 shared
//!             ├ private stream                                                private
//!             └ plain proxy                                                   proxy
//! ```

mod after;
mod client;
mod connection;
mod deadlines;
mod first;
mod front;
mod handover;
mod head;
mod lines;
mod places;
mod plan;
mod private;
mod proxy;
mod proxy_header;
mod refusal;
mod routing;
mod served;
mod sessions;
mod shared;
mod socket;
#[cfg(test)]
mod tests;
mod transport;
mod wire;
mod writer;

pub use deadlines::Lifecycle;
pub use front::{Front, FrontOptions};
pub use proxy::Exchange;
pub use routing::{CurrentRouting, RouteIds, Routing};
pub use served::{ProxyRoute, Served, StreamRoute};
pub use transport::Transport;

use crate::fanout::Engine;
use crate::hub::Hub;
use crate::upstream::Connector;
use connection::Peer;
use plan::{Facts, Plan, Request};
use refusal::Refusal;
use tokio::sync::watch;

/// Decides what becomes of each request, and serves the streams.
#[derive(Debug, Clone)]
pub struct Gateway {
    routing: CurrentRouting,
    hub: Hub,
    connector: Connector,
    /// `None`: every client stays in its session.
    engine: Option<Engine>,
    lifecycle: watch::Receiver<Lifecycle>,
}

impl Gateway {
    /// A gateway for these routes.
    #[must_use]
    pub fn new(
        routing: CurrentRouting,
        hub: Hub,
        connector: Connector,
        engine: Option<Engine>,
        lifecycle: watch::Receiver<Lifecycle>,
    ) -> Self {
        Self { routing, hub, connector, engine, lifecycle }
    }

    fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    /// Whether what this peer tells of others is believed.
    fn trusts(&self, peer: &Peer) -> bool {
        self.routing.get().trusted().trusts(peer.address())
    }

    fn is_draining(&self) -> bool {
        *self.lifecycle.borrow() != Lifecycle::Running
    }

    /// Decides a request by what is known now.
    fn plan(&self, request: &Request<'_>, peer: &Peer) -> Result<Plan, Refusal> {
        let planned = plan::plan(request, Facts { is_draining: self.is_draining(), peer }, &self.routing.get());
        if let Err(refusal) = &planned {
            refusal.tell();
        }
        planned
    }
}
