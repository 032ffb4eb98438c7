//! Single facts of the passthrough.

use bytes::Bytes;

use super::events;
use crate::sse::Passthrough;

/// Whether a line can be inserted after `text`.
fn place_after(text: &'static str) -> bool {
    let mut passthrough = Passthrough::new();
    assert_eq!(passthrough.pass(text.into()), text);
    passthrough.can_insert()
}

#[test]
fn a_line_can_be_put_in_at_the_start_and_behind_an_lf() {
    for text in ["", "\n", "data: a\n", "data: a\r\n", "data: a\n\n", ": c\n", "\u{FEFF}\n", "id: 1\n"] {
        assert!(place_after(text), "{text:?}");
    }
}

#[test]
fn no_line_can_be_put_in_behind_a_cr_or_within_a_line() {
    for text in ["\r", "data: a\r", "data: a\r\n\r", "d", "data: a", ":", "\u{FEFF}", "data: a\n\r"] {
        assert!(!place_after(text), "{text:?}");
    }
}

#[test]
fn an_empty_chunk_changes_nothing() {
    let mut passthrough = Passthrough::new();
    for (chunk, place, count) in
        [("", true, 0), ("data: a\r", false, 0), ("", false, 0), ("\n", true, 0), ("\r", false, 1)]
    {
        assert_eq!(passthrough.pass(chunk.into()), chunk);
        assert_eq!((passthrough.can_insert(), passthrough.events()), (place, count), "{chunk:?}");
    }
}

#[test]
fn events_are_counted_as_they_are_dispatched() {
    for (text, count) in [
        ("data: a\n\n", 1),
        ("\u{FEFF}data\r\n\r\n", 1),
        ("data\r\rdata:\r\r", 2),
        ("data: a\ndata: b\n\n\n\n", 1),
        ("datas: a\n\ndat: a\n\n data: a\n\nData: a\n\n:data\n\n\u{FEFF}data: a\n\n", 0),
        ("id: 1\n\nretry: 1\n\nevent: a\n\n", 0),
        ("data: a\nid: 1\n: c\n\ndata: a\n", 1),
    ] {
        for step in 1..=text.len() {
            let mut passthrough = Passthrough::new();
            for piece in text.as_bytes().chunks(step) {
                assert_eq!(passthrough.pass(Bytes::copy_from_slice(piece)), piece);
            }
            assert_eq!(passthrough.events(), count, "{text:?}");
        }
    }
    assert_eq!(events([b"\n\xEF\xBB\xBFdata: a\n\n".as_slice()]), [], "the decoder says the same");
}

#[test]
fn a_byte_order_mark_is_dropped_where_something_stands_before_it() {
    for (text, passed) in [
        ("\u{FEFF}data: a\n\n", "data: a\n\n"),
        ("\u{FEFF}\u{FEFF}x\n", "\u{FEFF}x\n"),
        ("\u{FEFE}data: a\n\n", "\u{FEFE}data: a\n\n"),
        ("data: \u{FEFF}a\n\n", "data: \u{FEFF}a\n\n"),
    ] {
        for step in 1..=text.len() {
            let mut passthrough = Passthrough::new();
            assert!(passthrough.insert());
            let mut out = Vec::new();
            for piece in text.as_bytes().chunks(step) {
                out.extend(passthrough.pass(Bytes::copy_from_slice(piece)));
            }
            assert_eq!(passthrough.finish(), "");
            assert_eq!(out, passed.as_bytes());
        }
    }
}

#[test]
fn what_only_began_like_a_mark_is_given_at_the_end() {
    let mut passthrough = Passthrough::new();
    assert!(passthrough.insert());
    assert_eq!(passthrough.pass(Bytes::from_static(b"\xEF\xBB")), "");
    assert!(passthrough.insert(), "nothing of the origin's has gone out");
    assert_eq!(passthrough.finish(), b"\xEF\xBB".as_slice());

    let mut unpreceded = Passthrough::new();
    assert_eq!(unpreceded.pass(Bytes::from_static(b"\xEF\xBB")), b"\xEF\xBB".as_slice());
    assert!(!unpreceded.insert());
    assert_eq!(unpreceded.finish(), "", "it has gone out");
}

#[test]
fn a_line_put_in_later_does_not_touch_the_bytes() {
    let mut passthrough = Passthrough::new();
    assert_eq!(passthrough.pass("\n".into()), "\n");
    assert!(passthrough.insert());
    assert_eq!(passthrough.pass("\u{FEFF}data: a\n\n".into()), "\u{FEFF}data: a\n\n");
    assert_eq!(passthrough.events(), 0);
}
