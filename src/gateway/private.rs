//! A client with an upstream of its own: what the origin sends passes unchanged.

use super::Gateway;
use super::deadlines::{Deadlines, Due};
use super::lines::{greeting, last_words};
use super::plan::Ask;
use super::refusal::{Refusal, Why};
use super::served::{StreamRoute, name_places};
use super::writer::{Broken, Writer};
use crate::downstream::{CorsAnswer, refusal_head, stream_head};
use crate::fanout::{Farewell, Terms};
use crate::hub::{Departure, End, Failure, Mode};
use crate::quoted;
use crate::route::StreamPolicy;
use crate::sse::Passthrough;
use crate::upstream::{self, Audience, Request, Response, attempt, unusable};
use bytes::Bytes;
use http::header::ORIGIN;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::io;
use std::pin::pin;
use std::time::Duration;
use tokio::time::error::Elapsed;
use tokio::time::timeout;

impl Gateway {
    /// Serves one client from one upstream until either ends.
    pub(super) async fn serve_private(
        &self,
        ask: &Ask,
        request_headers: &HeaderMap,
        writer: &mut Writer<'_>,
    ) -> Result<Departure, Refusal> {
        let Ask { served, request, cors, .. } = ask;
        let policy = &served.policy;
        ask.tell_unreadable();
        let mut headers = request.headers().to_vec();
        if let Some(id) = ask.last_event_id.clone()
            && let Ok(id) = HeaderValue::from_maybe_shared(id)
        {
            headers.push((HeaderName::from_static("last-event-id"), id));
        }
        served.counters.upstream_attempts.add(1);
        let audience = Audience::Private { cross_origin: request_headers.contains_key(ORIGIN) };
        let upstream = Request { path_and_query: request.path_and_query().to_string(), headers };
        let outcome = tokio::select! {
            outcome = attempt(&self.connector, &served.route.origin, &served.private, audience, upstream) => outcome,
            broken = writer.left() => return Ok(broken.into()),
        };
        let (route, path_and_query) = (&served.route, request.path_and_query());
        upstream::first_answer(&self.connector, &route.name, &route.origin, path_and_query, &outcome);
        let response =
            self.judged(served, outcome).map_err(|end| Refusal::on(served, cors.clone(), Why::Ended(end)))?;
        let _present = Present::new(served);
        let why = match unusable(&response.headers) {
            None => self.pass(policy, cors.as_ref(), writer, response).await,
            Some(_) => pass_on(policy, cors.as_ref(), writer, response).await,
        };
        let (stream, sent) = (request.key(), writer.sent());
        served.departed(&Farewell { stream, client: ask.address, sent, departure: &why, lag: 0 });
        Ok(why)
    }

    /// The response, or the answer that there is instead. Both count in the origin's outages.
    fn judged(&self, served: &StreamRoute, outcome: upstream::Outcome) -> Result<Box<Response>, End> {
        let (route, outages) = (&served.route, self.connector.outages());
        match outcome {
            upstream::Outcome::Stream(mut response) => {
                outages.up(&route.origin);
                name_places(route, &mut response.headers);
                Ok(response)
            }
            upstream::Outcome::Final(end) => {
                outages.up(&route.origin);
                if let End::Unusable(why) = &end {
                    log::warn!("stream refused route={} why={}", route.name, quoted::reason(why));
                }
                Err(end)
            }
            upstream::Outcome::Failed(failure) => {
                served.counters.upstream_failures.add(1);
                outages.failed(&route.origin, &failure.to_string());
                log::debug!("upstream failed route={} why={}", route.name, quoted::reason(&failure));
                Err(End::Failed(failure))
            }
        }
    }

