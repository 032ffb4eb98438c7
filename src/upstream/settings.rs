//! The settings of a route that its drivers get.

use super::{Origin, UpstreamOptions};
use crate::hub::Sharing;
use http::HeaderMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Decides from a response's head which clients may be given the response. Fails with the reason if none may. The
/// second argument: the request carried a credential.
pub type SharingCheck = Arc<dyn Fn(&HeaderMap, bool) -> Result<Sharing, String> + Send + Sync>;

/// The settings of a driver: where its stream comes from, and how.
#[derive(Clone)]
pub struct DriverSettings {
    /// The route's name, for log lines.
    pub route: Arc<str>,
    /// The origin.
    pub origin: Arc<Origin>,
    /// The policy toward the origin.
    pub options: Arc<UpstreamOptions>,
    /// How long a 204 is remembered: the route's `linger_secs`.
    pub no_content_memory: Duration,
    /// Whether a response may be shared.
    pub sharing: SharingCheck,
    /// Whether the origin's `retry:` is passed on to clients. It is not if the route sets a reconnection time of its
    /// own.
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
