//! Heads, ends and resets, and how a server and a client leave.

use super::*;

const ONE: StreamId = StreamId(1);

fn status(code: u16) -> Vec<u8> {
    let mut block = Vec::new();
    encode::status(&mut block, code);
    block
}

fn end(server: &mut Server, stream: u32, words: &'static [u8]) {
    let mut outgoing = Outgoing::default();
    outgoing.take_last(&mut server.connection, StreamId(stream), &words.into());
    outgoing.write(&mut server.connection, server.now, &mut server.out);
}

#[test]
fn a_stream_is_there_from_its_headers_on() {
    let mut server = Server::open();
    let all = [get(1), window_update(1, 5), rst_stream(1, Code::CANCEL), get(3)].concat();
    assert_eq!(server.read(&all), ["request 1 GET / end", "opened 1", "reset 1 (0) Code(8)", "request 3 GET / end"]);
    assert!(!server.connection.head(ONE, &status(200), &mut server.out), "it came too late");
    assert_eq!(server.written(), Vec::<String>::new());
}

#[test]
fn a_response_has_one_head_and_one_end() {
    let mut server = Server::open();
    server.read(&get(1));
    assert_eq!(server.send(1, 5), 0, "nothing before the head");
    server.connection.interim(ONE, &status(103), &mut server.out);
    assert!(server.connection.head(ONE, &status(200), &mut server.out));
    assert!(!server.connection.head(ONE, &status(200), &mut server.out));
    server.connection.head_only(ONE, &status(200), server.now, &mut server.out);
    server.connection.interim(ONE, &status(103), &mut server.out);
    assert_eq!(server.send(1, 5), 5);
    end(&mut server, 1, b"bye");
    end(&mut server, 1, b"bye");
    server.connection.end_with_trailers(ONE, &status(0), server.now, &mut server.out);
    server.connection.reset(ONE, Code::CANCEL, server.now, &mut server.out);
    assert_eq!(server.written(), ["HEADERS 1", "HEADERS 1", "DATA 1 5", "DATA 1 3 end"]);
    assert!(server.connection.streams.get(ONE).is_none());
}

#[test]
fn trailers_end_a_response() {
    let mut server = Server::open();
    server.read(&get(1));
    server.head(1);
    server.connection.end_with_trailers(ONE, b"\x0f\x2d\x011", server.now, &mut server.out);
    assert_eq!(server.written(), ["HEADERS 1 end"]);
    assert!(server.connection.streams.get(ONE).is_none());
}

#[test]
fn a_refused_body_is_dropped_and_the_connection_lives() {
    // A 405 to a POST of 200 KB once cost a browser its other streams.
    let mut server = Server::open();
    server.read(&[get(1), post(3, "200000")].concat());
    server.head(1);
    server.connection.head_only(StreamId(3), &status(405), server.now, &mut server.out);
    assert_eq!(server.written(), ["HEADERS 3 end", "RST_STREAM 3 Code(0)"]);
    for _ in 0..12 {
        assert_eq!(server.answer(&data(3, &[b'x'; 16_384], false)), (String::new(), String::new()));
    }
    assert_eq!(server.answer(&data(3, &[b'x'; 3392], true)), (String::new(), String::new()));
    assert_eq!(server.send(1, 5), 5);
}

#[test]
fn a_reset_tells_the_label_and_ends_the_stream() {
    let mut server = Server::open();
    server.read(&[get(1), get(3)].concat());
    server.connection.call(ONE, 77);
    assert_eq!(
        server.read(&[rst_stream(1, Code::CANCEL), rst_stream(1, Code::CANCEL)].concat()),
        ["reset 1 (77) Code(8)"]
    );
    server.connection.reset(StreamId(3), Code::CANCEL, server.now, &mut server.out);
    server.connection.reset(StreamId(3), Code::CANCEL, server.now, &mut server.out);
    assert_eq!(server.written(), ["RST_STREAM 3 Code(8)"]);
    assert_eq!(server.read(&rst_stream(3, Code::CANCEL)), Vec::<String>::new(), "both sides did it");
}

