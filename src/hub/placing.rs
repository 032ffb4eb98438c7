//! Where a client begins to read a stream.

use super::End;
use super::backfills::{self, Wanted};
use super::stream::{State, Stream};
use crate::replay::{Gap, GapReason, Meeting, OnGap, Position, Seq};
use crate::sse::Frame;
use bytes::Bytes;
use tokio::time::Instant;

/// The position at which a client begins.
pub(super) enum Place {
    /// This one.
    At(Start),
    /// Not known: the origin is asked.
    Unknown(Unplaced),
}

/// Where a client begins to read.
pub(super) struct Start {
    /// The position of the next frame for the client.
    pub(super) cursor: Seq,
    /// A frame that the client is given before all others.
    pub(super) told_first: Option<Frame>,
    /// Whether the log cannot give the client all that follows its id.
    pub(super) has_gap: bool,
}

impl Start {
    /// A start without a gap.
    fn at(cursor: Seq, told_first: Option<Frame>) -> Self {
        Self { cursor, told_first, has_gap: false }
    }
}

/// A client whose position depends on what the origin answers.
#[derive(Debug, Clone)]
pub(super) struct Unplaced {
    /// The `Last-Event-ID` that the client came with.
    id: Bytes,
    /// The id that the origin is asked about: the origin's part of `id`.
    asked: Wanted,
}

pub(super) fn place(stream: &Stream, state: &mut State, last_event_id: Option<&Bytes>) -> Place {
    let now = Instant::now();
    state.log.expire(now.into_std(), usize::MAX);
    stream.account(state);
    let Some(id) = last_event_id else { return Place::At(Start::at(state.log.start(), None)) };
    if matches!(state.log.position(id), Position::Gone(_))
        && let Some(asked) = backfills::want(state, id, stream.opened_at, now)
    {
        return Place::Unknown(Unplaced { id: Bytes::copy_from_slice(id), asked });
    }
    Place::At(resumed(stream, state, id))
}

/// Counts what the log holds for a client that begins at `cursor`. `resumes`: it came with a `Last-Event-ID`.
/// Returns that number.
pub(super) fn count_replay(stream: &Stream, state: &State, cursor: Seq, resumes: bool) -> u32 {
    let held = state.log.end().0.saturating_sub(cursor.0);
    if resumes || held > 0 {
        stream.counters.replayed.observe(held, 1);
    }
    u32::try_from(held).unwrap_or(u32::MAX)
}

/// The position at which the log resumes a client with this id, and the frame that the client is given first.
fn resumed(stream: &Stream, state: &State, id: &Bytes) -> Start {
    match state.log.position(id) {
        Position::Known(seq) => {
            stream.counters.resumes.add(1);
            Start::at(seq, None)
        }
        Position::Gone(gap) => after_gap(stream, state, gap),
    }
}

fn after_gap(stream: &Stream, state: &State, gap: Gap) -> Start {
    stream.counters.gaps.add_one(gap.reason.into());
    if state.log.options().on_gap != OnGap::Event {
        stream.counters.gaps_untold.add(1);
    }
    let (cursor, told_first) = state.log.after_gap(gap);
    Start { cursor, told_first, has_gap: true }
}

/// The position of a client whose id the origin was asked about. `None`: not known yet. `is_late`: the client waits
/// no longer.
pub(super) fn settled(
    stream: &Stream,
    state: &State,
    unplaced: &Unplaced,
    is_late: bool,
) -> Option<Result<Start, End>> {
    let id = &unplaced.id;
    if matches!(state.log.position(id), Position::Known(_)) {
        return Some(Ok(resumed(stream, state, id)));
    }
    match state.backfills.of(&unplaced.asked.id) {
        Some(Err(end)) => Some(Err(end.clone())),
        Some(Ok(Meeting::At(seq))) if *seq >= state.log.oldest() => {
            stream.counters.resumes.add(1);
            Some(Ok(Start::at(*seq, None)))
        }
        Some(Ok(Meeting::Beside { text, at })) if *at >= state.log.oldest() => {
            stream.counters.resumes.add(1);
            Some(Ok(Start::at(*at, Some(text.clone()))))
        }
        Some(Ok(Meeting::Short { missed })) => {
            Some(Ok(after_gap(stream, state, Gap { reason: GapReason::Evicted, missed: Some(*missed) })))
        }
        Some(Ok(Meeting::Never | Meeting::At(_) | Meeting::Beside { .. })) => Some(Ok(resumed(stream, state, id))),
        None if is_late || state.is_closed() => Some(Ok(resumed(stream, state, id))),
        None => None,
    }
}
