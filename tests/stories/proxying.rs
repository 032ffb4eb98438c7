//! Requests on proxy routes that fail or take long.

use crate::client::{Client, Connection, End};
use crate::frames::{DATA, Frame, Frames, request};
use crate::gateway::{Gateway, Route, Url, route};
use crate::guard::guarded;
use crate::origin::{Authority, Coding, Origin, Port, Speech};
use crate::stage::asked;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn proxy(origin: &(impl Url + ?Sized)) -> Route {
    route("/*", origin).with("kind = \"proxy\"")
}

/// Aborts an exchange after two seconds of silence.
const IMPATIENT: &str = "proxy.idle_timeout_secs = 2";

#[tokio::test]
async fn an_origin_that_closes_after_each_answer_without_a_word_costs_nobody_an_answer() {
    let origin =
        Origin::answering(|ask| async move { ask.bytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await });
    let gateway = Gateway::with(proxy(&origin)).await;
    for n in 0..100 {
        let method = ["POST", "GET", "PUT"][n % 3];
        let mut client = Client::method(method, format!("/{n}")).body("a body").connect(&gateway).await;
        assert_eq!((client.status, client.text().await.as_str()), (200, "ok"), "{n}");
    }
    assert_eq!(origin.requests().len(), 100);
}

/// Sends a request on a kept connection that the origin closes after reading it. Returns the status, and how often
/// the request reached the origin.
async fn closed_on(client: Client<'_>, gateway: &Gateway, origin: &Origin) -> (u16, usize) {
    let mut used = 0;
    loop {
        let before = asked(Client::get("/first"), gateway, origin, async |ask| {
            used = ask.request.connection;
            // With this sign a request that may not be repeated uses a kept connection, too.
            ask.reply(200, &[("Connection", "keep-alive")], "").await;
        });
        assert_eq!(before.await.status, 200);
        let came = origin.requests().len();
        let mut is_kept = false;
        let client = asked(client.clone(), gateway, origin, async |ask| {
            is_kept = ask.request.connection == used;
            if !is_kept {
                // Two kept connections would be used in turn, and never the same one twice.
                return ask.reply(200, &[("Connection", "close")], "").await;
            }
            ask.bytes("").await;
            // If the request is not repeated, nothing waits for it.
            tokio::select! {
                again = origin.accept() => again.reply(200, &[], "").await,
                _ = gateway.log_line("proxying failed") => {}
            }
        });
        let status = client.await.status;
        // On a very slow machine the next request may come before the connection is kept.
        if is_kept {
            return (status, origin.requests().len() - came);
        }
    }
}

#[tokio::test]
async fn a_request_is_repeated_only_where_that_does_no_harm() {
    let origin = Origin::start();
    for (client, expected) in [
        (Client::get("/a"), (200, 2)),
        (Client::method("PUT", "/a").body("a body"), (200, 2)),
        (Client::method("DELETE", "/a"), (200, 2)),
        (Client::method("PUT", "/a").body(&"a body".repeat(20_000)), (502, 1)),
        (Client::method("POST", "/a").body("a body"), (502, 1)),
        (Client::method("PATCH", "/a"), (502, 1)),
    ] {
        let gateway = Gateway::with(proxy(&origin)).await;
        assert_eq!(closed_on(client.clone(), &gateway, &origin).await, expected, "{client:?}");
    }
}

/// An origin that offers HTTP/2 but does not serve it.
async fn falls_back(authority: Arc<Authority>, listener: tokio::net::TcpListener, how: h2::Reason) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let authority = Arc::clone(&authority);
        tokio::spawn(async move {
            let mut stream = authority.acceptor(&["h2", "http/1.1"]).accept(stream).await.unwrap();
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    respond.send_reset(how);
                }
                return;
            }
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") && !request.ends_with(b"a body") {
                assert!(stream.read_buf(&mut request).await.unwrap() > 0);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok").await.unwrap();
            stream.shutdown().await.unwrap();
        });
    }
}

#[tokio::test]
async fn an_origin_that_wants_http1_after_all_is_asked_by_it() {
    for client in [Client::get("/"), Client::method("POST", "/").body("a body")] {
        let (port, authority) = (Port::reserve(), Arc::new(Authority::new()));
        let serving = tokio::spawn(falls_back(Arc::clone(&authority), port.listen(), h2::Reason::HTTP_1_1_REQUIRED));
        let origin = format!("https://localhost:{}", port.addr().port());
        let ca = format!("upstream.ca_file = \"{}\"", authority.path().display());
        let gateway = Gateway::with(proxy(origin.as_str()).with(&ca)).await;
        for _ in 0..3 {
            let mut client = client.clone().connect(&gateway).await;
            assert_eq!((client.status, client.text().await.as_str()), (200, "ok"), "{}", gateway.log());
        }
        serving.abort();
    }
}

#[tokio::test]
async fn an_origin_that_fails_after_an_informational_response_is_502() {
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin)).await;
    for early in ["HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"] {
        let mut client = Connection::open(&gateway).await;
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").await;
        origin.accept().await.bytes(early).await;
        let all = String::from_utf8(client.rest().await).unwrap();
        assert!(all.starts_with(early.lines().next().unwrap()), "{all}");
        assert!(all.contains("HTTP/1.1 502 "), "{all}");
    }
}

