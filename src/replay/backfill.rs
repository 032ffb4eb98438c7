//! Events from before a log began, brought by a request of their own and put before its first event.
//!
//! ```text
//!   the origin after id 10:   11 12 13 14 15 …          a request with Last-Event-ID: 10
//!   the log:                           14 15 …          the shared response, which began later
//!                             └──────┘ └ the two meet: 11, 12 and 13 go before 14
//! ```
//!
//! Pure: the log and events in, what is to be done out.

use super::{ReplayLog, Seq};
use crate::sse::Event;
use bytes::Bytes;
use std::collections::VecDeque;
use std::time::Instant;

/// What a backfill has brought so far.
#[derive(Debug)]
pub struct Backfill {
    /// What it is after.
    id: Bytes,
    /// The newest events, within the log's bounds.
    events: VecDeque<Event>,
    bytes: usize,
    /// Older ones, which the log could not hold.
    dropped: u64,
    /// It was silent before while the log had events of its own.
    was_behind: bool,
    /// It was silent before, and has brought nothing.
    was_empty: bool,
}

/// What is known of the id that a backfill is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meeting {
    /// Not yet: more events are needed.
    Apart,
    /// The log goes on after the id at this position.
    At(Seq),
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
        Self { id, events: VecDeque::new(), bytes: 0, dropped: 0, was_behind: false, was_empty: false }
    }

    /// What the origin is asked to resume after.
    #[must_use]
    pub fn id(&self) -> &Bytes {
        &self.id
    }

    /// Takes the next event. Where it is one that the log holds, what came before it is put before the log's first.
    pub fn push(&mut self, event: &Event, log: &mut ReplayLog, now: Instant) -> Meeting {
        match log.meets(event) {
            // Another backfill may have brought meanwhile what is kept.
            Some(at) => self.met_kept(log, now).unwrap_or_else(|| self.met(at, log, now)),
            None => {
                self.keep(event, log);
                Meeting::Apart
            }
        }
    }

    /// Nothing came for a while.
    ///
    /// Where the log has no event of its own, what follows the id is all here; an origin that brought nothing at all may only be slow
    /// to look, and gets a second while. Where the log has events, it may have got meanwhile what was brought before. What it got more
    /// than a while ago and this did not get will not come: an id that the origin never gave must not keep others waiting.
    pub fn silent(&mut self, log: &mut ReplayLog, now: Instant) -> Meeting {
        if let Some(meeting) = self.met_kept(log, now) {
            return meeting;
        }
        let may_be_late = log.has_begun() && !std::mem::replace(&mut self.was_behind, true);
        let may_be_slow = self.is_empty() && !std::mem::replace(&mut self.was_empty, true);
        if may_be_late || may_be_slow { Meeting::Apart } else { self.ended(log, now) }
    }

    /// The response ended in order: what follows the id is all here.
    pub fn ended(&mut self, log: &mut ReplayLog, now: Instant) -> Meeting {
        if let Some(meeting) = self.met_kept(log, now) {
            return meeting;
        }
        if log.has_begun() {
            return Meeting::Never;
        }
        match (self.is_empty(), log.oldest() == log.end()) {
            (true, _) => self.right_before(log.end(), log),
            (false, true) => self.put_before(log, now),
            // Another backfill was quicker, and the two share no event.
            (false, false) => Meeting::Never,
        }
    }

    /// Where the log holds one of the events that are kept, those before the first such one meet it.
    fn met_kept(&mut self, log: &mut ReplayLog, now: Instant) -> Option<Meeting> {
        let (index, at) = self.events.iter().enumerate().find_map(|(index, event)| Some((index, log.meets(event)?)))?;
        self.events.truncate(index);
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
        self.events.len()
    }

    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.dropped == 0
    }

    fn keep(&mut self, event: &Event, log: &ReplayLog) {
        let event = detached(event);
        self.bytes = self.bytes.saturating_add(size(&event));
        self.events.push_back(event);
        let most = log.options().events.map_or(0, std::num::NonZero::get);
        while self.events.len() > most || self.bytes > log.options().bytes {
            let Some(oldest) = self.events.pop_front() else { return };
            self.bytes = self.bytes.saturating_sub(size(&oldest));
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    fn put_before(&mut self, log: &mut ReplayLog, now: Instant) -> Meeting {
        while let Some(newest) = self.events.pop_back() {
            if !log.prepend(&newest, now) {
                self.dropped = self.dropped.saturating_add(1).saturating_add(self.events.len() as u64);
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

fn size(event: &Event) -> usize {
    [event.data.len(), event.extra.len(), event.event_type.len(), event.last_event_id.len()].into_iter().sum()
}
