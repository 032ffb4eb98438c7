//! Events from before a log began, brought by requests of their own and put before its first event.
//!
//! ```text
//!   the origin after id 10:   11 12 13 14 15 …          a request with Last-Event-ID: 10
//!   the log:                           14 15 …          the shared response, which began later
//!                             └──────┘ └ the two meet: 11, 12 and 13 go before 14
//! ```
//!
//! A response that ends before the two meet is followed by one for what comes after its last event, as an `EventSource` would:
//! some origins give their history in pages.
//!
//! Pure: the log, events and instants in, what is to be done out.

use super::{Gap, GapReason, IdPolicy, ReplayLog, Seq, trimmed};
use crate::sse::{Event, Frame};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// After so long without an event, an origin that brought some has brought all.
const QUIET: Duration = Duration::from_secs(1);

/// After so long, an origin that brought nothing has nothing: it may be slow to look.
const EMPTY: Duration = Duration::from_secs(2);

/// So long after the log had events of its own, a backfill that is quiet will not bring them any more.
const LATE: Duration = Duration::from_secs(1);

/// Bytes that the clients of one id may be given beside the log.
const MOST_BESIDE_BYTES: usize = 64 << 10;

/// What a backfill has brought so far.
#[derive(Debug)]
pub struct Backfill {
    /// What it is after.
    id: Bytes,
    /// What the next request is to resume after.
    resume: Bytes,
    /// The same of the request before.
    asked_after: Bytes,
    /// What was brought, the newest within the log's bounds.
    kept: VecDeque<Kept>,
    bytes: usize,
    /// Older events, which the log could not hold.
    dropped: u64,
    /// The next event is the first of a response.
    is_first: bool,
    /// Since when it is quiet while the log has events of its own.
    behind_since: Option<Instant>,
}

/// What stands in a backfill.
#[derive(Debug)]
enum Kept {
    Event(Event),
    /// An event that was too large.
    Lost,
}

/// Where those who came with the id of a backfill stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meeting {
    /// The log goes on after the id at this position.
    At(Seq),
    /// The log goes on at this position, after events that it does not hold: those of another backfill are in their place.
    Beside {
        /// The events.
        text: Frame,
        /// The position.
        at: Seq,
    },
    /// The log holds what it can of it: so many events after the id are lost.
    Short {
        /// Events lost.
        missed: u64,
    },
    /// The two do not fit together.
    Never,
}

impl Backfill {
    /// A backfill of what the origin has after `id`.
    #[must_use]
    pub fn after(id: Bytes) -> Self {
        Self {
            resume: id.clone(),
            asked_after: id.clone(),
            id,
            kept: VecDeque::new(),
            bytes: 0,
            dropped: 0,
            is_first: true,
            behind_since: None,
        }
    }

    /// What it is after.
    #[must_use]
    pub fn id(&self) -> &Bytes {
        &self.id
    }

    /// A response begins; gives the id after which the origin is to be asked to resume.
    pub fn begin(&mut self) -> &Bytes {
        self.is_first = true;
        self.asked_after = self.resume.clone();
        &self.resume
    }

