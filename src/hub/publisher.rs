//! The one who writes to a stream.

use super::stream::{Phase, State, Stream};
use super::{End, Streams};
use crate::counters::RouteCounters;
use crate::replay::{Gap, GapReason, OnGap, Repeats};
use crate::sse::Event;
use http::HeaderMap;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The right to write to one stream. Its drop closes the stream and wakes its readers: nobody waits for a publisher that is
/// gone.
#[derive(Debug)]
pub struct Publisher {
    stream: Arc<Stream>,
    streams: Weak<Streams>,
    linger: Duration,
}

impl Publisher {
    pub(super) fn new(stream: Arc<Stream>, streams: Weak<Streams>, linger: Duration) -> Self {
        Self { stream, streams, linger }
    }

    /// The counters of the stream's route.
    #[must_use]
    pub fn counters(&self) -> &RouteCounters {
        &self.stream.counters
    }

    /// An attempt begins.
    pub fn connecting(&self) {
        self.stream.locked(|state| {
            if matches!(state.phase, Phase::Waiting) {
                state.phase = Phase::Connecting { failed: true };
            }
        });
    }

    /// The origin's head came. `lost`: events between the last response and this one may be lost, which every subscriber is
    /// told at this place of the stream.
    pub fn connected(&self, head: Arc<HeaderMap>, lost: bool) {
        let marked = self.stream.change(|state| {
            state.phase = Phase::Live;
            state.head = Some(head);
            lost.then(|| mark(state, None))
        });
        self.count_mark(marked);
    }

    /// Appends events and checkpoints, less those that repeat what the log holds; gives how many events were new.
    pub fn append(&self, events: &[Event], repeats: &mut Repeats) -> usize {
        if events.is_empty() {
            return 0;
        }
        let appended = self.stream.change(|state| {
            let now = Instant::now().into_std();
            state.log.begin_batch();
            let mut appended = 0_usize;
            for event in events {
                if !repeats.is_repeat(&state.log, event) {
                    state.log.append(event, now);
                    appended += usize::from(!event.is_checkpoint);
                }
            }
            appended
        });
        self.counters().events_in.add(appended as u64);
        let came = events.iter().filter(|event| !event.is_checkpoint).count();
        self.counters().events_repeated.add((came - appended) as u64);
        appended
    }

    /// Marks a place at which events are missing, `missed` of them where that is known.
    pub fn mark(&self, missed: Option<u64>) {
        let marked = self.stream.change(|state| mark(state, missed));
        self.count_mark(Some(marked));
    }

    /// `told`: whether subscribers are told of the gap, if there is one.
    fn count_mark(&self, told: Option<bool>) {
        let Some(told) = told else { return };
        self.counters().gaps.add(1);
        if !told {
            self.counters().gaps_untold.add(1);
        }
    }

    /// The origin asked for a reconnection time, in milliseconds.
    pub fn set_retry(&self, retry: u64) {
        self.stream.locked(|state| state.retry = Some(retry));
    }

    /// The reconnection time that the origin last asked for, in milliseconds.
    #[must_use]
    pub fn retry(&self) -> Option<u64> {
        self.stream.locked(|state| state.retry)
    }

    /// An attempt failed or the connection was lost; another follows.
    pub fn failed(&self) {
        self.stream.change(|state| state.phase = Phase::Waiting);
    }

    /// Whether anybody is subscribed.
    #[must_use]
    pub fn has_subscribers(&self) -> bool {
        self.stream.locked(|state| state.subscribers > 0)
    }

    /// Resolves, with the stream closed, when nobody was subscribed for the route's `linger_secs`. Safe to drop and call
    /// again.
    pub async fn abandoned(&self) {
        loop {
            let empty_since = self.stream.locked(|state| (state.subscribers == 0).then_some(state.empty_since));
            let Some(empty_since) = empty_since else {
                self.stream.occupancy.notified().await;
                continue;
            };
            tokio::select! {
                () = self.stream.occupancy.notified() => {}
                () = sleep_until(empty_since + self.linger) => {
                    // Under the lock that a joining client takes: it finds the stream open, or closed and makes a new one.
                    let is_over = self.stream.locked(|state| {
                        if state.subscribers == 0 && state.empty_since == empty_since {
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

    /// Closes the stream, and gives its clients and those who ask within `remembered` the same answer; resolves after that.
    pub async fn close(self, end: End, remembered: Duration) {
        let until = Instant::now() + remembered;
        self.stream.close(end, (!remembered.is_zero()).then_some(until));
        sleep_until(until).await;
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // At the end of the process drivers are dropped where they are: nothing to tell.
        if self.stream.close(End::PublisherGone, None) && std::thread::panicking() {
            log::error!("driver ended without closing its stream stream={}", self.stream.key);
        }
        if let Some(streams) = self.streams.upgrade() {
            streams.forget(&self.stream);
        }
    }
}

/// Marks a gap in the log, unless the route's subscribers are not to be told; says whether it did.
fn mark(state: &mut State, missed: Option<u64>) -> bool {
    if state.log.options().on_gap != OnGap::Event {
        return false;
    }
    state.log.begin_batch();
    let frame = Gap { reason: GapReason::Upstream, missed }.frame(&state.log.options().gap_event);
    state.log.append_mark(frame, Instant::now().into_std());
    true
}
