//! Connections of HTTP/2, frame by frame.

use crate::client::Client;
use crate::frames::{
    DATA, END_STREAM, ENHANCE_YOUR_CALM, Ended, Frame, Frames, GOAWAY, HEADERS, NO_ERROR, PING, RST_STREAM, SETTINGS,
    WINDOW, request,
};
use crate::gateway::{Gateway, configuration, route};
use crate::guard::guarded;
use crate::origin::{Coding, Origin};
use crate::stage::numbered;

/// The largest flow-control window (RFC 9113 section 6.9.1).
const WIDE: u32 = (1 << 31) - 1;

/// The increment that makes the initial window of a connection as large as [`WIDE`].
const WIDER: u32 = WIDE - 65_535;

/// A number of events of [`big`] that is more than the kernel and the gateway hold for a client.
const MANY: usize = 200;

fn big(n: usize) -> String {
    format!("id: {n}\ndata: {}\n\n", "x".repeat(32 * 1024))
}

/// How a client stops accepting bytes.
#[derive(Debug, Clone, Copy)]
enum Stop {
    /// It does not read from its socket.
    Socket,
    /// It does not enlarge the windows of its streams.
    Stream,
    /// It does not enlarge the window of its connection.
    Connection,
}

#[tokio::test]
async fn a_client_that_stops_reading_is_closed_in_whichever_way_it_stops() {
    for share in ["replay.bytes = \"64MiB\"", "share.mode = \"private\""] {
        for stop in [Stop::Socket, Stop::Stream, Stop::Connection] {
            let origin = Origin::start();
            let options = format!("client.stall_secs = 0.3\n{share}");
            let gateway =
                Gateway::start(&configuration("keepalive_secs = 600", [route("/*", &origin).with(&options)])).await;
            let window = if matches!(stop, Stop::Stream) { 1000 } else { WIDE };
            let mut deaf = Frames::open_small(&gateway, &[(WINDOW, window)]).await;
            if !matches!(stop, Stop::Connection) {
                deaf.send(&[Frame::window_update(0, WIDER)]).await;
            }
            deaf.send(&[Frame::get(1, "/a"), Frame::get(3, "/b")]).await;
            let (mut first, mut second) = (origin.stream().await, origin.stream().await);
            while deaf.next().await.expect("the connection stays").kind != HEADERS {}
            while deaf.next().await.expect("the connection stays").kind != HEADERS {}
            let feed = async {
                for n in 1..=MANY {
                    first.event(&big(n)).await;
                    second.event(&big(n)).await;
                }
                std::future::pending::<()>().await;
            };
            let left = async {
                let left = gateway.log_lines("client left", 2).await;
                assert!(left.iter().all(|line| line.contains("why=stall")), "{stop:?} {left:#?}");
                // Frames that were sent before still arrive.
                deaf.over().await;
            };
            tokio::select! {
                () = feed => {}
                () = left => {}
            }
        }
    }
}

