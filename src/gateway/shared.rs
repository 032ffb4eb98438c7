//! Clients of shared streams: how a client joins its stream, and how a session serves it.

use super::deadlines::{Deadlines, at};
use super::handover::{HandOver, Leaving};
use super::lasting::{Newer, News};
use super::lines::{greeting, last_words};
use super::plan::Ask;
use super::presence::{On, Present};
use super::reader::{PIECE_BYTES, Reader};
use super::refusal::{Refusal, Why};
use super::reports::Reports;
use super::served::StreamRoute;
use super::writer::{Broken, Writer};
use super::{Gateway, carried, wire};
use crate::access;
use crate::descriptors::Promise;
use crate::downstream::{SharingVerdict, lifetime, sharing_verdict, stream_head, unshareable_head};
use crate::fanout::{self, Engine, Farewell, Framing, Home, Joining, Pass, Sent, Terms, Then};
use crate::hub::{Departure, End, JoinError, Mode, ShareOptions, Subscription, Verdict};
use crate::upstream::OnError;
use http::{HeaderMap, Version};
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a client waits for the origin's response head or first failure, and for the origin's answer about the
/// client's `Last-Event-ID`. After that the client is sent a 200, because many origins send no head before the first
/// event.
const VERDICT_PATIENCE: Duration = Duration::from_secs(3);

/// A client that has joined its stream, and the head of its response.
#[derive(Debug)]
pub(super) struct Joined {
    subscription: Subscription,
    head: HeaderMap,
    /// When the request came.
    asked: std::time::Instant,
}

/// Why a client did not join a stream.
#[derive(Debug)]
pub(super) enum NotJoined {
    /// The client is to be sent this refusal.
    Refused(Refusal),
    /// The client left.
    Broken(Broken),
}

impl Gateway {
    /// Joins a client to its stream, and waits until the head of its response is known. `promise`: that of a place for
    /// the stream, if the client opens it. `left` resolves when the client leaves.
    pub(super) async fn join(
        &self,
        ask: &Ask,
        promise: Option<Promise>,
        left: impl Future<Output = Broken>,
    ) -> Result<Joined, NotJoined> {
        let (served, id, asked) = (&ask.served, ask.last_event_id.as_ref(), now());
        let has_credentials = ask.request.has_credentials();
        let is_secret = has_credentials || ask.caller.grant().is_some();
        let policy = &served.policy;
        self.use_ticket(ask).map_err(NotJoined::Refused)?;
        let unused = Unused { gateway: self, ask: Some(ask) };
        served.warn_unless_shared();
        let refused = |why| NotJoined::Refused(ask.refused(why));
        let is_anothers = |end: &End| is_anothers(end, &policy.share, has_credentials);
        let join_alone = || self.hub.join_alone(ask.request.clone(), &served.settings, id);
        let joined = match self.hub.join(ask.request.clone(), &served.settings, id) {
            Err(JoinError::Ended(end)) if is_anothers(&end) => join_alone(),
            joined => joined,
        };
        // A stream that this client opened has its place by now.
        drop(promise);
        let mut subscription = joined.map_err(|error| refused(Why::Join(error)))?;
        let patience = match policy.upstream.on_error {
            OnError::Hold => Some(VERDICT_PATIENCE),
            // The attempt itself ends after `head_timeout_secs`.
            OnError::Reflect => None,
        };
        let deadline = Instant::now() + VERDICT_PATIENCE;
        let mut left = pin!(left);
        let verdict = loop {
            // A client whose answer is known need not be looked at.
            let verdict = tokio::select! {
                biased;
                verdict = subscription.arrival(patience, deadline) => verdict,
                broken = &mut left => return Err(NotJoined::Broken(broken)),
            };
            let goes_alone = match &verdict {
                // The response is private to another client, so this client needs a request of its own.
                Verdict::Ended(end) => !subscription.is_opener() && is_anothers(end),
                // The client opened the stream, and the response turned out to be private to this client. The shared
                // request did not carry the client's `Last-Event-ID`. A request for this client alone can carry it.
                Verdict::Own(_) => subscription.is_without_its_id(),
                Verdict::Live(_) | Verdict::Held => false,
            };
            if !goes_alone {
                break verdict;
            }
            tell_alone(ask);
            drop(subscription);
            subscription = join_alone().map_err(|error| refused(Why::Join(error)))?;
        };
        ask.tell_unreadable(match &verdict {
            Verdict::Live(head) | Verdict::Own(head) => Some(head),
            Verdict::Held | Verdict::Ended(_) => None,
        });
        let cors = ask.cors.as_ref();
        let head = match verdict {
            Verdict::Live(head) => stream_head(Some(&head), Mode::Shared, is_secret, cors),
            Verdict::Own(head) => unshareable_head(&head, cors),
            Verdict::Held => stream_head(None, Mode::Shared, is_secret, cors),
            Verdict::Ended(end) => return Err(refused(Why::Ended(end))),
        };
        unused.joined(&subscription);
        tell_joined(ask, &subscription);
        if access::keeps_callers() || ask.caller.grant().is_some() {
            subscription.is_of(ask.caller.clone());
        }
        Ok(Joined { subscription, head, asked })
    }

