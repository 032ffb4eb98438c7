//! The speed of the wire format: bytes decoded per second, and frames encoded per second.

#[allow(dead_code, reason = "a benchmark looks at what is sent, not at what is expected of it")]
#[path = "../tests/support/contract.rs"]
mod contract;

use bytes::Bytes;
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use manifold::sse::{Decoder, Event, Frame, Passthrough};

fn main() {
    divan::main();
}

/// The number of bytes that one read from a connection may give.
const CHUNK: usize = 64 << 10;
const TOTAL: usize = 4 << 20;

/// Events whose text has `size` bytes each, in chunks of 64 KiB.
fn stream(prefix: &str, size: usize) -> Vec<Bytes> {
    let data = "x".repeat(size - prefix.len() - "data: \n\n".len());
    chunks(format!("{prefix}data: {data}\n\n").as_bytes())
}

/// The bytes of `text`, repeated, in chunks of 64 KiB.
fn chunks(text: &[u8]) -> Vec<Bytes> {
    text.repeat(TOTAL / text.len()).chunks(CHUNK).map(Bytes::copy_from_slice).collect()
}

/// Every form of a line in tiny events: the small cases of the contract, one after the other.
fn every_form() -> Vec<u8> {
    let bodies =
        contract::cases().into_iter().flat_map(|case| case.connections).map(|response| response.chunks.concat());
    let cases: Vec<_> = bodies.filter(|body| body.len() < 4 << 10).collect();
    cases.join(&b"\n\n"[..])
}

/// A response as the APIs of language models stream it: a word or two in each event.
fn answer() -> Vec<u8> {
    let words = "The quick brown fox jumps over the lazy dog, and nobody is surprised any more.";
    let event = |word: &str| {
        format!(
            r#"data: {{"id":"chatcmpl-0123456789abcdefghijklmnopqrs","object":"chat.completion.chunk","created":1741570283,"model":"a-model-of-today","service_tier":"default","system_fingerprint":"fp_0123456789","choices":[{{"index":0,"delta":{{"content":" {word}"}},"logprobs":null,"finish_reason":null}}]}}"#
        ) + "\n\n"
    };
    words.split(' ').map(event).collect::<String>().into_bytes()
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

#[divan::bench]
fn decode_every_form(bencher: Bencher) {
    decode_stream(bencher, &chunks(&every_form()));
}

#[divan::bench]
fn decode_an_answer(bencher: Bencher) {
    decode_stream(bencher, &chunks(&answer()));
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
