//! Clients that send what costs the server more than them. Each is told to be calm, after a bounded number of frames.

use super::super::super::limits::*;
use super::*;

const CALM: &str = "closed Code(11)";

/// Sends frames until the connection closes. Returns their number, and what the last one led to.
fn flood(server: &mut Server, mut next: impl FnMut(u32) -> Vec<u8>) -> (u32, String) {
    for count in 0..100_000 {
        let said = server.read(&next(count));
        server.out.clear();
        if server.connection.is_over() {
            return (count, said.join(", "));
        }
    }
    panic!("it was never closed")
}

/// A server with a stream that has a body to come.
fn with_body() -> Server {
    let mut server = Server::open();
    server.read(&post(1, ""));
    server.head(1);
    server
}

fn stream(count: u32) -> u32 {
    count * 2 + 3
}

#[test]
fn control_frames_without_end_are_too_much() {
    for (what, frame, cost) in [
        ("PING", frame(kind::PING, 0, 0, b"12345678"), COST_OF_PING),
        ("answers to PING", frame(kind::PING, flag::ACK, 0, b"12345678"), COST_OF_OTHERS),
        ("SETTINGS", settings(&[(4, 65_535)]), COST_OF_SETTINGS),
        ("empty SETTINGS", settings(&[]), COST_OF_SETTINGS),
        ("acknowledgements", settings_ack(), COST_OF_OTHERS),
        ("PRIORITY", frame(kind::PRIORITY, 0, 99, b"\0\0\0\x01a"), COST_OF_OTHERS),
        ("GOAWAY", frame(kind::GOAWAY, 0, 0, &[0; 8]), COST_OF_OTHERS),
        ("unknown frames", frame(200, 0, 0, b"abc"), COST_OF_OTHERS),
        ("WINDOW_UPDATE of the connection", window_update(0, 1), COST_OF_OTHERS),
        ("WINDOW_UPDATE of a stream", window_update(1, 1), COST_OF_OTHERS),
        ("resets of a stream that is over", [post(3, ""), rst_stream(3, Code::CANCEL)].concat(), COST_OF_RESET),
        ("empty DATA", data(1, b"", false), COST_OF_EMPTY_DATA),
        ("DATA that is all padding", frame(kind::DATA, flag::PADDED, 1, b"\x01\0"), COST_OF_EMPTY_DATA),
    ] {
        let mut server = with_body();
        // Only the first frames open the stream.
        let frame = |count: u32| if count == 0 { frame.clone() } else { frames_after_headers(&frame) };
        assert_eq!(flood(&mut server, frame), (FIRST_TOKENS / cost, CALM.to_owned()), "{what}");
    }
}

/// These frames without the first one, if that is HEADERS.
fn frames_after_headers(bytes: &[u8]) -> Vec<u8> {
    let (head, rest) = Head::parse(bytes).unwrap();
    if head.kind == kind::HEADERS { rest[head.length..].to_vec() } else { bytes.to_vec() }
}

#[test]
fn tiny_data_is_too_much_and_an_upload_is_not() {
    let upload = |size: usize, frames: usize| {
        let mut server = with_body();
        for count in 0..frames {
            server.read(&data(1, &vec![b'x'; size], false));
            server.connection.consumed(StreamId(1), size, &mut server.out);
            if server.connection.is_over() {
                return count;
            }
        }
        frames
    };
    assert_eq!(upload(SMALL_DATA_BYTES, 10_000), 10_000);
    assert_eq!(upload(SMALL_DATA_BYTES - 1, 10_000), FIRST_TOKENS as usize);
    assert_eq!(upload(1, 10_000), FIRST_TOKENS as usize);
}

#[test]
fn small_bodies_cost_nothing() {
    let mut server = Server::open();
    for count in 0..2 * FIRST_TOKENS {
        let small = [post(stream(count), ""), data(stream(count), b"x", true)].concat();
        assert_eq!(server.read(&small).len(), 3);
        server.connection.head_only(StreamId(stream(count)), b"\x88", server.now, &mut server.out);
    }
}

