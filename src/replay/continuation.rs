//! Whether a new response of the origin continues where the log ends. Its first events decide.
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

/// What happens to an event of a new response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes into the log.
    New,
    /// The log holds it already, so it is dropped.
    Repeat,
    /// It goes into the log after a mark, because events before it may be lost.
    NewAfterLoss,
}

/// Judges the events of one response in order, against the log.
///
/// The first events are repeats as long as they equal a contiguous run of the log in ids and bytes. The first event
/// that differs ends the run.
/// - An event with an id starts a run at the first entry with that id.
/// - An event without an id starts a run in two cases only: at the entry right after the id that the origin was asked
///   to resume after, or at an entry that came while the previous response still lasted. If it could start a run
///   anywhere, two equal events would count as one.
/// - While the previous response still lasted, the second case is also the rule for an id that the log holds more
///   than once.
/// - A run passes over checkpoints in the log. A checkpoint of the response that the log knows is a repeat anywhere,
///   and the run goes on after it.
#[derive(Debug, Clone)]
pub struct Continuation {
    expected: Expected,
    /// The id that the origin was asked to resume after was followed by events without an id.
    is_followed: bool,
    /// Events were lost before this response, whatever it begins with.
    lost: bool,
}

#[derive(Debug, Clone)]
enum Expected {
    /// No event has come yet. The origin was asked to resume after this id.
    After(Bytes),
    /// No event has come yet. The previous response still lasted, so entries from here on may come again.
    From(Seq),
    /// No event has come yet, and none can be a repeat.
    Anything,
    /// The run of repeats goes on at this position.
    Repeating(Seq),
    /// The run is over, and every event is new.
    Passed,
}

impl Continuation {
    /// For a response that was not asked to resume. `lost`: events before it may be lost.
    #[must_use]
    pub fn fresh(lost: bool) -> Self {
        Self { expected: Expected::Anything, is_followed: false, lost }
    }

    /// For a response that was asked to resume after the origin's id `id`. `is_followed`: the log holds events
    /// without an id after it, which an origin that resumes sends again. `lost`: events are lost even if the origin
    /// resumes.
    #[must_use]
    pub fn after(id: Bytes, is_followed: bool, lost: bool) -> Self {
        Self { expected: Expected::After(id), is_followed, lost }
    }

    /// For a response that began while the previous one lasted. The entries from `from` on may come again. `lost`:
    /// events before it may be lost all the same.
    #[must_use]
    pub fn overlapping(from: Seq, lost: bool) -> Self {
        Self { expected: Expected::From(from), is_followed: false, lost }
    }

    /// Whether a loss is still to be told, because no event has come since.
    #[must_use]
    pub fn is_loss_untold(&self) -> bool {
        self.lost
    }

    /// Judges the next event.
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
        // An origin that resumes begins with what follows the id. The log holds something that follows, and this
        // event is not it. So the origin did not resume.
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

/// Whether the entry at `seq`, the first held with this id, equals the event, and no other entry has or had the id.
fn is_alone(log: &ReplayLog, id: &[u8], seq: Seq, event: &Event) -> bool {
    let next = seq.plus(1);
    log.after_id(id) == Some(next) && log.holds_at(seq, event) && log.find_from(next, event).is_none()
}
