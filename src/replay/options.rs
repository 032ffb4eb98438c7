//! What a stream keeps for those who come late or come back.

use super::Lineage;
use super::ids::{MintedId, part_of_origin, trimmed};
use crate::sse::MAX_ID_BYTES;
use bytes::Bytes;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

/// The policy of one replay log: its bounds, its ids and what a resume means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplayOptions {
    /// Events held for replay; `None` is live only.
    pub events: Option<NonZeroUsize>,
    /// Bytes of frames held; the newest event is held even beyond it.
    pub bytes: usize,
    /// Age after which an event is dropped; `None` keeps it until another bound drops it.
    pub age: Option<Duration>,
    /// Who gives an event its id.
    pub ids: IdPolicy,
    /// What the logs of the origin have in common.
    pub lineage: Lineage,
    /// Where a client without a `Last-Event-ID` starts.
    pub start: Start,
    /// What a client is told whose `Last-Event-ID` the log cannot serve.
    pub on_gap: OnGap,
    /// The event type of a gap.
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
    /// Whether an id that the origin can be asked to resume after may be one that another log minted: that of a gateway behind
    /// this one, or one of a former life of this, when the route had another origin.
    #[must_use]
    pub fn is_minted_elsewhere(&self, id: &[u8]) -> bool {
        self.ids == IdPolicy::Auto && MintedId::parse(trimmed(id)).is_some()
    }

    /// The origin's part of such an id, if it has one.
    #[must_use]
    pub fn part_behind(&self, id: &Bytes) -> Option<Bytes> {
        let minted = MintedId::parse(trimmed(id)).filter(|minted| !minted.behind.is_empty())?;
        Some(id.slice_ref(minted.behind))
    }

    /// What the origin can be asked to resume after, of an id that a client came with; `None`: nothing. Under
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

/// Who gives an event its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdPolicy {
    /// An origin's id passes unchanged; an event without one gets `~<epoch>-<seq>`, and behind an origin's id
    /// `~<epoch>-<seq>~<that id>`.
    Auto,
    /// Only the origin's, also those of minted form: every frame bears its effective id, none is minted.
    Origin,
}

/// Where a client without a `Last-Event-ID` starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With the next event.
    Live,
    /// With the oldest event held.
    All,
    /// This many events back: 1 is the last value.
    Back(NonZeroUsize),
}

/// What a client is told whose `Last-Event-ID` the log cannot serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnGap {
    /// A gap event, then the oldest held.
    Event,
    /// Nothing; it gets the oldest held. Counted.
    Oldest,
    /// Nothing; it goes on live. Counted.
    Live,
}
