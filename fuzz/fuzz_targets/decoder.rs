//! Any bytes, in pieces of any size, decode as they do at once; and every event survives being encoded.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use manifold::sse::{Decoder, Event, Frame, Item, MAX_ID_BYTES};

fn items<'a>(limit: usize, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Item> {
    let mut decoder = Decoder::new(limit);
    let mut items = Vec::new();
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece));
        items.extend(std::iter::from_fn(|| decoder.next_item()));
        // Of a block that is refused, an id and a line that may say another.
        let ids = 2 * (MAX_ID_BYTES + "id: ".len());
        let most = limit.saturating_mul(3).saturating_add(ids);
        assert!(decoder.buffered() - decoder.last_event_id().len() <= most);
    }
    items
}

// The first two bytes say the size of the pieces and the limit.
fuzz_target!(|input: &[u8]| {
    let [size, limit, stream @ ..] = input else { return };
    let limit = usize::from(*limit) * 8;
    let whole = items(limit, [stream]);
    assert_eq!(items(limit, stream.chunks(usize::from(*size).max(1))), whole);
    for event in whole.into_iter().filter_map(|item| if let Item::Event(event) = item { Some(event) } else { None }) {
        let text = Frame::encode(event.id.as_deref(), &event).shared_text();
        let again = items(usize::MAX, [&*text]).pop();
        assert_eq!(again, Some(Item::Event(Event { last_event_id: event.id.clone().unwrap_or_default(), ..event })));
    }
});
