//! Exact bytes: heads, framing, methods, versions, heartbeats.

use crate::client::{Client, Connection, End, event};
use crate::gateway::{Gateway, configuration, route};
use crate::http1::Framing;
use crate::mode::{HTTP1_ONLY, WITHOUT_TLS};
use crate::origin::{Coding, Origin};
use crate::stage::{gap, joined, numbered, opened};
use rustix::process::Signal;

const NO_HEARTBEAT: &str = "client.heartbeat_secs = \"off\"";
const OFTEN: &str = "client.heartbeat_secs = 0.01";

#[tokio::test]
async fn a_stream_has_the_head_that_every_middlebox_understands() {
    let origin = Origin::start();
    // Over TLS the engine does not keep the connection.
    let gateway = Gateway::with(route("/*", &origin).with(WITHOUT_TLS).with(HTTP1_ONLY)).await;
    let theirs = [
        ("Content-Type", "text/event-stream"),
        ("Cache-Control", "max-age=60"),
        ("Connection", "keep-alive, X-Hop"),
        ("Content-Language", "de"),
        ("ETag", "\"1\""),
        ("Keep-Alive", "timeout=5"),
        ("Server", "theirs"),
        ("X-Accel-Buffering", "yes"),
        ("X-Hop", "1"),
        ("X-User", "jane"),
    ];
    let (client, _body) = tokio::join!(Client::get("/").connect(&gateway), async {
        origin.accept().await.head(200, &theirs, Coding::Chunked).await
    });
    let client = client.stream();
    assert_eq!(client.header("content-type"), Some("text/event-stream"));
    assert_eq!(client.header("cache-control"), Some("no-cache, no-transform"));
    assert_eq!(client.header("x-accel-buffering"), Some("no"));
    assert_eq!(client.header("connection").map(str::to_lowercase).as_deref(), Some("keep-alive"));
    assert_eq!(client.framing, Some(Framing::Chunked));
    assert_eq!(client.header("content-language"), Some("de"));
    for absent in ["content-length", "etag", "keep-alive", "server", "x-hop", "x-user"] {
        assert_eq!(client.headers.all(absent), [""; 0], "{absent}");
    }
}

/// HTTP/1.0 has no last chunk. The end of the connection is the end of the body, and only a reset shows that the body
/// was cut.
#[tokio::test]
async fn what_is_cut_looks_so_in_http10_too() {
    let close = "upstream.on_close = \"close\"";
    let private = "share.mode = \"private\"";
    for (server, options) in [("", close), ("shards = \"off\"", close), ("", private)] {
        let origin = Origin::start();
        let gateway = Gateway::start(&configuration(server, [route("/*", &origin).with(options)])).await;
        for (n, end) in [End::Reset, End::Orderly, End::Reset].into_iter().enumerate() {
            let (mut client, mut body) = opened(Client::get(format!("/{n}")).http10(), &gateway, &origin).await;
            body.event(&numbered(1)).await;
            assert_eq!(client.next_data().await, "1");
            match n {
                0 => body.cut().await,
                1 => body.end().await,
                _ => body.abort(),
            }
            assert_eq!(client.ended().await, end, "{server} {options} {n}");
        }
    }
}

#[tokio::test]
async fn a_refusal_of_a_live_stream_and_the_end_of_the_gateway_are_cuts_in_http10_too() {
    for server in ["", "shards = \"off\""] {
        let origin = Origin::start();
        let options = "upstream.backoff_min_ms = 10";
        let gateway = Gateway::start(&configuration(server, [route("/*", &origin).with(options)])).await;
        let (mut client, body) = opened(Client::get("/refused").http10(), &gateway, &origin).await;
        body.end().await;
        origin.accept().await.reply(401, &[], "no").await;
        assert_eq!(client.ended().await, End::Reset);
        let (mut client, _body) = opened(Client::get("/").http10(), &gateway, &origin).await;
        gateway.signal(Signal::KILL);
        assert_eq!(client.ended().await, End::Reset);
    }
}

#[tokio::test]
async fn the_head_and_a_comment_come_before_the_first_event() {
    let origin = Origin::start();
    let routes =
        [route("/off/*", &origin).with(NO_HEARTBEAT), route("/*", &origin).with("client.heartbeat_secs = 3600")];
    let gateway = Gateway::with_all(routes).await;
    let mut bodies = Vec::new();
    let clients = ["/", "/off/"].map(|path| {
        let get = |name| Client::get(format!("{path}{name}"));
        [get("a"), get("b").http10(), get("c").h2()]
    });
    for client in clients.into_iter().flatten() {
        let (mut client, body) = opened(client, &gateway, &origin).await;
        bodies.push(body);
        client.next_comment().await;
        assert!(client.bytes.starts_with(b":") && client.bytes.ends_with(b"\n"));
        assert!(!client.bytes.ends_with(b"\n\n"), "never an empty block");
    }
}

