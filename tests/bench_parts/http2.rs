//! HTTP/2 as the clients of the benchmark speak it: what comes is read at any split, and windows are given and kept.

use crate::event::{Stamp, Template};
use crate::http2::{CONNECTION_WINDOW, Conversation, STREAM_WINDOW};
use crate::text::Item;

/// The types of frames.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

/// The flags of frames.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Heads of event streams: of pingora, and of nginx with Nchan.
const PINGORA: &str = "20880f108c497ca582f72d495909b0a3a70f0990a8eb10649cbf4a54759360ea44a7b29f008df2b0c842d0b476cb296c35537f\
    82a8ff0f2d890ae15291d4694f449f0f1296c361be9413aa693f75040138a05cb8c8ae05e53168df";
const NCHAN: &str = "20887689aa6355e580ae212e1f6196c361be9413aa693f75040138a05cb8c8ae084a62d1bf5f97497ca582f72d495909b0a3a7ed4\
    24e3b1054c16a6559ef";

/// Their heads where there is no such path.
const PINGORA_404: &str = "208d0f1092497ca58ae819aafb50938ec415305a99567b0f0986a8eb2127b0bf0f0d82139f0f1296c361be9413aa693f75\
    040138a05cb8c8ae080a62d1bf";
const NGINX_404: &str =
    "8d7689aa6355e580ae212e1f6196c361be9413aa693f75040138a05cb8c8ae09a53168df5f87497ca589d34d1f5c03313533";

fn bytes(hex: &str) -> Vec<u8> {
    let (pairs, rest) = hex.as_bytes().as_chunks::<2>();
    assert!(rest.is_empty());
    let byte = |pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok();
    pairs.iter().map(|pair| byte(pair).expect("two digits")).collect()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn window(stream: u32, more: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes())
}

/// The head of an event stream, with plain strings and without the static table's name.
fn plain_head() -> Vec<u8> {
    [&[0x88, 0x10, 12], &b"content-type"[..], &[17], b"text/event-stream"].concat()
}

/// What came, each with the place of its stream.
type Items = Vec<(usize, Item)>;

/// What `conversation` makes of some pieces: the items, and what it answers.
fn read<'a>(
    conversation: &mut Conversation,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(Items, Vec<u8>), String> {
    let (mut items, mut answer) = (Vec::new(), Vec::new());
    for piece in pieces {
        conversation.read(piece, &mut answer, &mut |place, item| items.push((place, item)))?;
    }
    Ok((items, answer))
}

/// A conversation with this many streams that are all answered.
fn answered(streams: usize, stalled: bool) -> Conversation {
    let mut conversation = Conversation::new(streams, stalled);
    for place in 0..streams {
        let head = frame(HEADERS, END_HEADERS, id(place), &plain_head());
        let (items, _) = read(&mut conversation, [&head[..]]).expect("a head");
        assert_eq!(items, [(place, Item::Head { status: Some(200) })]);
    }
    conversation
}

fn id(place: usize) -> u32 {
    u32::try_from(2 * place + 1).expect("a small place")
}

fn stamp(seq: u64) -> Stamp {
    Stamp { seq, sent: 1_000 + seq }
}

/// The text of an event.
fn event(seq: u64) -> Vec<u8> {
    Template::new(128, true).text(stamp(seq)).to_vec()
}

fn is_event(seq: u64) -> Item {
    Item::Event { stamp: Some(stamp(seq)), size: 128 }
}

