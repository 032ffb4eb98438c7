//! The publisher: writes to one stream.

use super::frozen::Late;
use super::pace::{MOST_AHEAD, Pace};
use super::stream::{Phase, State, Stream};
use super::{End, Sharing, upkeep};
use crate::counters::{Lost, RouteCounters};
use crate::replay::{Continuation, Fate, Gap, GapReason, OnGap, Seq};
use crate::sse::Event;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until, timeout_at};

/// How long subscribers that take nothing hold up the origin. A single client that takes nothing for so long is slow,
/// and has no hold any more. One second would do if every read were seen. But the
/// kernel reports reads from a receive buffer in steps of up to 128 KiB, so a client that reads 64 KiB a second may
/// look idle for two seconds.
pub const PATIENCE_WITH_READERS: Duration = Duration::from_secs(2);

/// How often a waiting publisher asks the watchers whether clients receive bytes.
const ASKS_EVERY: Duration = Duration::from_millis(250);

/// The right to write to one stream. Dropping it closes the stream and wakes its readers, so that none waits for a
/// publisher that is gone.
#[derive(Debug)]
pub struct Publisher {
    stream: Arc<Stream>,
}

impl Publisher {
    pub(super) fn new(stream: Arc<Stream>, linger: Duration) -> Self {
        stream.locked(|state| state.linger = linger);
        Self { stream }
    }

    /// The counters of the stream's route.
    #[must_use]
    pub fn counters(&self) -> &RouteCounters {
        &self.stream.counters
    }

    /// An attempt to connect begins.
    pub fn connecting(&self) {
        self.stream.locked(|state| {
            if matches!(state.phase, Phase::Waiting) {
                state.enter(Phase::Connecting { failed: true });
            }
        });
    }

    /// The origin's response head came. Returns whether the stream goes on. It does not if it was closed meanwhile,
    /// or if the response is unshareable and nobody on the stream may have it.
    ///
    /// An unshareable response is given only to the client that opened the stream. The other clients find the stream
    /// over ([`End::Unshareable`]) before its first byte, and the next client opens another stream for the key.
    #[must_use = "a response that nobody may have is not to be read"]
    pub fn connected(&self, head: &HeaderMap, sharing: Sharing) -> bool {
        // Copied, because a part of the buffer that was read from the origin would keep the whole buffer.
        let head = Arc::new(copied(head));
        let (goes_on, is_again) = self.stream.change(|state| {
            let (goes_on, is_again) = (state.admit(sharing), state.head.is_some());
            if goes_on {
                state.enter(Phase::Live);
                state.head = Some(head);
                if let Some(trouble) = &mut state.trouble {
                    trouble.is_over = true;
                }
                state.reconnects = state.reconnects.saturating_add(u32::from(is_again));
                // A new response has not asked for a reconnection time yet.
                state.retry = None;
            }
            (goes_on, is_again)
        });
        if goes_on && is_again {
            self.counters().upstream_reconnects.add(1);
        }
        if sharing != Sharing::Shared {
            self.counters().unshareable.add(1);
            if let Some(streams) = self.stream.membership.streams.upgrade() {
                streams.withdraw(&self.stream);
            }
        }
        goes_on
    }

    /// The position of the next event.
    #[must_use]
    pub fn end(&self) -> Seq {
        self.stream.locked(|state| state.log.end())
    }

    /// The origin's id of the newest event, also if a backfill put that event into the log.
    #[must_use]
    pub fn newest_id(&self) -> Option<Bytes> {
        self.stream.locked(|state| state.log.newest_id())
    }

