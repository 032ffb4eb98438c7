//! How fast the log is: appends where each drops the oldest, reads past a cursor, and what a `Last-Event-ID` means.

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
/// Events that one read of the origin may give.
const BATCH: usize = 64;
/// What a shard reads at once, in bytes.
const MOST: usize = 64 << 10;
/// Clients that come back at once.
const CROWD: usize = 1000;

#[derive(Debug, Clone, Copy)]
enum Ids {
    Origin,
    Minted,
}

/// Events with `size` bytes of data each. No two ids are alike.
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

/// A log that holds the last `held` of `events`.
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
    // By the time that an id comes again, the log has dropped it for long.
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

/// From so many events behind the end, and dropping what was read.
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

/// What a crowd's ids mean, one after the other.
fn position(bencher: Bencher, log: &ReplayLog, crowd: &[Bytes]) {
    bencher.counter(ItemsCount::new(crowd.len())).bench(|| {
        for id in crowd {
            black_box(log.position(id));
        }
    });
}

/// Places all over a log, in no order.
fn places(held: usize) -> impl Iterator<Item = usize> {
    // A prime, so that no place comes twice before all have come.
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
