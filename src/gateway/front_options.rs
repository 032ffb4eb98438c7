//! The limits of connections and their request heads.

use crate::config::Http2By;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::time::Duration;

/// The limits of connections and their request heads.
#[derive(Debug, Clone, Copy)]
pub struct FrontOptions {
    /// The most bytes of a request head. A larger head is answered with 431. The default is enough for the largest
    /// cookies that browsers send.
    pub head_bytes: usize,
    /// The time for a whole head. It begins with the connection or, for later requests, with the first byte of the
    /// head. A slower head is answered with 408. A connection on which nothing was sent is closed without an answer.
    pub head_time: Duration,
    /// How long a connection is kept between two requests. After that it is closed.
    pub keepalive: Duration,
    /// The most open connections. Each further stream of an HTTP/2 connection counts as one. Beyond the limit, requests
    /// are answered with 503.
    pub max_connections: usize,
    /// Whether connections of trusted proxies begin with a header of the PROXY protocol.
    pub proxy_protocol: bool,
    /// What serves connections of HTTP/2.
    pub http2: Http2By,
}

/// The limits in force. All clones of this value see new limits at once. The number of open connections is an exception:
/// it holds as it was at the start.
#[derive(Debug, Clone)]
pub struct CurrentOptions(Arc<ArcSwap<FrontOptions>>);

impl CurrentOptions {
    pub(super) fn new(options: FrontOptions) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(options)))
    }

    pub(super) fn get(&self) -> FrontOptions {
        **self.0.load()
    }

    /// Puts other limits in force.
    pub fn set(&self, options: FrontOptions) {
        self.0.store(Arc::new(options));
    }
}

impl Default for FrontOptions {
    fn default() -> Self {
        Self {
            head_bytes: 64 << 10,
            head_time: Duration::from_secs(20),
            keepalive: Duration::from_secs(75),
            max_connections: usize::MAX,
            proxy_protocol: false,
            http2: Http2By::Engine,
        }
    }
}
