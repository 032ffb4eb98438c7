//! Properties of hostile streams, beside the naive oracle.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::oracle::interpret;
use super::{AMPLE, cut, events_of, items};
use crate::sse::{Decoder, Event, Frame, HEARTBEAT, Item, MAX_ID_BYTES, Passthrough};

/// Every run uses the same cases. The fuzz target looks for new ones.
fn config() -> ProptestConfig {
    ProptestConfig { cases: 500, failure_persistence: None, rng_seed: RngSeed::Fixed(106), ..ProptestConfig::default() }
}

/// Pieces of streams: mostly line ends, then fields, parts of fields, and text.
fn text_fragment() -> impl Strategy<Value = Vec<u8>> {
    let ends = prop::sample::select(vec!["\n", "\r", "\r\n", "\n\n", "\r\r", "\r\n\r\n", "\n\r"]);
    let fields =
        prop::sample::select(vec!["data:", "data: ", "data", "id: ", "id", "event:", "retry: ", "color: ", ":", "d"]);
    let values = prop::sample::select(vec![
        " ",
        "a",
        "12",
        "\0",
        "\x07",
        "\u{FEFF}",
        "é",
        "豆腐",
        "😀",
        "99999999999999999999",
        "x:y",
    ]);
    prop_oneof![
        6 => ends.prop_map(str::as_bytes).prop_map(<[u8]>::to_vec),
        6 => fields.prop_map(str::as_bytes).prop_map(<[u8]>::to_vec),
        3 => values.prop_map(str::as_bytes).prop_map(<[u8]>::to_vec),
        1 => (1..300_usize).prop_map(|len| vec![b'x'; len]),
    ]
}

fn hostile_fragment() -> impl Strategy<Value = Vec<u8>> {
    let broken: Vec<&[u8]> = vec![
        b"\xEF\xBB\xBF",
        b"\xEF\xBB",
        b"\xEF",
        b"\xBF",
        b"\xFF",
        b"\xE2\x82",
        b"\xF0\x9F\x98",
        b"\xC0\x80",
        b"\xED\xA0\x80",
    ];
    prop_oneof![
        8 => text_fragment(),
        1 => prop::sample::select(broken).prop_map(<[u8]>::to_vec),
        1 => prop::collection::vec(any::<u8>(), 1..5),
    ]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(text_fragment(), 0..40).prop_map(|fragments| fragments.concat())
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(hostile_fragment(), 0..40).prop_map(|fragments| fragments.concat())
}

fn places() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![Just(vec![]), prop::collection::vec(0..500_usize, 1..20), Just((0..10_000).collect())]
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_split_decodes_as_the_standard_says(stream in hostile(), places in places()) {
        prop_assert_eq!(items(AMPLE, cut(&stream, &places)), interpret(&stream, AMPLE));
    }

    #[test]
    fn a_limit_refuses_the_same_blocks_at_any_split(stream in text(), places in places(), limit in 0..60_usize) {
        prop_assert_eq!(items(limit, cut(&stream, &places)), interpret(&stream, limit));
    }

    #[test]
    fn what_is_held_is_bounded(stream in hostile(), places in places(), limit in 0..60_usize) {
        let mut decoder = Decoder::new(limit);
        for piece in cut(&stream, &places) {
            decoder.push(Bytes::copy_from_slice(piece));
            while decoder.next_item().is_some() {}
            // An id, and a line that may be another `id`.
            prop_assert!(decoder.buffered() - decoder.last_event_id().len() <= 3 * limit + 2 * MAX_ID_BYTES + 4);
            prop_assert!(decoder.last_event_id().len() <= MAX_ID_BYTES);
        }
    }

    #[test]
    fn a_frame_decodes_to_its_event(stream in hostile()) {
        let events = events_of(items(AMPLE, [&*stream]));
        for event in &events {
            let alone = Event { last_event_id: event.id.clone().unwrap_or_default(), ..event.clone() };
            let text = Frame::encode(event.id.as_deref(), event).shared_text();
            prop_assert_eq!(&events_of(items(AMPLE, [&*text])), &[alone]);
            prop_assert_eq!(&events_of(interpret(&text, AMPLE)), &events_of(items(AMPLE, [&*text])));
        }
        let wire: Vec<_> = events.iter().map(|event| Frame::encode(Some(&event.last_event_id), event).shared_text()).collect();
        let with_ids = |event: &Event| Event { id: Some(event.last_event_id.clone()), ..event.clone() };
        let expected: Vec<_> = events.iter().map(with_ids).collect();
        prop_assert_eq!(events_of(items(AMPLE, wire.iter().map(|text| &**text))), expected);
    }

    #[test]
    fn a_comment_wherever_it_may_stand_changes_nothing(stream in hostile(), places in places(), at_start in any::<bool>()) {
        let mut passthrough = Passthrough::new();
        let (mut wire, mut untouched) = (Vec::new(), Vec::new());
        let insert = |passthrough: &mut Passthrough, wire: &mut Vec<u8>| {
            if passthrough.insert() {
                wire.extend_from_slice(HEARTBEAT);
            }
        };
        if at_start {
            insert(&mut passthrough, &mut wire);
        }
        for piece in cut(&stream, &places) {
            let passed = passthrough.pass(Bytes::copy_from_slice(piece));
            wire.extend_from_slice(&passed);
            untouched.extend_from_slice(&passed);
            if !untouched.is_empty() {
                insert(&mut passthrough, &mut wire);
            }
        }
        for bytes in [&mut wire, &mut untouched] {
            bytes.extend_from_slice(&passthrough.finish());
        }
        let expected = interpret(&stream, AMPLE);
        prop_assert_eq!(&interpret(&wire, AMPLE), &expected);
        let dispatched = events_of(expected).iter().filter(|event| !event.is_checkpoint).count();
        prop_assert_eq!(passthrough.events(), dispatched as u64);
        if !at_start {
            prop_assert_eq!(untouched, stream);
        }
    }

    #[test]
    fn nothing_but_a_line_end_delays_an_item(stream in hostile()) {
        // After each byte, the items so far are those of the part read so far, without its open line.
        let mut decoder = Decoder::new(AMPLE);
        let mut so_far: Vec<Item> = Vec::new();
        for (read, byte) in stream.iter().enumerate() {
            decoder.push(Bytes::copy_from_slice(&[*byte]));
            so_far.extend(std::iter::from_fn(|| decoder.next_item()));
            if b"\r\n".contains(byte) {
                prop_assert_eq!(&so_far, &interpret(&stream[..=read], AMPLE));
            }
        }
    }
}
