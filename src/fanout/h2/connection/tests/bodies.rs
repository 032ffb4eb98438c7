//! The bodies of requests.

use super::super::super::limits::{
    BODY_BYTES, CONNECTION_BYTES, FIRST_WINDOW_BYTES, MOST_FRAME_BYTES, UNREAD_BODY_BYTES,
};
use super::*;

const ONE: StreamId = StreamId(1);

#[test]
fn a_body_is_handed_on_as_it_comes_and_its_end_is_told() {
    let mut server = Server::open();
    server.read(&post(1, ""));
    let (begin, rest) = (data(1, b"one two", true), Vec::new());
    assert_eq!(server.read(&begin[..HEAD_BYTES + 3]), ["data 1 one"]);
    assert_eq!(server.read(&[&begin[HEAD_BYTES + 3..], &rest].concat()), ["data 1  two", "end 1"]);
}

#[test]
fn trailers_end_a_body() {
    let trailers = |flags, fields: &[(&str, &str)]| {
        let mut block = Vec::new();
        fields.iter().for_each(|(name, value)| encode::field(&mut block, name.as_bytes(), value.as_bytes()));
        frame(kind::HEADERS, flags, 1, &block)
    };
    let reset = ("reset 1 (0) Code(1)".to_owned(), "RST_STREAM 1 Code(1)".to_owned());
    for (frame, expected) in [
        (trailers(END, &[("x-sum", "1")]), (r#"end 1 ["x-sum"]"#.to_owned(), String::new())),
        (trailers(flag::END_HEADERS, &[("x-sum", "1")]), reset.clone()),
        (trailers(END, &[(":path", "/")]), reset.clone()),
        (trailers(END, &[("X", "1")]), reset),
    ] {
        let mut server = Server::open();
        server.read(&[post(1, ""), data(1, &[b'x'; 300], false)].concat());
        assert_eq!(server.answer(&frame), expected);
    }
}

#[test]
fn a_body_has_the_length_that_its_request_says() {
    let trailers = frame(kind::HEADERS, END, 1, b"\x0f\x2d\x011");
    let reset = "reset 1 (0) Code(1)";
    for (length, frames, expected) in [
        ("4", vec![data(1, b"four", true)], "data 1 four, end 1"),
        ("4", vec![data(1, b"fo", false), data(1, b"ur", true)], "data 1 fo, data 1 ur, end 1"),
        ("4", vec![data(1, b"four", false), data(1, b"", true)], "data 1 four, end 1"),
        ("4", vec![data(1, b"four", false), trailers.clone()], r#"data 1 four, end 1 ["via"]"#),
        ("4", vec![frame(kind::DATA, flag::PADDED | 1, 1, b"\x01four\0")], "data 1 four, end 1"),
        ("0", vec![data(1, b"", true)], "end 1"),
        ("3", vec![data(1, b"four", true)], reset),
        ("3", vec![data(1, b"fo", false), data(1, b"ur", true)], "data 1 fo, reset 1 (0) Code(1)"),
        ("5", vec![data(1, b"four", true)], "data 1 four, reset 1 (0) Code(1)"),
        ("5", vec![data(1, b"four", false), trailers], "data 1 four, reset 1 (0) Code(1)"),
        ("5", vec![data(1, b"", true)], reset),
    ] {
        let mut server = Server::open();
        server.read(&post(1, length));
        assert_eq!(server.read(&frames.concat()).join(", "), expected, "{length}");
    }
}

#[test]
fn a_client_sends_no_more_than_the_window_of_a_body() {
    let mut server = Server::open();
    server.read(&post(1, ""));
    let most = vec![b'x'; UNREAD_BODY_BYTES as usize];
    assert_eq!(server.read(&data(1, &most, false)).len(), 1);
    assert_eq!(server.answer(&data(1, b"x", true)).1, "RST_STREAM 1 Code(3)");
    // Whoever reads it opens the window.
    server.read(&post(3, ""));
    server.connection.read_body(StreamId(3), &mut server.out);
    server.connection.read_body(StreamId(3), &mut server.out);
    assert_eq!(server.written(), ["WINDOW_UPDATE 3 49152"]);
    for _ in 0..BODY_BYTES as usize / MOST_FRAME_BYTES {
        server.read(&data(3, &[b'x'; MOST_FRAME_BYTES], false));
    }
    server.connection.consumed(StreamId(3), BODY_BYTES as usize / 2 - 1, &mut server.out);
    assert_eq!(server.written(), Vec::<String>::new());
    server.connection.consumed(StreamId(3), 1, &mut server.out);
    assert_eq!(server.written(), ["WINDOW_UPDATE 3 32768"]);
    assert_eq!(server.answer(&data(3, &[b'x'; MOST_FRAME_BYTES], true)).1, "", "it is within the window again");
}

#[test]
fn padding_is_given_back_at_once() {
    let mut server = Server::open();
    server.read(&post(1, ""));
    let padded = [&[0xff, b'x'][..], &[0; 0xff]].concat();
    for _ in 0..UNREAD_BODY_BYTES as usize / 2 / padded.len() * 3 {
        assert_eq!(server.read(&frame(kind::DATA, flag::PADDED, 1, &padded)), ["data 1 x"]);
    }
    assert!(server.written().concat().contains("WINDOW_UPDATE 1 "));
}

#[test]
fn a_client_that_does_not_know_our_settings_may_send_the_first_window() {
    let mut server = Server::new();
    server.read(&[&PREFACE[..], &settings(&[]), &post(1, "")].concat());
    server.written();
    let frame = data(1, &[b'x'; MOST_FRAME_BYTES], false);
    let first = [&frame[..], &frame, &frame, &data(1, &[b'x'; MOST_FRAME_BYTES - 1], false)].concat();
    assert_eq!(server.answer(&first).1, "", "{FIRST_WINDOW_BYTES}");
    // It acknowledges, and has to wait until most of it is consumed.
    server.read(&settings_ack());
    server.connection.read_body(ONE, &mut server.out);
    server.written();
    assert_eq!(server.answer(&data(1, b"xy", false)).1, "RST_STREAM 1 Code(3)");
}

#[test]
fn one_body_leaves_the_connection_to_the_others_and_all_of_them_are_bounded() {
    let mut server = Server::open();
    let streams = CONNECTION_BYTES / UNREAD_BODY_BYTES;
    for index in 0..streams {
        let stream = index as u32 * 2 + 1;
        server.read(&[post(stream, ""), data(stream, &[b'x'; MOST_FRAME_BYTES], false)].concat());
        let mut block = Vec::new();
        encode::status(&mut block, 200);
        server.connection.head(StreamId(stream), &block, &mut server.out);
    }
    server.written();
    let next = streams as u32 * 2 + 1;
    assert_eq!(server.read(&post(next, "")).len(), 1);
    let mut same = Server::open();
    std::mem::swap(&mut same, &mut server);
    assert_eq!(same.answer(&data(next, b"x", false)).1, format!("GOAWAY {next} Code(3)"));
}

#[test]
fn what_is_dropped_is_given_back_to_the_connection() {
    let mut server = Server::open();
    server.read(&post(1, ""));
    server.connection.reset(ONE, Code::CANCEL, server.now, &mut server.out);
    assert_eq!(server.written(), ["RST_STREAM 1 Code(8)"]);
    // A client that did not hear of it goes on, up to the window of the connection and further.
    let mut written = Vec::new();
    for _ in 0..4 * CONNECTION_BYTES as usize / MOST_FRAME_BYTES {
        assert_eq!(server.read(&data(1, &[b'x'; MOST_FRAME_BYTES], false)), Vec::<String>::new());
        written.extend(server.written());
    }
    assert_eq!(written, vec!["WINDOW_UPDATE 0 524288"; 8]);
    assert_eq!(server.answer(&data(1, b"", true)), (String::new(), String::new()));
    assert_eq!(server.answer(&data(1, b"", true)).1, "RST_STREAM 1 Code(5)", "it is gone now");
}

#[test]
fn a_body_that_is_reset_while_it_comes_is_dropped_from_there() {
    let mut server = Server::open();
    server.read(&post(1, ""));
    let frame = frame(kind::DATA, flag::PADDED | 1, 1, b"\x01abcd\0");
    assert_eq!(server.read(&frame[..HEAD_BYTES + 3]), ["data 1 ab"]);
    server.connection.reset(ONE, Code::CANCEL, server.now, &mut server.out);
    assert_eq!(server.read(&[&frame[HEAD_BYTES + 3..], &get(3)].concat()), ["request 3 GET / end"]);
}
