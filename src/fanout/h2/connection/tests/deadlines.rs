//! Deadlines: each is reached by a client that is too slow, and not by one that is not.

use super::super::super::limits::*;
use super::*;

/// Lets the next deadline come. Returns how long it took, and what happened.
fn expire(server: &mut Server) -> (u64, String, String) {
    let deadline = server.connection.deadline().unwrap();
    let before = deadline - TOKEN_EVERY * 2;
    assert!(server.connection.expire(before, &mut server.out).is_none(), "it is not time yet");
    let took = (deadline - server.now).as_secs();
    server.now = deadline;
    let said = server.connection.expire(deadline, &mut server.out).map(|event| text(&event));
    (took, said.unwrap_or_default(), server.written().join(", "))
}

fn closed(time: Duration, last: u32, code: u32) -> (u64, String, String) {
    (time.as_secs(), format!("closed Code({code})"), format!("GOAWAY {last} Code({code})"))
}

#[test]
fn settings_are_acknowledged_in_time() {
    let mut server = Server::new();
    server.read(&[&PREFACE[..], &settings(&[]), &get(1)].concat());
    server.written();
    assert_eq!(expire(&mut server), closed(SETTINGS_TIMEOUT, 1, 4));
    assert!(server.connection.deadline().is_none() && server.connection.is_over());
}

#[test]
fn what_is_begun_is_completed_in_time() {
    let (begin, _) = PREFACE.split_at(10);
    let headers = frame(kind::HEADERS, flag::END_STREAM, 5, &block(&[]));
    for (what, half) in [
        ("a head", get(5)[..3].to_vec()),
        ("a frame", get(5)[..HEAD_BYTES + 3].to_vec()),
        ("a block", headers.clone()),
        ("a block and a frame", [&headers[..], &frame(kind::CONTINUATION, 0, 5, b"")[..4]].concat()),
    ] {
        let mut server = Server::open();
        server.read(&get(1));
        server.read(&half);
        server.pass(Duration::from_secs(5));
        server.read(b"");
        assert_eq!(expire(&mut server), closed(HALF_TIMEOUT - Duration::from_secs(5), 1, 11), "{what}");
    }
    let mut server = Server::new();
    server.read(begin);
    server.written();
    assert_eq!(expire(&mut server), closed(SETTINGS_TIMEOUT, 0, 4), "the preface");
}

#[test]
fn a_client_that_completes_what_it_begins_is_not_slow() {
    let mut server = Server::open();
    server.read(&get(1));
    let request = get(3);
    for (index, byte) in request.iter().enumerate() {
        server.pass(Duration::from_millis(100));
        assert_eq!(server.read(&[*byte]).is_empty(), index + 1 < request.len());
    }
    // And an upload has all the time of the world.
    server.read(&post(5, ""));
    server.read(&data(5, &[b'x'; 1000], false)[..500]);
    assert_eq!(server.connection.deadline(), None);
}

#[test]
fn a_block_has_one_deadline_for_all_its_frames() {
    let mut server = Server::open();
    server.read(&get(1));
    server.read(&frame(kind::HEADERS, flag::END_STREAM, 3, &block(&[])));
    for _ in 0..3 {
        server.pass(Duration::from_secs(5));
        server.read(&frame(kind::CONTINUATION, 0, 3, b""));
    }
    assert_eq!(expire(&mut server), closed(Duration::from_secs(5), 1, 11));
}

#[test]
fn a_connection_without_streams_ends() {
    let mut server = Server::open();
    server.read(&get(1));
    assert_eq!(server.connection.deadline(), None);
    server.pass(Duration::from_secs(1000));
    server.read(&rst_stream(1, Code::CANCEL));
    // What carries nothing does not keep it.
    server.pass(Duration::from_secs(5));
    server.read(&frame(kind::PING, 0, 0, b"12345678"));
    server.written();
    assert_eq!(expire(&mut server), closed(IDLE_TIMEOUT - Duration::from_secs(5), 1, 0));
}

#[test]
fn however_the_last_stream_ends_the_connection_is_idle() {
    let ends: [fn(&mut Server); 4] = [
        |server| server.connection.reset(StreamId(1), Code::CANCEL, server.now, &mut server.out),
        |server| server.connection.head_only(StreamId(1), b"\x88", server.now, &mut server.out),
        |server| drop(server.read(&data(1, &[b'x'; 300], true))),
        |server| drop(server.read(&rst_stream(1, Code::CANCEL))),
    ];
    for end in ends {
        let mut server = Server::open();
        server.read(&post(1, "1"));
        assert_eq!(server.connection.deadline(), None);
        end(&mut server);
        assert!(server.connection.deadline().is_some());
    }
    let mut server = Server::open();
    server.pass(Duration::from_secs(10));
    server.read(&frame(kind::HEADERS, END, 1, b""));
    assert_eq!(server.connection.deadline().map(|at| at > server.now + Duration::from_secs(70)), Some(true));
}

#[test]
fn a_table_that_a_client_does_not_give_up_is_dropped() {
    let mut server = Server::new();
    let mut request = block(&[]);
    request.extend(b"\x40\x01a\x01b");
    server.read(&[&PREFACE[..], &settings(&[]), &frame(kind::HEADERS, END, 1, &request)].concat());
    server.read(&settings_ack());
    server.written();
    let mut again = block(&[]);
    again.push(0xbe);
    assert_eq!(server.read(&frame(kind::HEADERS, END, 3, &again)).len(), 1, "it may be used for a while");
    assert_eq!(expire(&mut server), (TABLE_TIMEOUT.as_secs(), String::new(), String::new()));
    assert_eq!(server.connection.deadline(), None);
    assert_eq!(server.read(&frame(kind::HEADERS, END, 5, &again)), ["closed Code(9)"]);
    // A client that obeys has no deadline.
    let mut server = Server::open();
    let mut request = vec![0x20];
    request.extend(block(&[]));
    server.read(&frame(kind::HEADERS, END, 1, &request));
    assert_eq!(server.connection.deadline(), None);
}
