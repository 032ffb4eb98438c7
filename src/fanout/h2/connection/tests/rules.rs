//! What RFC 9113 says of frames: a table of what a client does, what the caller is told, and what the client is sent.

use super::*;

/// Two streams are open: 1 has a whole request, and 3 has a body to come.
fn with_streams() -> Server {
    let mut server = Server::open();
    assert_eq!(server.read(&[get(1), post(3, "")].concat()), ["request 1 GET / end", "request 3 POST /"]);
    server
}

fn closed(last: u32, code: Code) -> (String, String) {
    (format!("closed {code:?}"), format!("GOAWAY {last} {code:?}"))
}

fn reset(stream: u32, code: Code) -> (String, String) {
    (format!("reset {stream} (0) {code:?}"), format!("RST_STREAM {stream} {code:?}"))
}

fn said(events: &str, written: &str) -> (String, String) {
    (events.to_owned(), written.to_owned())
}

/// Tries each client on a connection of its own.
fn try_all(table: Vec<(&str, Vec<u8>, (String, String))>) {
    for (what, bytes, expected) in table {
        assert_eq!(with_streams().answer(&bytes), expected, "{what}");
    }
}

#[test]
fn a_connection_begins_with_the_preface_and_settings() {
    let preface = &PREFACE[..];
    for (what, bytes, expected) in [
        ("HTTP/1.1", b"GET / HTTP/1.1\r\n\r\n".to_vec(), closed(0, Code::PROTOCOL_ERROR)),
        (
            "a preface that ends otherwise",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r".to_vec(),
            closed(0, Code::PROTOCOL_ERROR),
        ),
        ("a request first", [preface, &get(1)].concat(), closed(0, Code::PROTOCOL_ERROR)),
        ("an acknowledgement first", [preface, &settings_ack()].concat(), closed(0, Code::PROTOCOL_ERROR)),
        ("SETTINGS first", [preface, &settings(&[])].concat(), said("", "SETTINGS ack")),
    ] {
        let mut server = Server::new();
        server.written();
        assert_eq!(server.answer(&bytes), expected, "{what}");
    }
}

#[test]
fn frames_have_their_sizes() {
    let size = || closed(3, Code::FRAME_SIZE_ERROR);
    try_all(vec![
        ("DATA", data(3, &[0; 16_385], false), size()),
        ("an unknown frame", frame(99, 0, 0, &[0; 16_385]), size()),
        ("RST_STREAM", frame(kind::RST_STREAM, 0, 1, b"123"), size()),
        ("SETTINGS", frame(kind::SETTINGS, 0, 0, b"12345"), size()),
        ("SETTINGS ack", frame(kind::SETTINGS, flag::ACK, 0, b"123456"), size()),
        ("PING", frame(kind::PING, 0, 0, b"1234567"), size()),
        ("a long PING", frame(kind::PING, 0, 0, b"123456789"), size()),
        ("GOAWAY", frame(kind::GOAWAY, 0, 0, b"1234567"), size()),
        ("WINDOW_UPDATE", frame(kind::WINDOW_UPDATE, 0, 0, b"123"), size()),
        ("HEADERS with half a priority", frame(kind::HEADERS, END | flag::PRIORITY, 5, b"1234"), size()),
        ("HEADERS without the length of its padding", frame(kind::HEADERS, END | flag::PADDED, 5, b""), size()),
        ("DATA without the length of its padding", frame(kind::DATA, flag::PADDED, 3, b""), size()),
        ("PRIORITY on an open stream", frame(kind::PRIORITY, 0, 1, b"1234"), reset(1, Code::FRAME_SIZE_ERROR)),
        ("PRIORITY on an idle stream", frame(kind::PRIORITY, 0, 5, b"123456"), size()),
    ]);
}

#[test]
fn frames_have_their_streams() {
    let protocol = || closed(3, Code::PROTOCOL_ERROR);
    let number = 1_u32.to_be_bytes();
    try_all(vec![
        ("DATA without a stream", data(0, b"", false), protocol()),
        ("HEADERS without a stream", get(0), protocol()),
        ("PRIORITY without a stream", frame(kind::PRIORITY, 0, 0, b"12345"), protocol()),
        ("RST_STREAM without a stream", rst_stream(0, Code::CANCEL), protocol()),
        ("SETTINGS on a stream", frame(kind::SETTINGS, 0, 1, b""), protocol()),
        ("PING on a stream", frame(kind::PING, 0, 1, b"12345678"), protocol()),
        ("GOAWAY on a stream", frame(kind::GOAWAY, 0, 1, b"12345678"), protocol()),
        ("PUSH_PROMISE", frame(kind::PUSH_PROMISE, END, 1, &number), protocol()),
        ("DATA on an idle stream", data(5, b"a", false), protocol()),
        ("DATA on a stream of the server", data(2, b"a", false), protocol()),
        ("RST_STREAM on an idle stream", rst_stream(5, Code::CANCEL), protocol()),
        ("RST_STREAM on a stream of the server", rst_stream(2, Code::CANCEL), protocol()),
        ("WINDOW_UPDATE on an idle stream", window_update(5, 1), protocol()),
        ("a request on an even stream", get(4), protocol()),
    ]);
}

