//! Backfill: events from before the log began. A request of its own brings them, and they go before the log's first
//! event.
//!
//! ```text
//!   the origin after id 10:   11 12 13 14 15 …          a request with Last-Event-ID: 10
//!   the log:                           14 15 …          the shared response, which began later
//!                             └──────┘ └ the two meet: 11, 12 and 13 go before 14
//! ```
//!
//! A response may end before it meets the log. The next request then asks for what comes after its last event, as an
//! `EventSource` would, because some origins give their history in pages.
//!
//! Pure: the log, events and instants in, what to do out.

use super::{Gap, GapReason, IdPolicy, ReplayLog, Seq, trimmed};
use crate::sse::{Event, Frame};
use bytes::{Bytes, BytesMut};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// After this time without an event, an origin that brought some has brought all.
const QUIET: Duration = Duration::from_secs(1);

/// After this time without an event, an origin that brought none has none. It is longer, because looking may take
/// time.
const EMPTY: Duration = Duration::from_secs(2);

/// When the log has had events of its own for this long, a quiet backfill will not bring them any more.
const LATE: Duration = Duration::from_secs(1);

/// The bytes of events that the clients of one id may get outside the log.
const MOST_BESIDE_BYTES: usize = 64 << 10;

/// What a backfill has brought so far.
#[derive(Debug)]
pub struct Backfill {
    /// The id whose following events are wanted.
    id: Bytes,
    /// The id that the next request resumes after.
    resume: Bytes,
    /// The id that the present request resumes after.
    asked_after: Bytes,
    /// The events brought, the newest within the log's bounds.
    kept: VecDeque<Kept>,
    bytes: usize,
    /// The number of older events, which the log could not hold.
    dropped: u64,
    /// The next event is the first of a response.
    is_first: bool,
    /// Since when the backfill is quiet though the log has events of its own.
    behind_since: Option<Instant>,
}

/// One thing that a backfill brought.
#[derive(Debug)]
enum Kept {
    Event(Event),
    /// An event that was too large.
    Lost,
}

/// Where the clients of a backfill's id go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meeting {
    /// At this position of the log.
    At(Seq),
    /// At this position of the log, after events that the log does not hold, because another backfill's events are in
    /// their place.
    Beside {
        /// The text of the events.
        text: Frame,
        /// The position in the log.
        at: Seq,
    },
    /// At the oldest entry of the log. Events after the id are lost.
    Short {
        /// The number of lost events.
        missed: u64,
    },
    /// The backfill and the log do not fit together.
    Never,
}

impl Backfill {
    /// A backfill of what the origin sent after `id`.
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

    /// The id whose following events are wanted.
    #[must_use]
    pub fn id(&self) -> &Bytes {
        &self.id
    }

    /// A request begins. Returns the id that the origin is asked to resume after.
    pub fn begin(&mut self) -> &Bytes {
        self.is_first = true;
        self.asked_after = self.resume.clone();
        &self.resume
    }

    /// Whether the backfill has brought nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty() && self.dropped == 0
    }

    /// Whether the present response brought an id that the next request may resume after.
    #[must_use]
    pub fn has_moved(&self) -> bool {
        self.resume != self.asked_after
    }

    /// Takes the next event. If the log holds it, the events before it go before the log's first event. `None`, here
    /// and below: more events are needed.
    pub fn push(&mut self, event: &Event, log: &mut ReplayLog, now: Instant) -> Option<Meeting> {
        if std::mem::take(&mut self.is_first) {
            self.forget_from(event);
        }
        let Some(at) = log.meets(event) else {
            self.keep(event, log);
            return None;
        };
        // Another backfill may meanwhile have brought the kept events.
        Some(self.met_kept(log, now).unwrap_or_else(|| self.met(at, log, now)))
    }

    /// An event was too large and is lost. `id`: the event's id, if it had one.
    pub fn lose(&mut self, id: Option<Bytes>, log: &ReplayLog) {
        self.kept.push_back(Kept::Lost);
        if let Some(id) = id {
            self.keep(&Event::checkpoint(id), log);
        }
    }

    /// The origin sent nothing for `since`.
    ///
    /// If the log has no event of its own, the backfill is complete. If it has, another backfill may have brought the
    /// kept events to it. Events that the log got a while ago and this backfill did not get will not come any more:
    /// the origin may never have given the id, and such an id must not keep other ids waiting.
    pub fn silent(&mut self, since: Duration, log: &mut ReplayLog, now: Instant) -> Option<Meeting> {
        self.met_kept(log, now).or_else(|| {
            let patience = if self.is_empty() { EMPTY } else { QUIET };
            let is_over = since >= patience && !(log.has_begun() && self.waits_on(now));
            is_over.then(|| self.whole(log, now))
        })
    }

    /// Whether the log's own events may still come to this backfill, too.
    fn waits_on(&mut self, now: Instant) -> bool {
        let since = *self.behind_since.get_or_insert(now);
        now.saturating_duration_since(since) < LATE
    }

    /// The response ended in order. If it brought no events, the backfill is complete. If it did, there may be more
    /// after them.
    pub fn ended(&mut self, log: &mut ReplayLog, now: Instant) -> Option<Meeting> {
        self.met_kept(log, now).or_else(|| (!self.has_moved()).then(|| self.whole(log, now)))
    }

    /// The result of a complete backfill.
    fn whole(&mut self, log: &mut ReplayLog, now: Instant) -> Meeting {
        if log.has_begun() {
            return Meeting::Never;
        }
        match (self.is_empty(), log.oldest() == log.end()) {
            (true, _) => self.right_before(log.end(), log),
            (false, true) => self.put_before(log, now),
            // Another backfill came first, and the two share no event.
            (false, false) => self.beside(log),
        }
    }

    /// If the log holds one of the kept events, the events before the first such one go before the log.
    fn met_kept(&mut self, log: &mut ReplayLog, now: Instant) -> Option<Meeting> {
        let met = |kept: &Kept| match kept {
            Kept::Event(event) => log.meets(event),
            Kept::Lost => None,
        };
        let (index, at) = self.kept.iter().enumerate().find_map(|(index, kept)| Some((index, met(kept)?)))?;
        self.kept.truncate(index);
        Some(self.met(at, log, now))
    }

    /// The log holds the event after the kept ones at `at`. Marks and checkpoints may stand before it.
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

    /// A response may begin with events that the previous response brought. Those are forgotten.
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

    /// The clients of the id go on at `at`.
    fn right_before(&self, at: Seq, log: &mut ReplayLog) -> Meeting {
        if at == log.oldest() && !log.has_dropped() {
            log.know_before_first(&self.id);
        }
        Meeting::At(at)
    }

    /// Gives the events to the clients of this id alone. An event without an id is given none, because the log does
    /// not know it.
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
            text.extend_from_slice(frame.text());
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

/// The event, copied out of the buffers that its fields are slices of.
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
