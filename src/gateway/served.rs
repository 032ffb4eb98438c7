//! A route with what serving it needs.

use super::lines;
use crate::counters::RouteCounters;
use crate::downstream::{CorsOptions, OnLag};
use crate::fanout::{Pace, Sent, Terms};
use crate::hub::{Credentials, Departure, Mode, RouteId, StreamKey, StreamSettings};
use crate::replay::{Lineage, ReplayOptions};
use crate::route::{Route, RouteKind, StreamPolicy};
use crate::upstream::{OnClose, OnError, UpstreamOptions};
use http::header::{CONTENT_LOCATION, LOCATION};
use http::{HeaderMap, HeaderValue};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A route with its number, its counters and what the hub and the private path need of its policies.
#[derive(Debug)]
pub struct Served {
    pub(super) id: RouteId,
    pub(super) route: Arc<Route>,
    pub(super) counters: Arc<RouteCounters>,
    pub(super) settings: StreamSettings,
    pace: Pace,
    /// The policy toward the origin for a client of its own: whatever the origin answers is the client's answer.
    pub(super) private: UpstreamOptions,
    /// The log was told that nearly nobody shares.
    told_unshared: AtomicBool,
}

/// Clients on a route before it is judged whether they share.
const JUDGED_FROM: u64 = 50;

impl Served {
    /// Prepares a route to be served.
    #[must_use]
    pub fn new(id: RouteId, route: Arc<Route>, counters: Arc<RouteCounters>) -> Self {
        let policy = match &route.kind {
            RouteKind::Stream(policy) => policy.clone(),
            RouteKind::Proxy(upstream) => StreamPolicy { upstream: upstream.clone(), ..StreamPolicy::default() },
        };
        let settings = StreamSettings {
            replay: Arc::new(ReplayOptions { lineage: Lineage::of(&route.origin.to_string()), ..policy.replay }),
            linger: policy.share.linger,
            max_streams: policy.share.max_streams,
            ids_ride: policy.upstream.on_close == OnClose::Close,
            counters: Arc::clone(&counters),
        };
        let pace = Pace {
            heartbeat: policy.client.heartbeat,
            stall: policy.client.stall,
            flush: policy.client.flush,
            skips: policy.client.on_lag == OnLag::Skip,
        };
        // Its client is told whatever the origin says. Where clients are held, an origin without a head is quiet, and no failure.
        let head_timeout = policy.upstream.head_patience().unwrap_or(Duration::MAX);
        let private = UpstreamOptions { on_error: OnError::Reflect, head_timeout, ..policy.upstream };
        Self { id, route, counters, settings, pace, private, told_unshared: AtomicBool::new(false) }
    }

    /// Says once if nearly every client has a stream of its own: the usual cause is a cookie that differs for each.
    pub(super) fn warn_unless_shared(&self, policy: &StreamPolicy) {
        let (subscribers, streams) = (self.counters.subscribers.value(), self.counters.streams.value());
        let is_unshared = subscribers >= JUDGED_FROM && streams.saturating_mul(10) >= subscribers.saturating_mul(9);
        // Where responses are clients' own, the log was told why.
        if is_unshared
            && policy.share.credentials == Credentials::Isolate
            && self.counters.unshareable.value() == 0
            && !self.told_unshared.swap(true, Ordering::Relaxed)
        {
            log::warn!(
                "nearly every client has a stream of its own: name the cookies that count in share.cookies, or see \
                 share.query and share.credentials route={} subscribers={subscribers} streams={streams}",
                self.route.name
            );
        }
    }

    /// Names what is at the origin by the paths at which clients find it.
    pub(super) fn name_places(&self, headers: &mut HeaderMap) {
        for name in [LOCATION, CONTENT_LOCATION] {
            let Some(reference) = headers.get(&name).and_then(|value| value.to_str().ok()) else { continue };
            if let Ok(named) = HeaderValue::from_str(&self.route.client_reference(reference)) {
                headers.insert(name, named);
            }
        }
    }

    pub(super) fn mode(&self) -> Mode {
        self.route.stream().map_or(Mode::Private, |policy| policy.share.mode)
    }

    pub(super) fn cors(&self) -> Option<&CorsOptions> {
        self.route.stream().and_then(|policy| policy.cors.as_ref())
    }
}

impl Terms for Served {
    fn pace(&self) -> &Pace {
        &self.pace
    }

    fn counters(&self) -> &RouteCounters {
        &self.counters
    }

    fn last_words(&self, departure: &Departure, origin_retry: Option<u64>) -> Vec<u8> {
        let options = self.route.stream().map(|policy| &policy.client);
        options.map(|options| lines::last_words(options, departure, origin_retry)).unwrap_or_default()
    }

    fn departed(&self, stream: &StreamKey, sent: Sent, departure: &Departure, lag: u64) {
        departure.count(&self.counters);
        let (route, Sent { bytes, events }) = (&self.route.name, sent);
        log::info!("client left route={route} stream={stream} bytes={bytes} events={events} why={departure} lag={lag}");
    }
}
