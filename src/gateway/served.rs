//! A route, together with everything that is needed to serve it.

use super::lasting::{Lasting, Newer, Standing};
use super::lines;
use super::proxy::Habit;
use crate::access::{Account, Visit};
use crate::auth::{Record, Returned};
use crate::caller::{Caller, Grant};
use crate::counters::{Label, RouteCounters};
use crate::downstream::{
    CorsOptions, OnLag, RetryPolicy, SharingVerdict, lifetime, sharing_verdict, unshareable_advice,
};
use crate::fanout::{Farewell, Pace, Renewal, Sent, Terms};
use crate::hub::{Course, Credentials, Departure, Mode, RouteId, Seat, StreamKey, StreamSettings};
use crate::millis::unix_millis;
use crate::quoted::reason;
use crate::replay::{Lineage, ReplayOptions};
use crate::route::{ProxyPolicy, Route, RouteKind, Routed, StreamPolicy};
use crate::upstream::{DriverSettings, OnClose, OnError, SharingCheck, UpstreamOptions, text_of};
use http::header::{CONTENT_LOCATION, LOCATION};
use http::{HeaderMap, HeaderValue};
use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// The advice in the log when a response must not be given to any client.
const WHAT_TO_DO: &str =
    "share.credentials = 'isolate' keeps clients apart, share.trust_origin = true shares the response anyway";

/// With fewer clients on a route, it is not logged that hardly any of them share a stream. A few clients may differ by
/// chance.
const JUDGED_FROM: u64 = 50;

/// A route as it is served.
#[derive(Debug, Clone)]
pub enum Served {
    /// A route of event streams.
    Stream(Arc<StreamRoute>),
    /// A plain reverse proxy.
    Proxy(Arc<ProxyRoute>),
}

/// A route of event streams, shared or private.
#[derive(Debug)]
pub struct StreamRoute {
    pub(super) id: RouteId,
    /// Which of the route's instances this is. A later one has a higher number.
    pub(super) instance: u64,
    pub(super) route: Arc<Route>,
    pub(super) policy: StreamPolicy,
    pub(super) counters: Arc<RouteCounters>,
    /// The route's policy, as the hub needs it.
    pub(super) settings: StreamSettings,
    /// The route's policy, as the engine needs it.
    pace: Pace,
    /// The route's policy, as the driver of a shared stream needs it. The drivers see when it changes.
    driver: watch::Receiver<DriverSettings>,
    /// What has become of the route since.
    standing: watch::Receiver<Standing>,
    /// The policy toward the origin when a client has an upstream of its own. The client gets the origin's answer,
    /// whatever its status is.
    pub(super) private: UpstreamOptions,
    /// Proxies preflights on a private route without CORS of its own, because the origin answers them.
    pub(super) preflights: Arc<ProxyRoute>,
    /// Whether it was logged that hardly any clients share a stream.
    told_unshared: AtomicBool,
    /// What the process remembers of credentials.
    record: Arc<Record>,
    /// The clients of a private route that are served or wait for the origin.
    private_clients: Arc<AtomicUsize>,
}

/// The place of a client of a private route. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct PrivatePlace<'a>(&'a StreamRoute);

impl Drop for PrivatePlace<'_> {
    fn drop(&mut self) {
        self.0.private_clients.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A route that is a plain reverse proxy.
#[derive(Debug)]
pub struct ProxyRoute {
    pub(super) route: Arc<Route>,
    pub(super) counters: Arc<RouteCounters>,
    pub(super) options: UpstreamOptions,
    pub(super) policy: ProxyPolicy,
    /// Whether the origin keeps its connections open.
    pub(super) habit: Habit,
    /// Whether the last response came by HTTP/2.
    pub(super) by_http2: AtomicBool,
    /// Whether it was logged that fields are dropped because of their names.
    told_odd_names: AtomicBool,
    /// Says that a request of the route is left, after the route is gone.
    _alive: Arc<AtomicUsize>,
}

impl Served {
    /// Prepares a route to be served.
    #[must_use]
    pub(super) fn new(id: RouteId, route: Arc<Route>, lasting: &Lasting) -> Self {
        match route.kind.clone() {
            RouteKind::Stream(policy) => Self::Stream(Arc::new(StreamRoute::new(id, route, policy, lasting))),
            RouteKind::Proxy(policy) => Self::Proxy(Arc::new(ProxyRoute::new(route, policy, lasting))),
        }
    }

    /// The route's counters.
    #[must_use]
    pub fn counters(&self) -> &Arc<RouteCounters> {
        match self {
            Self::Stream(served) => &served.counters,
            Self::Proxy(served) => &served.counters,
        }
    }
}

impl Served {
    pub(super) fn shared_route(&self) -> Arc<Route> {
        match self {
            Self::Stream(served) => Arc::clone(&served.route),
            Self::Proxy(served) => Arc::clone(&served.route),
        }
    }
}

impl Routed for Served {
    fn route(&self) -> &Route {
        match self {
            Self::Stream(served) => &served.route,
            Self::Proxy(served) => &served.route,
        }
    }
}

impl ProxyRoute {
    fn new(route: Arc<Route>, policy: ProxyPolicy, lasting: &Lasting) -> Self {
        Self {
            route,
            counters: Arc::clone(&lasting.counters),
            options: of_one_client(&policy.upstream),
            policy,
            habit: Habit::default(),
            by_http2: AtomicBool::new(false),
            told_odd_names: AtomicBool::new(false),
            _alive: Arc::clone(&lasting.private_clients),
        }
    }

    /// A query without the credentials that it may hold.
    pub(super) fn without_credentials<'q>(&self, query: Option<&'q str>) -> Option<Cow<'q, str>> {
        match &self.policy.auth {
            Some(auth) => auth.without_credentials(query),
            None => query.map(Cow::Borrowed),
        }
    }

    /// Logs once that fields are dropped because of their names.
    pub(super) fn warn_of_odd_names(&self) {
        if !self.told_odd_names.swap(true, Ordering::Relaxed) {
            log::warn!(
                "header fields with an underscore in their names are not passed on, because many servers read it as a \
                 hyphen route={}",
                self.route.name
            );
        }
    }
}

