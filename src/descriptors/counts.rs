//! How many places there are, and who may take one. Pure.

/// One part in this many is kept for connections to origins that are not those of a stream, but not more than
/// `MOST_KEPT` places.
const KEPT_PART: usize = 16;
const MOST_KEPT: usize = 64;

/// Fewer places than one part in this many are few.
const FEW_PART: usize = 8;

/// The places that are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) most: usize,
    pub(super) kept: usize,
    pub(super) clients: usize,
    pub(super) guests: usize,
    pub(super) promised: usize,
    pub(super) streams: usize,
    pub(super) others: usize,
}

/// What a place is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A client whose request is not known yet.
    Newcomer,
    /// The same, on a place that may be promised to others.
    Guest,
    /// A client that is served from what is open.
    Client,
    /// The same, on a place that is promised to a client that has said nothing for long.
    Patient,
    /// A stream. It may take a place that was promised to a client, because the client that opens it has a promise.
    Stream,
    /// Other connections to origins, which need this many descriptors.
    Others(usize),
}

impl Counts {
    pub(super) fn new(most: usize) -> Self {
        let kept = (most / KEPT_PART).clamp(2, MOST_KEPT).min(most / 4);
        Self { most, kept, clients: 0, guests: 0, promised: 0, streams: 0, others: 0 }
    }

    /// Takes places if they are there. Returns whether they were.
    pub(super) fn take(&mut self, kind: Kind) -> bool {
        let ours = self.clients + self.streams;
        let others = self.others.max(self.kept);
        let after = match kind {
            Kind::Newcomer => ours + others + (self.promised + 2).max(self.guests + 1),
            Kind::Guest => ours + others + self.guests + 1,
            Kind::Client => ours + self.promised + others + 1,
            Kind::Patient | Kind::Stream => ours + others + 1,
            Kind::Others(n) => ours + self.promised.max(self.guests) + self.others + n,
        };
        if after > self.most {
            return false;
        }
        match kind {
            Kind::Newcomer => {
                self.clients += 1;
                self.promised += 1;
            }
            Kind::Guest => self.guests += 1,
            Kind::Client | Kind::Patient => self.clients += 1,
            Kind::Stream => self.streams += 1,
            Kind::Others(n) => self.others += n,
        }
        true
    }

    /// Whether few places are left for clients that come.
    pub(super) fn are_few_left(&self) -> bool {
        let others = self.others.max(self.kept);
        let taken = self.clients + self.streams + others + self.promised.max(self.guests);
        self.most.saturating_sub(taken) < self.most / FEW_PART
    }

    /// Whether there are guests on places that are needed.
    pub(super) fn are_needed(&self) -> bool {
        self.guests > 0 && self.clients + self.guests + self.streams + self.others > self.most
    }
}