#[test]
fn streams_rise_and_are_used_once() {
    let mut server = with_streams();
    assert_eq!(server.read(&get(9)).len(), 1);
    assert_eq!(server.answer(&get(5)), closed(9, Code::PROTOCOL_ERROR), "going back");
    let mut server = with_streams();
    server.read(&[get(9), rst_stream(9, Code::CANCEL)].concat());
    assert_eq!(server.answer(&get(9)), closed(9, Code::STREAM_CLOSED), "once more");
}

#[test]
fn what_comes_after_the_end_of_a_request_is_an_error_of_the_stream() {
    try_all(vec![
        ("DATA", data(1, b"a", false), reset(1, Code::STREAM_CLOSED)),
        ("HEADERS", get(1), reset(1, Code::STREAM_CLOSED)),
        ("WINDOW_UPDATE", window_update(1, 1), said("opened 1", "")),
        ("PRIORITY", frame(kind::PRIORITY, 0, 1, b"\0\0\0\x03a"), said("", "")),
        ("RST_STREAM", rst_stream(1, Code::CANCEL), said("reset 1 (0) Code(8)", "")),
    ]);
    let mut server = with_streams();
    server.read(&rst_stream(1, Code::CANCEL));
    for (what, bytes, expected) in [
        ("RST_STREAM", rst_stream(1, Code::CANCEL), said("", "")),
        ("WINDOW_UPDATE", window_update(1, 1), said("", "")),
        ("PRIORITY", frame(kind::PRIORITY, 0, 1, b"\0\0\0\x03a"), said("", "")),
        ("DATA", data(1, b"a", false), said("", "RST_STREAM 1 Code(5)")),
    ] {
        assert_eq!(server.answer(&bytes), expected, "{what} on a closed stream");
    }
}

#[test]
fn a_block_is_not_interrupted() {
    let block = block(&[]);
    let (begin, rest) = block.split_at(5);
    let headers = |flags| frame(kind::HEADERS, flags, 5, begin);
    let continuation = |flags, stream| frame(kind::CONTINUATION, flags, stream, rest);
    let protocol = || closed(3, Code::PROTOCOL_ERROR);
    let whole = || said("request 5 GET / end", "");
    try_all(vec![
        ("in two frames", [headers(1), continuation(4, 5)].concat(), whole()),
        (
            "with an empty frame",
            [headers(1), frame(kind::CONTINUATION, 0, 5, b""), continuation(4, 5)].concat(),
            whole(),
        ),
        ("another stream", [headers(1), continuation(4, 3)].concat(), protocol()),
        ("a PING", [headers(1), frame(kind::PING, 0, 0, b"12345678")].concat(), protocol()),
        ("an unknown frame", [headers(1), frame(99, 0, 5, b"")].concat(), protocol()),
        ("another request", [headers(1), get(7)].concat(), protocol()),
        ("CONTINUATION without HEADERS", continuation(4, 3), protocol()),
        (
            "CONTINUATION after the end",
            [get(5), continuation(4, 5)].concat(),
            said("request 5 GET / end, closed Code(1)", "GOAWAY 5 Code(1)"),
        ),
    ]);
}

#[test]
fn padding_and_priority_mean_nothing() {
    let block = block(&[]);
    let padded = |prefix: &[u8], padding: &[u8]| [prefix, &block, padding].concat();
    let flags = END | flag::PADDED | flag::PRIORITY;
    try_all(vec![
        (
            "HEADERS",
            frame(kind::HEADERS, flags, 5, &padded(b"\x02\0\0\0\x03a", b"\0\0")),
            said("request 5 GET / end", ""),
        ),
        (
            "too much padding",
            frame(kind::HEADERS, END | flag::PADDED, 5, b"\x03\x82\0"),
            closed(3, Code::PROTOCOL_ERROR),
        ),
        ("DATA", frame(kind::DATA, flag::PADDED, 3, b"\x02ab\0\0"), said("data 3 ab", "")),
        ("DATA that is all padding", frame(kind::DATA, flag::PADDED | 1, 3, b"\x02\0\0"), said("end 3", "")),
        ("too much padding of DATA", frame(kind::DATA, flag::PADDED, 3, b"\x03\0\0"), closed(3, Code::PROTOCOL_ERROR)),
        ("its own parent", frame(kind::PRIORITY, 0, 1, b"\0\0\0\x01a"), reset(1, Code::PROTOCOL_ERROR)),
        ("its own parent, idle", frame(kind::PRIORITY, 0, 5, b"\0\0\0\x05a"), closed(3, Code::PROTOCOL_ERROR)),
        (
            "its own parent from the beginning",
            frame(kind::HEADERS, END | flag::PRIORITY, 5, &padded(b"\0\0\0\x05a", b"")),
            said("", "RST_STREAM 5 Code(1)"),
        ),
    ]);
}

