//! Requests that two readers could split in two ways. What an attacker hides in one of them never reaches an origin as a
//! request of its own (RFC 9112, section 11.2).

use crate::client::Connection;
use crate::gateway::{Gateway, Route, route};
use crate::origin::Origin;
use crate::under_attack::{KIB, MIB, SERVING, Siege, besieged, statuses, told, told_to_the_end};

/// A request that must not reach an origin.
const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// The three ways to serve a request: a stream, a stream of one client, and a proxy.
const WAYS: [&str; 3] = ["shared", "private", "proxied"];

fn routes(origin: &Origin) -> [Route; 3] {
    [
        route("/shared/*", origin),
        route("/private/*", origin).with("share.mode = \"private\""),
        route("/*", origin).with("kind = \"proxy\""),
    ]
}

/// An origin that answers everything at once, so that nothing waits for it.
fn answering() -> Origin {
    Origin::answering(|exchange| async move { exchange.reply(404, &[], "none").await })
}

/// Fails if the origin got the hidden request, or a request with a part of one.
fn nothing_was_smuggled(origin: &Origin, what: &str) {
    for request in origin.requests() {
        assert!(!request.target.contains("smuggled"), "{what:?}: {request:?}");
        let body = String::from_utf8_lossy(&request.body);
        assert!(!body.contains("smuggled"), "{what:?}: {request:?}");
    }
}

#[tokio::test]
async fn a_head_with_two_readings_is_refused_and_what_follows_it_is_never_a_request() {
    let origin = answering();
    let (gateway, peaceful) = besieged("", routes(&origin)).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    for (status, fields) in [
        (400, "Content-Length: 5\r\nTransfer-Encoding: chunked"),
        (400, "Transfer-Encoding: chunked\r\nContent-Length: 5"),
        (400, "Content-Length: 5\r\nContent-Length: 0"),
        (400, "Content-Length: 0\r\nContent-Length: 0"),
        (400, "Content-Length: 0, 5"),
        (400, "Content-Length: +0"),
        (400, "Content-Length: 0x0"),
        (400, "Content-Length: 18446744073709551616"),
        (400, "Content-Length : 0"),
        (400, "Content-Length\t: 0"),
        (400, "Transfer-Encoding : chunked"),
        (400, "Transfer-Encoding:\r\n chunked"),
        (400, "Transfer-Encoding: chunked\r\n , identity"),
        (501, "Transfer-Encoding: xchunked"),
        (501, "Transfer-Encoding: chunked, identity"),
        (501, "Transfer-Encoding: identity, chunked"),
        (501, "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
        (501, "Transfer-Encoding: \"chunked\""),
        (501, "Transfer-Encoding: chunked;a=b"),
        (501, "Transfer-Encoding:"),
        (400, "X: a\rTransfer-Encoding: chunked"),
        (400, "X: a\0b"),
        (400, "X: a\r\n folded"),
        (400, " X: begins with a space"),
        (400, "X"),
        (400, ": no name"),
        (400, "X\0: a"),
    ] {
        for way in WAYS {
            let what = format!("POST /{way}/a HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n0\r\n\r\n");
            let answers = told(&gateway, format!("{what}{SMUGGLED}")).await;
            assert_eq!(statuses(&answers), [status], "{what:?}: {answers}");
            nothing_was_smuggled(&origin, &what);
        }
    }
    // The framing of such a request is clear. So what follows it is read, and is no request either.
    for way in WAYS {
        let answers =
            told(&gateway, format!("GET /{way}/a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n0\r\n\r\n{SMUGGLED}")).await;
        assert_eq!(statuses(&answers), [400, 400], "{answers}");
    }
    assert_eq!(origin.requests().len(), 0);
    siege.endured(SERVING).await;
}

#[tokio::test]
async fn a_request_line_that_is_none_is_refused_and_ends_the_connection() {
    let origin = answering();
    let (gateway, peaceful) = besieged("", routes(&origin)).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    for (status, line) in [
        (400, "GET /"),
        (400, "GET / HTTP/1.1 more"),
        (400, "GET  / HTTP/1.1"),
        (400, "GET\t/ HTTP/1.1"),
        (400, "GET / http/1.1"),
        (400, "GET / HTTP/1.1\rX: a"),
        (400, "G(T / HTTP/1.1"),
        (400, " GET / HTTP/1.1"),
        (505, "GET / HTTP/2.0"),
        (505, "GET / HTTP/0.9"),
        (505, "GET / HTTP/1.2"),
        (400, "GET / HTTP/11.1"),
        (400, "HTTP/1.1 200 OK"),
        (400, "\u{0}\u{1}\u{2}"),
    ] {
        let answers = told(&gateway, format!("{line}\r\nHost: a\r\n\r\n{SMUGGLED}")).await;
        assert_eq!(statuses(&answers), [status], "{line:?}: {answers}");
    }
    assert_eq!(origin.requests().len(), 0);
    siege.endured(SERVING).await;
}

#[tokio::test]
async fn a_malformed_chunk_ends_its_request_and_hides_no_other() {
    let origin = answering();
    let (gateway, peaceful) = besieged("", routes(&origin)).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    let long_extension = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(MIB));
    for body in [
        "ffffffffffffffff1\r\n",
        "fffffffffffffffff\r\n",
        "-1\r\n",
        "+1\r\na\r\n0\r\n\r\n",
        "0x1\r\na\r\n0\r\n\r\n",
        "g\r\n",
        "\r\n",
        "1\r\nab\r\n0\r\n\r\n",
        "1\r\na0\r\n\r\n",
        "1\na\n0\n\n",
        "1\r\na\r0\r\n\r\n",
        "1;\n\r\na\r\n0\r\n\r\n",
        &long_extension,
    ] {
        let what = body.get(..body.len().min(30)).unwrap();
        let head = "POST /proxied HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answers = told(&gateway, format!("{head}{body}{SMUGGLED}")).await;
        assert!(statuses(&answers).len() <= 1, "{what:?}: {answers}");
        assert!(!statuses(&answers).contains(&200), "{what:?}: {answers}");
        nothing_was_smuggled(&origin, what);
    }
    siege.endured(SERVING + 4 * MIB).await;
}