/// The policy toward the origin when a request belongs to one client. The client gets the origin's answer, whatever its
/// status is. On a route with `on_error = "hold"` there is no time limit for the response head, because an origin
/// without events may send none.
fn of_one_client(upstream: &UpstreamOptions) -> UpstreamOptions {
    let head_timeout = upstream.head_patience().unwrap_or(Duration::MAX);
    UpstreamOptions { on_error: OnError::Reflect, head_timeout, ..upstream.clone() }
}

impl StreamRoute {
    fn new(id: RouteId, route: Arc<Route>, policy: StreamPolicy, lasting: &Lasting) -> Self {
        let counters = Arc::clone(&lasting.counters);
        let settings = StreamSettings {
            replay: Arc::new(ReplayOptions {
                lineage: Lineage::of(&route.origin.to_string()),
                ..policy.replay.clone()
            }),
            linger: policy.share.linger,
            max_streams: policy.share.max_streams,
            limits: policy.limits,
            ids_ride: policy.upstream.on_close == OnClose::Close,
            counters: Arc::clone(&counters),
        };
        let pace = Pace {
            heartbeat: policy.client.heartbeat,
            stall: policy.client.stall,
            flush: policy.client.flush,
            skips: policy.client.on_lag == OnLag::Skip,
        };
        let driver = DriverSettings {
            route: Arc::clone(&route.name),
            origin: Arc::new(route.origin.clone()),
            options: Arc::new(policy.upstream.clone()),
            no_content_memory: policy.share.linger,
            sharing: sharing(&route.name, &policy),
            pass_retry: policy.client.retry == RetryPolicy::Origin,
        };
        let private = of_one_client(&policy.upstream);
        let proxied = ProxyPolicy { upstream: policy.upstream.clone(), ..ProxyPolicy::default() };
        let preflights = Arc::new(ProxyRoute::new(Arc::clone(&route), proxied, lasting));
        let told_unshared = AtomicBool::new(false);
        let driver = lasting.announce(driver);
        Self {
            id,
            instance: lasting.next_instance(),
            route,
            policy,
            counters,
            settings,
            pace,
            driver,
            standing: lasting.standing.subscribe(),
            private,
            preflights,
            told_unshared,
            record: Arc::clone(&lasting.record),
            private_clients: Arc::clone(&lasting.private_clients),
        }
    }

    /// Takes a place for a client of a private route. `None`: the route has `limits.subscribers` clients.
    pub(super) fn private_place(&self) -> Option<PrivatePlace<'_>> {
        let place = PrivatePlace(self);
        let before = self.private_clients.fetch_add(1, Ordering::AcqRel);
        self.policy.limits.subscribers.is_none_or(|most| before < most).then_some(place)
    }

    /// The settings for the driver of a shared stream.
    pub(super) fn driver(&self) -> watch::Receiver<DriverSettings> {
        self.driver.clone()
    }

    /// What has become of the route since it was served in this way.
    pub(super) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// The hub's settings of the route.
    pub(super) fn settings(&self) -> &StreamSettings {
        &self.settings
    }

    /// Logs once if nearly every client has a stream of its own. The usual cause is a cookie that differs for each
    /// client.
    pub(super) fn warn_unless_shared(&self) {
        let (subscribers, streams) = (self.counters.subscribers.value(), self.counters.streams.value());
        let is_unshared = subscribers >= JUDGED_FROM && streams.saturating_mul(10) >= subscribers.saturating_mul(9);
        // If responses are private to one client, the reason was logged already.
        if is_unshared
            && self.policy.share.credentials == Credentials::Isolate
            && self.counters.unshareable.value() == 0
            && !self.told_unshared.swap(true, Ordering::Relaxed)
        {
            log::warn!(
                "nearly every client has its own stream: list the cookies that matter in share.cookies, or see \
                 share.query and share.credentials route={} subscribers={subscribers} streams={streams}",
                self.route.name
            );
        }
    }

    pub(super) fn mode(&self) -> Mode {
        self.policy.share.mode
    }

    pub(super) fn cors(&self) -> Option<&CorsOptions> {
        self.policy.cors.as_ref()
    }
}

