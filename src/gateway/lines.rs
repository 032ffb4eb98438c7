//! The lines of our own that a client is told between the events.

use crate::downstream::{ClientOptions, RetryPolicy, spread};
use crate::hub::{Departure, End};
use crate::sse::{HEARTBEAT, retry_line};
use std::time::Duration;

/// The reconnection time that a drain spreads where neither the route nor the origin named one: what browsers use.
const USUAL_RETRY: Duration = Duration::from_secs(3);

/// The first lines of a response: a comment, which flushes picky intermediaries, and the client's own reconnection time.
/// `origin_retry` is what the origin last asked for, in milliseconds. A shared response always begins with them, also where
/// heartbeats are off; a private one without heartbeats does not, because not one byte of it is manifold's.
pub(super) fn greeting(options: &ClientOptions, origin_retry: Option<u64>) -> Vec<u8> {
    let mut lines = HEARTBEAT.to_vec();
    match (options.retry, origin_retry) {
        (RetryPolicy::Fixed(retry), _) => lines.extend_from_slice(&jittered(retry, options)),
        (RetryPolicy::Origin, Some(retry)) => lines.extend_from_slice(&retry_line(retry)),
        (RetryPolicy::Origin, None) => {}
    }
    lines
}

/// The last lines before an orderly end: in a drain, a reconnection time that spreads the clients; at the origin's end, a
/// `retry:` of the origin's that no event carried.
pub(super) fn last_words(options: &ClientOptions, departure: &Departure, origin_retry: Option<u64>) -> Vec<u8> {
    match (departure, options.retry) {
        (Departure::Drained, RetryPolicy::Fixed(retry)) => jittered(retry, options),
        (Departure::Drained, RetryPolicy::Origin) => {
            jittered(origin_retry.map_or(USUAL_RETRY, Duration::from_millis), options)
        }
        (Departure::Ended(End::OriginClosed), RetryPolicy::Origin) => {
            origin_retry.map(|retry| retry_line(retry).to_vec()).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

fn jittered(retry: Duration, options: &ClientOptions) -> Vec<u8> {
    let spread = spread(retry, options.retry_jitter, fastrand::f64());
    retry_line(u64::try_from(spread.as_millis()).unwrap_or(u64::MAX)).to_vec()
}
