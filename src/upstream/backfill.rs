//! One request for what a client missed before the log began.

use super::connect::{Connector, Request};
use super::exchange::{Audience, Outcome, attempt};
use super::reading::Chunks;
use super::settings::DriverSettings;
use crate::hub::{Backfilling, End, Sharing, StreamRequest};
use crate::sse::{Decoder, Event, Item};
use http::{HeaderName, HeaderValue, StatusCode};
use std::time::Duration;
use tokio::time::timeout;

/// How long a backfill may take: clients wait for it no longer than three seconds.
const WHOLE_TIME: Duration = Duration::from_secs(4);

/// After this long without an event, everything that the origin has after the id is here.
const SILENCE: Duration = Duration::from_secs(1);

/// Asks the origin for what follows an id, and settles where its clients stand.
pub async fn backfill(settings: DriverSettings, connector: Connector, request: StreamRequest, to: Backfilling) {
    log::debug!("backfill begun route={} stream={}", settings.route, request.key());
    // What is dropped unsettled is gone.
    if timeout(WHOLE_TIME, fetch(&settings, &connector, &request, to)).await.is_err() {
        log::debug!("backfill took too long route={} stream={}", settings.route, request.key());
    }
}

async fn fetch(settings: &DriverSettings, connector: &Connector, request: &StreamRequest, mut to: Backfilling) {
    to.counters().upstream_attempts.add(1);
    let Ok(id) = HeaderValue::from_maybe_shared(to.id().clone()) else { return };
    let id = [(HeaderName::from_static("last-event-id"), id)];
    let headers = request.headers().iter().cloned().chain(id).collect();
    let asked = Request { path_and_query: request.path_and_query().to_string(), headers };
    let response = match attempt(connector, &settings.origin, &settings.options, Audience::Shared, asked).await {
        Outcome::Stream(response) => response,
        // It was said to this id alone.
        Outcome::Final(End::NoContent) => return to.refused(End::NoContent),
        Outcome::Final(End::Refused(answer))
            if matches!(answer.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) =>
        {
            return to.refused(End::Refused(answer));
        }
        Outcome::Final(_) | Outcome::Failed(_) => return,
    };
    let sharing = (settings.sharing)(&response.headers, request.has_credentials());
    if sharing != Ok(Sharing::Shared) {
        return;
    }
    let mut decoder = Decoder::resuming(settings.options.max_event_bytes, to.id().clone());
    let mut chunks = Chunks::new(response);
    loop {
        match timeout(SILENCE, chunks.read()).await {
            Ok(Ok(Some(bytes))) => {
                decoder.push(bytes);
                // An event that is too large is missing: its clients are told a gap.
                let Some(events) = events(&mut decoder, settings.pass_retry) else { return };
                if to.push(&events) {
                    return;
                }
            }
            Ok(Ok(None)) => {
                to.silent();
                return;
            }
            Ok(Err(_)) => return,
            Err(_) => {
                if to.silent() {
                    return;
                }
            }
        }
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