#[test]
fn rapid_reset() {
    let opened_and_reset = |count| [get(stream(count)), rst_stream(stream(count), Code::CANCEL)].concat();
    let (count, said) = flood(&mut Server::open(), opened_and_reset);
    assert_eq!(count, FIRST_TOKENS / COST_OF_RESET);
    assert_eq!(said, format!("request {} GET / end, {CALM}", stream(count)));
}

#[test]
fn errors_that_make_us_reset() {
    let malformed = block(&[("te", "gzip")]);
    for (what, frames) in [
        ("a malformed request", &(|id| frame(kind::HEADERS, END, id, &malformed)) as &dyn Fn(u32) -> Vec<u8>),
        ("a malformed request with a body", &|id| frame(kind::HEADERS, flag::END_HEADERS, id, &malformed)),
        ("a window opened too far", &|id| [get(id), window_update(id, i32::MAX as u32)].concat()),
        ("a window opened by nothing", &|id| [get(id), window_update(id, 0)].concat()),
        ("DATA after the end", &|id| [get(id), data(id, &[b'x'; 300], true)].concat()),
        ("a body that is too long", &|id| [post(id, "1"), data(id, &[b'x'; 300], true)].concat()),
    ] {
        let (count, said) = flood(&mut Server::open(), |count| frames(stream(count)));
        assert!(count <= FIRST_TOKENS / COST_OF_RESET && said.ends_with(CALM), "{what}: {count} {said}");
    }
}

#[test]
fn bodies_that_are_refused() {
    let mut server = Server::open();
    for count in 0..FIRST_TOKENS / COST_OF_RESET {
        assert_eq!(server.read(&post(stream(count), "")).len(), 1);
        server.connection.head_only(StreamId(stream(count)), b"\x88", server.now, &mut server.out);
    }
    assert_eq!(server.read(&frame(kind::PING, 0, 0, b"12345678")), [CALM]);
}

#[test]
fn what_the_server_resets_for_its_own_reasons_costs_the_client_nothing() {
    let mut server = Server::open();
    for count in 0..10 * FIRST_TOKENS {
        assert_eq!(server.read(&get(stream(count))).len(), 1);
        server.connection.reset(StreamId(stream(count)), Code::CANCEL, server.now, &mut server.out);
    }
    assert!(!server.connection.is_over());
}

#[test]
fn fields_on_a_stream_that_is_over() {
    let mut server = Server::open();
    server.read(&post(1, ""));
    server.connection.head_only(StreamId(1), b"\x88", server.now, &mut server.out);
    let fields = frame(kind::HEADERS, flag::END_HEADERS, 1, b"\0\x01a\x01b");
    let (count, said) = flood(&mut server, |_| fields.clone());
    assert_eq!((count, &*said), (FIRST_TOKENS / COST_OF_RESET - 1, CALM), "its end cost a reset, too");
}

#[test]
fn what_comes_after_the_last_request() {
    for (what, frame, cost) in [
        ("a request", get(3), COST_OF_OTHERS),
        ("the end of its body", data(3, b"", true), COST_OF_SMALL_DATA),
        ("its empty body", data(3, b"", false), COST_OF_EMPTY_DATA),
    ] {
        let mut server = Server::open();
        server.read(&get(1));
        server.head(1);
        server.connection.leave(&mut server.out);
        let (count, said) = flood(&mut server, |_| frame.clone());
        assert_eq!((count, &*said), (FIRST_TOKENS / cost, CALM), "{what}");
    }
}

#[test]
fn streams_that_are_refused() {
    let mut server = Server::open();
    for count in 0..MOST_STREAMS as u32 {
        server.read(&get(stream(count)));
        server.head(stream(count));
    }
    let (count, said) = flood(&mut server, |count| get(1001 + 2 * count));
    assert_eq!((count, &*said), (FIRST_TOKENS / COST_OF_RESET, CALM));
}

