//! What a stream is in the counters of its route, as long as it exists.

use super::stream::Phase;
use crate::counters::{RouteCounters, UpstreamPhase};
use std::sync::Arc;

/// A stream in the counters of its route. Dropping it takes the stream out.
#[derive(Debug)]
pub(super) struct Census {
    counters: Arc<RouteCounters>,
    /// `None`: the stream is closed.
    phase: Option<UpstreamPhase>,
    log_bytes: u64,
}

impl Census {
    /// A new stream, which is connecting.
    pub(super) fn new(counters: Arc<RouteCounters>) -> Self {
        counters.streams.add(1);
        let mut census = Self { counters, phase: None, log_bytes: 0 };
        census.enters(Some(UpstreamPhase::Connecting));
        census
    }

    /// The stream is in this phase now.
    pub(super) fn is_in(&mut self, phase: &Phase) {
        self.enters(match phase {
            Phase::Connecting { .. } => Some(UpstreamPhase::Connecting),
            Phase::Live => Some(UpstreamPhase::Live),
            Phase::Waiting => Some(UpstreamPhase::Waiting),
            Phase::Closed { .. } => None,
        });
    }

    fn enters(&mut self, phase: Option<UpstreamPhase>) {
        if self.phase != phase {
            self.phase.into_iter().for_each(|before| self.counters.upstreams.sub_one(before));
            phase.into_iter().for_each(|phase| self.counters.upstreams.add_one(phase));
            self.phase = phase;
        }
    }

    /// The stream's log takes this many bytes now.
    pub(super) fn holds(&mut self, log_bytes: usize) {
        let before = std::mem::replace(&mut self.log_bytes, log_bytes as u64);
        if self.log_bytes != before {
            self.counters.log_bytes.change(before, self.log_bytes);
        }
    }
}

impl Drop for Census {
    fn drop(&mut self) {
        self.enters(None);
        self.holds(0);
        self.counters.streams.sub_one();
    }
}
