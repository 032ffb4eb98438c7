//! Header fields and framing on proxy routes: which fields concern one connection only, and what the other side may
//! learn.

use crate::client::{Client, Connection, End};
use crate::gateway::{Gateway, Route, Url, route};
use crate::guard::guarded;
use crate::http1::Framing;
use crate::mode::WITHOUT_TLS;
use crate::origin::{Coding, Origin, Port};
use crate::stage::{asked, request_for, seen};
use std::task::Poll;

/// The kinds of routes that pass a request and its answer.
const KINDS: [&str; 2] = ["kind = \"proxy\"", "share.mode = \"private\""];

fn proxy(origin: &(impl Url + ?Sized)) -> Route {
    route("/*", origin).with("kind = \"proxy\"")
}

#[tokio::test]
async fn a_client_of_http10_gets_no_chunks() {
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin)).await;
    for keeps in [false, true] {
        let client = || {
            let client = Client::get("/").http10();
            if keeps { client.header("Connection", "keep-alive") } else { client }
        };
        for coding in [Coding::Chunked, Coding::UntilClose] {
            let mut client = asked(client(), &gateway, &origin, async |ask| {
                let mut body = ask.head(200, &[], coding).await;
                body.raw("ok").await;
                body.end().await;
            })
            .await;
            assert_eq!((client.header("transfer-encoding"), client.header("connection")), (None, Some("close")));
            assert_eq!((client.ended().await, client.bytes.as_slice()), (End::Orderly, &b"ok"[..]), "{coding:?}");
        }
        let mut client = asked(client(), &gateway, &origin, async |ask| ask.reply(200, &[], "ok").await).await;
        assert_eq!(client.framing, Some(Framing::Length(2)));
        assert_eq!(client.header("connection"), Some(if keeps { "keep-alive" } else { "close" }));
        assert_eq!(client.text().await, "ok");
    }
}

#[tokio::test]
async fn a_response_that_breaks_off_does_not_look_whole_to_a_client_of_http10() {
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin)).await;
    let breaks_off = async || {
        let mut body = request_for("/", &origin).await.head(200, &[], Coding::Chunked).await;
        body.raw("ok").await;
        body.cut().await;
    };
    loop {
        let (answer, ()) = tokio::join!(Client::get("/").http10().try_connect(&gateway), breaks_off());
        // On a busy machine a reset may overtake what was sent before it. Then another client tries.
        if let Some(mut client) = answer {
            assert_eq!(client.ended().await, End::Reset);
            break;
        }
    }
}

#[tokio::test]
async fn a_client_of_http10_gets_no_informational_response() {
    const ANSWER: &str = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
        HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin)).await;
    let client = Client::method("POST", "/").body("body").header("Expect", "100-continue").http10();
    let mut client = asked(client, &gateway, &origin, async |ask| ask.bytes(ANSWER).await).await;
    assert_eq!((client.status, client.text().await.as_str()), (200, "ok"));
    assert_eq!(origin.request(1).await.headers.one("expect"), None);
}

#[tokio::test]
async fn crumbs_of_a_cookie_are_joined() {
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin)).await;
    let client = Client::get("/").header("Cookie", "a=1").header("Cookie", "b=2").header("Cookie", "c=3").h2();
    assert_eq!(seen(client, &gateway, &origin).await.headers.all("cookie"), ["a=1; b=2; c=3"]);
}

#[tokio::test]
async fn what_is_of_one_connection_stays_behind() {
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin)).await;
    let client = Client::get("/")
        .http11()
        .header("Connection", "close, X-Hop")
        .header("X-Hop", "1")
        .header("Keep-Alive", "timeout=5")
        .header("Proxy-Connection", "keep-alive")
        .header("TE", "gzip, trailers")
        .header("Upgrade", "h2c")
        .header("X-Stays", "1");
    let headers = [
        ("Connection", "X-Hop, keep-alive"),
        ("X-Hop", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Upgrade", "h2c"),
        ("X-Stays", "1"),
    ];
    for client in [client, Client::get("/").header("te", "trailers").header("X-Stays", "1").h2()] {
        let client = asked(client, &gateway, &origin, async |ask| ask.reply(200, &headers, "").await).await;
        let request = origin.requests().last().unwrap().clone();
        for name in ["x-hop", "keep-alive", "proxy-connection", "upgrade"] {
            assert_eq!((request.headers.one(name), client.header(name)), (None, None), "{name}");
        }
        assert_eq!((request.headers.one("te"), request.headers.one("connection")), (Some("trailers"), Some("TE")));
        assert_eq!((request.headers.one("x-stays"), client.header("x-stays")), (Some("1"), Some("1")));
    }
}