    /// Prepares the hand-over of a client to the engine. `is_kept`: the connection serves another request after an
    /// orderly end.
    pub(super) fn leave(
        &self,
        engine: &Engine,
        ask: &Ask,
        joined: Joined,
        version: Version,
        is_kept: bool,
    ) -> pingora::Result<HandOver> {
        let Joined { subscription, head, asked } = joined;
        let options = &ask.served.policy.client;
        let greeting = greeting(options, subscription.origin_retry());
        let framing = wire::framing(version);
        // In HTTP/1.0 the end of the connection is the end of the stream.
        let is_kept = is_kept && framing == Framing::Chunked;
        let client = Leaving {
            engine: engine.clone(),
            delivery: fanout::Delivery {
                subscription,
                framing,
                opening: wire::opening(&head, &greeting, framing, is_kept)?,
                opening_text: greeting.len() as u64,
                is_kept,
                asked,
                lifetime: options.max_lifetime.map(|max| lifetime(max, fastrand::f64())),
                terms: Arc::clone(&ask.served) as _,
                past: None,
            },
            seat: ask.seat.clone(),
        };
        Ok(HandOver::new(Arc::clone(&ask.served), client))
    }

    /// Prepares the hand-over of a client on a stream of HTTP/2. `home` lives as long as the stream.
    pub(super) fn joining(ask: &Ask, joined: Joined, home: Box<dyn Home>) -> pingora::Result<Joining> {
        let Joined { subscription, head, asked } = joined;
        let options = &ask.served.policy.client;
        let greeting = greeting(options, subscription.origin_retry());
        let delivery = fanout::Delivery {
            subscription,
            framing: Framing::Data,
            opening_text: greeting.len() as u64,
            opening: greeting.into(),
            is_kept: false,
            asked,
            lifetime: options.max_lifetime.map(|max| lifetime(max, fastrand::f64())),
            terms: Arc::clone(&ask.served) as _,
            past: None,
        };
        Ok(Joining { delivery, head: carried::stream_head(&head)?, home })
    }

    /// Serves a client in its session, until the client leaves or its stream ends.
    pub(super) async fn serve_shared(&self, ask: &Ask, joined: Joined, writer: &mut Writer<'_>) -> Departure {
        let (mut served, Joined { mut subscription, head, asked }) = (Arc::clone(&ask.served), joined);
        served.counters.opens.add(1);
        writer.answers(asked);
        served.came_to(subscription.key(), &ask.caller);
        let on = On::Shared(subscription.number_of_stream());
        let present = Present::new(on, ask.caller.clone(), writer.version(), asked, subscription.cursor());
        let listing = self.presence.admit(present, &served);
        writer.shows(&listing.present);
        writer.reads(Reader::new(subscription.arrivals(), served.pace().clone()));
        let why = self.deliver(&mut served, writer, &mut subscription, head, &listing.present).await;
        drop(listing);
        let (stream, lag, course) = (subscription.key().clone(), subscription.lag(), subscription.course());
        let place = (subscription.epoch(), subscription.cursor());
        drop(subscription);
        let (sent, stayed) = (writer.sent(), asked.elapsed());
        let (departure, caller, stream) = (&why, &ask.caller, &stream);
        served.departed(&Farewell { stream, caller, course, sent, stayed, departure, lag, place: Some(place) });
        why
    }

    async fn deliver(
        &self,
        served: &mut Arc<StreamRoute>,
        writer: &mut Writer<'_>,
        subscription: &mut Subscription,
        head: HeaderMap,
        present: &Present,
    ) -> Departure {
        let client = &served.policy.client;
        // Later changes of the reconnection time arrive with their events.
        let origin_retry = subscription.origin_retry();
        let begun = async {
            writer.head(head, client.stall).await?;
            writer.text(greeting(client, origin_retry).into()).await
        };
        if let Err(broken) = begun.await {
            return broken.into();
        }
        let left = present.caller.left();
        let deadlines = Deadlines::new(served.pace().clone(), client.max_lifetime, left, self.lifecycle.clone());
        let why = match follow(served, writer, subscription, deadlines, present).await {
            Ok(why) => why,
            Err(broken) => return broken.into(),
        };
        if !why.is_orderly() {
            return why;
        }
        let words = last_words(&served.policy.client, &why, subscription.origin_retry());
        writer.text(words.into()).await.map_or_else(Departure::from, |()| why)
    }
}