    /// Whether anything was brought.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.dropped == 0
    }

    /// Whether the response brought what the next request may resume after.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.resume != self.asked_after
    }

    /// Takes the next event. Where it is one that the log holds, what came before it is put before the log's first. `None`, here and
    /// below: it is not known yet, and more events are needed.
    pub fn push(&mut self, event: &Event, log: &mut ReplayLog, now: Instant) -> Option<Meeting> {
        if std::mem::take(&mut self.is_first) {
            self.forget_from(event);
        }
        let Some(at) = log.meets(event) else {
            self.keep(event, log);
            return None;
        };
        // Another backfill may have brought meanwhile what is kept.
        Some(self.met_kept(log, now).unwrap_or_else(|| self.met(at, log, now)))
    }

    /// An event that was too large stood here; it moved the id if it had one.
    pub fn lose(&mut self, id: Option<Bytes>, log: &ReplayLog) {
        self.kept.push_back(Kept::Lost);
        if let Some(id) = id {
            self.keep(&Event::checkpoint(id), log);
        }
    }

    /// Nothing came for so long.
    ///
    /// Where the log has no event of its own, what follows the id is all here. Where it has, it may have got meanwhile what was brought
    /// before. What it got a while ago and this did not get will not come: an id that the origin never gave must not keep others
    /// waiting.
    pub fn silent(&mut self, since: Duration, log: &mut ReplayLog, now: Instant) -> Option<Meeting> {
        self.met_kept(log, now).or_else(|| {
            let patience = if self.is_empty() { EMPTY } else { QUIET };
            let is_over = since >= patience && !(log.has_begun() && self.waits_on(now));
            is_over.then(|| self.whole(log, now))
        })
    }

    /// Whether the log's own events may still be on their way here, too.
    fn waits_on(&mut self, now: Instant) -> bool {
        let since = *self.behind_since.get_or_insert(now);
        now.saturating_duration_since(since) < LATE
    }

    /// The response ended in order. Unless it brought events, after which there may be more, what follows the id is all here.
    pub fn ended(&mut self, log: &mut ReplayLog, now: Instant) -> Option<Meeting> {
        self.met_kept(log, now).or_else(|| (!self.has_moved()).then(|| self.whole(log, now)))
    }

    /// Where no more will come.
    fn whole(&mut self, log: &mut ReplayLog, now: Instant) -> Meeting {
        if log.has_begun() {
            return Meeting::Never;
        }
        match (self.is_empty(), log.oldest() == log.end()) {
            (true, _) => self.right_before(log.end(), log),
            (false, true) => self.put_before(log, now),
            // Another backfill was quicker, and the two share no event.
            (false, false) => self.beside(log),
        }
    }

    /// Where the log holds one of the events that are kept, those before the first such one meet it.
    fn met_kept(&mut self, log: &mut ReplayLog, now: Instant) -> Option<Meeting> {
        let met = |kept: &Kept| match kept {
            Kept::Event(event) => log.meets(event),
            Kept::Lost => None,
        };
        let (index, at) = self.kept.iter().enumerate().find_map(|(index, kept)| Some((index, met(kept)?)))?;
        self.kept.truncate(index);
        Some(self.met(at, log, now))
    }

    /// The event after those that are kept is in the log at this position. Marks and checkpoints may stand before it.
    fn met(&mut self, at: Seq, log: &mut ReplayLog, now: Instant) -> Meeting {
        if self.is_empty() {
            return self.right_before(at, log);
        }
        let is_first = at == log.event_from(log.oldest());
        if is_first && !log.has_dropped() { self.put_before(log, now) } else { Meeting::Never }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// A response may begin with events that one before it brought.
    fn forget_from(&mut self, event: &Event) {
        let is_it = |kept: &Kept| matches!(kept, Kept::Event(kept) if kept.id.is_some() && kept.id == event.id);
        if let Some(index) = self.kept.iter().position(is_it) {
            self.kept.truncate(index);
            self.bytes = self.kept.iter().map(Kept::size).fold(0, usize::saturating_add);
        }
    }

    fn keep(&mut self, event: &Event, log: &ReplayLog) {
        let event = detached(event);
        if !trimmed(&event.last_event_id).is_empty() {
            self.resume = event.last_event_id.clone();
        }
        let kept = Kept::Event(event);
        self.bytes = self.bytes.saturating_add(kept.size());
        self.kept.push_back(kept);
        let most = log.options().events.map_or(0, std::num::NonZero::get);
        while self.kept.len() > most || self.bytes > log.options().bytes {
            let Some(oldest) = self.kept.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(oldest.size());
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    fn put_before(&mut self, log: &mut ReplayLog, now: Instant) -> Meeting {
        while let Some(newest) = self.kept.pop_back() {
            let is_put = match &newest {
                Kept::Event(event) => log.prepend(event, now),
                Kept::Lost => log.prepend_mark(LOST, now),
            };
            if !is_put {
                self.dropped = self.dropped.saturating_add(1).saturating_add(self.kept.len() as u64);
                break;
            }
        }
        if self.dropped == 0 { self.right_before(log.oldest(), log) } else { Meeting::Short { missed: self.dropped } }
    }

    /// The log goes on after the id at `at`.
    fn right_before(&self, at: Seq, log: &mut ReplayLog) -> Meeting {
        if at == log.oldest() && !log.has_dropped() {
            log.know_before_first(&self.id);
        }
        Meeting::At(at)
    }

    /// The events go to the clients of this id alone. One without an id of its own gets none from us: the log knows nothing of it.
    fn beside(&self, log: &ReplayLog) -> Meeting {
        if self.dropped > 0 || self.bytes > MOST_BESIDE_BYTES {
            return Meeting::Never;
        }
        let mut text = BytesMut::new();
        for kept in &self.kept {
            let frame = match kept {
                Kept::Lost => LOST.frame(&log.options().gap_event),
                Kept::Event(event) => {
                    let id = match log.options().ids {
                        IdPolicy::Auto => event.id.as_ref(),
                        IdPolicy::Origin => Some(&event.last_event_id),
                    };
                    Frame::encode(id.map(|id| &**id), event)
                }
            };
            text.extend_from_slice(&frame.text());
        }
        Meeting::Beside { text: Frame::of_text(&text), at: log.end() }
    }
}

/// What clients are told of an event that was too large.
const LOST: Gap = Gap { reason: GapReason::Upstream, missed: Some(1) };

impl Kept {
    fn size(&self) -> usize {
        match self {
            Self::Event(event) => {
                [event.data.len(), event.extra.len(), event.event_type.len(), event.last_event_id.len()]
                    .into_iter()
                    .fold(0, usize::saturating_add)
            }
            Self::Lost => 0,
        }
    }
}

/// The event without the buffers that it is a part of.
fn detached(event: &Event) -> Event {
    let copy = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
    Event {
        id: event.id.as_ref().map(copy),
        last_event_id: copy(&event.last_event_id),
        event_type: copy(&event.event_type),
        data: copy(&event.data),
        extra: copy(&event.extra),
        retry: event.retry,
        is_checkpoint: event.is_checkpoint,
    }
}
