//! Private routes: each client has an upstream exchange of its own. The origin's response passes to the client
//! unchanged, except that heartbeats and lines of manifold are put into an event stream.

use super::Gateway;
use super::deadlines::{Deadlines, Lifecycle, at};
use super::lasting::{Newer, News};
use super::lines::{greeting, last_words};
use super::own_request::OwnRequest;
use super::plan::Ask;
use super::presence::{Listing, On, Present};
use super::refusal::{Refusal, Why};
use super::reports::Reports;
use super::served::{StreamRoute, name_places};
use super::writer::{Broken, Writer};
use crate::caller::Caller;
use crate::counters::{Refused, RouteCounters, UpstreamPhase, process};
use crate::downstream::{ClientOptions, CorsAnswer, own_head};
use crate::fanout::{Farewell, Sent, Terms};
use crate::fields::content_length;
use crate::hub::{Course, Departure, End, Failure, JoinError};
use crate::quoted;
use crate::replay::Seq;
use crate::sse::Passthrough;
use crate::upstream::{FirstAnswer, Response, asks_to_return, own_answer, unusable};
use bytes::Bytes;
use http::StatusCode;
use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

/// A client of a private stream is behind in no log.
const NO_LOG: Seq = Seq(0);

impl Gateway {
    /// Serves one client from an upstream of its own, until the client leaves or the response ends. The error is sent
    /// to the client as its response.
    pub(super) async fn serve_private(
        &self,
        ask: &Ask,
        own: &OwnRequest,
        writer: &mut Writer<'_>,
    ) -> Result<Departure, Refusal> {
        let Ask { served, request, cors, .. } = ask;
        if own.has_odd_names {
            served.preflights.warn_of_odd_names();
        }
        self.use_ticket(ask)?;
        let Some(_place) = served.private_place() else { return Err(ask.refused(Why::Join(JoinError::RouteFull))) };
        served.counters.upstream_attempts.add(1);
        let asked = Instant::now();
        let answer = tokio::select! {
            answer = own_answer(&self.connector, &served.route.origin, &served.private, &own.request) => answer,
            broken = writer.left() => return Ok(broken.into()),
        };
        self.note(served, answer.as_deref());
        ask.tell_unreadable(answer.as_ref().ok().map(|response| &response.headers));
        let mut response = answer.map_err(|end| ask.refused(Why::Ended(end)))?;
        own.names.map_back(&mut response.headers);
        name_places(&served.route, &mut response.headers);
        let status = response.status;
        let counted = (status == StatusCode::OK).then(|| Counted::new(served));
        if status.is_client_error() || status.is_server_error() {
            process().refused(Some(&served.counters), Refused::Origin);
        }
        if counted.is_some() {
            writer.answers(asked);
            served.came_to(request.key(), &ask.caller);
        }
        let mut relay = Relay::new(response, served, &ask.caller, self.lifecycle.clone());
        relay.watched = counted.is_some().then(|| {
            let on = On::own(request.key().clone(), asked);
            let present = Present::new(on, ask.caller.clone(), writer.version(), asked, NO_LOG);
            let listing = self.presence.admit(present, served);
            writer.shows(&listing.present);
            Watched { ask, reports: Reports::of(asked), listing }
        });
        let (route, path_and_query) = (&served.route, own.request.path_and_query.as_str());
        let first =
            FirstAnswer { connector: &self.connector, route: &route.name, origin: &route.origin, path_and_query };
        if status == StatusCode::OK {
            // A stream may last for days, so its route counts as one that works from its head on.
            first.works();
        }
        let why = relay.run(cors.as_ref(), writer).await;
        if status != StatusCode::OK {
            first.refused(status, &relay.beginning.unwrap_or_default());
        }
        if counted.is_some() {
            let (stream, sent, stayed) = (request.key(), writer.sent(), asked.elapsed());
            served.departed(&Farewell {
                stream,
                caller: &ask.caller,
                course: Course::default(),
                sent,
                stayed,
                departure: &why,
                lag: 0,
                place: None,
            });
        }
        Ok(why)
    }

    /// Notes the result of a request in the origin's outages and in the route's counters.
    fn note(&self, served: &StreamRoute, answer: Result<&Response, &End>) {
        let (route, outages) = (&served.route, self.connector.outages());
        let failed = |why: String| {
            served.counters.upstream_failures.add(1);
            outages.failed(&route.origin, &why);
            log::debug!("upstream failed route={} why={}", route.name, quoted::reason(&why));
        };
        match answer {
            Ok(response) if asks_to_return(response.status) => {
                failed(format!("origin answered {}", response.status.as_u16()));
            }
            Err(End::Failed(failure)) if failure.is_of_origin() => failed(failure.to_string()),
            Err(End::Failed(_)) => {}
            Ok(_) => outages.up(&route.origin),
            Err(end) => {
                outages.up(&route.origin);
                if let End::Unusable(why) = end {
                    log::warn!("stream refused route={} why={}", route.name, quoted::reason(why));
                }
            }
        }
    }
}

