//! What a channel takes.

use super::super::channel::MOST_IDLE;
use super::super::record::{
    ALERT, APPLICATION_DATA, HANDSHAKE, HEADER_BYTES, MOST_CONTENT_BYTES, MOST_PAYLOAD_BYTES, OVERHEAD_BYTES,
};
use super::super::testing::{ALGORITHMS, Heard, Talker, heard, talking, try_records};
use super::*;

#[test]
fn what_a_client_says_is_heard_wherever_it_is_cut() {
    for suite in SUITES {
        let (mut client, channel) = connected(suite);
        let mut wire = said(&mut client, b"\r\n");
        client.refresh_traffic_keys().unwrap();
        wire.extend(said(&mut client, b"GET / HTTP/1.1\r\n\r\n"));
        for cut in 0..=wire.len() {
            let (begin, end) = wire.split_at(cut);
            let mut channel = copied(&channel);
            let heard = heard(&mut channel, [begin, end]);
            assert_eq!(heard, Heard { data: b"\r\nGET / HTTP/1.1\r\n\r\n".to_vec(), over: None }, "{cut}");
            assert!(channel.has_pending(), "the client asked for new keys");
        }
    }
}

/// The same channel once more, so that it can hear the same again.
fn copied(channel: &Channel) -> Channel {
    let algorithm = channel.algorithm();
    let (tx, rx) = (channel.tx_secret.copy(), channel.rx_secret.copy());
    Channel::new(algorithm, (tx, channel.tx.seq), (rx, channel.rx_seq)).unwrap()
}

#[test]
fn keys_are_replaced_in_both_directions_while_data_flows() {
    for suite in SUITES {
        let (mut client, mut channel) = connected(suite);
        for n in 0..20 {
            client.refresh_traffic_keys().unwrap();
            let wire = said(&mut client, format!("{n}").as_bytes());
            assert_eq!(heard(&mut channel, [&wire[..]]), Heard { data: format!("{n}").into(), over: None });
            let wire = sent(&mut channel, b"event");
            assert_eq!(opened(&mut client, &wire), b"event");
            let wire = said(&mut client, b"");
            assert_eq!(wire, b"", "an answer is not answered");
        }
    }
}

#[test]
fn the_answer_to_a_key_update_waits_for_the_record_that_was_begun() {
    let (mut client, mut channel) = connected(SUITES[0]);
    let mut begun = Vec::new();
    let sealed = channel.seal(b"half sent", &mut begun);
    assert_eq!(channel.settle(sealed, &begun, 10), 9);
    let mut read = opened(&mut client, &begun[..10]);
    for _ in 0..5 {
        // Several requests before the answer have one answer.
        client.refresh_traffic_keys().unwrap();
        assert_eq!(heard(&mut channel, [&said(&mut client, b"")[..]]), Heard::default());
    }
    let wire = sent(&mut channel, b" and more");
    assert_eq!(wire.len(), (begun.len() - 10) + (5 + OVERHEAD_BYTES) + (9 + OVERHEAD_BYTES));
    read.extend(opened(&mut client, &wire));
    assert_eq!(read, b"half sent and more");
}

#[test]
fn a_key_update_of_several_pieces_is_followed() {
    let (mut channel, mut client) = talking(ALGORITHMS[0]);
    let mut wire = Vec::new();
    for byte in [24, 0, 0, 1, 1] {
        wire.extend(client.record(HANDSHAKE, &[byte]));
    }
    client.renew();
    wire.extend(client.data(b"new keys"));
    assert_eq!(heard(&mut channel, [&wire[..]]), Heard { data: b"new keys".to_vec(), over: None });
    assert!(channel.has_pending());
}

#[test]
fn an_end_is_the_end_whatever_follows() {
    for alert in [[1, 0], [2, 0], [1, 90], [2, 80], [1, 255]] {
        let (mut channel, mut client) = talking(ALGORITHMS[1]);
        let wire = [client.data(b"before"), client.record(ALERT, &alert), client.data(b"after")].concat();
        assert_eq!(heard(&mut channel, [&wire[..]]), Heard { data: b"before".to_vec(), over: Some(Over::Gone) });
    }
}