#[test]
fn any_split_of_the_bytes_gives_the_same_items_and_answers() {
    let halved = event(2);
    let (first, second) = halved.split_at(70);
    let sent = [
        frame(SETTINGS, 0, 0, &bytes("000300000100000600010000")),
        frame(SETTINGS, 1, 0, b""),
        frame(HEADERS, END_HEADERS, 3, &bytes(PINGORA)),
        frame(HEADERS, END_HEADERS, 1, &bytes(NCHAN)),
        frame(DATA, 0, 3, b":\n"),
        frame(DATA, 0, 1, &[event(0), event(1)].concat()),
        frame(DATA, 0, 1, first),
        frame(DATA, 0, 3, &event(7)),
        frame(PING, 0, 0, b"12345678"),
        frame(DATA, 0, 1, second),
        frame(PING, 1, 0, b"87654321"),
        window(0, 1),
        frame(99, 0xff, 5, b"unknown"),
        frame(DATA, END_STREAM, 1, b""),
        frame(RST_STREAM, 0, 3, &[0, 0, 0, 8]),
    ]
    .concat();
    let expected = [
        (1, Item::Head { status: Some(200) }),
        (0, Item::Head { status: Some(200) }),
        (1, Item::Comment),
        (0, is_event(0)),
        (0, is_event(1)),
        (1, is_event(7)),
        (0, is_event(2)),
        (0, Item::End),
        (1, Item::End),
    ];
    let answers = [frame(SETTINGS, 1, 0, b""), frame(PING, 1, 0, b"12345678")].concat();
    for at in 0..=sent.len() {
        let (left, right) = sent.split_at(at);
        let mut conversation = Conversation::new(2, false);
        let got = read(&mut conversation, [left, right]).unwrap();
        assert_eq!((&got.0[..], &got.1), (&expected[..], &answers), "split at {at}");
        assert_eq!(conversation.open(), 0);
    }
    let got = read(&mut Conversation::new(2, false), sent.chunks(1)).unwrap();
    assert_eq!((&got.0[..], got.1), (&expected[..], answers));
}

#[test]
fn a_connection_begins_with_the_preface_and_a_request_for_each_stream() {
    let mut out = Vec::new();
    let paths = ["/s/0", "/s/1"].map(str::to_owned).into_iter();
    Conversation::new(2, false).begin(paths, "bench", true, &mut out);
    let request = |number: u8| {
        let head = [&[0x82, 0x87, 0x04, 4], &b"/s/"[..], &[number, 0x01, 5], b"bench", &[0x0f, 4, 17]].concat();
        [&head[..], b"text/event-stream"].concat()
    };
    let expected = [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        frame(SETTINGS, 0, 0, &bytes("000100000000000200000000")),
        window(0, CONNECTION_WINDOW - 65_535),
        frame(HEADERS, END_HEADERS | END_STREAM, 1, &request(b'0')),
        frame(HEADERS, END_HEADERS | END_STREAM, 3, &request(b'1')),
    ];
    assert_eq!(out, expected.concat());
}

#[test]
fn a_window_is_opened_when_half_of_it_is_used() {
    let mut conversation = answered(1, false);
    let (half, large) = (STREAM_WINDOW / 2, frame(DATA, 0, 1, &[b'\n'; 16_000]));
    let mut left = STREAM_WINDOW;
    let mut of_connection = 0;
    for _ in 0..100 {
        let (_, answer) = read(&mut conversation, [&large[..]]).unwrap();
        (left, of_connection) = (left - 16_000, of_connection + 16_000);
        let mut expected = Vec::new();
        if left < half {
            expected.append(&mut window(1, STREAM_WINDOW - left));
            left = STREAM_WINDOW;
        }
        if of_connection > CONNECTION_WINDOW / 2 {
            expected.append(&mut window(0, of_connection));
            of_connection = 0;
        }
        assert_eq!(answer, expected);
    }
}

#[test]
fn a_stalled_stream_opens_no_window_and_holds_its_bytes_of_the_connections() {
    let mut conversation = answered(2, true);
    let large = frame(DATA, 0, 1, &[b'\n'; 16_000]);
    let (_, answer) = read(&mut conversation, [&large[..]; 4]).unwrap();
    assert!(answer.is_empty());
    assert_eq!(conversation.left_to_stalled(), Some(STREAM_WINDOW - 64_000));
    assert!(read(&mut conversation, [&large[..]]).unwrap_err().contains("more than a window"));

    // Its neighbour gets back what it reads, but never the bytes of the stalled one.
    let mut conversation = answered(2, true);
    read(&mut conversation, [&large[..]; 4]).unwrap();
    let large = frame(DATA, 0, 3, &[b'\n'; 16_000]);
    let mut opened = 0;
    for _ in 0..100 {
        let (_, answer) = read(&mut conversation, [&large[..]]).unwrap();
        let updates = answer.chunks(13).filter(|update| update[5..9] == [0; 4]);
        opened += updates.map(|update| u32::from_be_bytes(update[9..].try_into().unwrap())).sum::<u32>();
    }
    assert_eq!(opened, 99 * 16_000, "33 frames are more than half of the window");
}