#[tokio::test]
async fn http_1_0_gets_a_stream_until_the_connection_ends() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("upstream.on_close = \"close\"")).await;
    let plain = Client::get("/a").http10();
    let nginx = Client::get("/b").http10().header("Connection", "close");
    for client in [plain, nginx] {
        let (mut client, mut body) = opened(client, &gateway, &origin).await;
        assert_eq!(client.framing, Some(Framing::UntilClose));
        body.event(&numbered(1)).await;
        assert_eq!(client.next_event().await, event("message", "1", "1"));
        body.end().await;
        assert_eq!(client.ended().await, End::Orderly);
    }
}

#[tokio::test]
async fn h2_in_the_clear_gets_the_same_stream() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with(NO_HEARTBEAT).with("upstream.on_close = \"close\"")).await;
    let (mut client, mut body) = opened(Client::get("/").h2(), &gateway, &origin).await;
    let mut other = joined(Client::get("/"), &gateway).await;
    assert_eq!(client.header("cache-control"), Some("no-cache, no-transform"));
    assert_eq!(client.header("x-accel-buffering"), Some("no"));
    assert_eq!(client.headers.all("connection"), [""; 0]);
    assert_eq!(client.headers.all("transfer-encoding"), [""; 0]);
    body.event(&numbered(1)).await;
    body.end().await;
    for client in [&mut client, &mut other] {
        assert_eq!(client.next_event().await, event("message", "1", "1"));
        assert_eq!(client.ended().await, End::Orderly);
    }
    assert_eq!(client.bytes, other.bytes);
}

#[tokio::test]
async fn events_are_sent_in_canonical_form() {
    let origin = Origin::start();
    let options = format!("{NO_HEARTBEAT}\nupstream.on_close = \"close\"");
    let gateway = Gateway::with(route("/*", &origin).with(&options)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.raw("\u{feff}:comment\rid:1\revent:x\r\ndata:a\ndata: b\rdata\n\rodd:1\nid: 2\r\ndata:c\r\n\r\n\n\ndata\n\n")
        .await;
    body.end().await;
    assert_eq!(client.ended().await, End::Orderly);
    let text = String::from_utf8(client.bytes.clone()).unwrap();
    let events: Vec<_> = text.split_inclusive("\n\n").map(|block| block.trim_start_matches(":\n")).collect();
    assert_eq!(events.len(), 3, "{text:?}");
    assert_eq!(client.next_event().await, event("x", "a\nb\n", "1"));
    assert_eq!(client.next_event().await, event("message", "c", "2"));
    assert_eq!(client.next_event().await.data, "");
    for line in ["event: x\n", "data: a\n", "data: b\n", "odd: 1\n", "id: 2\n", "data: c\n"] {
        assert!(text.contains(line), "{line:?} of {text:?}");
    }
    assert!(!text.contains(['\r', '\u{feff}']) && !text.contains("comment"), "{text:?}");
}

#[tokio::test]
async fn heartbeats_are_bare_comment_lines() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with(OFTEN)).await;
    let mut bodies = Vec::new();
    for client in [Client::get("/a"), Client::get("/b").http10(), Client::get("/c").h2()] {
        let (mut client, mut body) = opened(client, &gateway, &origin).await;
        for _ in 0..4 {
            client.next_comment().await;
        }
        body.event("id: 1\ndata: 1\n\n").await;
        assert_eq!(client.next_event().await, event("message", "1", "1"));
        client.next_comment().await;
        let text = String::from_utf8(client.bytes.clone()).unwrap();
        let comments = text.lines().filter(|line| line.starts_with(':'));
        assert!(comments.skip(1).all(|line| line == ":"), "{text:?}");
        assert_eq!(text.matches("\n\n").count(), 1, "no block without data: {text:?}");
        bodies.push(body);
    }
}