#[tokio::test]
async fn a_chunked_body_is_framed_anew_for_the_origin_whatever_its_extensions_and_trailers_say() {
    let origin = Origin::answering(|exchange| async move { exchange.reply(200, &[], "ok").await });
    let gateway = Gateway::with_all(routes(&origin)).await;
    for body in [
        "1;a=b;c=\"d\"\r\na\r\n0\r\n\r\n",
        "0001\r\na\r\n000\r\n\r\n",
        "1\r\na\r\n0;x\r\nContent-Length: 99\r\nTransfer-Encoding: gzip\r\nHost: evil\r\n\r\n",
        "1 ;a\r\na\r\n0\r\n\r\n",
    ] {
        let before = origin.requests().len();
        let head = "POST /proxied HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
        let answers = told_to_the_end(&gateway, format!("{head}{body}")).await;
        let statuses = statuses(&answers);
        assert!(statuses == [200] || statuses == [400], "{body:?}: {answers}");
        for request in &origin.requests()[before..] {
            assert_eq!((request.body.as_slice(), request.target.as_str()), (&b"a"[..], "/proxied"), "{body:?}");
            assert_eq!(request.headers.all("host").len(), 1, "{request:?}");
            let framings = request.headers.all("content-length").len() + request.headers.all("transfer-encoding").len();
            assert_eq!(framings, 1, "{request:?}");
        }
    }
}