#[test]
fn windows_are_opened_by_something_and_not_too_far() {
    let most = i32::MAX as u32;
    try_all(vec![
        ("the connection by nothing", window_update(0, 0), closed(3, Code::PROTOCOL_ERROR)),
        ("a stream by nothing", window_update(1, 0), reset(1, Code::PROTOCOL_ERROR)),
        ("the connection too far", window_update(0, most), closed(3, Code::FLOW_CONTROL_ERROR)),
        ("a stream too far", window_update(1, most), reset(1, Code::FLOW_CONTROL_ERROR)),
        ("the connection as far as possible", window_update(0, most - 65_535), said("opened 0", "")),
        ("with the reserved bit", window_update(1, 1 | 1 << 31), said("opened 1", "")),
        (
            "all streams too far",
            [window_update(1, 1), settings(&[(4, most)])].concat(),
            said("opened 1, closed Code(3)", "SETTINGS ack, GOAWAY 3 Code(3)"),
        ),
    ]);
}

#[test]
fn control_frames_are_answered_or_ignored() {
    try_all(vec![
        ("PING", frame(kind::PING, 0, 0, b"12345678"), said("", "PING ack 12345678")),
        ("the answer to no PING", frame(kind::PING, flag::ACK, 0, b"12345678"), said("", "")),
        ("SETTINGS", settings(&[(2, 0), (99, 1)]), said("", "SETTINGS ack")),
        ("SETTINGS with a larger window", settings(&[(4, 1 << 20)]), said("opened 0", "SETTINGS ack")),
        ("SETTINGS with a smaller window", settings(&[(4, 0)]), said("", "SETTINGS ack")),
        ("bad SETTINGS", settings(&[(2, 2)]), closed(3, Code::PROTOCOL_ERROR)),
        ("a second acknowledgement", settings_ack(), said("", "")),
        ("an unknown frame", frame(99, 0xff, 7, &[0; 16_384]), said("", "")),
        ("GOAWAY with a text", frame(kind::GOAWAY, 0, 0, &[0; 1000]), said("", "")),
    ]);
}

#[test]
fn a_block_that_cannot_be_decoded_ends_the_connection() {
    try_all(vec![
        ("an index", frame(kind::HEADERS, END, 5, b"\x80"), closed(3, Code::COMPRESSION_ERROR)),
        ("half a field", frame(kind::HEADERS, END, 5, b"\x82\x40"), closed(3, Code::COMPRESSION_ERROR)),
        ("trailers", frame(kind::HEADERS, END, 3, b"\x80"), closed(3, Code::COMPRESSION_ERROR)),
    ]);
}

#[test]
fn a_malformed_request_is_reset_and_nobody_hears_of_it() {
    let refused = || said("", "RST_STREAM 5 Code(1)");
    let bad = |fields: &[(&str, &str)]| frame(kind::HEADERS, END, 5, &block(fields));
    try_all(vec![
        ("no fields", frame(kind::HEADERS, END, 5, b""), refused()),
        ("upper case", bad(&[("Accept", "*/*")]), refused()),
        ("a field of the connection", bad(&[("transfer-encoding", "chunked")]), refused()),
        ("a body that is missing", bad(&[("content-length", "1")]), refused()),
        ("no body", bad(&[("content-length", "0")]), said("request 5 GET / end", "")),
    ]);
    // What the client sends of it afterwards is dropped.
    let mut server = with_streams();
    let head = frame(kind::HEADERS, flag::END_HEADERS, 5, &block(&[("te", "gzip")]));
    let rest = [data(5, &[0; 1000], false), frame(kind::HEADERS, END, 5, b"\x0f\x2d\x011"), get(7)].concat();
    assert_eq!(server.answer(&head), refused());
    assert_eq!(server.answer(&rest), said("request 7 GET / end", ""));
}

#[test]
fn after_the_end_nothing_is_read() {
    let mut server = with_streams();
    server.read(&window_update(0, 0));
    server.written();
    assert!(server.connection.is_over() && server.connection.deadline().is_none());
    assert_eq!(server.answer(&get(5)), said("", ""));
    server.connection.consumed(StreamId(3), 1 << 20, &mut server.out);
    server.connection.drain(&mut server.out);
    server.connection.leave(&mut server.out);
    assert_eq!(server.written(), Vec::<String>::new());
}