#[tokio::test]
async fn a_client_that_stops_reading_costs_little_and_what_it_cost_comes_back() {
    const STREAMS: u32 = 256;
    const MIB: usize = 1 << 20;
    let origin = Origin::start();
    let private = "client.stall_secs = 1\nshare.mode = \"private\"";
    let gateway = Gateway::with(route("/*", &origin).with(private)).await;
    let before = gateway.resident();
    let mut deaf = Frames::open_small(&gateway, &[(WINDOW, WIDE)]).await;
    deaf.send(&[Frame::window_update(0, WIDER)]).await;
    let gets: Vec<Frame> = (0..STREAMS).map(|n| Frame::get(2 * n + 1, "/")).collect();
    deaf.send(&gets).await;
    let mut bodies = Vec::new();
    for _ in 0..STREAMS {
        bodies.push(origin.stream().await);
    }
    // All clients are on their streams before the first stream brings an event.
    let mut answers = 0;
    while answers < STREAMS {
        answers += u32::from(deaf.next().await.expect("the connection stays").kind == HEADERS);
    }
    for mut body in bodies {
        tokio::spawn(async move {
            tokio::select! {
                () = async { for n in 0..40 { body.event(&big(n)).await } } => {}
                // The gateway does not read the response any more, so writing it would wait for ever.
                () = tokio::time::sleep(std::time::Duration::from_secs(60)) => {}
            }
        });
    }
    let left = gateway.log_lines("client left", STREAMS as usize).await;
    let bytes = |line: &String| {
        let (_, bytes) = line.split_once(" bytes=").unwrap();
        bytes.split(' ').next().unwrap().parse::<usize>().unwrap()
    };
    let total: usize = left.iter().map(bytes).sum();
    assert!(total < STREAMS as usize * 64 * 1024, "{total}");
    guarded("the memory to come back", async {
        while gateway.resident() > before + 16 * MIB {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    })
    .await;
}

/// No write waits in this story, because the event that the client does not accept fits into the kernel's buffer.
#[tokio::test]
async fn a_client_that_stops_reading_a_quiet_stream_is_closed() {
    for share in ["", "share.mode = \"private\""] {
        let origin = Origin::start();
        let options = format!("client.stall_secs = 0.3\nclient.heartbeat_secs = \"off\"\n{share}");
        let gateway = Gateway::with(route("/*", &origin).with(&options)).await;
        let mut deaf = Frames::open_small(&gateway, &[]).await;
        deaf.send(&[Frame::get(1, "/")]).await;
        let mut body = origin.stream().await;
        body.event(&big(1)).await;
        let left = gateway.log_line("client left").await;
        assert!(left.contains("why=stall"), "{left}");
        deaf.over().await;
    }
}

/// The client does not read one of its streams, but it reads the connection.
#[tokio::test]
async fn a_stream_that_stalls_ends_alone_where_another_is_read() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("client.stall_secs = 0.3")).await;
    let mut client = Frames::open(&gateway, &[(WINDOW, 100)]).await;
    client.send(&[Frame::window_update(0, WIDER), Frame::get(1, "/a"), Frame::window_update(1, WIDER)]).await;
    client.send(&[Frame::get(3, "/b")]).await;
    let (mut first, mut second) = (origin.stream().await, origin.stream().await);
    first.event(&big(1)).await;
    second.event(&big(1)).await;
    let reset = loop {
        let frame = client.next().await.expect("the connection stays");
        if frame.kind == RST_STREAM {
            break frame;
        }
    };
    let other = if reset.stream == 3 { 1 } else { 3 };
    assert_eq!(reset.stream, 3);
    first.event(&numbered(2)).await;
    second.event(&numbered(2)).await;
    assert!(client.find(DATA, other).await.is_some());
}

#[tokio::test]
async fn an_answer_that_nobody_takes_is_given_up() {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration("keepalive_secs = 600", [route("/only", &origin)])).await;
    let mut client = Frames::open(&gateway, &[(WINDOW, 0)]).await;
    let gets: Vec<Frame> = (0..200).map(|n| Frame::get(2 * n + 1, "/nowhere")).collect();
    client.send(&gets).await;
    let mut resets = 0;
    // When the last stream has stalled, the connection ends too.
    while let Some(frame) = client.next().await {
        resets += usize::from(frame.kind == RST_STREAM);
        if frame.kind == GOAWAY {
            break;
        }
    }
    assert!(resets > 100, "{resets}");
}

#[tokio::test]
async fn each_stream_takes_a_place() {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration("max_connections = 3", [route("/*", &origin)])).await;
    let mut client = Frames::open(&gateway, &[]).await;
    for stream in [1, 3, 5] {
        client.send(&[Frame::get(stream, &format!("/{stream}"))]).await;
        let _body = origin.stream().await;
        assert_eq!(client.status(stream).await, 200);
    }
    client.send(&[Frame::get(7, "/more")]).await;
    assert_eq!(client.ended(7).await, Ended::Answered(503, b"too many connections\n".to_vec()));
    assert_eq!(Client::get("/").connect(&gateway).await.status, 503, "streams use up the places for connections");
    let mut other = Frames::open(&gateway, &[]).await;
    other.send(&[Frame::get(1, "/other")]).await;
    assert_eq!(other.ended(1).await, Ended::Answered(503, b"too many connections\n".to_vec()));
    assert_eq!(other.over().await, Some(NO_ERROR));

    client.send(&[Frame::new(RST_STREAM, 0, 3, 8_u32.to_be_bytes())]).await;
    gateway.log_line("client left").await;
    let mut next = 9;
    let body = loop {
        // The place becomes free only some time after the line.
        client.send(&[Frame::get(next, "/again")]).await;
        let status = tokio::select! {
            body = origin.stream() => break body,
            status = client.status(next) => status,
        };
        assert_eq!(status, 503);
        next += 2;
    };
    drop(body);
}

