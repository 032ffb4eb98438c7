//! Streams while no process holds them: what is taken of them at the end of a process, and given to the next one.
//!
//! ```text
//!   a stream ── the process ends ──▶ StreamSnapshot ── the next one begins ──▶ Waiting ─┬─ its key is asked for ──▶ a stream
//!                                                                                      └─ too old, or no room ───▶ gone
//! ```
//!
//! A stream that is opened with a log of an earlier process goes on as after a lost connection: the origin is asked to
//! resume after the newest id.

use super::budget::Budget;
use super::sharing::Audience;
use super::stream::State;
use super::{Hub, RouteId, StreamKey};
use crate::replay::{LogSnapshot, ReplayLog, ReplayOptions};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Longer than any process waits for its end.
const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

/// What is kept of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamSnapshot {
    target: String,
    variant: [u8; 32],
    log: LogSnapshot,
}

/// Where a stream with a log of an earlier process goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The origin's newest id. `None`: there is none, and events may be lost.
    pub newest_id: Option<Bytes>,
    /// Events without an id follow that id.
    pub is_followed: bool,
    /// Its clients are there, and were sent a response: it goes on as after a lost connection.
    pub is_open: bool,
}

/// The snapshots whose streams were not asked for.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    by_key: HashMap<StreamKey, Snapshot>,
}

#[derive(Debug)]
struct Snapshot {
    log: LogSnapshot,
    taken: Instant,
    /// The stream is opened without it from then on.
    until: Instant,
}

impl StreamSnapshot {
    /// The number of events.
    #[must_use]
    pub fn events(&self) -> usize {
        self.log.events()
    }
}

#[cfg(any(test, fuzzing))]
impl StreamSnapshot {
    /// What is kept of a stream with this log.
    #[cfg(test)]
    pub(crate) fn of(log: &ReplayLog, now: std::time::Instant) -> Self {
        Self { target: "/".to_owned(), variant: [0; 32], log: log.snapshot(now) }
    }

    /// The log that a stream is opened with.
    pub(crate) fn restored(
        &self,
        options: Arc<ReplayOptions>,
        taken: std::time::Instant,
        now: std::time::Instant,
    ) -> Option<ReplayLog> {
        ReplayLog::restored(options, &self.log, taken, now)
    }
}

impl Restored {
    pub(super) fn of(log: &ReplayLog) -> Self {
        let (newest_id, is_followed) = log.newest_id_and_followed().unzip();
        Self { newest_id, is_followed: is_followed.unwrap_or_default(), is_open: false }
    }
}

impl Waiting {
    fn add(&mut self, key: StreamKey, snapshot: Snapshot, budget: &Budget) {
        budget.change(0, snapshot.log.footprint());
        if let Some(before) = self.by_key.insert(key, snapshot) {
            budget.change(before.log.footprint(), 0);
        }
    }

    /// The log of a stream that is opened now. `None`: there is none that is young enough, or none of this origin.
    pub(super) fn take(&mut self, key: &StreamKey, options: &Arc<ReplayOptions>, budget: &Budget) -> Option<ReplayLog> {
        let Snapshot { log, taken, until } = self.by_key.remove(key)?;
        budget.change(log.footprint(), 0);
        let now = Instant::now();
        if until <= now || options.events.is_none() {
            return None;
        }
        ReplayLog::restored(Arc::clone(options), &log, taken.into_std(), now.into_std())
    }

    /// What waits, for a further process.
    fn again(&self) -> Vec<(RouteId, StreamSnapshot)> {
        let now = Instant::now();
        let young = self.by_key.iter().filter(|(_, snapshot)| snapshot.until > now);
        let again = young.map(|(StreamKey { route, target, variant }, Snapshot { log, taken, .. })| {
            let log = log.clone().aged(now.saturating_duration_since(*taken));
            (*route, StreamSnapshot { target: target.to_string(), variant: *variant, log })
        });
        again.collect()
    }

    /// Forgets those for which `is_over`. Returns their number.
    pub(super) fn forget(&mut self, budget: &Budget, is_over: impl Fn(Instant) -> bool) -> usize {
        let before = self.by_key.len();
        self.by_key.retain(|_, Snapshot { log, until, .. }| {
            let stays = !is_over(*until);
            if !stays {
                budget.change(log.footprint(), 0);
            }
            stays
        });
        before - self.by_key.len()
    }
}

impl State {
    /// Whether later processes can go on with the stream: everyone may have it, and its log has something to resume from.
    fn is_kept(&self) -> bool {
        let can_resume = self.log.options().events.is_some() && self.log.has_begun();
        !self.is_closed() && can_resume && self.is_for_everyone()
    }

    /// Whether everyone may have what the log holds, as far as is known: a log of an earlier process was for everyone.
    pub(super) fn is_for_everyone(&self) -> bool {
        match self.audience {
            Audience::Everyone => true,
            Audience::Undecided => self.is_restored,
            Audience::Opener => false,
        }
    }
}

impl Hub {
    /// The streams stay when their last clients leave. It is for a process that is about to take a snapshot.
    pub fn keep_streams(&self) {
        let streams: Vec<_> = self.streams.open.lock().by_number.values().cloned().collect();
        for stream in streams {
            stream.locked(|state| state.linger = FOR_EVER);
            stream.occupancy.notify_one();
        }
    }

    /// What the streams hold that everyone may have, and what no stream was opened with.
    #[must_use]
    pub fn snapshot(&self) -> Vec<(RouteId, StreamSnapshot)> {
        let (streams, waiting) = {
            let open = self.streams.open.lock();
            (open.by_number.values().cloned().collect::<Vec<_>>(), open.waiting.again())
        };
        let now = Instant::now().into_std();
        let kept = streams.iter().filter(|stream| !stream.membership.alone).filter_map(|stream| {
            let log = stream.locked(|state| state.is_kept().then(|| state.log.snapshot(now)))?;
            let StreamKey { route, target, variant } = &stream.key;
            Some((*route, StreamSnapshot { target: target.to_string(), variant: *variant, log }))
        });
        kept.chain(waiting).collect()
    }

    /// Gives the stream that is next opened with this key the log of an earlier process, unless that is after `until`.
    pub fn restore(&self, route: RouteId, snapshot: StreamSnapshot, taken: Instant, until: Instant) {
        let StreamSnapshot { target, variant, log } = snapshot;
        let key = StreamKey { route, target: target.into(), variant };
        self.streams.open.lock().waiting.add(key, Snapshot { log, taken, until }, &self.streams.budget);
    }

    /// Forgets the logs of an earlier process that are too old by now. Returns their number.
    pub fn forget_restored(&self) -> usize {
        let now = Instant::now();
        self.streams.open.lock().waiting.forget(&self.streams.budget, |until| until <= now)
    }
}
