//! Tests of the wire format: single facts, the contract's cases, and properties beside a naive oracle.

#![allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "a panic is a test's way to fail")]

mod cases;
#[path = "../../../tests/support/contract.rs"]
#[allow(dead_code, reason = "what a case says of HTTP is for the tests of the whole gateway")]
mod contract;
mod decoder;
mod frame;
mod limits;
mod oracle;
mod passthrough;
mod properties;

use bytes::Bytes;

use super::{Decoder, Event, Item};

/// A limit far above what any test sends, for tests of other things.
const AMPLE: usize = 64 << 20;

fn items<'a>(max_event_bytes: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Item> {
    let mut decoder = Decoder::new(max_event_bytes);
    let mut items = Vec::new();
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece));
        items.extend(std::iter::from_fn(|| decoder.next_item()));
    }
    items
}

fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Event> {
    events_of(items(AMPLE, pieces))
}

fn events_of(items: Vec<Item>) -> Vec<Event> {
    items.into_iter().filter_map(|item| if let Item::Event(event) = item { Some(event) } else { None }).collect()
}

/// `bytes`, cut at the given places. They may be in any order, and each is taken modulo the length.
fn cut<'a>(bytes: &'a [u8], places: &[usize]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = places.iter().map(|place| place % (bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}