/// An attack, and the alert that it gets.
type Attack = (&'static str, fn(&mut Talker) -> Vec<u8>, Alert);

const ATTACKS: &[Attack] = &[
    ("a wrong tag", |client| flip(client.data(b"x"), usize::MAX), Alert::BadRecordMac),
    ("a changed payload", |client| flip(client.data(b"x"), HEADER_BYTES), Alert::BadRecordMac),
    ("a changed version", |client| flip(client.data(b"x"), 1), Alert::BadRecordMac),
    (
        "a record twice",
        |client| {
            let record = client.data(b"");
            [&record[..], &record[..]].concat()
        },
        Alert::BadRecordMac,
    ),
    (
        "records in the wrong order",
        |client| {
            let first = client.data(b"1");
            [client.data(b"2"), first].concat()
        },
        Alert::BadRecordMac,
    ),
    (
        "a shortened record",
        |client| {
            let mut record = client.data(b"12");
            record[4] -= 1;
            record.pop();
            record
        },
        Alert::BadRecordMac,
    ),
    ("no payload", |_| vec![23, 3, 3, 0, 0], Alert::BadRecordMac),
    ("a payload without a type", |_| [&[23, 3, 3, 0, 16][..], &[0; 16]].concat(), Alert::BadRecordMac),
    (
        "a payload that is too long",
        |_| {
            let [high, low] = (MOST_PAYLOAD_BYTES + 1).to_be_bytes()[6..] else { unreachable!() };
            vec![23, 3, 3, high, low]
        },
        Alert::RecordOverflow,
    ),
    ("content that is too long", |client| client.data(&[0; MOST_CONTENT_BYTES + 1]), Alert::RecordOverflow),
    (
        "padding that is too long",
        |client| client.padded(APPLICATION_DATA, b"x", MOST_CONTENT_BYTES),
        Alert::RecordOverflow,
    ),
    ("only padding", |client| client.record(0, &[0; 100]), Alert::UnexpectedMessage),
    ("data in the clear", |_| b"GET / HTTP/1.1\r\n\r\n".to_vec(), Alert::UnexpectedMessage),
    ("a ClientHello in the clear", |_| vec![22, 3, 1, 2, 0, 1], Alert::UnexpectedMessage),
    ("an alert in the clear", |_| vec![21, 3, 3, 0, 2, 1, 0], Alert::UnexpectedMessage),
    ("a ChangeCipherSpec", |_| vec![20, 3, 3, 0, 1, 1], Alert::UnexpectedMessage),
    ("a ChangeCipherSpec under the keys", |client| client.record(20, &[1]), Alert::UnexpectedMessage),
    ("a heartbeat", |client| client.record(24, &[1, 0, 0]), Alert::UnexpectedMessage),
    ("a ClientHello", |client| client.record(HANDSHAKE, &[1, 0, 0, 1, 0]), Alert::UnexpectedMessage),
    ("a HelloRequest", |client| client.record(HANDSHAKE, &[0, 0, 0, 0]), Alert::UnexpectedMessage),
    ("a NewSessionTicket", |client| client.record(HANDSHAKE, &[4, 0, 0, 0]), Alert::UnexpectedMessage),
    ("a Finished", |client| client.record(HANDSHAKE, &[20, 0, 0, 32]), Alert::UnexpectedMessage),
    ("a certificate", |client| client.record(HANDSHAKE, &[11, 0, 0, 0]), Alert::UnexpectedMessage),
    ("no message", |client| client.record(HANDSHAKE, &[]), Alert::UnexpectedMessage),
    ("a KeyUpdate with a wrong length", |client| client.record(HANDSHAKE, &[24, 0, 0, 2, 0, 0]), Alert::DecodeError),
    ("a KeyUpdate with a wrong value", |client| client.record(HANDSHAKE, &[24, 0, 0, 1, 2]), Alert::IllegalParameter),
    (
        "two KeyUpdates in a record",
        |client| client.record(HANDSHAKE, &[24, 0, 0, 1, 0, 24, 0, 0, 1, 0]),
        Alert::UnexpectedMessage,
    ),
    (
        "data inside a KeyUpdate",
        |client| [client.record(HANDSHAKE, &[24, 0]), client.data(b"x")].concat(),
        Alert::UnexpectedMessage,
    ),
    (
        "an alert inside a KeyUpdate",
        |client| [client.record(HANDSHAKE, &[24, 0]), client.record(ALERT, &[1, 0])].concat(),
        Alert::UnexpectedMessage,
    ),
    (
        "old keys after a KeyUpdate",
        |client| [client.record(HANDSHAKE, &[24, 0, 0, 1, 0]), client.data(b"x")].concat(),
        Alert::BadRecordMac,
    ),
    ("no alert", |client| client.record(ALERT, &[]), Alert::UnexpectedMessage),
    ("half an alert", |client| client.record(ALERT, &[1]), Alert::DecodeError),
    ("two alerts in a record", |client| client.record(ALERT, &[1, 90, 1, 0]), Alert::DecodeError),
    ("an alert of no level", |client| client.record(ALERT, &[3, 0]), Alert::IllegalParameter),
    (
        "a flood of KeyUpdates",
        |client| (0..=MOST_IDLE).flat_map(|n| client.key_update(n % 2 == 0)).collect(),
        Alert::UnexpectedMessage,
    ),
    (
        "a flood of empty records",
        |client| (0..=MOST_IDLE).flat_map(|_| client.data(b"")).collect(),
        Alert::UnexpectedMessage,
    ),
    (
        "a flood of padding",
        |client| (0..=MOST_IDLE).flat_map(|_| client.padded(APPLICATION_DATA, b"", 9)).collect(),
        Alert::UnexpectedMessage,
    ),
];

#[test]
fn attacks_are_answered_by_an_alert_and_bring_no_data() {
    for (name, attack, alert) in ATTACKS {
        for algorithm in ALGORITHMS {
            for size in [1, 7, usize::MAX] {
                let (mut channel, mut client) = talking(algorithm);
                let wire = [client.data(b"before"), attack(&mut client), client.data(b"after")].concat();
                let heard = heard(&mut channel, wire.chunks(size.min(wire.len())));
                let expected = Heard { data: b"before".to_vec(), over: Some(Over::Broken(*alert)) };
                assert_eq!(heard, expected, "{name}, {algorithm:?}, in pieces of {size}");
            }
        }
    }
}

fn flip(mut record: Vec<u8>, at: usize) -> Vec<u8> {
    let at = at.min(record.len() - 1);
    record[at] ^= 1;
    record
}

#[test]
fn what_clients_rarely_send_is_legal() {
    let (mut channel, mut client) = talking(ALGORITHMS[0]);
    let mut wire = Vec::new();
    wire.extend((0..MOST_IDLE / 2).flat_map(|_| client.data(b"")));
    wire.extend((0..MOST_IDLE - MOST_IDLE / 2).flat_map(|n| client.key_update(n % 2 == 0)));
    wire.extend(client.padded(APPLICATION_DATA, b"padded", 500));
    wire.extend(client.padded(APPLICATION_DATA, b"!", MOST_CONTENT_BYTES - 1));
    let largest = vec![b'l'; MOST_CONTENT_BYTES];
    wire.extend(client.data(&largest));
    let expected = Heard { data: [&b"padded!"[..], &largest].concat(), over: None };
    assert_eq!(heard(&mut channel, [&wire[..]]), expected);
}

#[test]
fn memory_is_taken_only_for_bytes_that_came() {
    let (mut channel, mut client) = talking(ALGORITHMS[0]);
    let record = client.data(&[b'x'; MOST_CONTENT_BYTES]);
    for (came, most) in [(1, 8), (HEADER_BYTES, 8), (100, 200), (5000, 10_000), (record.len() - 1, record.len())] {
        let mut channel = copied(&channel);
        assert_eq!(heard(&mut channel, record[..came].chunks(50)), Heard::default());
        assert!((came..=most).contains(&channel.kept()), "{came}: {}", channel.kept());
    }
    assert_eq!(heard(&mut channel, record.chunks(1000)).data.len(), MOST_CONTENT_BYTES);
    assert_eq!(channel.kept(), 0);
}

#[test]
fn it_does_not_matter_how_the_bytes_arrive_whatever_they_are() {
    let (mut data, mut gone, mut broken) = (0, 0, 0);
    for seed in 0..60 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let bytes = rng.usize(..200);
        let input: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(bytes).collect();
        let (bytes, is_gone, is_broken) = try_records(&input);
        data += bytes;
        gone += usize::from(is_gone);
        broken += usize::from(is_broken);
    }
    assert!(data > 10_000 && gone > 2 && broken > 5 && gone + broken < 50, "{data} {gone} {broken}");
}