#[tokio::test]
async fn an_absolute_target_alone_says_which_host_is_meant() {
    let (outer, inner) = (answering(), answering());
    let gateway = Gateway::with_all([
        route("/*", &outer).with("name = \"outer\"\nhost = \"outer.example\"\nkind = \"proxy\"\npreserve_host = true"),
        route("/*", &inner).with("name = \"inner\"\nhost = \"inner.example\"\nkind = \"proxy\"\npreserve_host = true"),
    ])
    .await;
    for (target, host) in [
        ("http://outer.example/a", "inner.example"),
        ("http://outer.example:80/a", "inner.example"),
        ("HTTP://OUTER.example/a", "inner.example"),
        ("/a", "outer.example"),
    ] {
        let before = outer.requests().len();
        let answers =
            told_to_the_end(&gateway, format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
                .await;
        assert_eq!(statuses(&answers), [404], "{target}: {answers}");
        let requests = outer.requests();
        assert_eq!(requests.len(), before + 1, "{target}");
        assert_eq!(requests[before].target, "/a");
        let host = requests[before].headers.one("host").unwrap().to_ascii_lowercase();
        assert!(host.starts_with("outer.example"), "{target}: {host}");
    }
    for target in ["http://outer.example@inner.example/", "http://", "http:///a", "//inner.example", "inner.example:80"]
    {
        let answers = told(&gateway, format!("GET {target} HTTP/1.1\r\nHost: outer.example\r\n\r\n")).await;
        assert!(statuses(&answers).iter().all(|status| (400..500).contains(status)), "{target}: {answers}");
    }
    assert_eq!(inner.requests().len(), 0);
}

#[tokio::test]
async fn no_tunnel_is_opened_however_it_is_asked_for() {
    let (origin, elsewhere) = (answering(), answering());
    let (gateway, peaceful) = besieged("", routes(&origin)).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    let address = elsewhere.addr();
    for (target, expected) in [
        (address.to_string(), &[405][..]),
        ("127.0.0.1:1".to_owned(), &[405]),
        (format!("http://{address}/"), &[405]),
        ("/proxied".to_owned(), &[405]),
        ("*".to_owned(), &[400, 405]),
    ] {
        for fields in ["", "Content-Length: 0\r\n", "Upgrade: a\r\nConnection: upgrade\r\n"] {
            let answers = told(&gateway, format!("CONNECT {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
            let statuses = statuses(&answers);
            assert!(statuses.len() == 1 && expected.contains(&statuses[0]), "{target} {fields:?}: {answers}");
        }
    }
    assert_eq!((origin.requests().len(), elsewhere.connections()), (0, 0));
    siege.endured(SERVING).await;
}

/// An origin that does not change the protocol answers the request. What the client sent ahead in the new protocol is
/// then no request either.
#[tokio::test]
async fn what_follows_a_refused_upgrade_is_never_a_request() {
    let origin = answering();
    let gateway = Gateway::with_all(routes(&origin)).await;
    for way in WAYS {
        for protocol in ["websocket", "h2c", "TLS/1.0", "HTTP/2.0"] {
            let fields =
                format!("Upgrade: {protocol}\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk");
            let answers =
                told_to_the_end(&gateway, format!("GET /{way}/a HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{SMUGGLED}"))
                    .await;
            assert_eq!(statuses(&answers), [404], "{way} {protocol}: {answers}");
            nothing_was_smuggled(&origin, protocol);
        }
    }
}

#[tokio::test]
async fn requests_without_end_on_a_connection_whose_answers_nobody_reads_are_held_back() {
    let origin = answering();
    let (gateway, peaceful) = besieged("", routes(&origin)).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    let requests = "GET /none/%2e HTTP/1.1\r\nHost: a\r\n\r\n".repeat(200_000);
    let mut connections = Vec::new();
    for _ in 0..10 {
        let mut connection = Connection::open(&gateway).await;
        // The gateway stops to read when nobody takes its answers. So the bytes are not all taken.
        let send = connection.send(&requests);
        tokio::select! {
            () = send => {}
            () = until_held_back() => {}
        }
        connections.push(connection);
    }
    drop(connections);
    siege.endured(SERVING + 10 * 256 * KIB).await;
}

/// A moment in which what can be sent is sent. Nothing depends on its length.
async fn until_held_back() {
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
}