    /// Appends events and checkpoints, except those that repeat what the log holds. Returns the number of new events.
    /// If events before one of them may be lost, every subscriber is told so at this position. A stream that is over
    /// takes nothing.
    pub fn append(&self, events: &[Event], continuation: &mut Continuation) -> usize {
        if events.is_empty() {
            return 0;
        }
        let appended = self.stream.change(|state| {
            if state.is_closed() {
                return None;
            }
            let now = Instant::now().into_std();
            let is_frozen = state.frozen.is_some();
            if !is_frozen {
                state.log.begin_batch();
            }
            let (mut appended, mut marked) = (0_usize, None);
            for event in events {
                match continuation.judge(&state.log, event) {
                    Fate::Repeat => continue,
                    Fate::New => {}
                    Fate::NewAfterLoss if state.keeps(|| Late::Mark(None)) => {}
                    Fate::NewAfterLoss => marked = Some(mark(state, None)),
                }
                if !state.keeps(|| Late::Event(event.clone())) {
                    state.log.append(event, now);
                }
                appended += usize::from(!event.is_checkpoint);
            }
            if !is_frozen {
                state.appends.note(state.log.end(), now);
            }
            Some((appended, marked, self.stream.account(state), now))
        });
        let Some((appended, marked, is_over, now)) = appended else { return 0 };
        count_mark(self.counters(), marked);
        self.counters().events_in.add(appended as u64);
        let came = events.iter().filter(|event| !event.is_checkpoint).count();
        if came > 0 {
            self.counters().last_event.set(now);
        }
        self.counters().events_repeated.add((came - appended) as u64);
        if is_over {
            self.make_room();
        }
        appended
    }

    /// Makes room when all streams hold too much together. Empty streams give way first. If none is empty, this
    /// stream, which grew, drops its oldest events down to its equal part. Logs that hold more than their part and do
    /// not grow keep it. So all streams may hold up to twice the limit for a while.
    fn make_room(&self) {
        if let Some(streams) = self.stream.membership.streams.upgrade() {
            streams.make_room();
        }
        let budget = &self.stream.membership.budget;
        if budget.is_over() {
            let share = budget.share();
            self.stream.locked(|state| {
                state.log.give_up(share);
                self.stream.account(state)
            });
            self.stream.has_dropped();
        }
    }

    /// Tells subscribers at this position that events are missing: `missed` events, if the number is known.
    pub fn mark(&self, missed: Option<u64>) {
        let marked = self.stream.change(|state| {
            let goes_in = !state.is_closed() && !state.keeps(|| Late::Mark(missed));
            let marked = goes_in.then(|| mark(state, missed));
            self.stream.account(state);
            marked
        });
        count_mark(self.counters(), marked);
    }

    /// The origin asked for this reconnection time, in milliseconds.
    pub fn set_retry(&self, retry: u64) {
        self.stream.locked(|state| state.retry = Some(retry));
    }

    /// The reconnection time that the origin last asked for, in milliseconds.
    #[must_use]
    pub fn retry(&self) -> Option<u64> {
        self.stream.locked(|state| state.retry)
    }

    /// An attempt failed or the connection was lost. Another attempt follows.
    pub fn failed(&self) {
        self.stream.change(|state| {
            if !state.is_closed() {
                state.enter(Phase::Waiting);
            }
        });
    }

    /// Something went wrong with the origin. `why` is shown to the operator.
    pub fn has_trouble(&self, why: &str) {
        self.stream.locked(|state| state.has_trouble(why, Instant::now()));
    }

    /// The origin is asked again at this time. `None`: it is not known when.
    pub fn tries_again(&self, at: Option<Instant>) {
        self.stream.locked(|state| state.next_attempt = at);
    }

    /// Resolves when an operator wants the origin to be asked again. Cancel-safe.
    pub async fn told_to_reconnect(&self) {
        self.stream.reconnect.notified().await;
    }

    /// Why the stream is over. `None`: it is open.
    #[must_use]
    pub fn end_of_stream(&self) -> Option<End> {
        self.stream.locked(|state| match &state.phase {
            Phase::Closed { end, .. } => Some(end.clone()),
            Phase::Connecting { .. } | Phase::Live | Phase::Waiting => None,
        })
    }