/// One response of any kind, on its way to its client.
struct Relay<'a> {
    response: Box<Response>,
    /// The route as it is served now.
    served: Arc<StreamRoute>,
    news: News,
    counters: &'a RouteCounters,
    idle_timeout: Duration,
    /// The first bytes of a refusal's body. They may show that the configuration is wrong.
    beginning: Option<Bytes>,
    /// Follows the bytes of an event stream. `None` if the response is not one.
    events: Option<Passthrough>,
    /// The client's deadlines. `None` if the response is not an event stream, or if the stated length of its body must
    /// be kept. manifold then neither adds lines to the response nor ends it.
    deadlines: Option<Deadlines>,
    /// When the client's permission ends.
    expires: Option<tokio::time::Instant>,
    /// `None` if the response is not an event stream.
    watched: Option<Watched<'a>>,
}

/// A client that access lines are written of while it stays, and that an operator is shown.
struct Watched<'a> {
    ask: &'a Ask,
    reports: Reports,
    listing: Listing,
}

impl Watched<'_> {
    /// Writes lines from time to time. Resolves when an operator ends the client. `sent`: what the client was sent.
    async fn report(watched: &mut Option<Self>, sent: Sent) -> Departure {
        let Some(present) = watched.as_ref().map(|watched| Arc::clone(&watched.listing.present)) else {
            return std::future::pending().await;
        };
        Self::beside(watched, sent, present.dismissed()).await
    }

    fn present(watched: &Option<Self>) -> Option<&Present> {
        watched.as_ref().map(|watched| &*watched.listing.present)
    }

    /// Waits for a write, and writes lines from time to time. `sent`: what the client was sent before.
    async fn beside<T>(watched: &mut Option<Self>, sent: Sent, write: impl Future<Output = T>) -> T {
        let Some(Self { ask, reports, .. }) = watched else { return write.await };
        let stays = |stayed| ask.served.stays_on(ask.request.key(), &ask.caller, Course::default(), sent, stayed, 0);
        reports.beside(write, stays).await
    }
}

impl<'a> Relay<'a> {
    fn new(
        response: Box<Response>,
        served: &'a Arc<StreamRoute>,
        caller: &Caller,
        lifecycle: watch::Receiver<Lifecycle>,
    ) -> Self {
        let left = caller.left();
        let policy = &served.policy;
        let client = &policy.client;
        let is_stream = response.status == StatusCode::OK && unusable(&response.headers).is_none();
        let is_open = is_stream && (client.heartbeat.is_some() || content_length(&response.headers).is_none());
        Self {
            response,
            served: Arc::clone(served),
            news: News::of(served),
            counters: &served.counters,
            idle_timeout: policy.upstream.idle_timeout.unwrap_or(Duration::MAX),
            beginning: None,
            events: is_stream.then(Passthrough::new),
            expires: left.and_then(|left| tokio::time::Instant::now().checked_add(left)),
            deadlines: is_open.then(|| Deadlines::new(served.pace().clone(), client.max_lifetime, left, lifecycle)),
            watched: None,
        }
    }

    fn client(&self) -> &ClientOptions {
        &self.served.policy.client
    }

    fn present(&self) -> Option<&Present> {
        Watched::present(&self.watched)
    }

    /// Passes the response on to its end, and returns why it ended.
    async fn run(&mut self, cors: Option<&CorsAnswer>, writer: &mut Writer<'_>) -> Departure {
        let why = match self.pass(cors, writer).await {
            Ok(never) => match never {},
            Err(why) => why,
        };
        match why {
            Departure::Left | Departure::Stalled => why,
            why if writer.is_cut() => why,
            why => self.end(&why, writer).await.map_or_else(Departure::from, |()| why),
        }
    }

    /// Passes on the head and the body until the response ends. The error says why it ended.
    async fn pass(&mut self, cors: Option<&CorsAnswer>, writer: &mut Writer<'_>) -> Result<Infallible, Departure> {
        let has_heartbeats = self.deadlines.is_some() && self.client().heartbeat.is_some();
        let head = own_head(&self.response.headers, has_heartbeats, cors);
        writer.begin(self.response.status, head, self.client().stall, self.events.is_some()).await?;
        if has_heartbeats {
            self.insert(greeting(self.client(), None), writer).await?;
        }
        loop {
            let mut bytes = self.next(writer).await?;
            if self.response.status.is_client_error() {
                self.beginning.get_or_insert_with(|| bytes.clone());
            }
            if let Some(events) = &mut self.events {
                let before = events.events();
                self.counters.bytes_in.add(bytes.len() as u64);
                bytes = events.pass(bytes);
                let came = events.events().saturating_sub(before);
                if came > 0 {
                    self.counters.events_in.add(came);
                    self.counters.last_event.set(Instant::now());
                }
                self.present().inspect(|present| present.came(came, bytes.len()));
            }
            let sent = writer.sent();
            tokio::select! {
                biased;
                written = Watched::beside(&mut self.watched, sent, writer.text(bytes)) => written?,
                never = self.response.soak() => match never {},
            }
            if let Some(events) = &self.events {
                writer.count_events(events.events());
            }
            self.present().inspect(|present| present.went_on(NO_LOG, writer.sent()));
            if let Some(deadlines) = &mut self.deadlines {
                deadlines.sent();
            }
        }
    }

