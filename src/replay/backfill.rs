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
#[derive(Debug, Default)]
pub struct Backfill {
    /// The newest events, within the log's bounds.
    events: VecDeque<Event>,
    bytes: usize,
    /// Older ones, which the log could not hold.
    dropped: u64,
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
    /// Takes the next event. Where it is one that the log holds, what came before it is put before the log's first.
    pub fn push(&mut self, event: &Event, log: &mut ReplayLog, now: Instant) -> Meeting {
        let Some(at) = log.meets(event) else {
            self.keep(event, log);
            return Meeting::Apart;
        };
        if self.is_empty() {
            return Meeting::At(at);
        }
        if at == log.oldest() && !log.has_dropped() { self.put_before(log, now) } else { Meeting::Never }
    }

    /// Nothing came for a while: what follows the id is here, as long as the log has no event of its own.
    pub fn silent(&mut self, log: &mut ReplayLog, now: Instant) -> Meeting {
        if log.has_begun() {
            return Meeting::Apart;
        }
        match (self.is_empty(), log.oldest() == log.end()) {
            (true, _) => Meeting::At(log.end()),
            (false, true) => self.put_before(log, now),
            // Another backfill was quicker, and the two share no event.
            (false, false) => Meeting::Never,
        }
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
        if self.dropped == 0 { Meeting::At(log.oldest()) } else { Meeting::Short { missed: self.dropped } }
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