#[test]
fn a_block_that_never_ends() {
    let begin = frame(kind::HEADERS, flag::END_STREAM, 3, &[0; 16_000]);
    for (what, payload, expected) in [
        ("empty frames", vec![], u32::from(MOST_CONTINUATIONS)),
        ("small frames", vec![0; 3], u32::from(MOST_CONTINUATIONS)),
        ("large frames", vec![0; 16_384], 3),
    ] {
        let mut server = Server::open();
        server.read(&begin);
        let (count, said) = flood(&mut server, |_| frame(kind::CONTINUATION, 0, 3, &payload));
        assert_eq!((count, &*said), (expected, CALM), "{what}");
    }
}

#[test]
fn a_bomb_of_fields_is_answered_and_forgotten() {
    let mut server = Server::new();
    server.read(&[&PREFACE[..], &settings(&[])].concat());
    // A field of 4,000 bytes, and 16,000 times the same.
    let mut bomb = block(&[]);
    bomb.extend(b"\x40\x01a\x7f\xa1\x1e");
    bomb.extend([b'x'; 4000]);
    bomb.extend([0xbe; 12_000]);
    server.written();
    let head = frame(kind::HEADERS, END, 1, &bomb);
    assert_eq!(server.answer(&head), ("too large 1".to_owned(), String::new()));
    let mut block = Vec::new();
    encode::status(&mut block, 431);
    server.connection.head_only(StreamId(1), &block, server.now, &mut server.out);
    assert_eq!(server.written(), ["HEADERS 1 end"]);
    assert_eq!(server.read(&get(3)), ["request 3 GET / end"]);
}

#[test]
fn many_settings_in_a_frame() {
    let values = vec![(99, 0); MOST_SETTINGS + 1];
    assert_eq!(Server::open().read(&settings(&values)), [CALM]);
    assert_eq!(Server::open().read(&settings(&values[1..])), Vec::<String>::new());
}

#[test]
fn what_a_client_may_do_for_what_it_is_sent() {
    let mut server = Server::open();
    server.read(&get(1));
    server.head(1);
    for _ in 0..10_000 {
        assert_eq!(server.send(1, 10), 10);
        let ping = frame(kind::PING, 0, 0, b"12345678");
        let updates = [window_update(0, 10), window_update(1, 10), ping].concat();
        assert_eq!(server.read(&updates), ["opened 0", "opened 1"]);
    }
    // And what time allows.
    for _ in 0..10_000 {
        server.pass(TOKEN_EVERY * COST_OF_PING);
        assert_eq!(server.read(&frame(kind::PING, 0, 0, b"12345678")), Vec::<String>::new());
    }
}

#[test]
fn memory_is_bounded_whatever_comes_in_part() {
    let mut server = Server::open();
    server.read(&frame(kind::HEADERS, flag::END_STREAM, 1, &[0; 16_384]));
    for _ in 0..2 {
        server.read(&frame(kind::CONTINUATION, 0, 1, &[0; 16_384]));
    }
    server.read(&frame(kind::CONTINUATION, 0, 1, &[0; 16_384])[..16_384]);
    let begun = server.connection.begun.as_ref().unwrap();
    let kept = begun.half.len() + 3 * 16_384;
    assert!(kept <= MOST_BLOCK_BYTES + MOST_FRAME_BYTES + HEAD_BYTES, "{kept}");
    // Payloads that nobody wants are not kept at all.
    for frame in [frame(99, 0, 0, &[0; 16_384]), frame(kind::GOAWAY, 0, 0, &[0; 16_384]), data(1, &[0; 16_384], false)]
    {
        let mut server = with_body();
        server.read(&frame[..16_384]);
        assert!(server.connection.begun.is_none());
    }
    // An idle connection keeps nothing.
    let mut server = Server::open();
    server.read(&[get(1), rst_stream(1, Code::CANCEL)].concat());
    assert!(server.connection.begun.is_none() && server.connection.bodies.are_none());
}