/// A ticket that was used, and is not as long as its client has no stream.
struct Unused<'a> {
    gateway: &'a Gateway,
    ask: Option<&'a Ask>,
}

impl Unused<'_> {
    /// The client has its stream.
    fn joined(mut self, subscription: &Subscription) {
        if let Some(ask) = self.ask.take() {
            self.gateway.ticket_is_in_use(ask, subscription);
        }
    }
}

impl Drop for Unused<'_> {
    fn drop(&mut self) {
        if let Some(ask) = self.ask.take() {
            self.gateway.ticket_is_unused(ask);
        }
    }
}

/// Sends frames and heartbeats until there is a reason to end the response. `served` becomes the instance of the route
/// that holds at the end.
async fn follow(
    served: &mut Arc<StreamRoute>,
    writer: &mut Writer<'_>,
    subscription: &mut Subscription,
    mut deadlines: Deadlines,
    present: &Present,
) -> Result<Departure, Broken> {
    let (mut news, mut frames) = (News::of(served), Vec::new());
    let mut reports = Reports::of(present.asked);
    // A session is never in the state of sending here, because it waits for each write.
    let mut pass = Pass::<Infallible>::Unread;
    loop {
        if let Some(end) = deadlines.end_due() {
            return Ok(end);
        }
        if let Pass::Unread = pass {
            match served.pace().then(subscription.read(PIECE_BYTES, &mut frames)) {
                Then::Sends => {
                    let (events, sent) = (frames.len(), writer.sent());
                    let tell = |stayed| stays(served, subscription, sent, stayed);
                    reports.beside(writer.frames(&mut frames), tell).await?;
                    writer.count_lag(subscription.appended(), events);
                    if writer.had_to_wait() {
                        subscription.was_slow();
                    }
                    present.went_on(subscription.cursor(), writer.sent());
                    deadlines.sent();
                }
                Then::Skips(gap) => subscription.skip(gap),
                Then::Departs(departure) => return Ok(departure),
                Then::Rests => pass.rest(),
            }
            continue;
        }
        tokio::select! {
            () = subscription.changed() => pass.changed(served.pace().hold_until(|| subscription.cannot_wait(), now())),
            () = at(pass.held_until().map(Instant::from_std)) => pass.let_go(now()),
            broken = writer.left() => return Ok(broken.into()),
            stayed = reports.next() => stays(served, subscription, writer.sent(), stayed),
            newer = news.next(served) => match newer {
                Newer::Terms(newest) => {
                    *served = newest;
                    if !served.permits(&present.caller) {
                        return Ok(Departure::Revoked);
                    }
                    deadlines.renew(served.pace().clone(), served.policy.client.max_lifetime);
                    writer.renew(served.pace());
                }
                Newer::Over(by) => deadlines.drain(by),
                Newer::None => {}
            },
            departure = present.dismissed() => return Ok(departure),
            due = deadlines.next() => match due {
                Ok(()) => {
                    let sent = writer.sent();
                    let tell = |stayed| stays(served, subscription, sent, stayed);
                    reports.beside(writer.heartbeat(), tell).await?;
                    present.went_on(subscription.cursor(), writer.sent());
                    deadlines.sent_heartbeat();
                }
                Err(end) => return Ok(end),
            },
        }
    }
}

/// Writes the line of a client that stays.
fn stays(served: &StreamRoute, of: &Subscription, sent: Sent, stayed: Duration) {
    served.stays_on(of.key(), of.caller(), of.course(), sent, stayed, of.lag());
}

/// Says why a client does not share a stream.
fn tell_alone(ask: &Ask) {
    let (route, stream) = (&ask.served.route.name, ask.request.key());
    log::debug!(
        "the response is for one client alone, so this client gets a stream of its own route={route} stream={stream}"
    );
}

/// Says which stream a client joins, and where it begins.
fn tell_joined(ask: &Ask, subscription: &Subscription) {
    let (route, stream, course) = (&ask.served.route.name, ask.request.key(), subscription.course());
    log::debug!(
        "client joins route={route} stream={stream} nth={} opened_it={} resumes={} replayed={} gaps={}",
        subscription.nth(),
        subscription.is_opener(),
        ask.last_event_id.is_some(),
        course.replayed,
        course.gaps
    );
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Whether a stream ended with an answer that is only for the client that opened it.
fn is_anothers(end: &End, share: &ShareOptions, has_credentials: bool) -> bool {
    match end {
        End::Unshareable => true,
        End::Refused(answer) => {
            matches!(sharing_verdict(&answer.headers, share, has_credentials), SharingVerdict::Unshareable(_))
        }
        _ => false,
    }
}
