//! Which connections leave rustls, and when.

use super::*;

/// What `RecordIo` would count for a client that sent these bytes in one record.
fn counted(bytes: usize) -> u64 {
    bytes as u64
}

#[test]
fn a_connection_leaves_rustls_when_nothing_would_be_lost() {
    for suite in SUITES {
        let mut pair = Pair::new(suite);
        let request = said(&mut pair.client, b"GET / HTTP/1.1\r\n\r\n");
        pair.server.read_tls(&mut &request[..]).unwrap();
        assert_eq!(may_detach(&mut pair.server, true, counted(18), 0), Err(Refusal::Unread));
        let mut read = [0; 18];
        pair.server.reader().read_exact(&mut read).unwrap();
        assert_eq!(may_detach(&mut pair.server, true, counted(18), 18), Ok(()));
        let (mut client, mut channel) = pair.detached();
        assert_eq!(opened(&mut client, &sent(&mut channel, b"HTTP/1.1 200 OK\r\n\r\n")), b"HTTP/1.1 200 OK\r\n\r\n");
        let wire = said(&mut client, b"more");
        assert_eq!(testing::heard(&mut channel, [&wire[..]]).data, b"more");
    }
}

#[test]
fn a_connection_that_something_would_be_lost_of_stays() {
    type Change = fn(&mut Pair) -> (bool, u64);
    let cases: [(Refusal, Change); 6] = [
        (Refusal::HalfRecord, |_| (false, 0)),
        (Refusal::Hidden, |_| (true, 5)),
        (Refusal::Unwritten, |pair| {
            pair.server.writer().write_all(b"x").unwrap();
            (true, 0)
        }),
        (Refusal::Closed, |pair| {
            pair.client.send_close_notify();
            let wire = said(&mut pair.client, b"");
            pair.server.read_tls(&mut &wire[..]).unwrap();
            (true, 0)
        }),
        (Refusal::Kept, |pair| {
            pair.server.read_tls(&mut &b"GET / HTTP/1.1\r\n\r\n"[..]).unwrap();
            (true, 0)
        }),
        (Refusal::Unread, |pair| {
            let wire = said(&mut pair.client, b"x");
            pair.server.read_tls(&mut &wire[..]).unwrap();
            (true, 1)
        }),
    ];
    for (why, change) in cases {
        let mut pair = Pair::new(SUITES[0]);
        let (at_boundary, counted) = change(&mut pair);
        assert_eq!(may_detach(&mut pair.server, at_boundary, counted, 0), Err(why));
    }
}

#[test]
fn a_handshake_must_be_complete_and_of_tls_1_3() {
    let mut pair = Pair::begun(configs(&SUITES));
    assert_eq!(may_detach(&mut pair.server, true, 0, 0), Err(Refusal::Handshake));
    assert_eq!(Channel::of(pair.server, &pair.capture).unwrap_err(), Refusal::Version);
    let old: SupportedCipherSuite = ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    let mut pair = Pair::new(old);
    assert_eq!(may_detach(&mut pair.server, true, 0, 0), Err(Refusal::Version));
    assert_eq!(Channel::of(pair.server, &pair.capture).unwrap_err(), Refusal::Version);
}

/// Its answer is with rustls, which says nothing of it and does not give it away.
#[test]
fn a_client_that_asked_for_new_keys_is_found_out_twice() {
    let mut pair = Pair::new(SUITES[0]);
    pair.client.refresh_traffic_keys().unwrap();
    let wire = said(&mut pair.client, b"");
    pair.server.read_tls(&mut &wire[..]).unwrap();
    assert_eq!(may_detach(&mut pair.server, true, 5, 0), Err(Refusal::Hidden));
    assert_eq!(may_detach(&mut pair.server, true, 0, 0), Ok(()), "rustls does not tell");
    assert_eq!(Channel::of(pair.server, &pair.capture).unwrap_err(), Refusal::Keys);
}

#[test]
fn without_secrets_or_keys_there_is_no_channel() {
    let pair = Pair::new(SUITES[0]);
    assert_eq!(Channel::of(pair.server, &Capture::default()).unwrap_err(), Refusal::Keys);
    let (client, mut server) = configs(&SUITES);
    server.enable_secret_extraction = false;
    let mut pair = Pair::begun((client, server));
    while pair.exchange() {}
    assert_eq!(Channel::of(pair.server, &pair.capture).unwrap_err(), Refusal::Kept);
}

#[test]
fn the_secrets_are_captured_once_and_never_shown() {
    let pair = Pair::new(SUITES[1]);
    assert_eq!(format!("{:?}", pair.capture), "Capture");
    let captured = pair.capture.take();
    assert_eq!((captured.client.len(), captured.server.len()), (48, 48));
    assert!(captured.client != captured.server);
    assert!(pair.capture.take().client.is_empty());
}
