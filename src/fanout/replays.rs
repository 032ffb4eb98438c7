//! The batches that were built for clients that are served alone. A crowd that returns brings few different ids, so many
//! of its clients are sent the same bytes. They are kept for a moment, because a crowd comes little by little.

use super::batch::Batch;
use super::group::Number;
use crate::replay::Seq;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The most bytes that are kept. They are the memory of a shard, not of a stream.
const MOST_BYTES: usize = 2 << 20;

/// A batch with more bytes is one large event. It shares the memory of the log, so nothing is saved by keeping it, and it
/// would stay in memory when the log has dropped it.
const MOST_OF_ONE: usize = 128 << 10;

/// The most batches that are kept. Small ones cost their overhead.
const MOST: usize = 256;

/// How long batches are kept. Their frames stay in memory for as long, though the log may have dropped them.
const KEPT: Duration = Duration::from_secs(1);

/// From so many bytes on, a batch is sent though the stream has gone on since it was built. What is missing follows. Short
/// ones are built again, because a client would be sent a chain of them.
const LARGE: usize = 32 << 10;

/// Batches, each for the group with this number and for clients at this position.
#[derive(Debug, Default)]
pub(super) struct Replays {
    batches: HashMap<(Number, Seq), Replay>,
    bytes: usize,
    /// When they are given up. `None`: there are none.
    until: Option<Instant>,
}

#[derive(Debug)]
struct Replay {
    batch: Arc<Batch>,
    /// How often the group's stream had changed by then. `None`: the batch is so large that it need not be longer.
    changes: Option<u64>,
}

impl Replays {
    /// The batch that a client at `cursor` is to be sent, if it was built and is not too short by now. `changes`: how
    /// often the group's stream has changed.
    pub(super) fn get(&self, group: Number, cursor: Seq, changes: u64) -> Option<Arc<Batch>> {
        let replay = self.batches.get(&(group, cursor))?;
        let is_new = replay.changes.is_none_or(|then| then == changes);
        is_new.then(|| Arc::clone(&replay.batch))
    }

    /// Keeps a batch for others.
    pub(super) fn keep(&mut self, group: Number, batch: &Arc<Batch>, changes: u64, now: Instant) {
        let bytes = batch.bytes.len();
        if bytes > MOST_OF_ONE {
            return;
        }
        if self.bytes + bytes > MOST_BYTES || self.batches.len() >= MOST {
            self.clear();
        }
        self.until.get_or_insert(now + KEPT);
        let changes = (bytes < LARGE).then_some(changes);
        let before = self.batches.insert((group, batch.from), Replay { batch: Arc::clone(batch), changes });
        self.bytes += bytes;
        self.bytes -= before.map_or(0, |before| before.batch.bytes.len());
    }

    /// When all are given up. `None`: there are none.
    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Gives all up if their time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        if self.until.is_some_and(|until| until <= now) {
            self.clear();
        }
    }

    /// Gives all up, and the room for them too.
    fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::super::batch::Framing;
    use super::*;
    use crate::sse::Frame;

    fn batch(from: u64, bytes: usize) -> Arc<Batch> {
        let text = format!(": {}\n", "x".repeat(bytes));
        Arc::new(Batch::new(Framing::UntilClose, Seq(from), Seq(from + 1), vec![Frame::of_text(text.as_bytes())]))
    }

    #[test]
    fn a_batch_is_for_its_group_and_position_and_until_the_stream_goes_on() {
        let (mut replays, now) = (Replays::default(), Instant::now());
        replays.keep(Number(1), &batch(7, 10), 5, now);
        replays.keep(Number(1), &batch(8, LARGE), 5, now + KEPT / 2);
        for (group, cursor, changes, found) in [
            (1, 7, 5, true),
            (1, 7, 6, false),
            (2, 7, 5, false),
            (1, 6, 5, false),
            (1, 8, 5, true),
            // A large batch is good enough.
            (1, 8, 6, true),
        ] {
            let batch = replays.get(Number(group), Seq(cursor), changes);
            assert_eq!(batch.is_some_and(|batch| batch.from == Seq(cursor)), found, "{group} {cursor} {changes}");
        }
        assert_eq!(replays.until(), Some(now + KEPT));
        replays.expire(now + KEPT - Duration::from_nanos(1));
        assert!(replays.get(Number(1), Seq(8), 5).is_some());
        replays.expire(now + KEPT);
        assert!(replays.get(Number(1), Seq(8), 5).is_none() && replays.until().is_none());
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let (mut replays, now) = (Replays::default(), Instant::now());
        let mut most_of = |n: u64, bytes| {
            let most = (0..n).map(|from| {
                replays.keep(Number(1), &batch(from, bytes), 0, now);
                assert!(replays.get(Number(1), Seq(from), 0).is_some(), "the last one is kept");
                assert_eq!(replays.bytes, replays.batches.values().map(|kept| kept.batch.bytes.len()).sum::<usize>());
                (replays.batches.len(), replays.bytes)
            });
            most.max()
        };
        assert!(most_of(1000, 10).is_some_and(|(batches, _)| batches == MOST));
        assert!(most_of(100, 64 << 10).is_some_and(|(_, bytes)| bytes <= MOST_BYTES));
        replays.keep(Number(1), &batch(1000, MOST_OF_ONE), 0, now);
        assert!(replays.get(Number(1), Seq(1000), 0).is_none(), "a large event is not kept");
        replays.clear();
        // The same position takes the place of what was there.
        for changes in 0..3 {
            replays.keep(Number(1), &batch(7, 10), changes, now);
        }
        assert_eq!(replays.bytes, batch(7, 10).bytes.len());
    }
}
