//! Responses are parsed at any split of their bytes.

use crate::event::{Stamp, Template};
use crate::text::Item;
use crate::wire::*;

fn items(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Vec<Item> {
    let (mut response, mut items) = (Response::default(), Vec::new());
    for piece in pieces {
        response.read(piece.as_ref(), &mut |item| items.push(item));
    }
    items
}

fn stamp(seq: u64) -> Stamp {
    Stamp { seq, sent: 1_000 + seq }
}

/// A chunked response with a comment, `sizes.len()` events, a gap event, and its end.
fn response(sizes: &[usize], ids: bool) -> Vec<u8> {
    let mut bytes = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n:\n\r\n".to_vec();
    for (seq, &size) in (0..).zip(sizes) {
        bytes.extend_from_slice(Template::new(size, ids).stamped(stamp(seq)));
    }
    bytes.extend_from_slice(b"15\r\nevent: gap\ndata: {}\n\n\r\n0\r\n\r\n");
    bytes
}

#[test]
fn any_split_of_the_bytes_gives_the_same_items() {
    let bytes = response(&[31, 60, 300], true);
    let whole = items([&bytes]);
    let event = |seq, size| Item::Event { stamp: Some(stamp(seq)), size };
    let gap = Item::Event { stamp: None, size: 2 };
    let head = Item::Head { status: Some(200) };
    assert_eq!(whole[..5], [head, Item::Comment, event(0, 31), event(1, 60), event(2, 300)]);
    assert_eq!(whole[5], gap);
    for at in 0..=bytes.len() {
        let (left, right) = bytes.split_at(at);
        assert_eq!(items([left, right]), whole, "split at {at}");
    }
    assert_eq!(items(bytes.chunks(1)), whole);
}

#[test]
fn a_body_without_chunks_is_read() {
    let mut bytes = b"HTTP/1.0 200 OK\r\n\r\n: hi\n\n".to_vec();
    bytes.extend_from_slice(b"id: 1:0\ndata: 0000000005 0000000000000001005 abc\n\n");
    let expected = [Item::Head { status: Some(200) }, Item::Comment, Item::Event { stamp: Some(stamp(5)), size: 34 }];
    assert_eq!(items(bytes.chunks(1)), expected);
}

#[test]
fn a_short_event_says_so_by_its_size() {
    let cut = b"HTTP/1.1 200 OK\r\n\r\ndata: 0000000005 0000000000000001005 a\n\n";
    assert_eq!(items([cut])[1], Item::Event { stamp: Some(stamp(5)), size: 32 });
}

#[test]
fn what_is_no_stream_is_broken() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(items([format!("{chunked}zz\r\n")])[1..], [Item::Broken]);
    assert_eq!(items([format!("{chunked}0\r\n\r\nx")])[1..], [Item::End, Item::Broken]);
    assert_eq!(items(["HTTP/1.1 200 OK\r\n\r\n<html>\n"])[1..], [Item::Broken]);
    assert_eq!(items(["no\r\n\r\n"]), [Item::Head { status: None }]);
}

#[test]
fn an_event_may_lie_in_several_chunks() {
    let text = b"data: 0000000005 0000000000000001005 abc\n\n";
    for at in 1..text.len() {
        let (left, right) = text.split_at(at);
        let mut bytes = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
        for part in [left, right] {
            bytes.extend_from_slice(format!("{:x}\r\n", part.len()).as_bytes());
            bytes.extend_from_slice(part);
            bytes.extend_from_slice(b"\r\n");
        }
        assert_eq!(items([bytes])[1..], [Item::Event { stamp: Some(stamp(5)), size: 34 }], "split at {at}");
    }
}
