//! One backfill: the origin is asked about one id of a stream.

use super::{Queued, Settled};
use crate::counters::{Backfilled, RouteCounters};
use crate::hub::stream::{Phase, State, Stream};
use crate::hub::{End, Open, StreamRequest};
use crate::replay::{Backfill, Meeting, Position};
use crate::sse::Event;
use bytes::Bytes;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// An origin that was asked this long ago has begun its response, though the response head may not have come.
const LISTENS_AFTER: Duration = Duration::from_secs(1);

/// How often to look whether a client still waits.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The right to settle one id of a stream. Dropping it settles the id as unknown, if nothing else did, and begins the
/// next backfill.
pub struct Backfilling {
    stream: Arc<Stream>,
    opener: Arc<dyn Open>,
    request: StreamRequest,
    /// The id that clients wait for.
    pub(in crate::hub) id: Bytes,
    backfill: Backfill,
    /// How long the origin has brought nothing, in this turn and the earlier ones.
    silence: Duration,
    /// The turn ended before the id was settled.
    is_over: bool,
}

impl fmt::Debug for Backfilling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backfilling").field("stream", &self.stream.key).finish_non_exhaustive()
    }
}

/// Begins as many of the queued backfills as may run at once.
pub(in crate::hub) fn begin(stream: &Arc<Stream>, opener: &Arc<dyn Open>, request: &StreamRequest) {
    while let Some(Queued { id, silence }) = stream.locked(|state| state.backfills.next()) {
        let (stream, request) = (Arc::clone(stream), request.clone());
        let backfilling = Backfilling {
            stream,
            opener: Arc::clone(opener),
            request: request.clone(),
            backfill: Backfill::after(id.clone()),
            id,
            silence,
            is_over: false,
        };
        opener.backfill(request, backfilling);
    }
}

impl Backfilling {
    /// A request begins. Returns the id that the origin is asked to resume after.
    pub fn begin(&mut self) -> Bytes {
        self.backfill.begin().clone()
    }

    /// Whether the id asked about last may have been minted by the log of another gateway. Then only a gateway can
    /// resolve it.
    #[must_use]
    pub fn is_minted_elsewhere(&self) -> bool {
        self.is_empty() && self.stream.locked(|state| state.log.options().is_minted_elsewhere(self.backfill.id()))
    }

    /// The origin is not a gateway. Goes on with the origin's part of the id, if there is one, and returns whether
    /// there is.
    pub fn unwrap_id(&mut self) -> bool {
        let part = self.stream.locked(|state| state.log.options().part_behind(self.backfill.id()));
        part.map(|part| self.backfill = Backfill::after(part)).is_some()
    }

    /// The counters of the stream's route.
    #[must_use]
    pub fn counters(&self) -> &RouteCounters {
        &self.stream.counters
    }

    /// Resolves when no client waits for the id any more.
    pub fn unwanted(&self) -> impl Future<Output = ()> + Send + use<> {
        let (stream, id) = (Arc::clone(&self.stream), self.id.clone());
        async move {
            while stream.locked(|state| state.backfills.is_waited_for(&id)) {
                sleep(LOOK_EVERY).await;
            }
        }
    }

    /// Whether the shared response has begun.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.stream.locked(|state| matches!(state.phase, Phase::Live))
    }

    /// Resolves when the shared response has begun, or never will. Cancel-safe.
    pub async fn live(&self) {
        let mut changes = self.stream.watch();
        while self.stream.locked(|state| matches!(state.phase, Phase::Connecting { .. } | Phase::Waiting)) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Takes events that the origin sent after the id, in order. Returns whether the id is settled.
    pub fn push(&mut self, events: &[Event]) -> bool {
        self.silence = Duration::ZERO;
        events.iter().any(|event| self.meet(|backfill, state, now| backfill.push(event, &mut state.log, now)))
    }

    /// An event was too large and is lost. `id`: the event's id, if it had one.
    pub fn lose(&mut self, id: Option<Bytes>) {
        self.silence = Duration::ZERO;
        let backfill = &mut self.backfill;
        self.stream.locked(|state| backfill.lose(id, &state.log));
    }

    /// The origin sent nothing for `more`. Returns whether the id is settled. It is not settled while the shared
    /// response may not have begun, because events in between would be lost.
    pub fn silent(&mut self, more: Duration) -> bool {
        self.silence = self.silence.saturating_add(more);
        let silence = self.silence;
        self.may_listen() && self.meet(|backfill, state, now| backfill.silent(silence, &mut state.log, now))
    }

    /// The response ended in order. Returns whether the id is settled, by the same rule as [`Self::silent`].
    pub fn ended(&mut self) -> bool {
        self.may_listen() && self.meet(|backfill, state, now| backfill.ended(&mut state.log, now))
    }

    /// Whether the response brought something.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.backfill.has_moved()
    }

    /// Whether nothing has come after the id so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.backfill.is_empty()
    }

    /// Ends this turn if another id waits for one, and queues this id again. An origin may be silent to made-up ids,
    /// and those must not keep back ids that it answers.
    #[must_use]
    pub fn gives_way(&mut self) -> bool {
        let others = self.stream.locked(|state| !state.backfills.queued.is_empty());
        self.is_over = others && self.is_empty();
        self.is_over
    }

    /// Whether the origin may have begun the shared response, so that silence means that nothing is missing.
    fn may_listen(&self) -> bool {
        self.stream.locked(|state| match state.phase {
            Phase::Live => true,
            // Many origins send no response head before the first event.
            Phase::Connecting { failed } => !failed && self.stream.opened_at.elapsed() >= LISTENS_AFTER,
            Phase::Waiting | Phase::Closed { .. } => false,
        })
    }

    /// The origin's answer is for the clients with this id alone.
    pub fn refused(&self, end: End) {
        self.settle(Err(end));
    }

    fn meet(&mut self, step: impl FnOnce(&mut Backfill, &mut State, std::time::Instant) -> Option<Meeting>) -> bool {
        let backfill = &mut self.backfill;
        let stream = &self.stream;
        let meeting = stream.locked(|state| {
            let meeting = step(backfill, state, Instant::now().into_std());
            stream.account(state);
            meeting
        });
        let is_settled = meeting.is_some();
        if let Some(meeting) = meeting {
            self.settle(Ok(meeting));
        }
        is_settled
    }

    fn count(&self, outcome: Option<Backfilled>) {
        outcome.into_iter().for_each(|outcome| self.counters().backfills.add_one(outcome));
    }

    fn settle(&self, settled: Settled) {
        self.stream.change(|state| {
            self.count(state.backfills.settle(&self.id, settled));
            self.stream.account(state);
        });
    }
}

impl Drop for Backfilling {
    fn drop(&mut self) {
        let own = &self.id;
        self.stream.change(|state| {
            let backfills = &mut state.backfills;
            backfills.running.retain(|id| id != own);
            let was_waited_for = backfills.is_waited_for(own);
            if self.is_over && was_waited_for {
                backfills.queued.push_back(Queued { id: own.clone(), silence: self.silence });
                return;
            }
            backfills.waiting.remove(own);
            if was_waited_for {
                self.count(backfills.settle(own, Ok(Meeting::Never)));
            }
            // Ids that another backfill brought need no backfill of their own.
            let (log, waiting) = (&state.log, &mut backfills.waiting);
            backfills.queued.retain(|Queued { id, .. }| {
                let is_known = matches!(log.position(id), Position::Known(_));
                if is_known {
                    waiting.remove(id);
                }
                !is_known
            });
        });
        begin(&self.stream, &self.opener, &self.request);
    }
}
