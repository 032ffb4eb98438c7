//! `[routes.upstream]`.

use super::headers;
use crate::config::reader::{Item, Section};
use crate::config::sources::Sources;
use crate::config::value::{bytes, count_or, millis, seconds, seconds_or_off, word};
use crate::upstream::{Backoff, OnClose, OnError, Trust, UpstreamOptions};
use std::path::Path;
use std::time::Duration;

/// Keys that have a meaning for streams only.
pub(in crate::config) const STREAM_KEYS: [&str; 8] = [
    "head_timeout_secs",
    "backoff_min_ms",
    "backoff_max_ms",
    "on_close",
    "on_error",
    "hold_secs",
    "max_event_bytes",
    "multiplex",
];

/// The policy for the origin as far as it has been read.
#[derive(Debug, Clone)]
pub(in crate::config) struct UpstreamLayer<'a> {
    options: UpstreamOptions,
    backoff_min: Duration,
    backoff_max: Duration,
    /// Whether this layer itself has `idle_timeout_secs`, and not only a layer below.
    has_idle_timeout: bool,
    culprit: Option<Item<'a>>,
}

impl Default for UpstreamLayer<'_> {
    fn default() -> Self {
        let options = UpstreamOptions::default();
        let (backoff_min, backoff_max) = (options.backoff.min(), options.backoff.max());
        Self { options, backoff_min, backoff_max, has_idle_timeout: false, culprit: None }
    }
}

impl<'a> UpstreamLayer<'a> {
    pub(in crate::config) fn read(mut section: Section<'a>, base: &Self, sources: &dyn Sources) -> Self {
        let mut layer = base.clone();
        let options = &mut layer.options;
        section.set(&mut options.connect_timeout, "connect_timeout_secs", seconds);
        section.set(&mut options.head_timeout, "head_timeout_secs", seconds);
        let idle_timeout = section.set(&mut options.idle_timeout, "idle_timeout_secs", seconds_or_off);
        let min = section.set(&mut layer.backoff_min, "backoff_min_ms", millis);
        let max = section.set(&mut layer.backoff_max, "backoff_max_ms", millis);
        let on_close = [("reconnect", OnClose::Reconnect), ("close", OnClose::Close)];
        section.set(&mut options.on_close, "on_close", word(&on_close));
        section.set(&mut options.on_error, "on_error", word(&[("hold", OnError::Hold), ("reflect", OnError::Reflect)]));
        section.set(&mut options.hold, "hold_secs", seconds);
        section.set(&mut options.max_event_bytes, "max_event_bytes", bytes);
        section.set(&mut options.multiplex, "multiplex", word(&[("off", false), ("on", true)]));
        section.set(&mut options.max_upstreams, "max_upstreams", count_or("off"));
        if let Some(item) = section.take("headers") {
            options.headers = headers::read(item, &base.options.headers, sources);
        }
        if let Some(item) = section.take("ca_file") {
            options.trusted = trusted(&item, sources);
        }
        section.finish();
        layer.has_idle_timeout = idle_timeout.is_some();
        layer.culprit = max.or(min).or(layer.culprit);
        layer
    }

    /// Reads the table of a proxy route, where the keys of streams are errors.
    pub(in crate::config) fn read_proxy(mut section: Section<'a>, base: &Self, sources: &dyn Sources) -> Self {
        for key in STREAM_KEYS {
            if let Some(item) = section.take(key) {
                item.fail("has no effect on a route of kind \"proxy\"");
            }
        }
        Self::read(section, base, sources)
    }

    /// The options of a stream route. It is an error if the bounds of the backoff are in the wrong order.
    pub(in crate::config) fn resolve(mut self) -> UpstreamOptions {
        match (Backoff::try_new(self.backoff_min, self.backoff_max), &self.culprit) {
            (Ok(backoff), _) => self.options.backoff = backoff,
            (Err(_), Some(culprit)) => culprit.fail(format_args!(
                "backoff_min_ms ({}) must not be above backoff_max_ms ({})",
                self.backoff_min.as_millis(),
                self.backoff_max.as_millis()
            )),
            // If no key is written, the bounds are the built-in ones, which are in order.
            (Err(_), None) => {}
        }
        self.options
    }

    /// The idle timeout, if this layer itself has it. In the layers below, the key is about streams.
    pub(in crate::config) fn written_idle_timeout(&self) -> Option<Option<Duration>> {
        self.has_idle_timeout.then_some(self.options.idle_timeout)
    }

    /// The options of a proxy route.
    pub(in crate::config) fn resolve_proxy(self) -> UpstreamOptions {
        self.options
    }
}

/// The certificates of `ca_file`. `None`: those of the system.
pub(super) fn trusted(item: &Item<'_>, sources: &dyn Sources) -> Option<Trust> {
    let Some(path) = item.str() else {
        item.fail("must be \"system\" or the path of a PEM file");
        return None;
    };
    if path == "system" {
        return None;
    }
    // The file is read as bytes, because text between the certificates need not be UTF-8.
    let bytes = sources.bytes(Path::new(path));
    let bytes = bytes.map_err(|error| item.fail(format_args!("the file cannot be read: {error}"))).ok()?;
    Trust::from_pem(&bytes).map_err(|error| item.fail(error)).ok()
}
