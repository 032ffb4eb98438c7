//! Whether a new response goes on where the log ends: its first events tell.
//!
//! ```text
//!                 the log holds it: a repeat
//!   Expecting ─────────────────────────────────▶ Repeating ──┐ the next entry: a repeat
//!       │                                         │   ▲──────┘
//!       │ it differs: new, or new after a loss    │ it differs: new
//!       └───────────────────────▶ Passed ◀────────┘
//!                                 everything is new
//! ```
//!
//! Pure: the log and an event in, the event's fate out.

use super::{ReplayLog, Seq, trimmed};
use crate::sse::Event;
use bytes::Bytes;

/// What becomes of an event of the origin's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes into the log.
    New,
    /// The log holds it already: it is dropped.
    Repeat,
    /// It goes into the log, behind a mark: events before it may be lost.
    NewAfterLoss,
}

/// Judges the events of one response against the log, in order.
///
/// Leading events are repeats while they equal (id and bytes) a contiguous run of the log; the first that differs ends it. An
/// event with an id starts a run at the first entry with that id. One without can only be the entry right after the id from
/// which the origin was asked to resume, or one that came while the response before still stood; otherwise two equal ticks
/// would be taken for one. While the response before still stood, that goes for an event with an id, too, if the log holds it more
/// than once. A run goes on past checkpoints that do not come again, and a checkpoint that the log knows is a repeat
/// wherever it comes: the run goes on after it.
#[derive(Debug, Clone)]
pub struct Continuation {
    expected: Expected,
    /// Events without an id follow the id that the origin was asked to resume after.
    is_followed: bool,
    /// Events were lost before this response, whatever it begins with.
    lost: bool,
}

#[derive(Debug, Clone)]
enum Expected {
    /// No event came yet, and the origin was asked to resume after this id.
    After(Bytes),
    /// No event came yet, and those from here on may come again: the response before still stood.
    From(Seq),
    /// No event came yet, and none can be a repeat.
    Anything,
    /// The run of repeats goes on here.
    Repeating(Seq),
    /// Whatever comes is new.
    Passed,
}

impl Continuation {
    /// Of a response that was not asked to resume. `lost`: events before it may be lost.
    #[must_use]
    pub fn fresh(lost: bool) -> Self {
        Self { expected: Expected::Anything, is_followed: false, lost }
    }

    /// Of a response that was asked to resume after the origin's id `id`. `is_followed`: events without an id came behind it,
    /// which an origin that resumes sends again. `lost`: events are lost even if it does.
    #[must_use]
    pub fn after(id: Bytes, is_followed: bool, lost: bool) -> Self {
        Self { expected: Expected::After(id), is_followed, lost }
    }

    /// Of a response that began while the one before still stood: nothing is lost, and the entries from `from` on may come
    /// again.
    #[must_use]
    pub fn overlapping(from: Seq, lost: bool) -> Self {
        Self { expected: Expected::From(from), is_followed: false, lost }
    }

    /// Whether a loss is still to be told: no event came since.
    #[must_use]
    pub fn is_loss_untold(&self) -> bool {
        self.lost
    }

    /// The fate of the next event.
    pub fn judge(&mut self, log: &ReplayLog, event: &Event) -> Fate {
        let id = event.id.as_ref().filter(|id| !trimmed(id).is_empty());
        if event.is_checkpoint {
            return self.judge_checkpoint(log, id);
        }
        let candidate = match (&self.expected, id) {
            (Expected::Passed, _) | (Expected::Anything, _) => None,
            (Expected::Repeating(seq), _) => Some(*seq),
            (Expected::After(_), Some(id)) => log.first_held(id),
            (Expected::From(from), Some(id)) => {
                let first = log.first_held(id).filter(|first| is_alone(log, id, *first, event));
                first.or_else(|| log.find_from(*from, event))
            }
            (Expected::After(resumed_from), None) => log.after_id(resumed_from).map(|seq| log.event_from(seq)),
            (Expected::From(from), None) => log.find_from(*from, event),
        };
        if let Some(seq) = candidate.filter(|seq| log.holds_at(*seq, event)) {
            self.expected = Expected::Repeating(log.event_from(seq.plus(1)));
            return Fate::Repeat;
        }
        // An origin that resumes sends what follows the id that it was given: if something does and the first event is none of
        // it, the origin did not resume.
        let ignored = self.is_followed && matches!(self.expected, Expected::After(_));
        self.expected = Expected::Passed;
        if std::mem::take(&mut self.lost) || ignored { Fate::NewAfterLoss } else { Fate::New }
    }

    fn judge_checkpoint(&mut self, log: &ReplayLog, id: Option<&Bytes>) -> Fate {
        if matches!(self.expected, Expected::Passed | Expected::Anything) {
            return Fate::New;
        }
        let Some(id) = id else { return Fate::New };
        match log.after_first_held(id) {
            Some(seq) => {
                self.expected = Expected::Repeating(log.event_from(seq));
                Fate::Repeat
            }
            None => {
                self.expected = Expected::Passed;
                Fate::New
            }
        }
    }
}

/// Whether the entry at `seq`, the first held that bears `id`, is this event, and no other one is or was.
fn is_alone(log: &ReplayLog, id: &[u8], seq: Seq, event: &Event) -> bool {
    let next = seq.plus(1);
    log.after_id(id) == Some(next) && log.holds_at(seq, event) && log.find_from(next, event).is_none()
}
