//! What streams are sent: windows, turns, and frames.

use super::super::super::limits::{TURN_OF_CONNECTION_BYTES, TURN_OF_STREAM_BYTES};
use super::*;
use bytes::Bytes;

/// A server whose client opened windows of these sizes, and some streams that are answered.
fn server(of_streams: u32, of_connection: u32, streams: &[u32]) -> Server {
    let mut server = Server::open();
    server.read(&[settings(&[(4, of_streams)]), window_update(0, of_connection - 65_535)].concat());
    for stream in streams {
        server.read(&get(*stream));
        server.head(*stream);
    }
    server.written();
    server
}

#[test]
fn a_window_of_one_byte_is_used() {
    let mut server = server(1, 1 << 20, &[1]);
    assert_eq!(server.send(1, 100), 1);
    assert_eq!(server.send(1, 100), 0);
    assert_eq!(server.written(), ["DATA 1 1"]);
    assert_eq!(server.read(&window_update(1, 2)), ["opened 1"]);
    assert_eq!(server.send(1, 100), 2);
}

#[test]
fn a_stream_that_is_not_read_does_not_stop_the_others() {
    let mut server = server(1 << 20, 65_536, &[1, 3]);
    while server.send(1, 1 << 20) > 0 {}
    server.read(&window_update(0, 16_384));
    server.written();
    for _ in 0..1000 {
        let sent = server.send(3, 10_000);
        assert!(sent > 0);
        server.read(&[window_update(0, sent as u32), window_update(3, sent as u32)].concat());
        assert!(!server.connection.is_over());
    }
}

#[test]
fn when_the_connection_is_full_nothing_is_sent_until_it_opens() {
    let mut server = server(1 << 20, 65_535 + 1, &[1, 3, 5]);
    for stream in [1, 3, 5] {
        while server.send(stream, 1 << 20) > 0 {}
    }
    assert!(server.connection.is_full());
    assert_eq!(server.read(&window_update(3, 1000)), ["opened 3"]);
    assert_eq!(server.send(3, 10), 0);
    assert_eq!(server.read(&window_update(0, 7)), ["opened 0"]);
    assert_eq!(server.send(3, 10), 7);
}

#[test]
fn settings_change_the_windows_of_all_streams() {
    let mut server = server(100, 1 << 20, &[1, 3]);
    assert_eq!(server.send(1, 1000), 100);
    server.read(&settings(&[(4, 50)]));
    assert_eq!(server.send(3, 1000), 50);
    server.read(&get(5));
    server.head(5);
    assert_eq!(server.send(5, 1000), 50);
    server.read(&window_update(1, 50));
    assert_eq!(server.send(1, 1000), 0, "the window was negative");
    server.read(&window_update(1, 10));
    assert_eq!(server.send(1, 1000), 10);
}

#[test]
fn a_turn_is_bounded_for_streams_and_for_the_connection() {
    let streams: Vec<u32> = (0..6).map(|index| index * 2 + 1).collect();
    let mut server = server(1 << 20, 1 << 24, &streams);
    let bytes = Bytes::from(vec![b'x'; 1 << 20]);
    for _ in 0..3 {
        let mut outgoing = Outgoing::default();
        let taken: Vec<usize> =
            streams.iter().map(|id| outgoing.take(&mut server.connection, StreamId(*id), &bytes)).collect();
        assert_eq!(
            taken,
            [TURN_OF_STREAM_BYTES, TURN_OF_STREAM_BYTES, TURN_OF_STREAM_BYTES, TURN_OF_STREAM_BYTES, 0, 0]
        );
        assert_eq!(outgoing.take(&mut server.connection, StreamId(1), &bytes), 0, "it had its turn");
        outgoing.write(&mut server.connection, server.now, &mut server.out);
        assert_eq!(taken.iter().sum::<usize>(), TURN_OF_CONNECTION_BYTES);
        assert_eq!(server.written().len(), 4);
    }
}

#[test]
fn what_is_noted_for_a_stream_one_after_the_other_is_one_frame() {
    let mut server = server(1 << 20, 1 << 24, &[1, 3]);
    let mut outgoing = Outgoing::default();
    assert!(outgoing.is_empty());
    let connection = &mut server.connection;
    for (stream, words) in [(1, "one, "), (1, "two"), (3, "three"), (1, "four")] {
        assert_eq!(outgoing.take(connection, StreamId(stream), &words.into()), words.len());
    }
    assert_eq!(outgoing.take(connection, StreamId(5), &"nobody".into()), 0);
    outgoing.write(connection, server.now, &mut server.out);
    assert!(outgoing.is_empty());
    let written = frames(&server.out);
    let written: Vec<_> = written.iter().map(|(head, bytes)| (head.stream.0, str::from_utf8(bytes).unwrap())).collect();
    assert_eq!(written, [(1, "one, two"), (3, "three"), (1, "four")]);
}

#[test]
fn bytes_are_cut_into_frames_and_the_last_one_ends_the_stream() {
    let mut server = server(1 << 20, 1 << 24, &[1]);
    let parts: Vec<Bytes> = [1000, 15_383].map(|length| Bytes::from(vec![b'x'; length])).into();
    let mut outgoing = Outgoing::default();
    assert_eq!(outgoing.take(&mut server.connection, StreamId(1), &parts[0]), 1000);
    assert_eq!(outgoing.take_last(&mut server.connection, StreamId(1), &parts[1]), 15_383);
    outgoing.write(&mut server.connection, server.now, &mut server.out);
    assert_eq!(server.written(), ["DATA 1 16383 end"]);
}

#[test]
fn the_end_needs_no_window_and_is_the_only_empty_frame() {
    for (window, words, expected) in [
        (1, &b""[..], &["DATA 1 1", "DATA 1 0 end"][..]),
        (4, b"bye", &["DATA 1 1", "DATA 1 3 end"]),
        (3, b"bye", &["DATA 1 1", "DATA 1 2"]),
    ] {
        let mut server = server(window, 1 << 20, &[1]);
        assert_eq!(server.send(1, 1), 1);
        let mut outgoing = Outgoing::default();
        let words = Bytes::from_static(words);
        let taken = outgoing.take_last(&mut server.connection, StreamId(1), &words);
        outgoing.write(&mut server.connection, server.now, &mut server.out);
        let written = server.written();
        assert_eq!(written, expected, "{window}");
        assert_eq!(taken == words.len(), server.connection.streams.get(StreamId(1)).is_none());
    }
}

#[test]
fn what_was_noted_for_a_stream_that_is_over_is_not_sent_and_costs_no_window() {
    let mut server = server(1 << 20, 1 << 17, &[1, 3]);
    let before = server.connection.sending;
    let mut outgoing = Outgoing::default();
    assert_eq!(outgoing.take(&mut server.connection, StreamId(1), &"lost".into()), 4);
    server.connection.reset(StreamId(1), Code::CANCEL, server.now, &mut server.out);
    outgoing.write(&mut server.connection, server.now, &mut server.out);
    assert_eq!(server.written(), ["RST_STREAM 1 Code(8)"]);
    assert_eq!(server.connection.sending, before);
}
