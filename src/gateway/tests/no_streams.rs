//! Streams that nobody feeds.

use crate::hub::{Backfilling, Open, Opening, Publisher, StreamRequest};

/// Opens streams, and never publishes anything on them.
pub(crate) struct NoStreams;

impl Open for NoStreams {
    fn open(&self, _: Opening, _: Publisher) {}

    fn backfill(&self, _: StreamRequest, _: Backfilling) {}
}