#[tokio::test]
async fn a_gateway_says_that_it_was_there() {
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin)).await;
    for client in [Client::get("/"), Client::get("/").h2()] {
        let client = client.header("Via", "1.0 before");
        let headers = [("Via", "1.0 behind")];
        let client = asked(client, &gateway, &origin, async |ask| ask.reply(200, &headers, "").await).await;
        assert_eq!(client.header("via"), Some("1.0 behind, 1.1 manifold"));
        let request = origin.requests().last().unwrap().clone();
        let via = request.headers.one("via").unwrap();
        assert!(via.starts_with("1.0 before, 1.1 manifold"), "{via}");
    }
}

#[tokio::test]
async fn a_gateway_that_is_its_own_origin_says_so() {
    let port = Port::reserve();
    let here = port.addr();
    for policy in ["kind = \"proxy\"", "", "share.mode = \"private\""] {
        let route = route("/*", format!("http://{here}").as_str()).with(policy).with(match policy {
            "kind = \"proxy\"" => "",
            _ => "upstream.on_error = \"reflect\"",
        });
        let config = crate::gateway::configuration("", [route]).replacen("127.0.0.1:0", &here.to_string(), 1);
        let gateway = Gateway::start(&config).await;
        assert_eq!(Client::get("/").connect(&gateway).await.status, 508, "{policy}");
        gateway.log_line("has already passed this process").await;
    }
}

#[tokio::test]
async fn another_gateway_may_stand_behind_a_gateway() {
    let origin = Origin::start();
    let behind = Gateway::with(proxy(&origin)).await;
    let gateway = Gateway::with(proxy(format!("http://{}", behind.addr()).as_str())).await;
    assert_eq!(seen(Client::get("/"), &gateway, &origin).await.headers.one("via").unwrap().split(", ").count(), 2);
}

#[tokio::test]
async fn names_with_an_underscore_do_not_pass_and_the_log_says_so_once() {
    for kind in KINDS {
        let origin = Origin::start();
        let gateway = Gateway::with(route("/*", &origin).with(kind)).await;
        for client in [Client::get("/"), Client::get("/").h2()] {
            let client = client.header("X_Forwarded_For", "1.2.3.4").header("Content_Length", "5").header("Odd_", "1");
            let names = seen(client.header("X-Odd", "1"), &gateway, &origin).await.headers.names();
            assert!(!names.iter().any(|name| name.contains('_')), "{kind}: {names:?}");
            assert!(names.contains(&"x-odd".to_owned()));
        }
        assert_eq!(gateway.log().matches("underscore").count(), 1, "{kind}: {}", gateway.log());
    }
}

#[tokio::test]
async fn a_length_that_is_not_one_number_is_refused() {
    let origin = Origin::answering(|ask| async move { ask.reply(200, &[], "").await });
    let gateway = Gateway::with(proxy(&origin)).await;
    for lengths in ["Content-Length: 4, 4\r\n", "Content-Length: 4\r\nContent-Length: 4\r\n", "Content-Length: +4\r\n"]
    {
        let mut client = Connection::open(&gateway).await;
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{lengths}\r\nbody")).await;
        let all = String::from_utf8(client.rest().await).unwrap();
        assert!(all.starts_with("HTTP/1.1 400 "), "{lengths:?}: {all}");
    }
    let client = Client::method("POST", "/").body("body").header("Content-Length", "4").h2();
    assert_eq!(client.connect(&gateway).await.status, 400);
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn an_origins_answer_that_has_two_ends_is_502() {
    let origin = Origin::start();
    for kind in KINDS {
        let gateway = Gateway::with(route("/*", &origin).with(kind)).await;
        for head in
            ["Content-Length: 2\r\nContent-Length: 3", "Content-Length: 2, 3", "Transfer-Encoding: gzip, chunked"]
        {
            let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\nok!");
            let client = asked(Client::get("/"), &gateway, &origin, async |ask| ask.bytes(answer).await).await;
            assert_eq!(client.status, 502, "{kind} {head}");
        }
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok";
        let mut client = asked(Client::get("/"), &gateway, &origin, async |ask| ask.bytes(answer).await).await;
        assert_eq!(client.header("content-length"), Some("2"));
        assert_eq!(client.text().await, "ok");
    }
}

#[tokio::test]
async fn what_an_origin_calls_itself_is_mapped_back() {
    let origin = Origin::start();
    for (more, client, location, shown) in [
        ("", "/app/a", format!("http://{}/b?c", origin.addr()), "/app/b?c".to_owned()),
        ("", "/app/a", "http://site.example/b".to_owned(), "http://site.example/b".to_owned()),
        ("preserve_host = true", "/app/a", "http://site.example/b".to_owned(), "/app/b".to_owned()),
        ("preserve_host = true", "/app/a", "http://site.example:80/b".to_owned(), "/app/b".to_owned()),
        ("preserve_host = true", "/app/a", format!("http://{}/b", origin.addr()), "/app/b".to_owned()),
        ("preserve_host = true", "/app/a", "https://site.example/b".to_owned(), "https://site.example/b".to_owned()),
    ] {
        let of =
            |kind| route("/app/*", &origin).with("strip_prefix = \"/app\"").with(more).with(kind).with(WITHOUT_TLS);
        for (kind, is_h2) in KINDS.into_iter().flat_map(|kind| [(kind, false), (kind, true)]) {
            let gateway = Gateway::with(of(kind)).await;
            let client = if is_h2 { Client::get(client).h2() } else { Client::get(client) };
            let client = client.header("Host", "site.example");
            let headers =
                [("Location", location.as_str()), ("Content-Location", &location), ("Set-Cookie", "a=1; Path=/")];
            let client = asked(client, &gateway, &origin, async |ask| ask.reply(302, &headers, "").await).await;
            let places = (client.header("location"), client.header("content-location"));
            assert_eq!(places, (Some(shown.as_str()), Some(shown.as_str())), "{kind} {more} {location}");
            assert_eq!(client.header("set-cookie"), Some("a=1; Path=/"));
            let host = if more.is_empty() { origin.addr().to_string() } else { "site.example".to_owned() };
            assert_eq!(origin.requests().last().unwrap().headers.one("host"), Some(host.as_str()));
        }
    }
}

#[tokio::test]
async fn an_answer_without_a_body_has_no_framing() {
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin)).await;
    for framing in ["Content-Length: 2", "Transfer-Encoding: chunked"] {
        for client in [Client::get("/"), Client::get("/").h2()] {
            let answer = format!("HTTP/1.1 204 No Content\r\n{framing}\r\n\r\n");
            let client = asked(client, &gateway, &origin, async |ask| ask.bytes(answer).await).await;
            let framed = (client.header("content-length"), client.header("transfer-encoding"));
            assert_eq!((client.status, framed), (204, (None, None)), "{framing}");
        }
    }
}

