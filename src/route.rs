//! Routes, ready to use, and the table that finds the one for a request.

use crate::downstream::{ClientOptions, CorsOptions};
use crate::hub::ShareOptions;
use crate::replay::ReplayOptions;
use crate::upstream::{Origin, UpstreamOptions};
use std::sync::Arc;

/// A configured path pattern, its origin and its policies.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The name in logs and metrics; unique.
    pub name: Arc<str>,
    /// Which paths.
    pub path: PathPattern,
    /// Which hosts.
    pub hosts: Hosts,
    /// Where requests go.
    pub origin: Origin,
    /// A prefix taken off the path before it goes to the origin.
    pub strip_prefix: Option<String>,
    /// A stream with its policies, or a plain reverse proxy.
    pub kind: RouteKind,
}

/// A stream with its policies, or a plain reverse proxy.
#[derive(Debug, Clone, PartialEq)]
pub enum RouteKind {
    /// A stream route.
    Stream(StreamPolicy),
    /// A plain reverse proxy; of the upstream policy only timeouts, headers and trust apply.
    Proxy(UpstreamOptions),
}

/// The policies of a stream route.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamPolicy {
    /// Who shares with whom.
    pub share: ShareOptions,
    /// What is kept for replay.
    pub replay: ReplayOptions,
    /// How clients are treated.
    pub client: ClientOptions,
    /// How the origin is treated.
    pub upstream: UpstreamOptions,
    /// Cross-origin access; `None`: no CORS headers of ours.
    pub cors: Option<CorsOptions>,
}

/// Which paths a route serves.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// This raw path exactly.
    Exact(String),
    /// Paths that begin with this, which ends in `/` (`/ticks/*` is `/ticks/` here).
    Prefix(String),
}

/// Which hosts a route serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// Whatever the `Host` is.
    Any,
    /// These names, in lower case, without a port.
    Only(Vec<String>),
}
