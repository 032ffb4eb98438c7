//! Snapshots that an input says.

#![allow(unreachable_pub, reason = "a fuzz target names it")]
#![allow(clippy::unwrap_used, reason = "a panic is a test's way to fail")]

use super::file::{self, Kept};
use crate::replay::ReplayOptions;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Reads `input` as a file, and as the content of a file whose checksum fits. Opens the logs that it holds.
///
/// # Panics
/// A log that was restored holds other entries than it says, or reads other bytes than it has.
pub fn try_snapshot(input: &[u8]) {
    drop(file::read(input));
    for Kept { stream, .. } in file::read(&file::sealed(input)).map(|(_, kept)| kept).unwrap_or_default() {
        let events = stream.events();
        let now = Instant::now();
        let options = Arc::new(ReplayOptions { age: None, ..ReplayOptions::default() });
        let Some(log) = stream.restored(options, now.checked_sub(Duration::from_secs(1)).unwrap_or(now), now) else {
            continue;
        };
        let mut frames = Vec::new();
        assert_eq!(log.read(log.oldest(), usize::MAX, &mut frames), Ok(log.end()));
        let again = log.snapshot(now);
        assert!(again.events() <= events);
        let _place = log.position(frames.first().and_then(|frame| frame.id()).unwrap_or(b"a"));
        let _newest = (log.newest_id(), log.newest_id_and_followed());
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::Head;
    use super::*;
    use crate::auth::RecordState;
    use crate::hub::StreamSnapshot;
    use crate::replay::{Epoch, ReplayLog, Seq};
    use crate::service::mangled::mangle;
    use crate::sse::{Decoder, Item};
    use bytes::Bytes;

    /// The content of a file with one stream.
    fn content(text: &str, options: ReplayOptions) -> Vec<u8> {
        let mut log = ReplayLog::new(Arc::new(options), Epoch::new(7), Seq(3));
        let mut decoder = Decoder::new(1 << 20);
        decoder.push(Bytes::copy_from_slice(text.as_bytes()));
        while let Some(Item::Event(event)) = decoder.next_item() {
            log.append(&event, Instant::now());
        }
        let stream = StreamSnapshot::of(&log, Instant::now());
        let kept = Kept { route: "a".to_owned(), identity: [1; 32], stream };
        let mut bytes = Vec::new();
        file::write(&mut bytes, &Head { taken_ms: 5, streams: 1, record: RecordState::default() }, &[kept]).unwrap();
        file::content(&bytes).to_vec()
    }

    #[test]
    fn whatever_a_file_says_it_is_refused_or_makes_logs_that_hold_together() {
        let text = "id: 1\ndata: a\n\ndata: b\n\nid: 1\ndata: c\n\nid: 2\n\nid: 3\nevent: x\ndata: d\ndata: e\n\n";
        let whole = content(text, ReplayOptions { events: std::num::NonZeroUsize::new(3), ..ReplayOptions::default() });
        let (_, kept) = file::read(&file::sealed(&whole)).unwrap();
        assert_eq!(kept[0].stream.events(), 3);
        try_snapshot(&whole);
        let mut rng = fastrand::Rng::with_seed(0);
        for _ in 0..5_000 {
            let mut input = whole.clone();
            mangle(&mut input, &mut rng);
            try_snapshot(&input);
        }
    }
}
