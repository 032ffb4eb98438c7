//! What a stream needs beside its events: it drops what is too old, and it ends when nobody wants it any more.
//!
//! ```text
//!          something that will be too old
//!   Resting ────────────────────────────────▶ Waiting ──┐ it is: what is too old is dropped;
//!      ▲                                       │  ▲─────┘ or something came that will be so earlier
//!      └────── nothing will be too old ────────┘
//! ```

use super::End;
use super::stream::{State, Stream};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};

/// Events of one age are dropped together, so that a stream with many is not woken for each: those that come within
/// this part of the age.
const PART_OF_AGE: u32 = 16;

/// The longest time for which an event that is too old may stay.
const LONGEST: Duration = Duration::from_secs(5);

/// The number of events that are dropped while the stream's lock is held once.
const SLICE: usize = 1024;

/// Drops what a stream holds when it is too old: events, and the origin's answers about ids. Cancel-safe.
pub(super) async fn upkeep(stream: Arc<Stream>) -> Infallible {
    loop {
        let (next, age) = stream.locked(|state| {
            state.upkeep_at = stream.next_upkeep(state);
            (state.upkeep_at, state.log.options().age)
        });
        let pause = age.map_or(LONGEST, |age| (age / PART_OF_AGE).min(LONGEST));
        let Some(next) = next else {
            stream.aging.notified().await;
            continue;
        };
        tokio::select! {
            () = sleep_until(next + pause) => while expire(&stream) {
                yield_now().await;
            },
            () = stream.aging.notified() => {}
        }
    }
}

/// Drops a slice of the events that are too old. Returns whether more may be.
fn expire(stream: &Stream) -> bool {
    let dropped = stream.locked(|state| {
        let now = Instant::now();
        state.backfills.forget(stream.opened_at, now);
        let dropped = state.log.expire(now.into_std(), SLICE);
        stream.account(state);
        dropped
    });
    if dropped > 0 {
        stream.has_dropped();
    }
    dropped == SLICE
}

/// Resolves when the stream is closed because no client was subscribed for the time that it lingers. Resolves at once if
/// the stream does not linger or gave way to others. Cancel-safe.
pub(super) async fn abandoned(stream: Arc<Stream>) {
    loop {
        let Some(at) = stream.locked(|state| over_at(state)) else {
            stream.occupancy.notified().await;
            continue;
        };
        tokio::select! {
            () = stream.occupancy.notified() => {}
            () = sleep_until(at) => {
                // This holds the lock that a joining client takes. The client finds the stream open, or finds it
                // closed and opens another.
                let is_over = stream.locked(|state| {
                    if over_at(state) == Some(at) {
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
fn over_at(state: &State) -> Option<Instant> {
    if state.is_closed() {
        return Some(state.empty_since);
    }
    let linger = if state.lingers() { state.linger } else { Duration::ZERO };
    state.is_empty().then(|| state.empty_since + linger)
}
