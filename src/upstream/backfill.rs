//! Backfills: requests to the origin for events that a client missed and that the stream's log does not hold.

use super::connect::{Connector, Request, Response, WhenFull};
use super::exchange::{Outcome, attempt};
use super::settings::DriverSettings;
use crate::hub::{Backfilling, End, Failure, Sharing, StreamRequest};
use crate::replay::{VIA as GATEWAY, trimmed};
use crate::sse::{Decoder, Event, Item};
use bytes::Bytes;
use http::header::VIA;
use http::{HeaderMap, HeaderValue, StatusCode};
use std::pin::pin;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The longest time of a backfill. A client waits for it no longer than three seconds.
const WHOLE_TIME: Duration = Duration::from_secs(4);

/// How often to look while the origin is silent. Silence may mean that no more events come, or that other ids should
/// have their turn.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a request may go without a response head while other ids wait. Then the turn goes to one of those ids.
const TURN_WITHOUT_HEAD: Duration = Duration::from_millis(500);

/// The pause before an origin whose response broke off is asked again. It doubles each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The result of one response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// The id is settled, or cannot be settled by asking again.
    ToAnEnd,
    /// The response ended in order.
    Whole,
    /// The request settled nothing, so the origin is asked again. The response broke off, the origin could not answer,
    /// or the id is to be asked for in another form.
    ToNothing,
}

/// Asks the origin for the events that follow an id, and settles where the id's clients go on in the log.
pub async fn backfill(settings: DriverSettings, connector: Connector, request: StreamRequest, mut to: Backfilling) {
    log::debug!("backfill begun route={} stream={}", settings.route, request.key());
    let connector = connector.when_full(WhenFull::Fail);
    let unwanted = to.unwanted();
    // If `to` is dropped before the id is settled, the id counts as unknown.
    tokio::select! {
        fetched = timeout(WHOLE_TIME, fetch_all(&settings, &connector, &request, &mut to)) => {
            if fetched.is_err() {
                log::debug!("backfill took too long route={} stream={}", settings.route, request.key());
            }
        }
        () = unwanted => log::debug!("backfill given up: no client waits route={} stream={}", settings.route, request.key()),
    }
}

/// Makes as many requests as are needed. Each request resumes after the last event that came.
async fn fetch_all(settings: &DriverSettings, connector: &Connector, request: &StreamRequest, to: &mut Backfilling) {
    let mut pause = FIRST_PAUSE;
    loop {
        let came = fetch(settings, connector, request, to).await;
        if came == Came::ToAnEnd || (came == Came::Whole && to.ended()) {
            return;
        }
        if to.has_moved() {
            pause = FIRST_PAUSE;
            if came == Came::Whole {
                continue;
            }
        }
        // The stream's driver asks for the shared response at the same time. When that response begins, the origin is
        // back, and the pause can end.
        if to.is_live() {
            sleep(pause).await;
        } else {
            let _back_or_not = timeout(pause, to.live()).await;
        }
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

async fn fetch(
    settings: &DriverSettings,
    connector: &Connector,
    request: &StreamRequest,
    to: &mut Backfilling,
) -> Came {
    let id = to.begin();
    let Ok(header) = HeaderValue::from_maybe_shared(id.clone()) else { return Came::ToAnEnd };
    // The stream's own connection comes first. A client that waits for events of the past is better told that they are
    // missing.
    if !connector.has_room(&settings.origin, &settings.options, usize::from(!to.is_live())) {
        return Came::ToAnEnd;
    }
    to.counters().upstream_attempts.add(1);
    let asked = Request::for_stream(request, Some(header));
    let mut attempt = pin!(attempt(connector, &settings.origin, &settings.options, asked));
    let outcome = loop {
        match timeout(TURN_WITHOUT_HEAD, &mut attempt).await {
            Ok(outcome) => break outcome,
            Err(_) if to.gives_way() => return Came::ToAnEnd,
            Err(_) => {}
        }
    };
    let response = match outcome {
        Outcome::Stream(response) => response,
        Outcome::Failed(failure) if may_heal(&failure) => return Came::ToNothing,
        // Earlier requests brought events, so the origin knew the id. It has no more events now.
        Outcome::Failed(_) | Outcome::Final(_) if !to.is_empty() => return Came::Whole,
        Outcome::Final(end) if is_to_the_id_alone(&end) => {
            to.refused(end);
            return Came::ToAnEnd;
        }
        Outcome::Failed(_) | Outcome::Final(_) => return Came::ToAnEnd,
    };
    let sharing = (settings.sharing)(&response.headers, request.has_credentials());
    if sharing != Ok(Sharing::Shared) {
        return Came::ToAnEnd;
    }
    if to.is_minted_elsewhere() && !is_gateway(&response.headers) {
        // The origin cannot know the id, because manifold made the id when the route had another origin.
        return if to.unwrap_id() { Came::ToNothing } else { Came::ToAnEnd };
    }
    read(settings, response, id, to).await
}

async fn read(settings: &DriverSettings, mut response: Box<Response>, id: Bytes, to: &mut Backfilling) -> Came {
    let mut decoder = Decoder::resuming(settings.options.max_event_bytes, id);
    loop {
        match timeout(LOOK_EVERY, response.read()).await {
            Ok(Ok(Some(bytes))) => {
                decoder.push(bytes);
                if take(&mut decoder, settings.pass_retry, to) {
                    return Came::ToAnEnd;
                }
            }
            Ok(Ok(None)) => return Came::Whole,
            Ok(Err(_)) => return Came::ToNothing,
            Err(_) => {
                if to.silent(LOOK_EVERY) || to.gives_way() {
                    return Came::ToAnEnd;
                }
            }
        }
    }
}

/// Takes the events that the decoder holds. Returns whether the id is settled.
fn take(decoder: &mut Decoder, pass_retry: bool, to: &mut Backfilling) -> bool {
    let mut events = Vec::new();
    while let Some(item) = decoder.next_item() {
        match item {
            Item::Event(event) => events.push(Event { retry: event.retry.filter(|_| pass_retry), ..event }),
            Item::Retry(_) => {}
            Item::Refused { id, .. } => {
                if to.push(&std::mem::take(&mut events)) {
                    return true;
                }
                to.lose(id.filter(|id| !trimmed(id).is_empty()));
            }
        }
    }
    to.push(&events)
}

/// Whether another manifold answered. It makes ids of its own, so it may know the id.
fn is_gateway(head: &HeaderMap) -> bool {
    let says = |value: &HeaderValue| value.to_str().is_ok_and(|via| via.split(',').any(|by| by.trim() == GATEWAY));
    head.get_all(VIA).iter().any(says)
}

/// Whether a failure says nothing about the id, because the origin is not there or a load balancer reports that.
fn may_heal(failure: &Failure) -> bool {
    match failure {
        Failure::Status(answer) => {
            let of_balancers = [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];
            of_balancers.contains(&answer.status)
        }
        Failure::NoStream(_) => false,
        Failure::Unreachable(_)
        | Failure::Full(_)
        | Failure::HeadTimeout
        | Failure::Ended
        | Failure::Dropped
        | Failure::Lost(_)
        | Failure::Silent(_) => true,
    }
}

/// Whether the clients with the id are given the origin's answer. If not, they are told a gap.
fn is_to_the_id_alone(end: &End) -> bool {
    match end {
        End::NoContent => true,
        End::Refused(answer) => matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN),
        _ => false,
    }
}