    /// The next bytes of the origin. The error says why there are none. Heartbeats are sent while this waits.
    async fn next(&mut self, writer: &mut Writer<'_>) -> Result<Bytes, Departure> {
        let Self { response, served, news, idle_timeout, events, deadlines, watched, expires, .. } = self;
        // Without deadlines the length of the body was stated, so its end must look like a cut.
        let cut_at = expires.filter(|_| deadlines.is_none());
        if let Some(end) = deadlines.as_mut().and_then(Deadlines::end_due) {
            return Err(end);
        }
        // The read is kept while heartbeats are sent, because a read must not be dropped half-way.
        let mut read = pin!(timeout(*idle_timeout, response.read()));
        loop {
            let sent = writer.sent();
            tokio::select! {
                read = &mut read => return come(read, *idle_timeout),
                departure = Watched::report(watched, sent) => return Err(departure),
                () = at(cut_at) => return Err(Departure::Expired),
                broken = writer.left() => return Err(broken.into()),
                newer = news.next(served) => match newer {
                    Newer::Terms(newest) => {
                        *served = newest;
                        let caller = Watched::present(watched).map(|present| &present.caller);
                        if caller.is_some_and(|caller| !served.permits(caller)) {
                            return Err(Departure::Revoked);
                        }
                        if let Some(deadlines) = deadlines {
                            deadlines.renew(served.pace().clone(), served.policy.client.max_lifetime);
                        }
                        writer.renew(served.pace());
                    }
                    Newer::Over(by) => deadlines.iter_mut().for_each(|deadlines| deadlines.drain(by)),
                    Newer::None => {}
                },
                due = next_due(deadlines) => {
                    due?;
                    if events.as_mut().is_some_and(Passthrough::insert) {
                        writer.heartbeat().await?;
                        Watched::present(watched).inspect(|present| present.went_on(NO_LOG, writer.sent()));
                    }
                    if let Some(deadlines) = deadlines {
                        deadlines.sent_heartbeat();
                    }
                }
            }
        }
    }

    /// Passes on the bytes that were held back, and sends the last lines that manifold adds.
    async fn end(&mut self, why: &Departure, writer: &mut Writer<'_>) -> Result<(), Broken> {
        if let Some(events) = &mut self.events {
            writer.text(events.finish()).await?;
        }
        if self.deadlines.is_some() {
            let is_within = self.events.as_ref().is_some_and(|events| !events.is_between_events());
            let why = match why {
                // An event of manifold would become a part of the origin's, which is not whole yet.
                Departure::Expired | Departure::Revoked if is_within => &Departure::Lifetime,
                why => why,
            };
            self.insert(last_words(self.client(), why, None), writer).await?;
        }
        if let Some(events) = &self.events {
            writer.count_events(events.events());
        }
        Ok(())
    }

    /// Puts lines of manifold into the stream. It does so only between two lines of the stream, where they change no
    /// event.
    async fn insert(&mut self, lines: Vec<u8>, writer: &mut Writer<'_>) -> Result<(), Broken> {
        if !lines.is_empty() && self.events.as_mut().is_some_and(Passthrough::insert) {
            writer.text(lines.into()).await?;
        }
        Ok(())
    }
}

/// Resolves when a heartbeat or the end of the response is due, and never without deadlines.
async fn next_due(deadlines: &mut Option<Deadlines>) -> Result<(), Departure> {
    match deadlines {
        Some(deadlines) => deadlines.next().await,
        None => std::future::pending().await,
    }
}

/// The result of a read of the origin's response.
fn come(read: Result<io::Result<Option<Bytes>>, Elapsed>, idle_timeout: Duration) -> Result<Bytes, Departure> {
    let failed = |failure| Err(Departure::Ended(End::Failed(failure)));
    match read {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => Err(Departure::Ended(End::OriginClosed)),
        Ok(Err(error)) => failed(Failure::Lost(error.to_string())),
        Err(_) => failed(Failure::Silent(idle_timeout)),
    }
}

/// Counts a client of a private stream while the client is there.
struct Counted<'a>(&'a StreamRoute);

impl<'a> Counted<'a> {
    fn new(served: &'a StreamRoute) -> Self {
        served.counters.subscribers.add(1);
        served.counters.subscribers_total.add(1);
        served.counters.opens.add(1);
        served.counters.streams.add(1);
        served.counters.upstreams.add_one(UpstreamPhase::Live);
        Self(served)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.counters.subscribers.sub_one();
        self.0.counters.streams.sub_one();
        self.0.counters.upstreams.sub_one(UpstreamPhase::Live);
    }
}
