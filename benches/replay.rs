//! The speed of the replay log: appends that each drop the oldest event, reads past a cursor, and look-ups of a
//! `Last-Event-ID`.

use bytes::Bytes;
use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use manifold::replay::{Epoch, ReplayLog, ReplayOptions, Seq};
use manifold::sse::{Event, Frame};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

fn main() {
    divan::main();
}

const HELD: usize = 1000;
/// The number of events that one read from the origin may contain.
const BATCH: usize = 64;
/// The number of bytes that a shard reads from a log at once.
const MOST: usize = 64 << 10;
/// The number of clients that reconnect at once.
const CROWD: usize = 1000;

#[derive(Debug, Clone, Copy)]
enum Ids {
    Origin,
    Minted,
}

/// Events with `size` bytes of data each. All their ids differ.
fn events(ids: Ids, count: usize, size: usize) -> Vec<Event> {
    let data = Bytes::from("x".repeat(size));
    let event = |n: usize| match ids {
        Ids::Origin => {
            let id = origin_id(n);
            Event { id: Some(id.clone()), last_event_id: id, data: data.clone(), ..Event::default() }
        }
        Ids::Minted => Event { data: data.clone(), ..Event::default() },
    };
    (0..count).map(event).collect()
}

fn origin_id(n: usize) -> Bytes {
    Bytes::from(format!("1700000{n:06}-0"))
}

fn minted_id(n: usize) -> Bytes {
    Bytes::from(format!("~c0ffee-{n}"))
}

/// A log that holds the last `held` events of `events`.
fn log(held: usize, events: &[Event], now: Instant) -> ReplayLog {
    let options =
        ReplayOptions { events: NonZeroUsize::new(held), bytes: usize::MAX, age: None, ..ReplayOptions::default() };
    let mut log = ReplayLog::new(Arc::new(options), Epoch::new(0x00c0_ffee), Seq(0));
    for batch in events.chunks(BATCH) {
        append_batch(&mut log, batch, now);
    }
    log
}

fn append_batch(log: &mut ReplayLog, batch: &[Event], now: Instant) {
    log.begin_batch();
    for event in batch {
        black_box(log.append(event, now));
    }
}

fn append(bencher: Bencher, ids: Ids, size: usize) {
    // When an id comes again, the log dropped its first event long ago.
    let events = events(ids, 4 * 1024, size);
    let now = Instant::now();
    let mut log = log(HELD, &events, now);
    let mut batches = events.chunks(BATCH).cycle();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for batch in batches.by_ref().take(1) {
            append_batch(&mut log, batch, now);
        }
    });
}

#[divan::bench(args = [128, 1024])]
fn append_with_origin_ids(bencher: Bencher, size: usize) {
    append(bencher, Ids::Origin, size);
}

#[divan::bench(args = [128, 1024])]
fn append_with_minted_ids(bencher: Bencher, size: usize) {
    append(bencher, Ids::Minted, size);
}

/// Reads from this many events before the end, and drops the frames.
#[divan::bench(args = [0, 1, 100, 1000])]
fn read(bencher: Bencher, behind: usize) {
    let log = log(HELD, &events(Ids::Origin, HELD, 128), Instant::now());
    let cursor = Seq((HELD - behind) as u64);
    let mut frames: Vec<Frame> = Vec::with_capacity(HELD);
    bencher.bench_local(|| {
        frames.clear();
        black_box(log.read(black_box(cursor), MOST, &mut frames))
    });
}

/// Looks up the ids of a crowd, one after the other.
fn position(bencher: Bencher, log: &ReplayLog, crowd: &[Bytes]) {
    bencher.counter(ItemsCount::new(crowd.len())).bench(|| {
        for id in crowd {
            black_box(log.position(id));
        }
    });
}

/// Positions all over a log, in no order.
fn places(held: usize) -> impl Iterator<Item = usize> {
    // Steps by a prime, so that no position repeats before all have come.
    (0..CROWD).map(move |n| n * 7919 % held)
}

#[divan::bench(args = [1_000, 100_000])]
fn position_by_origin_id(bencher: Bencher, held: usize) {
    let log = log(held, &events(Ids::Origin, held, 128), Instant::now());
    position(bencher, &log, &places(held).map(origin_id).collect::<Vec<_>>());
}

#[divan::bench(args = [1_000, 100_000])]
fn position_by_minted_id(bencher: Bencher, held: usize) {
    let log = log(held, &events(Ids::Minted, held, 128), Instant::now());
    position(bencher, &log, &places(held).map(minted_id).collect::<Vec<_>>());
}

#[divan::bench(args = [1_000, 100_000])]
fn position_of_an_unknown_id(bencher: Bencher, held: usize) {
    let log = log(held, &events(Ids::Origin, held, 128), Instant::now());
    position(bencher, &log, &places(held).map(|n| origin_id(held + n)).collect::<Vec<_>>());
}