#[tokio::test]
async fn the_version_of_an_answer_is_the_gateways_own() {
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin)).await;
    for (method, answer) in [
        ("GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"),
        ("HEAD", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n"),
        ("HEAD", "HTTP/1.0 200 OK\r\n\r\n"),
        ("GET", "HTTP/1.0 304 Not Modified\r\n\r\n"),
    ] {
        let mut client = Connection::open(&gateway).await;
        client.send(format!("{method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")).await;
        let (all, ()) = tokio::join!(client.rest(), async { origin.accept().await.bytes(answer).await });
        let all = String::from_utf8(all).unwrap();
        assert!(all.starts_with("HTTP/1.1 "), "{method}: {all}");
    }
    let answer = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    let client = asked(Client::get("/"), &gateway, &origin, async |ask| ask.bytes(answer).await).await;
    assert_eq!(client.status, 502);
}

#[tokio::test]
async fn a_client_of_http2_that_is_refused_in_the_midst_of_its_body_stops_in_peace() {
    let origin = Origin::answering(|ask| async move { ask.reply(200, &[], "").await });
    let gateway = Gateway::with(proxy(&origin).with("proxy.max_body_bytes = \"4B\"")).await;
    let stream = tokio::net::TcpStream::connect(gateway.addr()).await.unwrap();
    let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(connection);
    let uri = format!("http://{}/", gateway.addr());
    let request = http::Request::post(uri).body(()).unwrap();
    let (response, mut body) = sender.send_request(request, false).unwrap();
    body.send_data("abcde".into(), false).unwrap();
    let response = guarded("an answer", response).await.unwrap();
    assert_eq!(response.status(), 413);
    let mut answer = response.into_body();
    let mut text = Vec::new();
    while let Some(bytes) = guarded("the answer's body", answer.data()).await {
        text.extend_from_slice(&bytes.unwrap());
    }
    assert!(!text.is_empty());
    // The client would send on. The gateway does not wait for that, and takes little of it.
    let mut sent = 0;
    let stopped = async {
        loop {
            body.reserve_capacity(1 << 14);
            let capacity = std::future::poll_fn(|context| match body.poll_reset(context) {
                Poll::Ready(reason) => Poll::Ready(Err(reason)),
                Poll::Pending => body.poll_capacity(context).map(Ok),
            });
            match capacity.await {
                Err(reason) => return reason.unwrap(),
                Ok(Some(Ok(most))) => {
                    sent += most;
                    _ = body.send_data(vec![0; most].into(), false);
                }
                // The reset is next.
                Ok(_) => return std::future::poll_fn(|context| body.poll_reset(context)).await.unwrap(),
            }
        }
    };
    assert_eq!(guarded("a reset", stopped).await, h2::Reason::NO_ERROR);
    assert!(sent < 1 << 20, "{sent}");
    driver.abort();
}
