//! One id of a stream that the origin is asked about.

use super::{Queued, Settled};
use crate::counters::RouteCounters;
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

/// An origin that was asked this long ago has begun its response, though its head may not be here.
const LISTENS_AFTER: Duration = Duration::from_secs(1);

/// How often it is looked whether somebody still waits.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The right to settle one id of a stream. Its drop settles the id as gone if nothing else did, and begins the next.
pub struct Backfilling {
    stream: Arc<Stream>,
    opener: Arc<dyn Open>,
    request: StreamRequest,
    /// What its clients wait for.
    pub(in crate::hub) id: Bytes,
    backfill: Backfill,
    /// For how long the origin has brought nothing, in this turn and those before.
    silence: Duration,
    /// Its turn is over before anything came of it.
    is_over: bool,
}

impl fmt::Debug for Backfilling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backfilling").field("stream", &self.stream.key).finish_non_exhaustive()
    }
}

/// Begins as many of the queued backfills as may run.
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
    /// A request begins: gives the id that the origin is to be asked to resume after.
    pub fn begin(&mut self) -> Bytes {
        self.backfill.begin().clone()
    }

    /// Whether the id that was asked about last may be one that another log minted: only a gateway knows what it means.
    #[must_use]
    pub fn is_minted_elsewhere(&self) -> bool {
        self.is_empty() && self.stream.locked(|state| state.log.options().is_minted_elsewhere(self.backfill.id()))
    }

    /// The origin is no gateway: it is asked for what comes after its own part of such an id, if there is one.
    pub fn unwrap_id(&mut self) -> bool {
        let part = self.stream.locked(|state| state.log.options().part_behind(self.backfill.id()));
        part.map(|part| self.backfill = Backfill::after(part)).is_some()
    }

    /// The counters of the stream's route.
    #[must_use]
    pub fn counters(&self) -> &RouteCounters {
        &self.stream.counters
    }

    /// Resolves when nobody waits for the id any more.
    pub fn unwanted(&self) -> impl Future<Output = ()> + Send + use<> {
        let (stream, id) = (Arc::clone(&self.stream), self.id.clone());
        async move {
            while stream.locked(|state| state.backfills.is_waited_for(&id)) {
                sleep(LOOK_EVERY).await;
            }
        }
    }

    /// Whether the shared response stands.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.stream.locked(|state| matches!(state.phase, Phase::Live))
    }

    /// Resolves when the shared response stands, or never will. Safe to drop and call again.
    pub async fn live(&self) {
        let mut changes = self.stream.watch();
        while self.stream.locked(|state| matches!(state.phase, Phase::Connecting { .. } | Phase::Waiting)) {
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Takes events that the origin sent after the id, in order; says whether the id is settled.
    pub fn push(&mut self, events: &[Event]) -> bool {
        self.silence = Duration::ZERO;
        events.iter().any(|event| self.meet(|backfill, state, now| backfill.push(event, &mut state.log, now)))
    }

    /// An event that was too large stood here; it moved the id if it had one.
    pub fn lose(&mut self, id: Option<Bytes>) {
        self.silence = Duration::ZERO;
        let backfill = &mut self.backfill;
        self.stream.locked(|state| backfill.lose(id, &state.log));
    }

    /// Nothing came for so long since it was asked last; says whether the id is settled. It is not while the shared response may
    /// not have begun: what comes in between would be lost.
    pub fn silent(&mut self, more: Duration) -> bool {
        self.silence = self.silence.saturating_add(more);
        let silence = self.silence;
        self.may_listen() && self.meet(|backfill, state, now| backfill.silent(silence, &mut state.log, now))
    }

    /// The response ended in order; says whether the id is settled, as [`Self::silent`] does.
    pub fn ended(&mut self) -> bool {
        self.may_listen() && self.meet(|backfill, state, now| backfill.ended(&mut state.log, now))
    }

    /// Whether the response brought something.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.backfill.has_moved()
    }

    /// Whether nothing came after the id so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.backfill.is_empty()
    }

    /// Gives its turn to the next id, if one waits for it, and waits for another itself: made-up ids, to which an origin may well be
    /// silent, must not keep those waiting that have an answer.
    #[must_use]
    pub fn gives_way(&mut self) -> bool {
        let others = self.stream.locked(|state| !state.backfills.queued.is_empty());
        self.is_over = others && self.is_empty();
        self.is_over
    }

    /// Whether the origin may have begun the shared response.
    fn may_listen(&self) -> bool {
        self.stream.locked(|state| match state.phase {
            Phase::Live => true,
            // Many origins send no head before the first event.
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

    fn settle(&self, settled: Settled) {
        self.stream.change(|state| {
            state.backfills.settled.entry(self.id.clone()).or_insert(settled);
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
                backfills.settled.entry(own.clone()).or_insert(Ok(Meeting::Never));
            }
            // Those whose ids another backfill brought need none of their own.
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
