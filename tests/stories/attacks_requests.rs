//! Requests that are too large, say a thing twice, or hide one text in another.

use crate::client::{Client, Connection};
use crate::frames::{Ended, Frame, Frames};
use crate::gateway::{Gateway, Route, route};
use crate::http1::latin1;
use crate::origin::Origin;
use crate::stage::{gap, numbered, opened};
use crate::tokens::{SECRET, bearer, file, now, token, token_of, token_with, with_tokens};
use crate::under_attack::{KIB, MIB, SERVING, Siege, besieged, lasting, statuses, told, told_to_the_end};
use serde_json::json;

fn routes(origin: &Origin) -> [Route; 3] {
    [
        route("/shared/*", origin),
        route("/private/*", origin).with("share.mode = \"private\""),
        route("/proxied/*", origin).with("kind = \"proxy\""),
    ]
}

const WAYS: [&str; 3] = ["/shared/a", "/private/a", "/proxied/a"];

fn answering() -> Origin {
    Origin::answering(|exchange| async move { exchange.reply(404, &[], "none").await })
}

#[tokio::test]
async fn a_request_line_that_is_too_long_is_414() {
    let origin = answering();
    for head_bytes in ["64KiB", "1MiB"] {
        let (gateway, peaceful) = besieged(&format!("head_bytes = \"{head_bytes}\""), routes(&origin)).await;
        let siege = Siege::of((&gateway, peaceful)).await;
        for path in WAYS {
            for line in [
                format!("{path}/{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "a".repeat(70_000)),
                format!("{path}?{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "a=b&".repeat(200 * KIB)),
                format!("http://a{path}?{} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "a".repeat(2 * MIB)),
                format!("{path}?lastEventId={} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "1".repeat(MIB)),
                // This line has no end.
                format!("{path}{}", "a".repeat(2 * MIB)),
            ] {
                // It is the first request of the connection, or the next one.
                for before in ["", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"] {
                    let answers = told_to_the_end(&gateway, format!("{before}GET {line}")).await;
                    let expected: &[u16] = if before.is_empty() { &[414] } else { &[204, 414] };
                    assert_eq!(statuses(&answers), expected, "{head_bytes} {path} {}", line.len());
                }
            }
        }
        assert_eq!(origin.requests().len(), 0);
        siege.endured(SERVING + 8 * MIB).await;
    }
}

#[tokio::test]
async fn a_path_of_http2_that_is_too_long_is_refused() {
    let origin = answering();
    let (gateway, peaceful) = besieged("head_bytes = \"1MiB\"", routes(&origin)).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    for bytes in [70_000, 300_000] {
        let target = format!("/shared/a?{}", "a".repeat(bytes));
        let head = crate::frames::block(&crate::frames::request("GET", &target));
        let mut pieces = head.chunks(16_000).peekable();
        let mut frames = Vec::new();
        while let Some(piece) = pieces.next() {
            let end = if pieces.peek().is_none() { crate::frames::END_HEADERS } else { 0 };
            frames.push(match frames.len() {
                0 => Frame::new(crate::frames::HEADERS, end | crate::frames::END_STREAM, 1, piece),
                _ => Frame::new(crate::frames::CONTINUATION, end, 1, piece),
            });
        }
        let mut client = Frames::open(&gateway, &[]).await;
        client.send(&frames).await;
        let ended = client.ended(1).await;
        let by_engine = matches!(ended, Ended::Answered(414 | 431, _));
        assert!(by_engine || matches!(ended, Ended::Answered(400, _) | Ended::Reset(_) | Ended::Over(_)), "{ended:?}");
    }
    assert_eq!(origin.requests().len(), 0);
    siege.endured(SERVING + 4 * MIB).await;
}

#[tokio::test]
async fn a_field_that_is_too_large_and_fields_that_are_too_many_are_431() {
    let origin = answering();
    let (gateway, peaceful) = besieged("", routes(&origin)).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    for path in WAYS {
        for fields in [
            format!("X: {}\r\n\r\n", "x".repeat(MIB)),
            format!("{}: x\r\n\r\n", "x".repeat(MIB)),
            format!("Cookie: {}\r\n\r\n", "a=b; ".repeat(200 * KIB)),
            "X: y\r\n".repeat(300) + "\r\n",
            "X: y\r\n".repeat(100_000),
            format!("Last-Event-ID: {}\r\n\r\n", "1".repeat(MIB)),
        ] {
            let mut connection = Connection::open(&gateway).await;
            connection.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n{fields}")).await;
            let status = connection.response(false).await.status;
            assert_eq!(status, 431, "{path} {:?}", fields.get(..20));
        }
    }
    assert_eq!(origin.requests().len(), 0);
    siege.endured(SERVING + 4 * MIB).await;
}

#[tokio::test]
async fn a_megabyte_of_a_last_event_id_is_unknown_and_reaches_no_origin() {
    let origin = Origin::start();
    let (gateway, peaceful) = besieged("head_bytes = \"1MiB\"", [route("/*", &origin)]).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    let (mut client, mut body) = opened(Client::get("/a"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    // The largest head that a configuration can allow.
    let empty = "GET /a HTTP/1.1\r\nHost: a\r\nLast-Event-ID: \r\n\r\n";
    let head = empty.replace("\r\n\r\n", &format!("{}\r\n\r\n", "1".repeat(MIB - empty.len())));
    assert_eq!(head.len(), MIB);
    for _ in 0..5 {
        let mut connection = Connection::open(&gateway).await;
        connection.send(&head).await;
        let mut client = connection.response(false).await.stream();
        assert_eq!(client.next_data().await, gap("unknown", None));
        assert_eq!(client.next_data().await, "1");
    }
    for request in origin.requests() {
        assert_eq!(request.headers.one("last-event-id"), None);
    }
    siege.endured(SERVING + 12 * MIB).await;
}

#[tokio::test]
async fn a_field_that_may_come_once_and_comes_often_has_one_meaning_or_none() {
    let origin = Origin::answering(|exchange| async move { exchange.sse().await.gone().await });
    let (gateway, peaceful) = besieged("", [route("/*", &origin)]).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    for (n, name) in
        ["Last-Event-ID", "Origin", "Authorization", "Cookie", "Accept", "X-Forwarded-For", "Via", "Forwarded"]
            .into_iter()
            .enumerate()
    {
        for times in [2, 200] {
            let fields: String = (0..times).map(|n| format!("{name}: {n}\r\n")).collect();
            let mut connection = Connection::open(&gateway).await;
            connection.send(format!("GET /{n}-{times} HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).await;
            let status = connection.response(false).await.status;
            assert!(status == 200 || (400..500).contains(&status), "{name} {times}: {status}");
        }
    }
    for request in origin.requests() {
        for name in ["host", "last-event-id", "via"] {
            assert!(request.headers.all(name).len() <= 1, "{name}: {request:?}");
        }
    }
    siege.endured(SERVING + 16 * 128 * KIB).await;
}

#[tokio::test]
async fn queries_that_differ_open_no_more_than_the_route_allows_and_cost_what_they_hold() {
    const QUERY: usize = 50_000;
    const STREAMS: usize = 100;
    let origin = Origin::answering(|exchange| async move { exchange.sse().await.gone().await });
    let few = format!("share.max_streams = {STREAMS}");
    let (gateway, peaceful) = besieged("limits.refuse = \"status\"", [route("/*", &origin).with(&few)]).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    let mut clients = Vec::new();
    for number in 0..2 * STREAMS {
        let mut connection = Connection::open(&gateway).await;
        let bomb = "&a=%41".repeat(QUERY / 6);
        connection.send(format!("GET /a?{number}{bomb} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        clients.push(connection.response(false).await);
    }
    let served = clients.iter().filter(|client| client.status == 200).count();
    assert!(served <= STREAMS, "{served}");
    // Of each stream the key and the request are held, and a client of a session holds its head.
    siege.endured(SERVING + STREAMS * 8 * QUERY).await;
}

#[tokio::test]
async fn no_spelling_of_a_path_is_a_way_out_of_a_route() {
    let (own, rest) = (answering(), answering());
    let own_route = route("/public/*", &own).with("kind = \"proxy\"\nstrip_prefix = \"/public\"");
    let gateway = Gateway::with_all([own_route, route("/secret/*", &rest).with("kind = \"proxy\"")]).await;
    for target in [
        "/public/../secret/a",
        "/public/..%2fsecret/a",
        "/public/%2e%2e/secret/a",
        "/public/%2e%2e%2fsecret/a",
        "/public/.%2e/secret",
        "/public/..\\secret\\a",
        "/public/..%5csecret",
        "/public/..;/secret",
        "/public/..;a=b/secret",
        "/public/./../secret",
        "/public/%00/../secret",
        "/public/a\u{0}b",
        "/public/a\u{7f}b",
        "/public/\u{e9}",
        "/public/a#/../secret",
        "/public/a%00.txt",
        "\\public\\a",
        "public/a",
        "?public",
        "/public/a\tb",
    ] {
        let answers = told(&gateway, format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")).await;
        assert_eq!(statuses(&answers), [400], "{target:?}: {answers}");
    }
    assert_eq!((own.requests().len(), rest.requests().len()), (0, 0));
}

#[tokio::test]
async fn an_id_of_a_client_puts_no_line_into_a_request_or_a_stream() {
    let origin = Origin::start();
    let gateway =
        Gateway::with_all([route("/a/*", &origin), route("/b", &origin).with("share.mode = \"private\"")]).await;
    let ids = ["1%0d%0aX-Evil:%201", "1%0aevent:%20evil", "1%0dX-Evil:%201", "%00", "1%00", "%0d%0a%0d%0aGET%20/evil"];
    for (n, id) in ids.into_iter().enumerate() {
        let client = Client::get(format!("/a/{n}?lastEventId={id}"));
        let (mut client, mut body) = opened(client, &gateway, &origin).await;
        let request = origin.requests().last().unwrap().clone();
        assert_eq!(request.headers.one("x-evil"), None, "{request:?}");
        assert!(request.headers.one("last-event-id").is_none_or(|id| !id.contains("vil")), "{request:?}");
        body.event("data: 1\n\n").await;
        while client.next_data().await != "1" {}
        assert!(!latin1(client.bytes()).contains("vil"), "{id}: {}", latin1(client.bytes()));
        body.abort();
        drop(client);
    }
    for raw in ["Last-Event-ID: a\0b", "Last-Event-ID: a\rX-Evil: 1", "Last-Event-ID: a\r\n X-Evil: 1"] {
        for path in ["/a/b", "/b"] {
            let answers = told(&gateway, format!("GET {path} HTTP/1.1\r\nHost: a\r\n{raw}\r\n\r\n")).await;
            assert_eq!(statuses(&answers), [400], "{raw:?}: {answers}");
        }
    }
    assert!(origin.requests().iter().all(|request| request.headers.one("x-evil").is_none()));
}

/// A CR, a LF and both end a line of a stream. So no name of an event, id or comment can hold one.
#[tokio::test]
async fn an_event_of_an_origin_is_the_same_event_for_its_clients_whatever_bytes_it_has() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("client.heartbeat_secs = \"off\"")).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    let long = "n".repeat(10_000);
    for (text, kind, data) in [
        ("event: a\rdata: 1\r\r".to_owned(), "a", "1"),
        ("event: a\r\nevent: b\r\ndata: 1\r\n\r\n".to_owned(), "b", "1"),
        ("event: \u{1}\u{2}\ndata: 1\n\n".to_owned(), "\u{1}\u{2}", "1"),
        ("event: a\0b\ndata: \0\n\n".to_owned(), "a\0b", "\0"),
        ("event: <script>\ndata: 1\n\n".to_owned(), "<script>", "1"),
        ("event: a\u{2028}b\u{85}c\ndata: 1\n\n".to_owned(), "a\u{2028}b\u{85}c", "1"),
        ("id: a\0b\nevent: c\ndata: 1\n\n".to_owned(), "c", "1"),
        (format!("event: {long}\ndata: 1\n\n"), &long, "1"),
        ("event: a\ndata: b\ndata\ndata: event: c\n\n".to_owned(), "a", "b\n\nevent: c"),
        ("nonsense: x\nEvent: y\nevent : z\ndata: 1\n\n".to_owned(), "message", "1"),
    ] {
        body.raw(&text).await;
        let event = client.next_event().await;
        assert_eq!((event.kind.as_str(), event.data.as_str()), (kind, data), "{text:?}");
        assert!(!event.id.contains('\0'), "{event:?}");
    }
}

#[tokio::test]
async fn no_origin_of_a_page_is_allowed_that_only_looks_like_one_of_the_list() {
    let origin = Origin::answering(|exchange| async move { exchange.sse().await.gone().await });
    let listed = "cors.origins = [\"https://page.example\"]\ncors.credentials = true";
    let gateway = Gateway::with_all([
        route("/a", &origin).with(listed),
        route("/b", &origin).with(listed).with("share.mode = \"private\""),
    ])
    .await;
    for path in ["/a", "/b"] {
        for page in [
            "https://page.example.evil",
            "https://evilpage.example",
            "https://page.example@evil",
            "https://page.example:444",
            "http://page.example",
            "https://page.example/",
            "https://page.example evil",
            "https://page.example, https://evil.example",
            "https://page.example%0d%0aX: y",
            "https://PAGE.example.",
            "null",
            "*",
            "file://",
            "",
        ] {
            let client = Client::get(path).http11().header("Origin", page);
            let client = client.connect(&gateway).await;
            assert_eq!(client.headers.all("access-control-allow-origin"), [""; 0], "{page:?}");
        }
        for raw in ["https://page.example\r\n X: y", "https://page.example\rX: y", "https://page.example\0"] {
            let answers = told(&gateway, format!("GET {path} HTTP/1.1\r\nHost: a\r\nOrigin: {raw}\r\n\r\n")).await;
            assert_eq!(statuses(&answers), [400], "{raw:?}: {answers}");
        }
    }
}

#[tokio::test]
async fn no_part_of_a_request_forges_a_line_of_the_log() {
    let origin = answering();
    let gateway = Gateway::with(route("/*", &origin).with("kind = \"proxy\"")).await;
    let forged = "%0d%0a[2026-01-01T00:00:00Z ERROR forged] x";
    for request in [
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", forged.replace(' ', "%20")),
        format!("GET /nowhere HTTP/1.1\r\nHost: {}\r\n\r\n", "a%0d%0aforged"),
        "GET /a HTTP/1.1\r\nHost: a\r\nUser-Agent: x\u{1b}[31mforged\u{85}forged\r\nReferer: \u{9b}forged\r\n\r\n"
            .to_owned(),
        "GET /\u{1b}]0;forged\u{7} HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
    ] {
        told(&gateway, request).await;
    }
    let log = gateway.log();
    assert!(!log.lines().any(|line| line.trim_start().starts_with("[2026-01-01T00")), "{log}");
    assert!(!log.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{85}']), "{log}");
}

/// The answers are the same bytes, so they tell nothing about how near a guess was.
#[tokio::test]
async fn a_refusal_is_the_same_whatever_is_wrong_with_a_token() {
    let (origin, key) = (Origin::start(), file(SECRET));
    let protected = |path, options| with_tokens(route(path, &origin), &key, options);
    let gateway = Gateway::with_all([
        protected("/shared/*", "auth.issuer = \"me\"\nauth.audience = \"us\""),
        protected("/private/*", "share.mode = \"private\"\nauth.issuer = \"me\"\nauth.audience = \"us\""),
        protected("/proxied/*", "kind = \"proxy\"\nauth.issuer = \"me\"\nauth.audience = \"us\""),
    ])
    .await;
    let good = json!({ "iss": "me", "aud": "us", "sub": "a", "exp": now() + 600 });
    let whole = token(&good);
    let (unsigned, signature) = whole.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    let header = |header: serde_json::Value| token_with(&header, &good, SECRET);
    let wrong = [
        format!("{unsigned}.{first}{}", signature.get(1..).unwrap()),
        format!("{unsigned}.{}", signature.get(..signature.len() - 2).unwrap()),
        format!("{unsigned}."),
        unsigned.to_owned(),
        whole.replace('.', ""),
        token_with(&json!({ "alg": "HS256" }), &good, "another secret that nobody gave to anyone"),
        header(json!({ "alg": "none" })),
        header(json!({ "alg": "HS512" })),
        header(json!({ "alg": "RS256" })),
        header(json!({ "alg": "HS256", "crit": ["x"], "x": 1 })),
        token(&json!({ "iss": "you", "aud": "us", "exp": now() + 600 })),
        token(&json!({ "iss": "me", "aud": "them", "exp": now() + 600 })),
        token(&json!({ "iss": "me", "aud": "us", "exp": now() - 1 })),
        token(&json!({ "iss": "me", "aud": "us", "exp": now() + 600, "nbf": now() + 500 })),
        token(&json!({ "iss": "me", "aud": "us" })),
        token_of("alice", 600),
        "x".to_owned(),
        "a.b.c".to_owned(),
        "x".repeat(10_000),
    ];
    for path in WAYS {
        let mut seen = Vec::new();
        for wrong in &wrong {
            let client = Client::get(path).header("Authorization", bearer(wrong));
            let mut answer = client.connect(&gateway).await;
            let (status, fields) = (answer.status, lasting(&answer.headers));
            seen.push((status, fields, answer.text().await));
        }
        assert_eq!(seen[0].0, 401);
        for (other, wrong) in seen.iter().zip(&wrong) {
            assert_eq!(other, &seen[0], "{path} {wrong:.80}");
        }
    }
    assert_eq!(origin.requests().len(), 0);
}
