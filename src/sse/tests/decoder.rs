//! Single facts of the decoder.

use bytes::Bytes;

use super::{AMPLE, events, items};
use crate::sse::{Decoder, Event, Item, MAX_ID_BYTES};

fn one(text: &'static [u8]) -> Event {
    let mut events = events([text]);
    assert_eq!(events.len(), 1, "{text:?}");
    events.remove(0)
}

#[test]
fn a_cr_at_the_end_of_a_chunk_ends_its_line_at_once() {
    let mut decoder = Decoder::new(AMPLE);
    decoder.push("data: a\r\n\r".into());
    assert!(matches!(decoder.next_item(), Some(Item::Event(event)) if event.data == "a"));
    // The LF belongs to the CR before it. It must not end the block that follows.
    decoder.push("\ndata: b\r".into());
    assert_eq!(decoder.next_item(), None);
    decoder.push("\ndata: c\n\n".into());
    assert!(matches!(decoder.next_item(), Some(Item::Event(event)) if event.data == "b\nc"));
}

#[test]
fn an_empty_chunk_does_not_part_a_crlf() {
    assert_eq!(events([b"data: a\r".as_slice(), b"", b"\ndata: b\n\n"])[0].data, "a\nb");
}

#[test]
fn data_of_one_line_is_a_part_of_its_chunk() {
    let chunk = Bytes::from_static(b"event: greeting\ndata: Hello\n\n");
    let mut decoder = Decoder::new(AMPLE);
    decoder.push(chunk.clone());
    let Some(Item::Event(event)) = decoder.next_item() else { panic!("no event") };
    assert_eq!(event.data.as_ptr(), chunk[22..].as_ptr());
    assert_eq!(event.event_type.as_ptr(), chunk[7..].as_ptr());
}

#[test]
fn a_decoder_that_waits_points_into_no_chunk() {
    let chunk = Bytes::from(b"id: 1\nevent: a\ndata: b\n\nid: 2\nevent: c\ndata: d\ncolor: blue\n: e".to_vec());
    let mut decoder = Decoder::new(AMPLE);
    decoder.push(chunk.clone());
    while decoder.next_item().is_some() {}
    assert!(chunk.is_unique());
    decoder.push("\n\n".into());
    let Some(Item::Event(event)) = decoder.next_item() else { panic!("no event") };
    assert_eq!((&*event.event_type, &*event.data, &*event.last_event_id), (&b"c"[..], &b"d"[..], &b"2"[..]));
}

#[test]
fn items_that_were_not_taken_outlive_the_next_push() {
    let mut decoder = Decoder::new(AMPLE);
    decoder.push("data: a\n\ndata: b\n".into());
    decoder.push("\ndata: c\n\n".into());
    let data: Vec<_> = std::iter::from_fn(|| decoder.next_item()).collect();
    assert_eq!(data, items(AMPLE, [b"data: a\n\ndata: b\n\ndata: c\n\n".as_slice()]));
    assert_eq!(data.len(), 3);
}

#[test]
fn one_byte_order_mark_is_dropped_and_only_at_the_start() {
    assert_eq!(one(b"\xEF\xBB\xBFdata: a\n\n").data, "a");
    assert_eq!(events([b"\xEF\xBB\xBF\xEF\xBB\xBFdata: a\n\n".as_slice()]), []);
    assert_eq!(events([b"\n\xEF\xBB\xBFdata: a\n\n".as_slice()]), []);
    // Bytes that only begin like a mark stay.
    assert_eq!(one(b"\xEF\xBBdata: a\ndata: b\n\n").data, "b");
    assert_eq!(one(b"\xEF\xBBdata: a\ndata: b\n\n").extra, "\u{FFFD}data: a\n");
}

#[test]
fn bytes_that_are_not_utf8_are_replaced_as_the_encoding_standard_says() {
    assert_eq!(one(b"data: \xF0\x9F\x98x\xFF\xC0\x80\xE2\x82\n\n").data, "\u{FFFD}x\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}");
    assert_eq!(one(b"data: \xED\xA0\x80\ndata: ok\n\n").data, "\u{FFFD}\u{FFFD}\u{FFFD}\nok");
    assert_eq!(one(b"event: \xFF\nid: \xFE\ndata\n\n").event_type, "\u{FFFD}");
    assert_eq!(one(b"event: \xFF\nid: \xFE\ndata\n\n").id.unwrap(), "\u{FFFD}");
}

#[test]
fn a_block_without_data_is_a_checkpoint_and_resets_the_type() {
    let mut decoder = Decoder::new(AMPLE);
    decoder.push("id: 1\nevent: a\n".into());
    assert_eq!(decoder.next_item(), None);
    assert_eq!(decoder.last_event_id(), "");
    decoder.push("\n".into());
    assert_eq!(decoder.next_item(), Some(Item::Event(Event::checkpoint("1".into()))));
    assert_eq!(decoder.next_item(), None);
    assert_eq!(decoder.last_event_id(), "1");
    decoder.push("data: b\n\n".into());
    let Some(Item::Event(event)) = decoder.next_item() else { panic!("no event") };
    assert_eq!((event.id, event.last_event_id, event.event_type), (None, "1".into(), Bytes::new()));
}

