//! What a stream needs beside its events: an end when nobody wants it any more.

use super::End;
use super::stream::{State, Stream};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Resolves when the stream is closed because no client was subscribed for `linger`. Resolves at once if the stream
/// does not linger or gave way to others. Cancel-safe.
pub(super) async fn abandoned(stream: Arc<Stream>, linger: Duration) {
    loop {
        let Some(at) = stream.locked(|state| over_at(state, linger)) else {
            stream.occupancy.notified().await;
            continue;
        };
        tokio::select! {
            () = stream.occupancy.notified() => {}
            () = sleep_until(at) => {
                // This holds the lock that a joining client takes. The client finds the stream open, or finds it
                // closed and opens another.
                let is_over = stream.locked(|state| {
                    if over_at(state, linger) == Some(at) {
                        state.close(End::Idle, None);
                    }
                    state.is_closed()
                });
                if is_over {
                    return;
                }
            }
        }
    }
}

/// When the stream is over if no client comes. `None`: a client is on it.
fn over_at(state: &State, linger: Duration) -> Option<Instant> {
    if state.is_closed() {
        return Some(state.empty_since);
    }
    let linger = if state.lingers() { linger } else { Duration::ZERO };
    state.is_empty().then(|| state.empty_since + linger)
}