#[test]
fn at_a_drain_streams_go_on_and_later_nothing_new_begins() {
    let mut server = Server::open();
    server.read(&get(1));
    server.connection.drain(&mut server.out);
    assert_eq!(server.written(), ["GOAWAY 2147483647 Code(0)"]);
    assert_eq!(server.read(&get(3)), ["request 3 GET / end"], "the client may not have known");
    server.connection.leave(&mut server.out);
    server.connection.leave(&mut server.out);
    assert_eq!(server.written(), ["GOAWAY 3 Code(0)"]);
    let ignored = [
        post(5, ""),
        data(5, &[b'x'; 300], false),
        window_update(5, 1),
        data(5, b"", true),
        rst_stream(5, Code::CANCEL),
    ];
    assert_eq!(server.answer(&ignored.concat()), (String::new(), String::new()));
    for stream in [1, 3] {
        assert!(!server.connection.is_over());
        server.head(stream);
        end(&mut server, stream, b"bye");
    }
    assert!(server.connection.is_over());
}

#[test]
fn a_client_that_leaves_gets_its_streams_to_their_ends() {
    let mut server = Server::open();
    server.read(&[get(1), frame(kind::GOAWAY, 0, 0, &[0; 8])].concat());
    assert!(!server.connection.is_over());
    server.head(1);
    assert_eq!(server.send(1, 5), 5);
    end(&mut server, 1, b"");
    assert_eq!(server.written(), ["DATA 1 5", "DATA 1 0 end"]);
    assert!(server.connection.is_over());
}

#[test]
fn more_streams_than_allowed_are_refused_and_others_go_on() {
    use super::super::super::limits::MOST_STREAMS;
    let mut server = Server::open();
    for index in 0..MOST_STREAMS as u32 {
        assert_eq!(server.read(&get(index * 2 + 1)).len(), 1);
        server.head(index * 2 + 1);
    }
    assert_eq!(server.answer(&get(1001)), (String::new(), "RST_STREAM 1001 Code(7)".to_owned()));
    server.read(&rst_stream(1, Code::CANCEL));
    assert_eq!(server.read(&get(1003)).len(), 1);
}

#[test]
fn while_many_requests_wait_no_more_are_read() {
    use super::super::super::limits::MOST_DECIDING;
    let mut server = Server::open();
    let requests: Vec<u8> = (0..MOST_DECIDING as u32 + 2).flat_map(|index| get(index * 2 + 1)).collect();
    let mut input = &requests[..];
    let mut count = 0;
    while server.connection.read(&mut input, server.now, &mut server.out).is_some() {
        count += 1;
    }
    assert_eq!((count, input.len()), (MOST_DECIDING, 2 * get(1).len()));
    assert!(server.connection.is_waiting());
    assert!(server.connection.read(&mut input, server.now, &mut server.out).is_none());
    server.head(1);
    assert!(!server.connection.is_waiting());
    assert!(server.connection.read(&mut input, server.now, &mut server.out).is_some());
    assert!(server.connection.read(&mut input, server.now, &mut server.out).is_none());
    assert_eq!(input.len(), get(1).len());
    // A half request that waits is not slow. When requests are read again, its time begins.
    server.read(&input[..5]);
    server.pass(Duration::from_secs(30));
    server.head(3);
    assert!(server.connection.expire(server.now, &mut server.out).is_none());
    server.read(&input[5..HEAD_BYTES]);
    server.pass(Duration::from_secs(19));
    assert!(server.connection.expire(server.now, &mut server.out).is_none());
    server.pass(Duration::from_secs(2));
    assert!(matches!(server.connection.expire(server.now, &mut server.out), Some(Event::Closed { .. })));
}