    async fn pass(
        &self,
        policy: &StreamPolicy,
        cors: Option<&CorsAnswer>,
        writer: &mut Writer<'_>,
        response: Box<Response>,
    ) -> Departure {
        let head = stream_head(Some(&response.headers), Mode::Private, true, cors);
        let mut relay = Relay {
            response,
            passthrough: Passthrough::new(),
            deadlines: Deadlines::new(&policy.client, self.lifecycle.clone()),
            idle_timeout: policy.upstream.idle_timeout.unwrap_or(Duration::MAX),
        };
        let passed = async {
            writer.head(head, policy.client.stall).await?;
            if policy.client.heartbeat.is_some() && relay.passthrough.insert() {
                writer.text(greeting(&policy.client, None).into()).await?;
            }
            let why = relay.run(writer).await?;
            let words = last_words(&policy.client, &why, None);
            if !words.is_empty() && relay.passthrough.insert() {
                writer.text(words.into()).await?;
            }
            Ok(why)
        };
        let passed: Result<Departure, Broken> = passed.await;
        writer.count_events(relay.passthrough.events());
        passed.unwrap_or_else(Departure::from)
    }
}

/// Passes a 200 on that is no event stream: the client asked, and this is its answer.
async fn pass_on(
    policy: &StreamPolicy,
    cors: Option<&CorsAnswer>,
    writer: &mut Writer<'_>,
    mut response: Box<Response>,
) -> Departure {
    let head = refusal_head(&response.headers, Mode::Private, cors);
    if let Err(broken) = writer.head(head, policy.client.stall).await {
        return broken.into();
    }
    let idle_timeout = policy.upstream.idle_timeout.unwrap_or(Duration::MAX);
    loop {
        let read = tokio::select! {
            read = timeout(idle_timeout, response.read()) => read,
            broken = writer.left() => return broken.into(),
        };
        match come(read, idle_timeout) {
            Ok(bytes) => {
                if let Err(broken) = writer.text(bytes).await {
                    return broken.into();
                }
            }
            Err(why) => return why,
        }
    }
}

/// What a read of the origin's response came to.
fn come(read: Result<io::Result<Option<Bytes>>, Elapsed>, idle_timeout: Duration) -> Result<Bytes, Departure> {
    let failed = |failure| Err(Departure::Ended(End::Failed(failure)));
    match read {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => Err(Departure::Ended(End::OriginClosed)),
        Ok(Err(error)) => failed(Failure::Lost(error.to_string())),
        Err(_) => failed(Failure::Silent(idle_timeout)),
    }
}

/// One response on its way through.
struct Relay {
    response: Box<Response>,
    passthrough: Passthrough,
    deadlines: Deadlines,
    idle_timeout: Duration,
}

impl Relay {
    async fn run(&mut self, writer: &mut Writer<'_>) -> Result<Departure, Broken> {
        loop {
            match self.deadlines.end_due() {
                Some(Due::Drain) => return Ok(Departure::Drained),
                Some(Due::Lifetime) => return Ok(Departure::Lifetime),
                Some(Due::Heartbeat) | None => {}
            }
            match self.next(writer).await? {
                Ok(bytes) => {
                    writer.text(self.passthrough.pass(bytes)).await?;
                    writer.count_events(self.passthrough.events());
                    self.deadlines.heard();
                }
                Err(why) => {
                    writer.text(self.passthrough.finish()).await?;
                    return Ok(why);
                }
            }
        }
    }

    /// The origin's next bytes, or why there are none; heartbeats go out meanwhile.
    async fn next(&mut self, writer: &mut Writer<'_>) -> Result<Result<Bytes, Departure>, Broken> {
        // A read is not safe to drop half-way: it is kept over heartbeats.
        let mut read = pin!(timeout(self.idle_timeout, self.response.read()));
        loop {
            tokio::select! {
                read = &mut read => return Ok(come(read, self.idle_timeout)),
                broken = writer.left() => return Ok(Err(broken.into())),
                due = self.deadlines.next() => match due {
                    Due::Heartbeat => {
                        if self.passthrough.insert() {
                            writer.heartbeat().await?;
                        }
                        self.deadlines.heard();
                    }
                    Due::Lifetime => return Ok(Err(Departure::Lifetime)),
                    Due::Drain => return Ok(Err(Departure::Drained)),
                },
            }
        }
    }
}

/// A client on a private stream, in the counters.
struct Present<'a>(&'a StreamRoute);

impl<'a> Present<'a> {
    fn new(served: &'a StreamRoute) -> Self {
        served.counters.subscribers.add(1);
        served.counters.subscribers_total.add(1);
        served.counters.streams.add(1);
        Self(served)
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.0.counters.subscribers.sub_one();
        self.0.counters.streams.sub_one();
    }
}