#[test]
fn an_id_with_nul_leaves_the_last_valid_one() {
    let event = one(b"id: 1\nid: 2\nid: 3\x003\ndata\n\n");
    assert_eq!((event.id, event.last_event_id), (Some("2".into()), "2".into()));
}

#[test]
fn an_empty_id_is_an_id_and_resets_the_buffer() {
    let events = events([b"id: 1\ndata\n\nid\ndata\n\n".as_slice()]);
    assert_eq!((events[1].id.clone(), &*events[1].last_event_id), (Some(Bytes::new()), &b""[..]));
}

#[test]
fn a_retry_comes_with_its_line_and_again_with_the_next_event() {
    let mut decoder = Decoder::new(AMPLE);
    decoder.push("retry: 1\n\nretry:0020\r".into());
    assert_eq!(decoder.next_item(), Some(Item::Retry(1)));
    assert_eq!(decoder.next_item(), Some(Item::Retry(20)));
    decoder.push("\ndata: a\n\ndata: b\n\n".into());
    assert!(matches!(decoder.next_item(), Some(Item::Event(event)) if event.retry == Some(20)));
    assert!(matches!(decoder.next_item(), Some(Item::Event(event)) if event.retry.is_none()));
}

#[test]
fn a_retry_that_is_no_number_is_ignored_and_not_kept() {
    for value in ["", "+1", "-1", "1.5", "1 ", "  1", "1s", "18446744073709551616", "\u{661}"] {
        let text = format!("retry: 7\nretry: {value}\ndata\n\n");
        let items = items(AMPLE, [text.as_bytes()]);
        assert_eq!(items[0], Item::Retry(7), "{value:?}");
        assert!(
            matches!(&items[1], Item::Event(event) if event.retry == Some(7) && event.extra.is_empty()),
            "{value:?}"
        );
    }
}

#[test]
fn unknown_fields_are_kept_in_order_and_canonical() {
    let event = one(b"Data:x\ncolor:  blue \n data: y\nlone\nid : z:z\ndata: d\n\n");
    assert_eq!(event.extra, "Data: x\ncolor:  blue \n data: y\nlone: \nid : z:z\n");
    assert_eq!(event.data, "d");
}

#[test]
fn an_unknown_field_that_begins_with_a_byte_order_mark_is_dropped() {
    assert_eq!(one(b"\n\xEF\xBB\xBFid: 1\ndata\n\n").extra, "");
}

#[test]
fn an_id_that_no_header_can_bring_back_counts_as_none() {
    let longest = "x".repeat(MAX_ID_BYTES);
    for (line, counts) in [
        (format!("id: {longest}"), true),
        (format!("id: {longest}x"), false),
        // Each of these bytes becomes three.
        ("id: ".to_owned() + &"\u{FFFD}".repeat(MAX_ID_BYTES / 3 + 1), false),
        ("id: a\u{7}".to_owned(), false),
        ("id: a\u{7f}".to_owned(), false),
        ("id: a\tb".to_owned(), true),
        ("id: \u{e9}\u{80}".to_owned(), true),
    ] {
        let text = format!("id: 1\ndata\n\n{line}\ndata\n\n{line}\n\n");
        let events = events([text.as_bytes()]);
        assert_eq!(events.len(), if counts { 3 } else { 2 }, "a block with nothing but such an id is nothing");
        assert_eq!((events[1].id.is_some(), events[1].last_event_id != "1"), (counts, counts));
    }
    let invalid = [&b"id: "[..], &[0xFF; MAX_ID_BYTES / 3 + 1], b"\ndata\n\n"].concat();
    assert_eq!(events([&*invalid])[0].id, None, "what is not UTF-8 grows");
}

#[test]
fn the_end_tells_how_much_of_an_event_is_unfinished() {
    for (text, bytes) in [
        ("", 0),
        ("data: a\n\n", 0),
        ("data: a\n\n: bye", 0),
        ("data: a\n\nretry: 5\n", 0),
        ("event: a\n", 0),
        ("data: a\n\ndata: b\n", 8),
        ("data: a\r\n", 8),
        ("data: a\n: c", 8),
        ("id: 7\n", 6),
        ("da", 2),
        ("data: a\nda", 10),
    ] {
        for step in [1, 100] {
            let mut decoder = Decoder::new(AMPLE);
            for piece in text.as_bytes().chunks(step) {
                decoder.push(Bytes::copy_from_slice(piece));
                while decoder.next_item().is_some() {}
            }
            assert_eq!(decoder.unfinished(), bytes, "{text:?}");
        }
    }
    for (begun, bytes) in [("data: 0123456789\nid: 5\n", 23), ("data: 0123456789\nid: 5", 22), ("data: 0123456789", 16)]
    {
        let mut decoder = Decoder::new(10);
        decoder.push(begun.into());
        assert_eq!((decoder.next_item(), decoder.unfinished()), (None, bytes), "refused {begun:?}");
    }
}

#[test]
fn what_the_end_leaves_unfinished_is_not_dispatched() {
    for text in ["data: a", "data: a\n", "data: a\r\n", "data: a\n:", "data: a\n "] {
        assert_eq!(items(AMPLE, [text.as_bytes()]), [], "{text:?}");
    }
}