    /// Resolves when a client is subscribed. Cancel-safe.
    pub async fn occupied(&self) {
        while self.stream.locked(|state| state.is_empty()) {
            self.stream.arrivals.notified().await;
        }
    }

    /// Resolves when more may be read from the origin: the fastest subscriber is near the end of the log, no client
    /// is subscribed, or no client has taken a byte for two seconds. So a burst reaches a reading client whole, as
    /// through any proxy. Cancel-safe.
    pub async fn room(&self) {
        let mut patience = None;
        loop {
            let pace = self.stream.locked(|state| {
                if state.frozen.is_some() {
                    return None;
                }
                let is_ahead = || !state.is_empty() && state.log.weight_from(state.furthest) > MOST_AHEAD;
                state.pace = state.pace.looked(is_ahead);
                Some(state.pace)
            });
            let Some(pace) = pace else {
                self.stream.taken.notified().await;
                continue;
            };
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

    /// Whether the publisher waits until a subscriber takes something.
    #[must_use]
    pub fn holds_back(&self) -> bool {
        self.stream.locked(|state| state.pace == Pace::Waits)
    }

    /// Resolves when the stream is closed because no client was subscribed for the route's `linger_secs`. Resolves at
    /// once if the stream does not linger or gave way to others. Cancel-safe.
    pub fn abandoned(&self) -> impl Future<Output = ()> + Send + use<> {
        upkeep::abandoned(Arc::clone(&self.stream))
    }

    /// Drops the events of the stream's log when they are too old. The driver runs it beside everything else that it
    /// does. Cancel-safe.
    pub fn upkeep(&self) -> impl Future<Output = Infallible> + Send + use<> {
        upkeep::upkeep(Arc::clone(&self.stream))
    }

    /// Closes the stream. Its clients and those that ask within `remembered` get the same end. Resolves after that
    /// time, or when the stream gave way to others.
    pub async fn close(self, end: End, remembered: Duration) {
        // No other client asks for a stream that is its opener's alone.
        let remembered = if self.stream.membership.alone { Duration::ZERO } else { remembered };
        let until = Instant::now() + remembered;
        self.stream.close(end, (!remembered.is_zero()).then_some(until));
        let mut upkeep = pin!(self.upkeep());
        while Instant::now() < until && self.stream.locked(|state| state.place.held) {
            tokio::select! {
                () = sleep_until(until) => return,
                () = self.stream.occupancy.notified() => {}
                never = &mut upkeep => match never {},
            }
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // At the end of the process, drivers are dropped while they run. That is not worth a log line.
        if self.stream.close(End::PublisherGone, None) && std::thread::panicking() {
            log::error!("driver ended without closing its stream stream={}", self.stream.key);
        }
        if let Some(streams) = self.stream.membership.streams.upgrade() {
            streams.forget(&self.stream);
        }
    }
}

/// `told`: whether subscribers are told of the gap. `None`: there is no gap.
pub(super) fn count_mark(counters: &RouteCounters, told: Option<bool>) {
    let Some(told) = told else { return };
    counters.gaps.add_one(Lost::Upstream);
    if !told {
        counters.gaps_untold.add(1);
    }
}

/// Marks a gap in the log, if the route tells subscribers of gaps. Returns whether it does.
pub(super) fn mark(state: &mut State, missed: Option<u64>) -> bool {
    if state.log.options().on_gap != OnGap::Event {
        return false;
    }
    state.log.begin_batch();
    let (frame, now) =
        (Gap { reason: GapReason::Upstream, missed }.frame(&state.log.options().gap_event), Instant::now());
    state.log.append_mark(frame, now.into_std());
    state.appends.note(state.log.end(), now.into_std());
    true
}

/// A copy of the headers, each in memory of its own.
fn copied(head: &HeaderMap) -> HeaderMap {
    let copy = |value: &HeaderValue| HeaderValue::from_bytes(value.as_bytes()).ok();
    head.iter().filter_map(|(name, value)| Some((name.clone(), copy(value)?))).collect()
}
