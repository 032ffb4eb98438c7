//! Requests and frames of HTTP/2 that must not be.

use crate::frames::{
    ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Ended, Frame, Frames, GOAWAY, HEADERS, PADDED,
    PING, PRIORITY, PROTOCOL_ERROR, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW, WINDOW_UPDATE, block, request,
};
use crate::gateway::{Gateway, configuration, route};
use crate::origin::{Origin, Speech};

/// The largest flow-control window (RFC 9113 section 6.9.1).
const WIDE: u32 = (1 << 31) - 1;

/// The fields of a head.
type Fields<'a> = Vec<(&'a str, &'a str)>;

#[tokio::test]
async fn a_body_of_another_length_than_its_head_tells_is_refused_and_never_whole_at_the_origin() {
    let data = |flags, text: &str| Frame::new(DATA, flags, 1, text);
    let padded = Frame::new(DATA, END_STREAM | PADDED, 1, [&[2][..], b"ab", &[0; 2]].concat());
    let trailers = Frame::head(1, END_STREAM, &[("x-end", "1")]);
    let cases: [(&str, &[&str], Vec<Frame>); 10] = [
        ("none", &["3"], vec![]),
        ("shorter", &["3"], vec![data(END_STREAM, "ab")]),
        ("shorter, in two", &["3"], vec![data(0, "ab"), data(END_STREAM, "")]),
        ("shorter by its padding", &["4"], vec![padded]),
        ("shorter, with trailers", &["3"], vec![data(0, "ab"), trailers]),
        ("longer", &["3"], vec![data(END_STREAM, "abcd")]),
        ("longer, in two", &["3"], vec![data(0, "abc"), data(END_STREAM, "d")]),
        ("longer than nothing", &["0"], vec![data(END_STREAM, "a")]),
        ("two lengths", &["3", "4"], vec![data(END_STREAM, "abc")]),
        ("no length", &["+3"], vec![data(END_STREAM, "abc")]),
    ];
    let (plain, h2) = (Origin::start(), Origin::speaking(Speech::Tls(&["h2"])));
    let trusted = format!("upstream.ca_file = {:?}", h2.authority().path());
    for (origin, options) in [(&plain, ""), (&h2, trusted.as_str())] {
        let gateway = Gateway::with(route("/*", origin).with(&format!("kind = \"proxy\"\n{options}"))).await;
        for (what, lengths, body) in &cases {
            let mut fields = request("POST", "/");
            fields.extend(lengths.iter().map(|length| ("content-length", *length)));
            let mut client = Frames::open(&gateway, &[]).await;
            let flags = if body.is_empty() { END_STREAM } else { 0 };
            client.send(&[Frame::head(1, flags, &fields)]).await;
            for frame in body {
                // The pause lets each piece go to the origin before the next one.
                client.send(&[frame.clone(), Frame::new(PING, 0, 0, [0; 8])]).await;
                if client.find(PING, 0).await.is_none() {
                    break;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            client.send(&[Frame::get(3, "/after")]).await;
            let after = async {
                loop {
                    let exchange = origin.accept().await;
                    if exchange.request.target == "/after" {
                        return exchange;
                    }
                    // The origin may get a request whose connection is closed before the end of the body.
                    let told: usize = exchange.request.headers.one("content-length").unwrap().parse().unwrap();
                    assert!(exchange.request.body.len() < told, "{what}: {:?}", exchange.request);
                }
            };
            after.await.reply(200, &[], "ok").await;
        }
        let whole = Frame::head(1, 0, &[request("POST", "/"), vec![("content-length", "3")]].concat());
        let mut client = Frames::open(&gateway, &[]).await;
        client.send(&[whole, data(0, "ab"), data(0, "c"), data(END_STREAM, "")]).await;
        let exchange = origin.accept().await;
        assert_eq!(exchange.request.body, b"abc");
        exchange.reply(200, &[], "ok").await;
        assert_eq!(client.ended(1).await, Ended::Answered(200, b"ok".to_vec()));
    }
}

#[tokio::test]
async fn a_malformed_request_is_refused_and_reaches_no_origin() {
    let get = || request("GET", "/");
    let with = |field| [get(), vec![field]].concat();
    let without = |name: &str| get().into_iter().filter(|(other, _)| *other != name).collect::<Vec<_>>();
    let reset = Ended::Reset(PROTOCOL_ERROR);
    let bad = Ended::Answered(400, Vec::new());
    let cases: [(&str, Fields, &Ended); 29] = [
        ("an uppercase name", with(("X-Upper", "1")), &reset),
        ("an unknown pseudo-header", with((":unknown", "1")), &reset),
        ("a pseudo-header of responses", with((":status", "200")), &reset),
        ("a pseudo-header after a field", [vec![("x", "1")], get()].concat(), &reset),
        ("no method", without(":method"), &reset),
        ("no scheme", without(":scheme"), &reset),
        ("no path", without(":path"), &reset),
        ("an empty path", [without(":path"), vec![(":path", "")]].concat(), &reset),
        ("a path without its slash", [without(":path"), vec![(":path", "events")]].concat(), &reset),
        ("two methods", with((":method", "GET")), &reset),
        ("two schemes", with((":scheme", "http")), &reset),
        ("two paths", with((":path", "/")), &reset),
        ("two authorities", with((":authority", "localhost")), &reset),
        ("connection", with(("connection", "close")), &reset),
        ("keep-alive", with(("keep-alive", "1")), &reset),
        ("proxy-connection", with(("proxy-connection", "1")), &reset),
        ("transfer-encoding", with(("transfer-encoding", "chunked")), &reset),
        ("upgrade", with(("upgrade", "websocket")), &reset),
        ("te", with(("te", "gzip")), &reset),
        ("te with more", with(("te", "trailers, deflate;q=0.5")), &reset),
        ("a line feed in a value", with(("x", "1\nx-more: 2")), &reset),
        ("a NUL in a value", with(("x", "1\0")), &reset),
        ("a space in a name", with(("x y", "1")), &reset),
        ("a colon in a name", with(("x:y", "1")), &reset),
        ("an empty name", with(("", "1")), &reset),
        ("a line feed in the path", [without(":path"), vec![(":path", "/\nx: 1")]].concat(), &reset),
        ("another host", with(("host", "elsewhere")), &bad),
        ("a user in the authority", [without(":authority"), vec![(":authority", "a@localhost")]].concat(), &bad),
        ("no authority", without(":authority"), &bad),
    ];
    let origin = Origin::answering(|exchange| async { exchange.reply(200, &[], "ok").await });
    let gateway = Gateway::with(route("/*", &origin).with("kind = \"proxy\"")).await;
    for (what, fields, expected) in cases {
        let mut client = Frames::open(&gateway, &[]).await;
        client.send(&[Frame::head(1, END_STREAM, &fields)]).await;
        let ended = client.ended(1).await;
        let over = *expected == reset && matches!(ended, Ended::Over(Some(_)) | Ended::Answered(400, _));
        assert!(ended == *expected || over, "{what}: {ended:?}");
    }
    assert_eq!(origin.requests().len(), 0);
    for (what, fields) in [
        ("trailers", with(("te", "trailers"))),
        ("the same host", with(("host", "localhost"))),
        ("no authority but a host", [without(":authority"), vec![("host", "localhost")]].concat()),
    ] {
        let mut client = Frames::open(&gateway, &[]).await;
        client.send(&[Frame::head(1, END_STREAM, &fields)]).await;
        assert_eq!(client.ended(1).await, Ended::Answered(200, b"ok".to_vec()), "{what}");
    }
}

#[tokio::test]
async fn frames_that_must_not_be_end_the_connection_or_their_stream() {
    let open = || Frame::head(1, 0, &request("POST", "/"));
    let part = || Frame::new(HEADERS, END_STREAM, 1, block(&request("GET", "/")));
    let setting =
        |name: u16, value: u32| Frame::new(SETTINGS, 0, 0, [&name.to_be_bytes()[..], &value.to_be_bytes()].concat());
    let cases: Vec<(&str, Vec<Frame>)> = vec![
        ("DATA of no stream", vec![Frame::new(DATA, 0, 0, "x")]),
        ("DATA of an idle stream", vec![Frame::new(DATA, 0, 1, "x")]),
        ("DATA with more padding than there is", vec![open(), Frame::new(DATA, PADDED, 1, [9, 1])]),
        ("a head of no stream", vec![Frame::head(0, END_STREAM, &request("GET", "/"))]),
        ("a head of the other side's stream", vec![Frame::head(2, END_STREAM, &request("GET", "/"))]),
        ("a head of an earlier stream", vec![Frame::get(5, "/"), Frame::get(3, "/")]),
        ("another frame within a head", vec![part(), Frame::new(PRIORITY, 0, 1, [0; 5])]),
        ("a head within a head", vec![part(), Frame::get(3, "/")]),
        ("a head that goes on elsewhere", vec![part(), Frame::new(CONTINUATION, END_HEADERS, 3, [])]),
        ("CONTINUATION of nothing", vec![Frame::new(CONTINUATION, END_HEADERS, 1, [])]),
        (
            "a head that is no HPACK",
            vec![Frame::new(HEADERS, END_HEADERS | END_STREAM, 1, [0xff, 0xff, 0xff, 0xff, 0xff])],
        ),
        (
            "a stream that waits for itself",
            vec![Frame::new(
                HEADERS,
                END_HEADERS | END_STREAM | 0x20,
                1,
                [&[0, 0, 0, 1, 9][..], &block(&request("GET", "/"))].concat(),
            )],
        ),
        ("PRIORITY of no stream", vec![Frame::new(PRIORITY, 0, 0, [0; 5])]),
        ("PRIORITY that is too short", vec![Frame::new(PRIORITY, 0, 1, [0; 4])]),
        ("RST_STREAM of no stream", vec![Frame::new(RST_STREAM, 0, 0, [0; 4])]),
        ("RST_STREAM of an idle stream", vec![Frame::new(RST_STREAM, 0, 1, [0; 4])]),
        ("RST_STREAM that is too short", vec![open(), Frame::new(RST_STREAM, 0, 1, [0; 3])]),
        ("SETTINGS of a stream", vec![Frame::new(SETTINGS, 0, 1, [])]),
        ("SETTINGS of an odd length", vec![Frame::new(SETTINGS, 0, 0, [0; 3])]),
        ("an acknowledgement with settings", vec![Frame::new(SETTINGS, ACK, 0, [0; 6])]),
        ("push neither on nor off", vec![setting(2, 2)]),
        ("a window that is too wide", vec![setting(WINDOW, 1 << 31)]),
        ("frames that are too small", vec![setting(5, 16_383)]),
        ("frames that are too large", vec![setting(5, 1 << 24)]),
        ("a push by the client", vec![open(), Frame::new(PUSH_PROMISE, END_HEADERS, 1, [0, 0, 0, 2])]),
        ("PING of a stream", vec![Frame::new(PING, 0, 1, [0; 8])]),
        ("PING that is too short", vec![Frame::new(PING, 0, 0, [0; 6])]),
        ("GOAWAY of a stream", vec![Frame::new(GOAWAY, 0, 1, [0; 8])]),
        ("a window that grows by nothing", vec![Frame::window_update(0, 0)]),
        ("a stream's window that grows by nothing", vec![open(), Frame::window_update(1, 0)]),
        ("a window that grows too wide", vec![Frame::window_update(0, WIDE)]),
        ("a stream's window that grows too wide", vec![open(), Frame::window_update(1, WIDE)]),
        ("WINDOW_UPDATE of an idle stream", vec![Frame::window_update(1, 1)]),
        ("WINDOW_UPDATE that is too short", vec![Frame::new(WINDOW_UPDATE, 0, 0, [0; 3])]),
        ("a frame that is too large", vec![open(), Frame::new(DATA, 0, 1, vec![0; 16_385])]),
        ("DATA after the end", vec![Frame::get(1, "/"), Frame::new(DATA, 0, 1, "x")]),
        ("a head after the end", vec![Frame::get(1, "/"), Frame::get(1, "/")]),
        ("trailers that end nothing", vec![open(), Frame::head(1, 0, &[("x", "1")])]),
        ("trailers with a pseudo-header", vec![open(), Frame::head(1, END_STREAM, &[(":method", "GET")])]),
    ];
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("kind = \"proxy\"")).await;
    for (what, frames) in cases {
        let mut client = Frames::open(&gateway, &[]).await;
        client.send(&frames).await;
        let ended = loop {
            match client.next().await {
                None => break Ended::Over(None),
                Some(frame) if frame.kind == RST_STREAM => break Ended::Reset(frame.code()),
                Some(frame) if frame.kind == GOAWAY => break Ended::Over(Some(frame.code())),
                Some(_) => {}
            }
        };
        assert!(!matches!(ended, Ended::Reset(0) | Ended::Over(Some(0))), "{what}: {ended:?}");
    }
    // Unknown frames and settings are ignored.
    let mut client = Frames::open(&gateway, &[(0xff, 1)]).await;
    client.send(&[Frame::new(0xee, 0xff, 0, "what"), Frame::new(PING, 0, 0, *b"12345678")]).await;
    assert_eq!(client.find(PING, 0).await.map(|ping| (ping.flags, ping.payload)), Some((ACK, b"12345678".to_vec())));
}

#[tokio::test]
async fn a_head_is_bounded_however_it_is_cut() {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration("head_bytes = \"16KiB\"", [route("/*", &origin)])).await;
    let value = "x".repeat(10_000);
    let large = [request("GET", "/"), vec![("a", value.as_str()), ("b", value.as_str())]].concat();
    let mut client = Frames::open(&gateway, &[]).await;
    let block = block(&large);
    let (first, rest) = block.split_at(16_000);
    client.send(&[Frame::new(HEADERS, END_STREAM, 1, first), Frame::new(CONTINUATION, END_HEADERS, 1, rest)]).await;
    assert_eq!(client.status(1).await, 431);

    let mut client = Frames::open(&gateway, &[]).await;
    client.send(&[Frame::new(HEADERS, END_STREAM, 1, first)]).await;
    for _ in 0..1000 {
        client.send(&[Frame::new(CONTINUATION, 0, 1, [])]).await;
    }
    assert_eq!(client.over().await, Some(ENHANCE_YOUR_CALM));
    assert_eq!(origin.requests().len(), 0);
}