#[tokio::test]
async fn a_clients_own_fault_is_told_it() {
    let origin = Origin::answering(|ask| async move { ask.reply(200, &[], "").await });
    let gateway = Gateway::with(proxy(&origin).with("proxy.max_body_bytes = \"4B\"")).await;
    for (request, status) in [
        ("Transfer-Encoding: chunked\r\n\r\nno chunk\r\n", 400),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nabc", 400),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nab", 400),
        ("Content-Length: 4\r\n\r\nabc", 400),
        ("Content-Length: 5\r\n\r\n", 413),
        ("Content-Length: 5\r\n\r\nabcde", 413),
        ("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\nabc\r\n0\r\n\r\n", 413),
    ] {
        let mut client = Connection::open(&gateway).await;
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{request}")).await;
        client.half_close().await;
        let all = String::from_utf8(client.rest().await).unwrap();
        assert!(all.starts_with(&format!("HTTP/1.1 {status} ")), "{request:?}: {all:?}");
    }
    for (body, status) in [("abcd", 200), ("abcde", 413)] {
        for client in [Client::method("POST", "/").body(body), Client::method("POST", "/").body(body).h2()] {
            assert_eq!(client.connect(&gateway).await.status, status, "{body}");
        }
    }
}

#[tokio::test]
async fn an_origin_that_is_silent_for_too_long_is_504_or_a_cut() {
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin).with(IMPATIENT)).await;
    let client = asked(Client::get("/"), &gateway, &origin, async |ask| ask.gone().await).await;
    assert_eq!(client.status, 504);
    for (coding, end) in [(Coding::Chunked, End::Cut), (Coding::Length(9), End::Cut), (Coding::UntilClose, End::Cut)] {
        let mut client = asked(Client::get("/"), &gateway, &origin, async |ask| {
            let mut body = ask.head(200, &[("Content-Type", "text/plain")], coding).await;
            body.raw("a").await;
            body.gone().await;
        })
        .await;
        assert_eq!((client.ended().await, client.bytes.as_slice()), (end, &b"a"[..]), "{coding:?}");
    }
}

#[tokio::test]
async fn a_client_that_pauses_in_its_body_is_late_itself() {
    let port = Port::reserve();
    let (listener, gateway) = (port.listen(), Gateway::with(proxy(&port).with(IMPATIENT)).await);
    let mut client = Connection::open(&gateway).await;
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n01234").await;
    let (_origin, _) = guarded("a connection", listener.accept()).await.unwrap();
    assert_eq!(client.response(false).await.status, 408);
    let mut client = Frames::open(&gateway, &[]).await;
    client.send(&[Frame::head(1, 0, &request("POST", "/")), Frame::new(DATA, 0, 1, *b"01234")]).await;
    let (_origin, _) = guarded("a connection", listener.accept()).await.unwrap();
    assert_eq!(client.status(1).await, 408);
    assert!(!gateway.log().contains("proxying failed"), "{}", gateway.log());
}

#[tokio::test]
async fn an_event_stream_may_be_silent_for_longer() {
    for speech in [Speech::Http1, Speech::Tls(&["http/1.1"])] {
        let origin = Origin::speaking(speech);
        let ca = match speech {
            Speech::Tls(_) => format!("upstream.ca_file = \"{}\"", origin.authority().path().display()),
            Speech::Http1 | Speech::H2c | Speech::H2cAtMost(_) => String::new(),
        };
        let gateway = Gateway::with(proxy(&origin).with(IMPATIENT).with(&ca)).await;
        // The request does not say that it accepts a stream.
        let (mut client, mut body) = tokio::join!(Client::method("POST", "/").body("ask").connect(&gateway), async {
            origin.accept().await.head(200, &[("Content-Type", "text/event-stream")], Coding::Chunked).await
        });
        body.event("data: 1\n\n").await;
        assert_eq!(client.next_data().await, "1");
        // When this request times out, the stream has been silent for longer.
        let late = asked(Client::get("/"), &gateway, &origin, async |ask| ask.gone().await).await;
        assert_eq!(late.status, 504);
        body.event("data: 2\n\n").await;
        assert_eq!(client.next_data().await, "2");
    }
}

#[tokio::test]
async fn a_download_that_the_client_pauses_is_not_the_origins_silence() {
    const BYTES: usize = 16 << 20;
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin).with(IMPATIENT)).await;
    let (mut client, body) = tokio::join!(Client::get("/").small_receive_buffer().connect(&gateway), async {
        origin.accept().await.head(200, &[], Coding::Length(BYTES)).await
    });
    let sending = tokio::spawn(async move {
        let mut body = body;
        body.raw(vec![b'x'; BYTES]).await;
        body.end().await;
    });
    // When these requests time out, the client has paused for longer.
    for _ in 0..2 {
        let late = asked(Client::get("/late"), &gateway, &origin, async |ask| ask.gone().await).await;
        assert_eq!(late.status, 504);
    }
    client.complete().await;
    assert_eq!(client.bytes.len(), BYTES);
    guarded("the origin to be done", sending).await.unwrap();
}

#[tokio::test]
async fn requests_share_connections_to_an_origin_that_keeps_them() {
    for speech in [Speech::Tls(&["h2", "http/1.1"]), Speech::Tls(&["http/1.1"])] {
        let origin = Origin::speaking(speech);
        let ca = format!("upstream.ca_file = \"{}\"", origin.authority().path().display());
        let gateway = Gateway::with(proxy(&origin).with(&ca)).await;
        for n in 0..40 {
            let client = Client::method(if n % 2 == 0 { "POST" } else { "GET" }, "/").body("a body");
            let answer = asked(client, &gateway, &origin, async |ask| ask.reply(200, &[], "").await).await;
            assert_eq!(answer.status, 200);
        }
        // On a very slow machine the next request may come before the connection is kept.
        assert!(origin.connections() < 20, "{}", origin.connections());
    }
}