#[tokio::test]
async fn head_gets_the_head() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (_first, _body) = opened(Client::get("/"), &gateway, &origin).await;
    let head = Client::method("HEAD", "/").connect(&gateway).await.stream();
    assert_eq!(head.header("cache-control"), Some("no-cache, no-transform"));
    let http2 = Client::method("HEAD", "/").h2();
    assert_eq!(http2.connect(&gateway).await.stream().ended().await, End::Orderly);
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn other_methods_are_405_and_the_connection_stays() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let mut connection = Connection::open(&gateway).await;
    for method in ["DELETE", "PATCH", "OPTIONS", "PROPFIND"] {
        let mut answer = Client::method(method, "/").on(connection).await;
        assert_eq!(answer.status, 405, "{method}");
        let allow = answer.header("allow").unwrap();
        assert!(allow.contains("GET") && allow.contains("HEAD"), "{allow}");
        answer.text().await;
        connection = answer.into_connection();
    }
    for method in ["POST", "PUT"] {
        assert_eq!(Client::method(method, "/").body("x").connect(&gateway).await.status, 405, "{method}");
    }
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn what_no_route_has_is_404() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/ticks/*", &origin)).await;
    for target in ["/", "/ticks", "/tick/", "/ticksa", "/Ticks/"] {
        assert_eq!(Client::get(target).connect(&gateway).await.status, 404, "{target}");
    }
}

#[tokio::test]
async fn what_is_no_proper_request_is_400() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let dots = ["/a/../b", "/a/./b", "/%2e%2e/b", "/a/.%2E", "//a", "/a//b"];
    for target in dots {
        assert_eq!(Client::get(target).connect(&gateway).await.status, 400, "{target}");
    }
    for request in ["GET / HTTP/1.1\r\n\r\n", "nonsense\r\n\r\n", "GET /\r\n\r\n"] {
        let mut connection = Connection::open(&gateway).await;
        connection.send(request).await;
        assert_eq!(connection.response(false).await.status, 400, "{request:?}");
    }
    assert_eq!(origin.requests().len(), 0);
    let mut http10 = Connection::open(&gateway).await;
    http10.send("GET / HTTP/1.0\r\n\r\n").await;
    let (client, _body) = tokio::join!(http10.response(false), origin.stream());
    assert_eq!(client.status, 200, "HTTP/1.0 needs no Host");
}

#[tokio::test]
async fn odd_but_proper_requests_get_their_stream() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let mut bodies = Vec::new();
    for (n, (before, rest)) in [
        ("\r\n", "Host: x\r\n\r\n"),
        ("", "Host: x\r\nConnection: close\r\n\r\n"),
        ("", "HOST:x\r\nConnection: Keep-Alive, Upgrade\r\nUpgrade: h2c\r\n\r\n"),
        ("", "Host: x\r\n\r\nGET /later HTTP/1.1\r\nHost: x\r\n\r\n"),
        ("", "Host: x\r\nContent-Length: 0\r\n\r\n"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut connection = Connection::open(&gateway).await;
        connection.send(format!("{before}GET /{n} HTTP/1.1\r\n{rest}")).await;
        let (client, mut body) = tokio::join!(connection.response(false), origin.stream());
        body.event(&numbered(1)).await;
        assert_eq!(client.stream().next_data().await, "1", "{rest:?}");
        bodies.push(body);
    }
}

#[tokio::test]
async fn a_head_may_come_byte_by_byte() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let mut connection = Connection::open(&gateway).await;
    for byte in b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n" {
        connection.send([*byte]).await;
        tokio::task::yield_now().await;
    }
    let (client, _body) = tokio::join!(connection.response(false), origin.stream());
    assert_eq!(client.stream().status, 200);
}

#[tokio::test]
async fn reconnection_times_of_the_origin_or_of_the_route_reach_clients() {
    let origin = Origin::start();
    let own = "client.retry_ms = 1000\nclient.retry_jitter = 0.5";
    let routes = [route("/origins", &origin), route("/own", &origin).with(own)];
    let gateway = Gateway::with_all(routes).await;
    let (mut client, mut body) = opened(Client::get("/origins"), &gateway, &origin).await;
    body.event("retry: 1234\ndata: 1\n\n").await;
    assert_eq!(client.next_data().await, "1");
    assert_eq!(client.retries(), [1234]);

    let (mut client, mut body) = opened(Client::get("/own"), &gateway, &origin).await;
    body.event("retry: 1234\ndata: 1\n\n").await;
    assert_eq!(client.next_data().await, "1");
    assert_eq!(client.retries().len(), 1, "{:?}", client.retries());
    assert!((500..=1500).contains(&client.retries()[0]), "{:?}", client.retries());
}

#[tokio::test]
async fn an_event_beyond_the_limit_is_left_out_and_logged() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("upstream.max_event_bytes = \"1KiB\"")).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    let line = "data: x\n".repeat(4096);
    for _ in 0..8 {
        body.raw(&line).await;
    }
    body.raw("\n").await;
    body.event(&numbered(2)).await;
    assert_eq!(client.next_data().await, "1");
    assert_eq!(client.next_data().await, gap("upstream", Some(1)));
    assert_eq!(client.next_data().await, "2");
    gateway.log_line("max_event_bytes").await;
}
