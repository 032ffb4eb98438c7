//! Bytes that a client sends before its response is over, and the promise of a head to keep the connection.

use crate::client::{Client, Connection, End};
use crate::gateway::{Gateway, configuration, route};
use crate::http1::Framing;
use crate::mode::WITHOUT_TLS;
use crate::origin::Origin;
use crate::stage::{joined, opened};
use rustix::process::Signal;

/// Settings of the server and of the route for the three ways to serve a stream: by the engine, in a session, and on a
/// private route. The stream ends when the origin ends it.
const WAYS: [(&str, &str); 3] = [
    ("", "upstream.on_close = \"close\""),
    ("shards = \"off\"", "upstream.on_close = \"close\""),
    ("", "share.mode = \"private\""),
];

const CHUNKED: &str = "POST /post HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
const NEXT: &str = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";

#[tokio::test]
async fn what_follows_a_chunked_body_is_the_next_request() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("kind = \"proxy\"")).await;
    let (begun, rest) = NEXT.split_at(9);
    for (first, second) in [
        ([CHUNKED, NEXT].concat(), String::new()),
        ([CHUNKED, "\r\n", NEXT].concat(), String::new()),
        (CHUNKED.to_owned(), NEXT.to_owned()),
        ([CHUNKED, begun].concat(), rest.to_owned()),
    ] {
        let mut connection = Connection::open(&gateway).await;
        connection.send(&first).await;
        let exchange = origin.accept().await;
        assert_eq!(exchange.request.body, b"abc");
        // The bytes come while the origin has not answered yet.
        connection.send(&second).await;
        exchange.reply(200, &[], "posted").await;
        let mut response = connection.response(false).await;
        assert_eq!((response.status, response.text().await.as_str()), (200, "posted"));
        assert_eq!(response.header("connection"), Some("keep-alive"));
        origin.accept().await.reply(200, &[], "next").await;
        let mut response = response.into_connection().response(false).await;
        assert_eq!(response.text().await, "next", "{first:?} {second:?}");
    }
}

#[tokio::test]
async fn a_stream_without_a_length_ends_with_its_connection_whatever_the_client_asks_for() {
    for (server, settings) in WAYS {
        let origin = Origin::start();
        let gateway = Gateway::start(&configuration(server, [route("/*", &origin).with(settings)])).await;
        let client = Client::get("/").http10().header("Connection", "keep-alive");
        let (mut client, mut body) = opened(client, &gateway, &origin).await;
        assert_eq!((client.framing, client.header("connection")), (Some(Framing::UntilClose), Some("close")));
        body.event("data: 1\n\n").await;
        assert_eq!(client.next_data().await, "1");
        body.end().await;
        assert_eq!(client.ended().await, End::Orderly, "{server} {settings}");
    }
}

#[tokio::test]
async fn a_head_that_promises_the_next_request_keeps_its_word_however_much_is_sent_ahead() {
    for (server, settings) in WAYS {
        let origin = Origin::start();
        let route = route("/*", &origin).with(settings).with(WITHOUT_TLS);
        let gateway = Gateway::start(&configuration(server, [route])).await;
        for padding in [0, 3000, 7000, 40_000] {
            let next = format!("GET /none/{padding} HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(padding));
            let mut connection = Connection::open(&gateway).await;
            connection.send(format!("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n{}{next}", NEXT.replace("/next", "/"))).await;
            // The gateway answers when the origin does. By then all bytes of the client have arrived.
            let exchange = origin.accept().await;
            let head = connection.response(true).await;
            let mut body = exchange.sse().await;
            let mut stream = head.into_connection().response(false).await.stream();
            body.event("data: 1\n\n").await;
            assert_eq!(stream.next_data().await, "1");
            body.end().await;
            stream.complete().await;
            let is_kept = stream.header("connection") == Some("keep-alive");
            assert!(is_kept || padding > 8000, "{server} {settings} {padding}");
            if is_kept {
                let exchange = async { origin.accept().await.reply(404, &[], "none").await };
                let (last, ()) = tokio::join!(stream.into_connection().response(false), exchange);
                assert_eq!(last.status, 404, "{server} {settings} {padding}");
            } else {
                assert_eq!(stream.ended().await, End::Orderly, "{server} {settings} {padding}");
            }
        }
    }
}

#[tokio::test]
async fn a_head_that_is_written_in_a_drain_promises_nothing() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("kind = \"proxy\"")).await;
    let mut connection = Connection::open(&gateway).await;
    connection.send(format!("{NEXT}{NEXT}")).await;
    let exchange = origin.accept().await;
    gateway.signal(Signal::TERM);
    gateway.log_line("SIGTERM").await;
    // The socket is closed when the drain has begun.
    while tokio::net::TcpStream::connect(gateway.addr()).await.is_ok() {}
    exchange.reply(200, &[], "answer").await;
    let mut response = connection.response(false).await;
    assert_eq!((response.text().await.as_str(), response.header("connection")), ("answer", Some("close")));
    assert_eq!(response.ended().await, End::Orderly);
}

#[tokio::test]
async fn the_host_of_an_absolute_target_goes_before_the_field_in_every_way() {
    let origin = Origin::start();
    let named =
        |host: &str, rest: &str| route("/*", &origin).with(&format!("host = \"{host}\"\nname = \"{host}\"\n{rest}"));
    let proxied = "kind = \"proxy\"\npreserve_host = true";
    let gateway = Gateway::with_all([named("stream.example", ""), named("proxy.example", proxied)]).await;
    let (_first, _body) = opened(Client::get("/").header("Host", "stream.example"), &gateway, &origin).await;
    for host in ["other.example", "PROXY.example:80", ""] {
        for more in ["", "Content-Length: 0\r\n"] {
            let mut connection = Connection::open(&gateway).await;
            let head = format!("GET http://stream.example/ HTTP/1.1\r\nhOsT: {host}\r\n{more}\r\n");
            connection.send(&head).await;
            drop(connection.response(false).await.stream());
            let mut connection = Connection::open(&gateway).await;
            connection
                .send(format!("GET http://proxy.example?a HTTP/1.1\r\nX-Odd: 1\r\nHost: {host}\r\n{more}\r\n"))
                .await;
            let exchange = origin.accept().await;
            let request = exchange.request.clone();
            assert_eq!((request.target.as_str(), request.headers.one("host")), ("/?a", Some("proxy.example")));
            assert_eq!(request.headers.one("x-odd"), Some("1"));
            exchange.reply(200, &[], "").await;
            assert_eq!(connection.response(false).await.status, 200);
        }
    }
    let _second = joined(Client::get("/").header("Host", "stream.example"), &gateway).await;
}

#[tokio::test]
async fn a_head_that_promises_nothing_keeps_its_word_although_the_late_body_comes() {
    for (server, options) in WAYS {
        let origin = Origin::start();
        let gateway = Gateway::start(&configuration(server, [route("/*", &origin).with(options)])).await;
        let mut connection = Connection::open(&gateway).await;
        connection.send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").await;
        origin.stream().await.end().await;
        let mut response = connection.response(false).await;
        assert_eq!(response.header("connection"), Some("close"), "{server} {options}");
        response.complete().await;
        let mut connection = response.into_connection();
        connection.send("hello").await;
        connection.send(NEXT).await;
        assert_eq!(connection.rest().await, b"", "{server} {options}");
        assert_eq!(origin.requests().len(), 1, "{server} {options}");
    }
}
