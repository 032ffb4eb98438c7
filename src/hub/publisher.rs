//! The one who writes to a stream.

use super::pace::Pace;
use super::stream::{Phase, State, Stream};
use super::{End, Sharing};
use crate::counters::RouteCounters;
use crate::replay::{Continuation, Fate, Gap, GapReason, OnGap, Seq};
use crate::sse::Event;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Bytes of frames that the log may be ahead of the fastest subscriber before the origin is read no further.
const MOST_AHEAD_BYTES: usize = 64 << 10;

/// For how long subscribers that take nothing hold the origin up. A second would be enough, were every read seen: but kernels
/// tell of what a client reads from its receive buffer in steps of up to 128 KiB, so one that reads 64 KiB a second may look
/// as if it slept for two.
const PATIENCE_WITH_READERS: Duration = Duration::from_secs(2);

/// While the publisher waits, those who read for clients are asked so often whether bytes arrived.
const ASKS_EVERY: Duration = Duration::from_millis(250);

/// The right to write to one stream. Its drop closes the stream and wakes its readers: nobody waits for a publisher that is
/// gone.
#[derive(Debug)]
pub struct Publisher {
    stream: Arc<Stream>,
    linger: Duration,
}

impl Publisher {
    pub(super) fn new(stream: Arc<Stream>, linger: Duration) -> Self {
        Self { stream, linger }
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

    /// The origin's head came. Says whether the stream goes on: not if it was closed meanwhile, and not if the response is
    /// unshareable and nobody on the stream may have it.
    ///
    /// Of an unshareable response, only the client that opened the stream is given anything: the others find the stream over
    /// ([`End::Unshareable`]) before its first byte, and the key is free for the next one.
    #[must_use = "a response that nobody may have is not to be read"]
    pub fn connected(&self, head: &HeaderMap, sharing: Sharing) -> bool {
        // The origin's head is a part of what was read from it, which must not be kept with it.
        let head = Arc::new(copied(head));
        let goes_on = self.stream.change(|state| {
            let goes_on = state.admit(sharing);
            if goes_on {
                state.phase = Phase::Live;
                state.head = Some(head);
                // What an earlier response asked for is not asked for any more.
                state.retry = None;
            }
            goes_on
        });
        if sharing != Sharing::Shared {
            self.counters().unshareable.add(1);
            if let Some(streams) = self.stream.origins.streams.upgrade() {
                streams.withdraw(&self.stream);
            }
        }
        goes_on
    }

    /// Where the next event goes.
    #[must_use]
    pub fn end(&self) -> Seq {
        self.stream.locked(|state| state.log.end())
    }

    /// The origin's id of the newest event, also of one that was put before what was appended.
    #[must_use]
    pub fn newest_id(&self) -> Option<Bytes> {
        self.stream.locked(|state| state.log.newest_id())
    }

    /// Appends events and checkpoints, less those that repeat what the log holds; gives how many events were new. Where events
    /// before one of them may be lost, every subscriber is told so at this place of the stream. A stream that is over takes
    /// none.
    pub fn append(&self, events: &[Event], continuation: &mut Continuation) -> usize {
        if events.is_empty() {
            return 0;
        }
        let appended = self.stream.change(|state| {
            if state.is_closed() {
                return None;
            }
            let now = Instant::now().into_std();
            state.log.begin_batch();
            let (mut appended, mut marked) = (0_usize, None);
            for event in events {
                match continuation.judge(&state.log, event) {
                    Fate::Repeat => continue,
                    Fate::New => {}
                    Fate::NewAfterLoss => marked = Some(mark(state, None)),
                }
                state.log.append(event, now);
                appended += usize::from(!event.is_checkpoint);
            }
            Some((appended, marked, self.stream.account(state)))
        });
        let Some((appended, marked, is_over)) = appended else { return 0 };
        self.count_mark(marked);
        self.counters().events_in.add(appended as u64);
        let came = events.iter().filter(|event| !event.is_checkpoint).count();
        self.counters().events_repeated.add((came - appended) as u64);
        if is_over {
            self.make_room();
        }
        appended
    }

    /// All streams together hold too much: empty ones give way. Where none is empty, this one, which grew, lets go of its
    /// oldest events down to its equal part. Logs that hold more than theirs and do not grow keep it, so for a while all
    /// together may hold up to twice what they may.
    fn make_room(&self) {
        if let Some(streams) = self.stream.origins.streams.upgrade() {
            streams.make_room();
        }
        let budget = &self.stream.origins.budget;
        if budget.is_over() {
            let share = budget.share();
            self.stream.locked(|state| {
                state.log.give_up(share);
                self.stream.account(state)
            });
        }
    }

    /// Marks a place at which events are missing, `missed` of them where that is known.
    pub fn mark(&self, missed: Option<u64>) {
        let marked = self.stream.change(|state| (!state.is_closed()).then(|| mark(state, missed)));
        self.count_mark(marked);
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
        self.stream.change(|state| {
            if !state.is_closed() {
                state.phase = Phase::Waiting;
            }
        });
    }

    /// Resolves when somebody is subscribed. Safe to drop and call again.
    pub async fn occupied(&self) {
        while self.stream.locked(|state| state.is_empty()) {
            self.stream.arrivals.notified().await;
        }
    }

    /// Resolves when more may be read from the origin: the fastest subscriber is near the end of the log, nobody is
    /// subscribed, or nobody took a byte for two seconds. So a burst passes whole to a client that reads, as
    /// through any proxy. Safe to drop and call again.
    pub async fn room(&self) {
        let mut patience = None;
        loop {
            let pace = self.stream.locked(|state| {
                let is_ahead = || !state.is_empty() && state.log.bytes_from(state.furthest) > MOST_AHEAD_BYTES;
                state.pace = state.pace.looked(is_ahead);
                state.pace
            });
            if pace != Pace::Waits {
                return;
            }
            let now = Instant::now();
            let until = *patience.get_or_insert(now + PATIENCE_WITH_READERS);
            if now >= until {
                self.stream.locked(|state| state.pace = Pace::Gave);
                return;
            }
            match timeout_at(until.min(now + ASKS_EVERY), self.stream.taken.notified()).await {
                Ok(()) => patience = None,
                Err(_) => self.stream.ask(),
            }
        }
    }

    /// Whether the origin is read no further until somebody takes something.
    #[must_use]
    pub fn holds_back(&self) -> bool {
        self.stream.locked(|state| state.pace == Pace::Waits)
    }

    /// Resolves, with the stream closed, when nobody was subscribed for the route's `linger_secs`, or at once where the stream
    /// does not linger or gave way to others. Safe to drop and call again.
    pub async fn abandoned(&self) {
        loop {
            let Some(over_at) = self.stream.locked(|state| self.over_at(state)) else {
                self.stream.occupancy.notified().await;
                continue;
            };
            tokio::select! {
                () = self.stream.occupancy.notified() => {}
                () = sleep_until(over_at) => {
                    // Under the lock that a joining client takes: it finds the stream open, or closed and makes a new one.
                    let is_over = self.stream.locked(|state| {
                        if self.over_at(state) == Some(over_at) {
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

    /// When the stream is over if nobody comes; `None` while somebody is on it.
    fn over_at(&self, state: &State) -> Option<Instant> {
        if state.is_closed() {
            return Some(state.empty_since);
        }
        let linger = if state.lingers() { self.linger } else { Duration::ZERO };
        state.is_empty().then(|| state.empty_since + linger)
    }

    /// Closes the stream, and gives its clients and those who ask within `remembered` the same answer; resolves after that,
    /// or when the memory gave way to other streams.
    pub async fn close(self, end: End, remembered: Duration) {
        // Nobody asks for a stream that is another's.
        let remembered = if self.stream.origins.alone { Duration::ZERO } else { remembered };
        let until = Instant::now() + remembered;
        self.stream.close(end, (!remembered.is_zero()).then_some(until));
        while Instant::now() < until && self.stream.locked(|state| state.place.held) {
            tokio::select! {
                () = sleep_until(until) => return,
                () = self.stream.occupancy.notified() => {}
            }
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // At the end of the process drivers are dropped where they are: nothing to tell.
        if self.stream.close(End::PublisherGone, None) && std::thread::panicking() {
            log::error!("driver ended without closing its stream stream={}", self.stream.key);
        }
        if let Some(streams) = self.stream.origins.streams.upgrade() {
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

/// The same headers, each in bytes of its own.
fn copied(head: &HeaderMap) -> HeaderMap {
    let copy = |value: &HeaderValue| HeaderValue::from_bytes(value.as_bytes()).ok();
    head.iter().filter_map(|(name, value)| Some((name.clone(), copy(value)?))).collect()
}
