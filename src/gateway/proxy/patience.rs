//! Limits how long an origin may be silent within one exchange.

use crate::upstream::Line;
use http::HeaderMap;
use http::header::ACCEPT;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};
use tokio::task::AbortHandle;

/// Watches the connection of one HTTP/1.1 exchange. Dropping this value ends the watch.
#[derive(Debug)]
pub(super) struct Patience {
    over: Arc<OnceLock<Over>>,
    task: AbortHandle,
}

/// What the origin did when the connection was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// It took all that it was sent, and sent nothing.
    SaidNothing,
    /// It did not take the rest of the request either.
    TookNothing,
}

/// What to do about a silent origin.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Look again after this time.
    LookAfter(Duration),
    /// Cut the connection.
    Over,
}

/// Decides whether the origin was silent for too long. `silent`: how long it has been silent. `has_unread`: it has sent
/// bytes that were not read yet. The origin is then not silent, but waits for the client.
fn judge(silent: Duration, has_unread: bool, limit: Duration) -> Verdict {
    match limit.checked_sub(silent) {
        Some(left) if !left.is_zero() => Verdict::LookAfter(left),
        _ if has_unread => Verdict::LookAfter(limit),
        _ => Verdict::Over,
    }
}

impl Patience {
    /// Cuts the connection when no byte has come for `limit`, counted from now on.
    pub(super) fn with(line: Arc<Line>, limit: Duration) -> Self {
        let over = Arc::new(OnceLock::new());
        let told = Arc::clone(&over);
        let begun = Instant::now();
        let watch = tokio::spawn(async move {
            // If the kernel does not tell how long the origin is silent, the loop ends and the connection is not cut.
            while let Ok(silent) = line.silent_for() {
                match judge(silent.min(begun.elapsed()), line.has_unread(), limit) {
                    Verdict::LookAfter(left) => tokio::time::sleep(left).await,
                    Verdict::Over => {
                        let over = if line.is_full() { Over::TookNothing } else { Over::SaidNothing };
                        told.get_or_init(|| over);
                        line.cut();
                        return;
                    }
                }
            }
        });
        Self { over, task: watch.abort_handle() }
    }

    /// Why the connection was cut. `None`: it was not cut.
    pub(super) fn over(&self) -> Option<Over> {
        self.over.get().copied()
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The read timeout of pingora for an exchange by HTTP/2. There [`Patience`] cannot be used, because it cuts the
/// connection, which other exchanges share. The timeout is set before the response comes, and cannot be lifted for an
/// event stream. So a request that accepts event streams gets no timeout.
pub(super) fn fixed_limit(request: &HeaderMap, is_h2: bool, limit: Option<Duration>) -> Option<Duration> {
    let asks_for_events = request.get_all(ACCEPT).iter().any(|accepted| {
        accepted.to_str().is_ok_and(|accepted| accepted.to_ascii_lowercase().contains("text/event-stream"))
    });
    limit.filter(|_| is_h2 && !asks_for_events)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn an_origin_is_given_up_when_it_was_silent_and_nobody_else_made_it_wait() {
        const LIMIT: Duration = Duration::from_secs(90);
        let secs = Duration::from_secs;
        for (silent, has_unread, expected) in [
            (secs(0), false, Verdict::LookAfter(LIMIT)),
            (secs(60), false, Verdict::LookAfter(secs(30))),
            (secs(60), true, Verdict::LookAfter(secs(30))),
            (LIMIT, false, Verdict::Over),
            (secs(200), false, Verdict::Over),
            (secs(200), true, Verdict::LookAfter(LIMIT)),
        ] {
            assert_eq!(judge(silent, has_unread, LIMIT), expected, "{silent:?} {has_unread}");
        }
    }

    #[test]
    fn by_http2_whoever_asks_for_events_waits() {
        let limit = Some(Duration::from_secs(90));
        for (accept, is_h2, expected) in
            [("*/*", true, limit), ("*/*", false, None), ("application/json, Text/Event-Stream;q=0.5", true, None)]
        {
            let request = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(fixed_limit(&request, is_h2, limit), expected, "{accept} {is_h2}");
        }
    }
}
