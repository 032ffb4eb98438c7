//! What a stream keeps for clients that come late or reconnect.

use super::Lineage;
use super::ids::{MintedId, part_of_origin, trimmed};
use crate::sse::MAX_ID_BYTES;
use bytes::Bytes;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// The policy of one replay log: its bounds, its ids and the meaning of a resume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayOptions {
    /// The number of events held for replay. `None`: no replay, live only. Up to 64 KiB are held all the same, for
    /// clients that are a little behind.
    pub events: Option<NonZeroUsize>,
    /// The bytes of memory that the events held may cost, what each costs beside its text included. The newest event
    /// is held even if it is larger.
    pub bytes: usize,
    /// The age at which an event is dropped. `None`: no limit of age.
    pub age: Option<Duration>,
    /// Who gives events their ids.
    pub ids: IdPolicy,
    /// What all logs of the origin have in common.
    pub lineage: Lineage,
    /// Where a client without a `Last-Event-ID` begins.
    pub start: Start,
    /// What a client is told when the log cannot serve its `Last-Event-ID`.
    pub on_gap: OnGap,
    /// The event type of a gap event.
    pub gap_event: Arc<str>,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self {
            events: NonZeroUsize::new(1000),
            bytes: 4 << 20,
            age: Some(Duration::from_secs(300)),
            ids: IdPolicy::Auto,
            lineage: Lineage::default(),
            start: Start::Live,
            on_gap: OnGap::Event,
            gap_event: Arc::from("gap"),
        }
    }
}

impl ReplayOptions {
    /// Whether another log may have minted `id`, after which the origin can be asked to resume. That log belongs to a
    /// gateway behind this one, or to an earlier process of this gateway, when the route had another origin.
    #[must_use]
    pub fn is_minted_elsewhere(&self, id: &[u8]) -> bool {
        self.ids == IdPolicy::Auto && MintedId::parse(trimmed(id)).is_some()
    }

    /// The origin's part of an id that another log minted, if it has one.
    #[must_use]
    pub fn part_behind(&self, id: &Bytes) -> Option<Bytes> {
        let minted = MintedId::parse(trimmed(id)).filter(|minted| !minted.behind.is_empty())?;
        Some(id.slice_ref(minted.behind))
    }

    /// The id that the origin can be asked to resume after, for a client's id. `None`: there is none. Under
    /// [`IdPolicy::Origin`] every id is the origin's.
    #[must_use]
    pub fn for_the_origin(&self, id: &Bytes) -> Option<Bytes> {
        let whole = trimmed(id);
        let part = match self.ids {
            IdPolicy::Auto => part_of_origin(whole, self.lineage),
            IdPolicy::Origin => whole,
        };
        (!part.is_empty() && whole.len() <= MAX_ID_BYTES).then(|| id.slice_ref(part))
    }
}

/// Who gives events their ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdPolicy {
    /// An origin's id passes unchanged. An event without an id gets `~<epoch>-<seq>`, or `~<epoch>-<seq>~<id>` after
    /// an event with the origin's id `<id>`.
    Auto,
    /// The origin alone. Every frame has its effective id, even one that looks minted, and no id is minted.
    Origin,
}

/// Where a client without a `Last-Event-ID` begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At the next event.
    Live,
    /// At the oldest event held.
    All,
    /// This many events back. 1 is the last event.
    Back(NonZeroUsize),
}

/// What a client is told when the log cannot serve its `Last-Event-ID`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnGap {
    /// A gap event. Then the client gets the oldest event held.
    Event,
    /// Nothing. The client gets the oldest event held. Counted.
    Oldest,
    /// Nothing. The client gets the next live event. Counted.
    Live,
}
