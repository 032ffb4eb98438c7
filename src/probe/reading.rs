//! What was read of one stream: pure, bytes and instants in.

use super::flow::{Arrival, joined};
use super::lines::Lines;
use super::stamp::stamp;
use crate::sse::{Decoder, Item};
use bytes::Bytes;
use std::time::Duration;

/// A larger event is not read.
const MAX_EVENT_BYTES: usize = 4 << 20;

/// When this much was read, the rest of a stream says nothing new.
const MAX_BYTES: usize = 32 << 20;
const MAX_ARRIVALS: usize = 100_000;

/// What was read of a stream so far.
#[derive(Debug)]
pub(super) struct Reading {
    decoder: Decoder,
    /// The oddities of its lines.
    pub lines: Lines,
    /// When its bytes came.
    pub arrivals: Vec<Arrival>,
    /// The number of events with data.
    pub events: usize,
    /// The number of those that have no id of their own, or an empty one.
    pub without_id: usize,
    /// The ids in order, those of blocks without data too. Of the same ids in a row there is one.
    pub ids: Vec<Bytes>,
    /// The ids that came a second time, in a row or not.
    pub repeated: usize,
    /// The values of `retry`, in milliseconds.
    pub retries: Vec<u64>,
    /// Blocks that are larger than is read.
    pub refused: usize,
    /// All bytes.
    pub bytes: usize,
    /// How it ended. `None`: it has not.
    pub end: Option<Ending>,
}

/// How a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// In order.
    Orderly,
    /// The connection was closed, which is the only end that its framing knows.
    Closed,
    /// It broke off.
    Cut,
    /// The probe has read enough.
    Enough,
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            decoder: Decoder::new(MAX_EVENT_BYTES),
            lines: Lines::default(),
            arrivals: Vec::new(),
            events: 0,
            without_id: 0,
            ids: Vec::new(),
            repeated: 0,
            retries: Vec::new(),
            refused: 0,
            bytes: 0,
            end: None,
        }
    }
}

impl Reading {
    /// Reads bytes that came now. `at`: the time since the request. `now`: the milliseconds since 1970.
    pub(super) fn take(&mut self, at: Duration, now: i64, chunk: Bytes) {
        let mut arrival = Arrival { at, bytes: chunk.len(), events: 0, stamps: None };
        self.bytes += chunk.len();
        self.lines.take(&chunk);
        self.decoder.push(chunk);
        while let Some(item) = self.decoder.next_item() {
            match item {
                Item::Event(event) => {
                    let id = event.id.filter(|id| !id.is_empty());
                    if !event.is_checkpoint {
                        arrival.events += 1;
                        self.without_id += usize::from(id.is_none());
                        let found = stamp(&event.data, now).or_else(|| stamp(id.as_deref().unwrap_or_default(), now));
                        arrival.stamps = joined(arrival.stamps, found.map(|at| (at, at)));
                    }
                    self.retries.extend(event.retry.filter(|retry| self.retries.last() != Some(retry)));
                    self.note_id(id);
                }
                Item::Retry(retry) => {
                    self.retries.extend(Some(retry).filter(|retry| self.retries.last() != Some(retry)))
                }
                Item::Refused { id, .. } => {
                    self.refused += 1;
                    self.note_id(id);
                }
            }
        }
        self.events += arrival.events;
        self.arrivals.push(arrival);
        if self.bytes >= MAX_BYTES || self.arrivals.len() >= MAX_ARRIVALS {
            self.end = Some(Ending::Enough);
        }
    }

    fn note_id(&mut self, id: Option<Bytes>) {
        let Some(id) = id else { return };
        // The chunk that the id is a part of is not kept.
        let id = Bytes::copy_from_slice(&id);
        if self.ids.last() == Some(&id) {
            self.repeated += 1;
        } else {
            self.ids.push(id);
        }
    }

    /// The longest time without a byte. `until`: how long was listened, since the request.
    pub(super) fn longest_silence(&self, until: Duration) -> Duration {
        let ends = self.arrivals.iter().map(|arrival| arrival.at).chain([until]);
        let starts = [Duration::ZERO].into_iter().chain(self.arrivals.iter().map(|arrival| arrival.at));
        ends.zip(starts).map(|(end, start)| end.saturating_sub(start)).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_read_piece_by_piece() {
        const NOW: i64 = 1_769_862_896_000;
        let mut reading = Reading::default();
        let ms = Duration::from_millis;
        reading.take(ms(5), NOW, ": hi\nretry: 7\nid: 1\ndata: a\n\nid: 1\ndata: b\n\n".into());
        reading.take(ms(1005), NOW, "id: 2\n\ndata: c\n\ndata: 17698".into());
        reading.take(ms(4005), NOW, "62890\n\nid: 1769862891-0\ndata\n\n".into());
        assert_eq!((reading.events, reading.without_id, reading.repeated), (5, 2, 1));
        assert_eq!(reading.ids, ["1", "2", "1769862891-0"]);
        assert_eq!(reading.retries, [7]);
        let arrivals: Vec<_> =
            reading.arrivals.iter().map(|one| (one.at.as_millis(), one.events, one.stamps)).collect();
        let stamps = Some((1_769_862_890_000, 1_769_862_891_000));
        assert_eq!(arrivals, [(5, 2, None), (1005, 1, None), (4005, 2, stamps)]);
        assert_eq!((reading.lines.comments, reading.lines.only_id), (1, 1));
        assert_eq!(reading.longest_silence(ms(5000)), ms(3000));
        assert_eq!(reading.longest_silence(ms(9000)), ms(4995));
        assert_eq!(Reading::default().longest_silence(ms(9)), ms(9));
    }

    #[test]
    fn a_stream_that_says_nothing_new_is_left() {
        let mut reading = Reading::default();
        let chunk = Bytes::from(vec![b':'; 1 << 20]);
        (0..32).for_each(|_| {
            assert_eq!(reading.end, None);
            reading.take(Duration::ZERO, 0, chunk.clone());
        });
        assert_eq!(reading.end, Some(Ending::Enough));
    }
}