impl Terms for StreamRoute {
    fn pace(&self) -> &Pace {
        &self.pace
    }

    fn renewed(&self) -> Renewal {
        match self.standing.borrow().newer(self) {
            Newer::None => Renewal::None,
            Newer::Terms(served) => Renewal::Terms(served),
            Newer::Over(by) => Renewal::Over(by.into_std()),
        }
    }

    fn permits(&self, caller: &Caller) -> bool {
        let Some(auth) = &self.policy.auth else { return true };
        let now = SystemTime::now();
        let holds = |grant: &Arc<Grant>| auth.still_permits(grant) && !self.record.revocations.revokes(grant, now);
        caller.grant().is_some_and(holds)
    }

    fn lifetime(&self, random: f64) -> Option<Duration> {
        self.policy.client.max_lifetime.map(|max| lifetime(max, random))
    }

    fn counters(&self) -> &RouteCounters {
        &self.counters
    }

    fn last_words(&self, departure: &Departure, origin_retry: Option<u64>) -> Vec<u8> {
        lines::last_words(&self.policy.client, departure, origin_retry)
    }

    fn came(&self, seat: &Seat) {
        self.came_to(seat.key(), seat.caller());
    }

    fn stays(&self, seat: &Seat, sent: Sent, stayed: Duration, lag: u64) {
        self.stays_on(seat.key(), seat.caller(), seat.course(), sent, stayed, lag);
    }

    fn departed(&self, farewell: &Farewell<'_>) {
        let Farewell { stream, caller, course, sent, stayed, departure, lag, place } = farewell;
        let ticket = caller.grant().and_then(|grant| grant.ticket);
        if let Some((ticket, (epoch, position))) = ticket.zip(*place) {
            self.record.uses.ended(ticket, Returned { epoch, position }, unix_millis(SystemTime::now()));
        }
        self.counters.closes.add_one(departure.close());
        self.counters.lifetimes.observe_time(*stayed, 1);
        let visit = self.visit(stream, caller);
        visit.ends(&account(*course, *sent, *stayed, *lag), departure.close().word(), departure);
    }
}

impl StreamRoute {
    fn visit<'a>(&'a self, stream: &'a StreamKey, caller: &'a Caller) -> Visit<'a> {
        Visit { route: &self.route.name, stream, caller }
    }

    /// Logs a client whose response begins.
    pub(super) fn came_to(&self, stream: &StreamKey, caller: &Caller) {
        self.visit(stream, caller).opens();
    }

    /// Logs a client that stays, from time to time.
    pub(super) fn stays_on(
        &self,
        stream: &StreamKey,
        caller: &Caller,
        course: Course,
        sent: Sent,
        stayed: Duration,
        lag: u64,
    ) {
        self.visit(stream, caller).stays(&account(course, sent, stayed, lag));
    }
}

fn account(course: Course, sent: Sent, stayed: Duration, lag: u64) -> Account {
    let Course { replayed, gaps, lag_worst } = course;
    Account { stayed, events: sent.events, bytes: sent.bytes, replayed, gaps, lag, lag_worst }
}

/// Replaces references to paths of the origin by the paths at which this route serves the same resources.
pub(super) fn name_places(route: &Route, headers: &mut HeaderMap) {
    for name in [LOCATION, CONTENT_LOCATION] {
        let Some(reference) = headers.get(&name) else { continue };
        let named = route.client_reference(&text_of(reference)).and_then(|named| HeaderValue::from_str(&named).ok());
        if let Some(named) = named {
            headers.insert(name, named);
        }
    }
}

/// Makes the check that decides which clients may get a response of this route. The check logs once that a response is
/// not shared.
fn sharing(route: &Arc<str>, policy: &StreamPolicy) -> SharingCheck {
    let (route, share, told) = (Arc::clone(route), policy.share.clone(), AtomicBool::new(false));
    Arc::new(move |head, has_credentials| {
        let verdict = sharing_verdict(head, &share, has_credentials);
        if let SharingVerdict::Unshareable(why) = &verdict
            && !told.swap(true, Ordering::Relaxed)
        {
            let advice = unshareable_advice(head, &share);
            log::warn!(
                "response not shared, each client gets an upstream of its own route={route} why={}: {advice}",
                reason(why)
            );
        }
        verdict.into_sharing().map_err(|refusal| format!("{refusal}: {WHAT_TO_DO}"))
    })
}
