//! The modes of the stories: the protocol that their clients speak to the gateway.

use crate::origin::Version;

/// A line of the configuration of a story that is about clients without TLS.
pub const WITHOUT_TLS: &str = "# without TLS";

/// A line of the configuration of a story that is about HTTP/1.1 itself, such as its framing, its connections or its
/// fields.
pub const HTTP1_ONLY: &str = "# HTTP/1.1 only";

/// The protocol that a client speaks to the gateway if its story chooses no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// HTTP/1.1 in the clear: without a variable.
    Http1,
    /// HTTP/1.1 over TLS: `STORIES_TLS=1.2` or `STORIES_TLS=1.3`.
    Http1OverTls(Version),
    /// HTTP/2 in the clear, by prior knowledge: `STORIES_HTTP2=1`.
    Http2,
    /// HTTP/2 over TLS, chosen by ALPN: `STORIES_HTTP2=1` together with `STORIES_TLS`.
    Http2OverTls(Version),
}

/// Whether sessions serve HTTP/2 by this configuration, and not the engine: `STORIES_HTTP2_BY=session`, or there is no
/// engine.
pub fn http2_is_by_session(config: &str) -> bool {
    let says = |variable, word| std::env::var(variable).is_ok_and(|value| value == word);
    says("STORIES_HTTP2_BY", "session") || (says("STORIES_SHARDS", "off") && !config.contains("shards = "))
}

/// Whether clients of this mode go to a new process by this configuration. Otherwise they are drained.
pub fn clients_move(config: &str) -> bool {
    let mode = Mode::of(config);
    let is_carried = !mode.is_http2() || !http2_is_by_session(config);
    has_engine(config) && is_carried && mode.tls() != Some(Version::Tls12)
}

/// Whether the gateway has an engine by this configuration.
pub fn has_engine(config: &str) -> bool {
    std::env::var("STORIES_SHARDS").is_err() || config.contains("shards = ")
}

impl Mode {
    fn new(is_http2: bool, tls: Option<Version>) -> Self {
        match (is_http2, tls) {
            (false, None) => Self::Http1,
            (false, Some(version)) => Self::Http1OverTls(version),
            (true, None) => Self::Http2,
            (true, Some(version)) => Self::Http2OverTls(version),
        }
    }

    /// The mode that the environment variables choose.
    pub fn chosen() -> Self {
        let is_http2 = match std::env::var("STORIES_HTTP2").as_deref() {
            Err(_) => false,
            Ok("1") => true,
            Ok(other) => panic!("STORIES_HTTP2 is {other:?}, and must be 1"),
        };
        let tls = std::env::var("STORIES_TLS").ok().map(|version| match version.as_str() {
            "1.2" => Version::Tls12,
            "1.3" => Version::Tls13,
            other => panic!("STORIES_TLS is {other:?}, and must be 1.2 or 1.3"),
        });
        Self::new(is_http2, tls)
    }

    /// The chosen mode without what the marks in a configuration exclude.
    pub fn of(config: &str) -> Self {
        let mode = Self::chosen();
        let tls = mode.tls().filter(|_| !config.contains(WITHOUT_TLS));
        Self::new(mode.is_http2() && !config.contains(HTTP1_ONLY), tls)
    }

    /// The same protocol in the clear.
    pub fn without_tls(self) -> Self {
        Self::new(self.is_http2(), None)
    }

    /// The version of TLS. `None`: it is in the clear.
    pub fn tls(self) -> Option<Version> {
        match self {
            Self::Http1 | Self::Http2 => None,
            Self::Http1OverTls(version) | Self::Http2OverTls(version) => Some(version),
        }
    }

    /// Whether it is HTTP/2.
    pub fn is_http2(self) -> bool {
        matches!(self, Self::Http2 | Self::Http2OverTls(_))
    }
}
