//! What it costs to count deliveries. The engine counts once for each slice of a pass over the clients of a stream, and
//! not once for each client. So the cost of a delivery is the cost of a slice, divided by the clients in it.

use divan::{Bencher, black_box};
use manifold::counters::RouteCounters;
use std::time::{Duration, Instant};

fn main() {
    divan::main();
}

/// What is counted for a slice: the events, their bytes, and how long their delivery took.
fn count(counters: &RouteCounters, clients: u64, lag: Duration) {
    counters.events_out.add(clients);
    counters.bytes_out.add(clients * 137);
    counters.delivery_lag.observe_time(lag, clients);
}

/// A slice of a large stream has up to 64 clients. The only client of a stream is a slice of its own.
#[divan::bench(args = [1, 64])]
fn a_slice(bencher: Bencher<'_, '_>, clients: u64) {
    let counters = RouteCounters::default();
    let mut micros = 0;
    bencher.bench_local(|| {
        micros = (micros + 37) % 30_000;
        count(black_box(&counters), clients, Duration::from_micros(micros));
    });
}

/// The clock is read once for each round of a shard, which serves many slices.
#[divan::bench]
fn the_clock() -> Instant {
    Instant::now()
}
