//! Events that an origin sends again after a resume.

use super::{ReplayLog, Seq, trimmed};
use crate::sse::Event;
use bytes::Bytes;

/// Recognises the leading events of a resumed response that the log holds already.
///
/// They are dropped while they equal (id and bytes) a contiguous run of the log; the first that differs ends it. An event
/// with an id starts a run at the first entry with that id; one without can only be the entry right after the id from which
/// the origin was asked to resume, or two equal ticks would be taken for one. A run goes on past checkpoints that do not come
/// again, and a checkpoint that the log knows is a repeat wherever it comes: the run goes on after it.
#[derive(Debug)]
pub struct Repeats {
    expected: Expected,
}

#[derive(Debug)]
enum Expected {
    /// No event came yet.
    First { resumed_from: Bytes },
    /// The run goes on here.
    At(Seq),
    /// Whatever comes is new.
    Nothing,
}

impl Repeats {
    /// For a response that was asked to resume after `id`; `None`: for one that was not, so that nothing is a repeat.
    #[must_use]
    pub fn after(id: Option<Bytes>) -> Self {
        Self { expected: id.map_or(Expected::Nothing, |resumed_from| Expected::First { resumed_from }) }
    }

    /// Whether the log holds this event already and it is to be dropped. Asked of each event, in order.
    pub fn is_repeat(&mut self, log: &ReplayLog, event: &Event) -> bool {
        if event.is_checkpoint && !matches!(self.expected, Expected::Nothing) {
            let Some(id) = event.id.as_ref().filter(|id| !trimmed(id).is_empty()) else { return false };
            let after = log.after_first_held(id);
            self.expected = after.map_or(Expected::Nothing, |seq| Expected::At(log.event_from(seq)));
            return after.is_some();
        }
        let candidate = match &self.expected {
            Expected::Nothing => return false,
            Expected::At(seq) => Some(*seq),
            Expected::First { resumed_from } => match event.id.as_ref().filter(|id| !id.is_empty()) {
                Some(id) => log.first_held(id),
                None => log.after_id(resumed_from).map(|seq| log.event_from(seq)),
            },
        };
        match candidate.filter(|seq| log.holds_at(*seq, event)) {
            Some(seq) => {
                self.expected = Expected::At(log.event_from(seq.plus(1)));
                true
            }
            None => {
                self.expected = Expected::Nothing;
                false
            }
        }
    }
}
