//! What a driver is told of its route.

use super::{Origin, UpstreamOptions};
use crate::hub::Sharing;
use http::HeaderMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Says of a response's head who may be given it, or why nobody may. The other argument: the request bore a credential.
pub type SharingCheck = Arc<dyn Fn(&HeaderMap, bool) -> Result<Sharing, String> + Send + Sync>;

/// Where a driver's stream comes from, and how.
#[derive(Clone)]
pub struct DriverSettings {
    /// The route's name, for log lines.
    pub route: Arc<str>,
    /// The origin.
    pub origin: Arc<Origin>,
    /// The policy toward it.
    pub options: Arc<UpstreamOptions>,
    /// How long a 204 is remembered: the route's `linger_secs`.
    pub no_content_memory: Duration,
    /// Whether a response may be shared.
    pub sharing: SharingCheck,
    /// Whether the origin's `retry:` goes to clients; not where the route has its own for them.
    pub pass_retry: bool,
}

impl fmt::Debug for DriverSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DriverSettings")
            .field("route", &self.route)
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}
