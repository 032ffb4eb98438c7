//! A stream whose log stands still, because it was taken down for another process.
//!
//! ```text
//!           freeze                 something comes from the origin
//!   open ───────────▶ frozen ─────────────────────────────────────▶ frozen, and it is kept beside the log
//!     ▲                  │
//!     └───── thaw ───────┘   what was kept goes into the log
//! ```
//!
//! An event that went into the log of a frozen stream would have an id that the other process gives to another event. A
//! frozen stream reads nothing more, but one read may have begun before.

use super::publisher::{count_mark, mark};
use super::stream::{State, Stream};
use crate::sse::Event;
use tokio::time::Instant;

/// Something that comes into the log when the stream thaws.
#[derive(Debug)]
pub(super) enum Late {
    Event(Event),
    /// Events are missing here: so many, if the number is known.
    Mark(Option<u64>),
}

impl State {
    /// Keeps what comes beside the log if the stream is frozen. Returns whether it is.
    pub(super) fn keeps(&mut self, late: impl FnOnce() -> Late) -> bool {
        self.frozen.as_mut().map(|kept| kept.push(late())).is_some()
    }
}

impl Stream {
    /// The log stands still. Returns whether the stream is open.
    pub(super) fn freeze(&self) -> bool {
        self.locked(|state| {
            if !state.is_closed() && state.frozen.is_none() {
                state.frozen = Some(Vec::new());
            }
            state.frozen.is_some()
        })
    }

    /// The log goes on with what came meanwhile.
    pub(super) fn thaw(&self) {
        let mut marked = Vec::new();
        self.change(|state| {
            let late = state.frozen.take().unwrap_or_default();
            if late.is_empty() || state.is_closed() {
                return;
            }
            let now = Instant::now().into_std();
            state.log.begin_batch();
            for late in late {
                match late {
                    Late::Event(event) => {
                        state.log.append(&event, now);
                    }
                    Late::Mark(missed) => marked.push(mark(state, missed)),
                }
            }
            state.appends.note(state.log.end(), now);
            self.account(state);
        });
        marked.into_iter().for_each(|told| count_mark(&self.counters, Some(told)));
        self.taken.notify_one();
    }

    /// What came meanwhile is forgotten, because another process has the stream and asks the origin for it.
    pub(super) fn forget_late(&self) {
        self.locked(|state| state.frozen = None);
        self.taken.notify_one();
    }
}
