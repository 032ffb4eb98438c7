//! The lines that manifold itself adds to the body of a stream.

use crate::downstream::{ClientOptions, RetryPolicy, spread};
use crate::hub::{Departure, End};
use crate::millis::millis;
use crate::sse::{Event, Frame, HEARTBEAT, retry_line};
use std::time::Duration;

/// The type of the event that tells a client that it may not listen any more.
const EXPIRED: &str = "expired";

/// The reconnection time if neither the route nor the origin sets one. Browsers use this value by default.
const USUAL_RETRY: Duration = Duration::from_secs(3);

/// The first lines of a response: a comment, which makes buffering intermediaries forward the head, and the client's
/// reconnection time. `origin_retry`: the origin's newest reconnection time, in milliseconds. A shared response
/// always begins with these lines, even if heartbeats are off. A private response without heartbeats does not,
/// because manifold adds nothing to it.
pub(super) fn greeting(options: &ClientOptions, origin_retry: Option<u64>) -> Vec<u8> {
    let mut lines = HEARTBEAT.to_vec();
    match (options.retry, origin_retry) {
        (RetryPolicy::Fixed(retry), _) => lines.extend_from_slice(&jittered(retry, options)),
        (RetryPolicy::Origin, Some(retry)) => lines.extend_from_slice(&retry_line(retry)),
        (RetryPolicy::Origin, None) => {}
    }
    lines
}

/// The last lines before an orderly end. In a drain or at the end of a lifetime, they set a random reconnection time,
/// so that the clients do not all come back at once. If the origin ended the stream, they hold the origin's
/// reconnection time, which may have come without an event. A client that may not listen any more is also told that, by an
/// event.
pub(super) fn last_words(options: &ClientOptions, departure: &Departure, origin_retry: Option<u64>) -> Vec<u8> {
    let comes_again = || match options.retry {
        RetryPolicy::Fixed(retry) => jittered(retry, options),
        RetryPolicy::Origin => jittered(origin_retry.map_or(USUAL_RETRY, Duration::from_millis), options),
    };
    match (departure, options.retry) {
        (Departure::Drained | Departure::Lifetime | Departure::Ended(End::Dismissed), _) => comes_again(),
        (Departure::Expired | Departure::Revoked, _) => [comes_again(), expired(departure)].concat(),
        (Departure::Ended(End::OriginClosed), RetryPolicy::Origin) => {
            origin_retry.map(|retry| retry_line(retry).to_vec()).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

/// The event that tells a client that it may not listen any more.
fn expired(departure: &Departure) -> Vec<u8> {
    let event = Event::of_type(EXPIRED.to_owned(), format!(r#"{{"reason":"{departure}"}}"#));
    Frame::encode(None, &event).text().to_vec()
}

/// The whole body for a client that comes during a drain.
pub(super) fn come_again(options: &ClientOptions) -> Vec<u8> {
    [HEARTBEAT, &last_words(options, &Departure::Drained, None)].concat()
}

fn jittered(retry: Duration, options: &ClientOptions) -> Vec<u8> {
    let spread = spread(retry, options.retry_jitter, fastrand::f64());
    retry_line(millis(spread)).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_asked_back_is_told_when() {
        let of = |retry| ClientOptions { retry, retry_jitter: 0.0, ..ClientOptions::default() };
        let origin = of(RetryPolicy::Origin);
        let fixed = of(RetryPolicy::Fixed(Duration::from_secs(7)));
        let closed = Departure::Ended(End::OriginClosed);
        for (departure, options, origin_retry, words) in [
            (&Departure::Drained, &fixed, Some(5), "retry: 7000\n"),
            (&Departure::Lifetime, &fixed, Some(5), "retry: 7000\n"),
            (&Departure::Expired, &fixed, Some(5), "retry: 7000\nevent: expired\ndata: {\"reason\":\"expired\"}\n\n"),
            (&Departure::Revoked, &origin, None, "retry: 3000\nevent: expired\ndata: {\"reason\":\"revoked\"}\n\n"),
            (&Departure::Drained, &origin, Some(5), "retry: 5\n"),
            (&Departure::Lifetime, &origin, Some(5), "retry: 5\n"),
            (&Departure::Drained, &origin, None, "retry: 3000\n"),
            (&Departure::Lifetime, &origin, None, "retry: 3000\n"),
            (&closed, &fixed, Some(5), ""),
            (&closed, &origin, Some(5), "retry: 5\n"),
            (&closed, &origin, None, ""),
            (&Departure::Ended(End::NoContent), &origin, Some(5), ""),
        ] {
            let said = String::from_utf8(last_words(options, departure, origin_retry)).unwrap();
            assert_eq!(said, words, "{departure:?} {origin_retry:?}");
        }
    }
}
