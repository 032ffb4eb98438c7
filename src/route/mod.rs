//! Routes, ready to use, and the table that finds the one for a request.
//!
//! A request's target is judged first ([`check_target`]), then the table finds its route ([`RouteTable::find`]), and the
//! route tells the path that the origin is asked for ([`Route::upstream_path`]). A path is matched with its letters decoded
//! (`/a%62` is `/ab`) and goes on as it came.

mod accept;
mod host;
mod methods;
mod near;
mod pattern;
mod reading;
mod table;
mod target;
#[cfg(test)]
mod tests;
mod wanted;

pub use accept::{InvalidMediaType, MediaType};
pub use host::{InvalidHost, canonical_host, host_name};
pub use methods::{InvalidMethod, Methods};
pub use pattern::{InvalidPattern, PathPattern};
pub use table::{Misfit, RouteTable, Routed};
pub use target::{BadTarget, Target, check_target};
pub use wanted::Wanted;

use crate::downstream::{ClientOptions, CorsOptions};
use crate::hub::ShareOptions;
use crate::replay::ReplayOptions;
use crate::upstream::{Origin, UpstreamOptions};
use reading::behind;
use std::sync::Arc;
use std::time::Duration;

/// A configured path pattern, its origin and its policies.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The name in logs and metrics; unique.
    pub name: Arc<str>,
    /// Which paths.
    pub path: PathPattern,
    /// Which hosts.
    pub hosts: Hosts,
    /// Which methods; other requests of the path go to the next route that fits.
    pub methods: Methods,
    /// The media type that a request's `Accept` must name; `None`: whatever it says.
    pub accept: Option<MediaType>,
    /// Where requests go.
    pub origin: Origin,
    /// The origin gets the client's `Host` instead of its own.
    pub preserve_host: bool,
    /// A prefix taken off the path before it goes to the origin.
    pub strip_prefix: Option<String>,
    /// A stream with its policies, or a plain reverse proxy.
    pub kind: RouteKind,
}

impl Route {
    /// The policies of a stream route; `None` for a plain proxy.
    #[must_use]
    pub fn stream(&self) -> Option<&StreamPolicy> {
        match &self.kind {
            RouteKind::Stream(policy) => Some(policy),
            RouteKind::Proxy(_) => None,
        }
    }

    /// Whether the origin is verified by the system's certificates.
    #[must_use]
    pub fn trusts_system(&self) -> bool {
        let upstream = match &self.kind {
            RouteKind::Stream(policy) => &policy.upstream,
            RouteKind::Proxy(policy) => &policy.upstream,
        };
        self.origin.is_tls() && upstream.trusted.is_none()
    }

    /// The path and, where it names some, the hosts that it serves, in words for a log.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.hosts {
            Hosts::Any => format!("{} (route {})", self.path, self.name),
            Hosts::Only(hosts) => format!("{} of {} (route {})", self.path, hosts.join(", "), self.name),
        }
    }

    /// The URL that the origin is asked for when a client asks for `path`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{}", self.origin.root_url(), self.upstream_path(path))
    }

    /// The path that the origin is asked for: its base path, then `path` less [`Route::strip_prefix`].
    ///
    /// It always begins with `/`, and what is kept of `path` is as it came. The prefix is taken off at the border of a segment only: `/ticks` comes off `/ticks/a`
    /// and `/ticks`, never off `/ticksy`.
    #[must_use]
    pub fn upstream_path(&self, path: &str) -> String {
        let rest = self.strip_prefix.as_deref().and_then(|prefix| behind(path, prefix.trim_end_matches('/')));
        let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(path);
        let joined = format!("{}{rest}", self.origin.base_path());
        if joined.starts_with('/') { joined } else { format!("/{joined}") }
    }
}

impl Route {
    /// What clients are told instead of a reference that the origin made, such as a `Location`: where it is a path below the
    /// origin's base path, the path at which this route serves it. Any other reference is the same for clients.
    #[must_use]
    pub fn client_reference(&self, reference: &str) -> String {
        let is_path = reference.starts_with('/') && !reference.starts_with("//");
        let rest = reference.strip_prefix(self.origin.base_path()).filter(|_| is_path);
        let Some(rest) = rest.filter(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#'])) else {
            return reference.to_owned();
        };
        let joined = format!("{}{rest}", self.strip_prefix.as_deref().unwrap_or_default().trim_end_matches('/'));
        if joined.starts_with('/') { joined } else { format!("/{joined}") }
    }
}

/// A stream with its policies, or a plain reverse proxy.
#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "a route exists once, behind an Arc")]
pub enum RouteKind {
    /// A stream route.
    Stream(StreamPolicy),
    /// A plain reverse proxy.
    Proxy(ProxyPolicy),
}

/// The policies of a plain reverse proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxyPolicy {
    /// How the origin is treated; of these only the time to connect, headers and trust apply.
    pub upstream: UpstreamOptions,
    /// A response of which nothing was read for this long is given up, unless it is an event stream; `None` is never.
    pub idle_timeout: Option<Duration>,
    /// A side that accepts no byte for this long is given up; `None` is never.
    pub write_timeout: Option<Duration>,
    /// A larger request body is refused; `None`: any size passes.
    pub max_body: Option<u64>,
}

impl Default for ProxyPolicy {
    fn default() -> Self {
        Self {
            upstream: UpstreamOptions::default(),
            idle_timeout: Some(Duration::from_secs(90)),
            write_timeout: None,
            max_body: None,
        }
    }
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

/// Which hosts a route serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// Whatever the `Host` is.
    Any,
    /// These names in their [canonical form](canonical_host): lower case, without a port.
    Only(Vec<String>),
}
