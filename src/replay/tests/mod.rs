//! Tests of the log: single facts, and properties beside a naive oracle.

#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a test's way to fail")]
#![cfg_attr(fuzzing, allow(unused, reason = "a fuzz target uses the oracle alone"))]

#[cfg(test)]
mod backfill;
mod beside;
#[cfg(test)]
mod bounds;
#[cfg(test)]
mod continuation;
#[cfg(test)]
mod holds;
#[cfg(test)]
mod ids;
mod oracle;
#[cfg(test)]
mod positions;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod starts;
mod tried;
#[cfg(test)]
mod view;

#[cfg(fuzzing)]
pub use tried::try_positions;

use super::{Epoch, Gap, GapReason, IdPolicy, OnGap, Position, ReplayLog, ReplayOptions, Seq, Start, cost_of};
use crate::sse::{Decoder, Event, Frame, Item};
use bytes::Bytes;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The epoch of every log here, whose minted ids are `~e-0`, `~e-1` and so on.
const EPOCH: u64 = 0xe;

/// For a read that no number of bytes cuts.
const ALL: usize = usize::MAX;

/// A log that is fed with the text of a stream, and whose clock the test sets.
struct Tape {
    log: ReplayLog,
    decoder: Decoder,
    now: Instant,
}

impl Tape {
    fn new(options: ReplayOptions) -> Self {
        Self::resumed(options, "")
    }

    /// A log whose origin was asked to resume after `id`.
    fn resumed(options: ReplayOptions, id: &'static str) -> Self {
        let base = Bytes::from_static(id.as_bytes());
        let mut log = ReplayLog::new(Arc::new(options), Epoch::new(EPOCH), Seq(0));
        if !id.is_empty() {
            log.know_before_first(&base);
        }
        Self { log, decoder: Decoder::resuming(1 << 20, base), now: Instant::now() }
    }

    /// Appends the events of `text`, in which `|` ends a line and `||` an event.
    fn feed(mut self, text: &str) -> Self {
        for event in decode(&mut self.decoder, text) {
            self.append(&event);
        }
        self
    }

    fn mark(mut self) -> Self {
        self.append_mark();
        self
    }

    /// Appends an event as a batch of its own.
    fn append(&mut self, event: &Event) {
        self.log.begin_batch();
        self.log.append(event, self.now);
    }

    fn append_mark(&mut self) {
        self.log.begin_batch();
        self.log.append_mark(lost(), self.now);
    }

    fn after(mut self, secs: u64) -> Self {
        self.now += Duration::from_secs(secs);
        self
    }

    fn expire(mut self) -> Self {
        self.log.expire(self.now, ALL);
        self
    }

    /// The position of `id` as text: `known 3`, `evicted 2` or `unknown null`.
    fn position(&self, id: &str) -> String {
        match self.log.position(id.as_bytes()) {
            Position::Known(seq) => format!("known {seq}"),
            Position::Gone(Gap { reason, missed }) => {
                format!("{reason} {}", missed.map_or_else(|| "null".to_owned(), |n| n.to_string()))
            }
        }
    }

    /// The data of what is held from `cursor` on, such as `a b`, with `!` for a mark.
    fn from(&self, cursor: Seq) -> String {
        let mut frames = Vec::new();
        match self.log.read(cursor, ALL, &mut frames) {
            Ok(_) => frames.iter().map(brief).collect::<Vec<_>>().join(" "),
            Err(Gap { missed, .. }) => format!("behind {missed:?}"),
        }
    }

    fn held(&self) -> String {
        self.from(self.log.oldest())
    }
}

/// The events of `text`, in which `|` ends a line and `||` an event.
fn decode(decoder: &mut Decoder, text: &str) -> Vec<Event> {
    decoder.push(Bytes::from(text.replace('|', "\n")));
    std::iter::from_fn(|| decoder.next_item())
        .filter_map(|item| if let Item::Event(event) = item { Some(event) } else { None })
        .collect()
}

fn lost() -> Frame {
    Gap { reason: GapReason::Upstream, missed: None }.frame("gap")
}

fn text(frame: &Frame) -> String {
    String::from_utf8(frame.text().to_vec()).unwrap()
}

/// The data of a frame, `!` for a mark, or `@` and the id of a checkpoint.
fn brief(frame: &Frame) -> String {
    if *frame == lost() {
        return "!".to_owned();
    }
    let text = text(frame);
    if let Some(id) = text.strip_prefix("id: ").filter(|rest| !rest.contains("\ndata: ")) {
        return format!("@{}", id.trim());
    }
    text.lines().filter_map(|line| line.strip_prefix("data: ")).collect()
}

/// Options that hold this many events and have no other bound that matters.
fn events(most: usize) -> ReplayOptions {
    ReplayOptions { events: NonZeroUsize::new(most), age: None, ..ReplayOptions::default() }
}

fn live_only() -> ReplayOptions {
    ReplayOptions { events: None, ..events(1) }
}

fn origin_ids(most: usize) -> ReplayOptions {
    ReplayOptions { ids: IdPolicy::Origin, ..events(most) }
}

fn back(n: usize) -> Start {
    Start::Back(NonZeroUsize::new(n).unwrap())
}