#[tokio::test]
async fn no_frame_of_data_is_empty_but_one_that_ends_its_stream() {
    let text = "x".repeat(5000);
    let origin = Origin::start();
    let routes = [
        route("/proxied", &origin).with("kind = \"proxy\""),
        route("/*", &origin).with("client.max_lifetime_secs = 1\nupstream.on_close = \"close\""),
    ];
    let gateway = Gateway::with_all(routes).await;
    for path in ["/proxied", "/stream", "/nowhere/%"] {
        let mut client = Frames::open(&gateway, &[(WINDOW, 0)]).await;
        client.send(&[Frame::get(1, path)]).await;
        if !path.starts_with("/nowhere") {
            let headers = [("Content-Type", "text/event-stream")];
            let mut body = origin.accept().await.head(200, &headers, Coding::Chunked).await;
            for n in 0..4 {
                body.event(&format!("data: {n} {text}\n\n")).await;
            }
            body.end().await;
        }
        // The client changes its window again and again, so that responses are cut at many places.
        let mut sizes = [1_u32, 7, 0, 300, 20, 0, 4000].into_iter().cycle();
        let end = loop {
            let window =
                Frame::new(SETTINGS, 0, 0, [&WINDOW.to_be_bytes()[..], &sizes.next().unwrap().to_be_bytes()].concat());
            client.send(&[window, Frame::window_update(1, 1000), Frame::new(PING, 0, 0, [1; 8])]).await;
            let frame = loop {
                let frame = client.next().await.expect("the connection stays");
                assert!(!frame.is(RST_STREAM, 1), "{path}");
                if frame.is(DATA, 1) {
                    assert!(!frame.payload.is_empty() || frame.ends_stream(), "{path}");
                }
                if frame.ends_stream() && frame.stream == 1 || frame.is(PING, 0) {
                    break frame;
                }
            };
            if frame.stream == 1 {
                break frame;
            }
        };
        assert_eq!(end.kind, DATA, "{path}");
    }
}

/// The requests are malformed by RFC 9113 sections 8.1 to 8.3. Some of them get 400, the others a reset.
/// The frames break the rules of RFC 9113 sections 4 to 6.
#[tokio::test]
async fn a_flood_ends_the_connection() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let reset = |stream| [Frame::get(stream, "/"), Frame::new(RST_STREAM, 0, stream, 8_u32.to_be_bytes())];
    let elsewhere =
        |stream| Frame::head(stream, END_STREAM, &[request("GET", "/"), vec![("host", "elsewhere")]].concat());
    let floods: [(&str, Vec<Frame>); 2] = [
        ("requests that are taken back", (0..1000).flat_map(|n| reset(2 * n + 1)).collect()),
        ("malformed requests", (0..1000).map(|n| elsewhere(2 * n + 1)).collect()),
    ];
    for (what, flood) in floods {
        let mut client = Frames::open(&gateway, &[]).await;
        for frames in flood.chunks(100) {
            client.send(frames).await;
        }
        while let Some(frame) = client.next().await {
            if frame.kind == GOAWAY {
                assert_eq!(frame.code(), ENHANCE_YOUR_CALM, "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_nobody_wants_hinders_nobody() {
    let origin = Origin::start();
    let routes = [route("/post", &origin).with("kind = \"proxy\""), route("/*", &origin)];
    let gateway = Gateway::with_all(routes).await;
    let mut client = Frames::open(&gateway, &[]).await;
    client.send(&[Frame::head(1, 0, &request("GET", "/stream"))]).await;
    let mut body = origin.stream().await;
    assert_eq!(client.status(1).await, 200);
    // A request for a stream has no body. A client that sends a little of one is served nevertheless.
    client.send(&[Frame::new(DATA, 0, 1, vec![0; 10_000])]).await;
    body.event(&numbered(1)).await;
    assert!(client.find(DATA, 1).await.is_some());
    client.send(&[Frame::new(DATA, 0, 1, vec![0; 10_000])]).await;
    assert!(client.find(RST_STREAM, 1).await.is_some());

    // The unwanted bodies of these streams would use up the window of the connection if they were not read.
    for stream in [3, 5, 7, 9, 11, 13, 15] {
        client.send(&[Frame::head(stream, 0, &request("GET", "/stream"))]).await;
        assert_eq!(client.status(stream).await, 200);
        client.send(&[Frame::new(DATA, 0, stream, vec![0; 8_000])]).await;
    }
    client.send(&[Frame::head(17, 0, &request("POST", "/stream")), Frame::new(DATA, 0, 17, vec![0; 8_000])]).await;
    assert_eq!(client.ended(17).await, Ended::Answered(405, b"a stream is read with GET\n".to_vec()));
    client.send(&[Frame::head(19, 0, &request("POST", "/post"))]).await;
    let rest = vec![0; 8_000];
    client.send(&[Frame::new(DATA, 0, 19, rest.clone()), Frame::new(DATA, END_STREAM, 19, rest)]).await;
    let exchange = origin.accept().await;
    assert_eq!((exchange.request.target.as_str(), exchange.request.body.len()), ("/post", 16_000));
    exchange.reply(200, &[], "ok").await;
    assert_eq!(client.ended(19).await, Ended::Answered(200, b"ok".to_vec()));
}
