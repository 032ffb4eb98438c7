//! Routes, and the table that finds the route of a request.
//!
//! First the target of a request is checked ([`check_target`]). Then the table finds the route of the request
//! ([`RouteTable::find`]). The route gives the path at the origin ([`Route::upstream_path`]). For matching, encoded
//! letters of a path are decoded (`/a%62` is `/ab`). The path is forwarded as the client wrote it.

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
pub use target::{BadTarget, MOST_TARGET_BYTES, Target, check_target};
pub use wanted::Wanted;

use crate::auth::AuthPolicy;
use crate::downstream::{ClientOptions, CorsOptions};
use crate::hub::{ShareOptions, SubscriberLimits};
use crate::replay::ReplayOptions;
use crate::upstream::{Origin, UpstreamOptions, to_path};
use reading::behind;
use std::sync::Arc;
use std::time::Duration;

/// A configured path pattern, its origin and its policies.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// The name in logs and metrics. It is unique.
    pub name: Arc<str>,
    /// The paths that the route serves.
    pub path: PathPattern,
    /// The hosts that the route serves.
    pub hosts: Hosts,
    /// The methods that the route serves. Requests with other methods go to the next route of the path that fits.
    pub methods: Methods,
    /// The media type that a request's `Accept` must name. `None`: any `Accept` fits.
    pub accept: Option<MediaType>,
    /// The origin that requests go to.
    pub origin: Origin,
    /// Whether the origin gets the client's `Host` instead of its own.
    pub preserve_host: bool,
    /// A prefix that is removed from the path before the path goes to the origin.
    pub strip_prefix: Option<String>,
    /// Whether the route is a stream or a plain reverse proxy, with the policies of each.
    pub kind: RouteKind,
}

impl Route {
    /// The policies of a stream route. `None`: the route is a plain proxy.
    #[must_use]
    pub fn stream(&self) -> Option<&StreamPolicy> {
        match &self.kind {
            RouteKind::Stream(policy) => Some(policy),
            RouteKind::Proxy(_) => None,
        }
    }

    /// Who may have the route. `None`: everybody.
    #[must_use]
    pub fn auth(&self) -> Option<&Arc<AuthPolicy>> {
        match &self.kind {
            RouteKind::Stream(policy) => policy.auth.as_ref(),
            RouteKind::Proxy(policy) => policy.auth.as_ref(),
        }
    }

    /// Whether the system's certificates verify the origin.
    #[must_use]
    pub fn trusts_system(&self) -> bool {
        let upstream = match &self.kind {
            RouteKind::Stream(policy) => &policy.upstream,
            RouteKind::Proxy(policy) => &policy.upstream,
        };
        self.origin.is_tls() && upstream.trusted.is_none()
    }

    /// The path and the hosts that the route serves, in words for a log.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.hosts {
            Hosts::Any => format!("{} (route {})", self.path, self.name),
            Hosts::Only(hosts) => format!("{} of {} (route {})", self.path, hosts.join(", "), self.name),
        }
    }

    /// The URL at the origin for a client's `path`.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("{}{}", self.origin.root_url(), self.upstream_path(path))
    }

    /// The path at the origin: the origin's base path, then `path` without [`Route::strip_prefix`].
    ///
    /// It always begins with `/`. The part that is kept of `path` is not changed. The prefix is removed only at the
    /// end of a segment: `/ticks` is removed from `/ticks/a` and `/ticks`, but not from `/ticksy`.
    #[must_use]
    pub fn upstream_path(&self, path: &str) -> String {
        let rest = self.strip_prefix.as_deref().and_then(|prefix| behind(path, prefix.trim_end_matches('/')));
        let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with('/')).unwrap_or(path);
        let joined = format!("{}{rest}", self.origin.base_path());
        if joined.starts_with('/') { joined } else { format!("/{joined}") }
    }
}

impl Route {
    /// The reference that clients get in place of a reference from the origin, such as a `Location`. A path below the
    /// origin's base path becomes the path at which this route serves it. `None`: the reference passes as it is.
    #[must_use]
    pub fn client_reference(&self, reference: &str) -> Option<String> {
        let is_path = reference.starts_with('/') && !reference.starts_with("//");
        let rest = reference.strip_prefix(self.origin.base_path()).filter(|_| is_path)?;
        let rest = Some(rest).filter(|rest| rest.is_empty() || rest.starts_with(['/', '?', '#']))?;
        let joined = format!("{}{rest}", self.strip_prefix.as_deref().unwrap_or_default().trim_end_matches('/'));
        let joined = if joined.starts_with('/') { joined } else { format!("/{joined}") };
        (joined != reference).then(|| to_path(&joined).into_owned())
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
#[derive(Debug, Clone, PartialEq)]
pub struct ProxyPolicy {
    /// How the origin is treated. Only the connect timeout, the headers and the trusted certificates apply to a plain
    /// proxy.
    pub upstream: UpstreamOptions,
    /// When no byte of the response came for this long, the exchange is aborted, unless the response is an event
    /// stream. `None`: never.
    pub idle_timeout: Option<Duration>,
    /// When the client or the origin accepted no byte for this long, the exchange is aborted. `None`: never.
    pub write_timeout: Option<Duration>,
    /// The largest request body. A larger one is refused. `None`: no limit.
    pub max_body: Option<u64>,
    /// Who may ask. `None`: everybody.
    pub auth: Option<Arc<AuthPolicy>>,
}

impl Default for ProxyPolicy {
    fn default() -> Self {
        Self {
            upstream: UpstreamOptions::default(),
            idle_timeout: Some(Duration::from_secs(90)),
            write_timeout: None,
            max_body: None,
            auth: None,
        }
    }
}

/// The policies of a stream route.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamPolicy {
    /// Which clients share a stream.
    pub share: ShareOptions,
    /// What is kept for replay.
    pub replay: ReplayOptions,
    /// How clients are treated.
    pub client: ClientOptions,
    /// How the origin is treated.
    pub upstream: UpstreamOptions,
    /// Cross-origin access. `None`: manifold adds no CORS headers.
    pub cors: Option<CorsOptions>,
    /// How many clients there may be at once.
    pub limits: SubscriberLimits,
    /// Who may listen. `None`: everybody.
    pub auth: Option<Arc<AuthPolicy>>,
}

/// The hosts that a route serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hosts {
    /// Any `Host`.
    Any,
    /// The hosts with these names, which are in their [canonical form](canonical_host): lower case, without a port.
    Only(Vec<String>),
}