#[test]
fn padding_counts_for_the_window_and_is_no_text() {
    let mut conversation = answered(1, false);
    let padded = frame(DATA, 8, 1, &[&[9], &event(3)[..], &[0; 9]].concat());
    assert_eq!(read(&mut conversation, padded.chunks(1)).unwrap().0, [(0, is_event(3))]);
    let plain = frame(DATA, 0, 1, &event(4));
    assert_eq!(read(&mut conversation, [&plain[..]]).unwrap().0, [(0, is_event(4))]);
    let all_padding = frame(DATA, 8, 1, &[&[255], &[0; 255][..]].concat());
    for _ in 0..=STREAM_WINDOW / 256 / 2 {
        let (items, answer) = read(&mut conversation, [&all_padding[..]]).unwrap();
        assert!(items.is_empty());
        if !answer.is_empty() {
            return;
        }
    }
    panic!("no window was opened");
}

#[test]
fn a_head_may_be_padded_have_a_priority_and_be_continued() {
    let block = bytes(PINGORA);
    let (first, second) = block.split_at(20);
    let sent = [
        frame(HEADERS, 0x8 | 0x20, 1, &[&[3, 0, 0, 0, 0, 16], first, &[0; 3]].concat()),
        frame(CONTINUATION, 0, 1, b""),
        frame(CONTINUATION, END_HEADERS, 1, second),
    ]
    .concat();
    let (items, _) = read(&mut Conversation::new(1, false), [&sent[..]]).unwrap();
    assert_eq!(items, [(0, Item::Head { status: Some(200) })]);
    let interrupted = [&sent[..20 + 9 + 9], &frame(PING, 0, 0, &[0; 8])].concat();
    assert!(read(&mut Conversation::new(1, false), [&interrupted[..]]).unwrap_err().contains("in the middle"));
}

#[test]
fn only_an_event_stream_with_status_200_is_an_answer() {
    let json = [&[0x88, 0x0f, 0x10, 16], &b"application/json"[..]].concat();
    let plain = [&[0x08, 3], &b"503"[..], &[0x5f, 17], b"text/event-stream"].concat();
    let answers = [
        (bytes(PINGORA_404), Some(404)),
        (bytes(NGINX_404), Some(404)),
        (plain, Some(503)),
        (json, None),
        (vec![0x88], None),
    ];
    for (block, status) in answers {
        let sent = frame(HEADERS, END_HEADERS, 1, &block);
        let (items, _) = read(&mut Conversation::new(1, false), [&sent[..]]).unwrap();
        assert_eq!(items, [(0, Item::Head { status })]);
    }
}

#[test]
fn what_no_server_may_send_ends_the_connection() {
    let head = frame(HEADERS, END_HEADERS, 1, &plain_head());
    let dynamic_entry = [0x88, 0xbe];
    let larger_table = [0x3f, 0xe1, 0x1f, 0x88];
    let cut_string = [0x88, 0x0f, 0x10, 99, b't'];
    for (what, sent) in [
        ("an entry of a dynamic table", frame(HEADERS, END_HEADERS, 1, &dynamic_entry)),
        ("a larger table", frame(HEADERS, END_HEADERS, 1, &larger_table)),
        ("a string that is cut off", frame(HEADERS, END_HEADERS, 1, &cut_string)),
        ("data before a head", frame(DATA, 0, 1, b":\n")),
        ("a stream that nobody asked for", [head.clone(), frame(DATA, 0, 3, b":\n")].concat()),
        ("data after the end", [head.clone(), frame(DATA, 1, 1, b":\n"), frame(DATA, 0, 1, b":\n")].concat()),
        ("more padding than payload", [head, frame(DATA, 8, 1, &[9, 0])].concat()),
        ("the end of the connection", frame(GOAWAY, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 11])),
        ("too few streams", frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 0])),
        ("a frame that is too long", vec![0, 0x40, 1, PING, 0, 0, 0, 0, 0]),
        ("HTTP/1.1", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
    ] {
        assert!(read(&mut Conversation::new(1, false), [&sent[..]]).is_err(), "{what}");
    }
    let even = frame(DATA, 0, 2, b":\n");
    assert!(read(&mut answered(2, false), [&even[..]]).unwrap_err().contains("stream 2"));
}
