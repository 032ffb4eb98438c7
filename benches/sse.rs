//! How fast the wire is: bytes per second decoded, and frames per second encoded.

use bytes::Bytes;
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use manifold::sse::{Decoder, Event, Frame, Passthrough};

fn main() {
    divan::main();
}

/// What one read from a connection may give.
const CHUNK: usize = 64 << 10;
const TOTAL: usize = 4 << 20;

/// Events whose text has `size` bytes each, in chunks of 64 KiB.
fn stream(prefix: &str, size: usize) -> Vec<Bytes> {
    let data = "x".repeat(size - prefix.len() - "data: \n\n".len());
    let whole = Bytes::from(format!("{prefix}data: {data}\n\n").repeat(TOTAL / size));
    (0..whole.len()).step_by(CHUNK).map(|at| Bytes::copy_from_slice(&whole[at..whole.len().min(at + CHUNK)])).collect()
}

fn decode_stream(bencher: Bencher, chunks: &[Bytes]) {
    bencher.counter(BytesCount::new(chunks.iter().map(Bytes::len).sum::<usize>())).bench(|| {
        let mut decoder = Decoder::new(1 << 24);
        for chunk in chunks {
            decoder.push(chunk.clone());
            while let Some(item) = decoder.next_item() {
                black_box(item);
            }
        }
    });
}

#[divan::bench(args = [32, 128, 1024, 16 << 10, 1 << 20])]
fn decode(bencher: Bencher, size: usize) {
    decode_stream(bencher, &stream("", size));
}

#[divan::bench(args = [128, 1024])]
fn decode_with_id_and_type(bencher: Bencher, size: usize) {
    decode_stream(bencher, &stream("id: 1700000000-0\nevent: tick\n", size));
}

#[divan::bench(args = [128, 16 << 10])]
fn pass(bencher: Bencher, size: usize) {
    let chunks = stream("", size);
    bencher.counter(BytesCount::new(chunks.iter().map(Bytes::len).sum::<usize>())).bench(|| {
        let mut passthrough = Passthrough::new();
        for chunk in &chunks {
            black_box(passthrough.pass(chunk.clone()));
        }
        passthrough.events()
    });
}

#[divan::bench(args = [128, 16 << 10])]
fn encode(bencher: Bencher, size: usize) {
    let event = Event::of_type("tick", "x".repeat(size));
    bencher.counter(BytesCount::new(size)).bench(|| Frame::encode(Some(b"1700000000-0"), black_box(&event)));
}
