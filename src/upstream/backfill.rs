//! One request for what a client missed before the log began.

use super::connect::{Connector, Request};
use super::exchange::{Audience, Outcome, attempt};
use super::reading::Chunks;
use super::settings::DriverSettings;
use crate::hub::{Backfilling, End, Failure, Sharing, StreamRequest};
use crate::sse::{Decoder, Event, Item};
use http::{HeaderValue, StatusCode};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long a backfill may take: clients wait for it no longer than three seconds.
const WHOLE_TIME: Duration = Duration::from_secs(4);

/// After this long without an event, everything that the origin has after the id is here; after twice as long if none came.
const SILENCE: Duration = Duration::from_secs(1);

/// Before an origin that died is asked again; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// What one response came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Came {
    /// The id is settled, or never will be.
    ToAnEnd,
    /// The origin died, or is being deployed: it says nothing of the id.
    ToNothing,
}

/// Asks the origin for what follows an id, and settles where its clients stand.
pub async fn backfill(settings: DriverSettings, connector: Connector, request: StreamRequest, mut to: Backfilling) {
    log::debug!("backfill begun route={} stream={}", settings.route, request.key());
    let unwanted = to.unwanted();
    let fetched = async {
        let mut pause = FIRST_PAUSE;
        while fetch(&settings, &connector, &request, &mut to).await == Came::ToNothing {
            // The shared response is tried again meanwhile: when it stands, the origin is back.
            if to.is_live() {
                sleep(FIRST_PAUSE).await;
            } else {
                let _back_or_not = timeout(pause, to.live()).await;
                pause = pause.saturating_mul(2);
            }
            to.begin_again();
        }
    };
    // What is dropped unsettled is gone.
    tokio::select! {
        fetched = timeout(WHOLE_TIME, fetched) => {
            if fetched.is_err() {
                log::debug!("backfill took too long route={} stream={}", settings.route, request.key());
            }
        }
        () = unwanted => log::debug!("nobody waits for a backfill route={} stream={}", settings.route, request.key()),
    }
}

async fn fetch(
    settings: &DriverSettings,
    connector: &Connector,
    request: &StreamRequest,
    to: &mut Backfilling,
) -> Came {
    to.counters().upstream_attempts.add(1);
    let Ok(id) = HeaderValue::from_maybe_shared(to.id().clone()) else { return Came::ToAnEnd };
    let asked = Request::for_stream(request, Some(id));
    let response = match attempt(connector, &settings.origin, &settings.options, Audience::Shared, asked).await {
        Outcome::Stream(response) => response,
        Outcome::Failed(failure) if may_heal(&failure) => return Came::ToNothing,
        Outcome::Final(end) => {
            if is_to_the_id_alone(&end) {
                to.refused(end);
            }
            return Came::ToAnEnd;
        }
        Outcome::Failed(_) => return Came::ToAnEnd,
    };
    let sharing = (settings.sharing)(&response.headers, request.has_credentials());
    if sharing != Ok(Sharing::Shared) {
        return Came::ToAnEnd;
    }
    let mut decoder = Decoder::resuming(settings.options.max_event_bytes, to.id().clone());
    let mut chunks = Chunks::new(response);
    loop {
        match timeout(SILENCE, chunks.read()).await {
            Ok(Ok(Some(bytes))) => {
                decoder.push(bytes);
                // An event that is too large is missing: its clients are told a gap.
                let Some(events) = events(&mut decoder, settings.pass_retry) else { return Came::ToAnEnd };
                if to.push(&events) {
                    return Came::ToAnEnd;
                }
            }
            Ok(Ok(None)) => {
                // To ask again may cost: what ended in order is whole.
                to.ended();
                return Came::ToAnEnd;
            }
            Ok(Err(_)) => return Came::ToNothing,
            Err(_) => {
                if to.silent() {
                    return Came::ToAnEnd;
                }
            }
        }
    }
}

/// Whether a failure says nothing of the id: the origin is not there, or a balancer before it says so.
fn may_heal(failure: &Failure) -> bool {
    match failure {
        Failure::Status(answer) => {
            let of_balancers = [StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT];
            of_balancers.contains(&answer.status)
        }
        Failure::NoStream(_) => false,
        Failure::Unreachable(_) | Failure::HeadTimeout | Failure::Ended | Failure::Lost(_) | Failure::Silent(_) => true,
    }
}

/// Whether those who came with the id get the origin's answer; otherwise they are told a gap.
fn is_to_the_id_alone(end: &End) -> bool {
    match end {
        End::NoContent => true,
        End::Refused(answer) => matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN),
        _ => false,
    }
}

/// The events that were pushed; `None` if one was refused.
fn events(decoder: &mut Decoder, pass_retry: bool) -> Option<Vec<Event>> {
    let mut events = Vec::new();
    while let Some(item) = decoder.next_item() {
        match item {
            Item::Event(event) => events.push(Event { retry: event.retry.filter(|_| pass_retry), ..event }),
            Item::Retry(_) => {}
            Item::Refused { .. } => return None,
        }
    }
    Some(events)
}
