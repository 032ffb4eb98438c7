//! A private route is a plain proxy: what a client asks reaches the origin as it is, and so does the answer the client.

use crate::client::{Client, End};
use crate::gateway::{Gateway, Route, configuration, route};
use crate::http1::Framing;
use crate::origin::{Coding, Origin, Request};
use crate::stage::{asked, joined, opened, seen};
use std::sync::Arc;

const SILENT: &str = "client.heartbeat_secs = \"off\"";

/// Fields of a request that manifold and its HTTP library add.
const ADDED: [&str; 7] =
    ["accept-encoding", "connection", "host", "via", "x-forwarded-for", "x-forwarded-host", "x-request-id"];

fn private(origin: &Origin) -> Route {
    route("/*", origin).with("share.mode = \"private\"")
}

fn saying<'a>(client: Client<'a>, fields: &[(&str, &str)]) -> Client<'a> {
    fields.iter().fold(client, |client, (name, value)| client.header(name, value))
}

#[tokio::test]
async fn every_field_for_the_origin_reaches_it_and_no_other_is_added() {
    let origin = Origin::start();
    let gateway = Gateway::with(private(&origin)).await;
    let fields = [
        ("Accept", "application/json;q=0.5, text/event-stream"),
        ("Accept-Language", "de, en;q=0.5"),
        ("Authorization", "Bearer a"),
        ("Cache-Control", "max-age=0"),
        ("Content-Type", "application/json"),
        ("Cookie", "a=1;b=2"),
        ("If-Match", "\"1\""),
        ("If-Modified-Since", "Sat, 29 Oct 1994 19:43:31 GMT"),
        ("If-None-Match", "W/\"1\", \"2\""),
        ("If-Range", "\"1\""),
        ("Last-Event-ID", "7"),
        ("Mcp-Session-Id", "x"),
        ("Origin", "https://page.example"),
        ("Pragma", "no-cache"),
        ("Priority", "u=1"),
        ("Range", "bytes=0-99"),
        ("Referer", "https://page.example/a"),
        ("Sec-Fetch-Mode", "cors"),
        ("Traceparent", "00-1-2-00"),
        ("User-Agent", "someone/1"),
        ("Want-Content-Digest", "sha-256=1"),
        ("X-Empty", ""),
        ("X-Odd", "1"),
        ("X-Odd", "2"),
        ("X-Request-Id", "y"),
    ];
    for client in [Client::get("/a"), Client::get("/a").http10(), Client::get("/a").h2()] {
        let request = seen(saying(client, &fields), &gateway, &origin).await;
        for (name, _) in fields {
            let said: Vec<_> = fields.iter().filter(|(other, _)| *other == name).map(|(_, value)| *value).collect();
            assert_eq!(request.headers.all(name), said, "{name}");
        }
        assert_eq!(request.headers.one("accept-encoding"), Some("identity"));
        assert_eq!(request.headers.one("host"), Some(origin.addr().to_string().as_str()));
    }
    for client in [Client::get("/a"), Client::get("/a").h2()] {
        let client = client.header("Accept-Encoding", "gzip, br").header("Via", "1.0 before");
        let request = seen(client, &gateway, &origin).await;
        assert!(request.headers.one("via").unwrap().starts_with("1.0 before, 1.1 manifold-"), "{request:?}");
        let mut names = request.headers.names();
        names.retain(|name| !ADDED.contains(&name.as_str()) && name != "x-forwarded-proto");
        assert!(names.is_empty(), "{names:?}");
        assert_eq!(request.headers.all("accept-encoding"), ["identity"]);
    }
}

#[tokio::test]
async fn what_is_of_one_connection_stays_behind_on_both_sides() {
    let origin = Origin::start();
    let gateway = Gateway::with(private(&origin)).await;
    let hops = [
        ("Connection", "X-Hop, x-other"),
        ("X-Hop", "1"),
        ("X-Other", "2"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("Proxy-Authorization", "Basic a"),
        ("Proxy-Authenticate", "Basic"),
        ("TE", "trailers"),
        ("Trailer", "X-T"),
        ("X-Stays", "1"),
    ];
    let client =
        saying(Client::get("/").http11(), &hops).header("Expect", "100-continue").header("HTTP2-Settings", "AA");
    let answer = asked(client, &gateway, &origin, async |ask| {
        ask.reply(200, &hops, "whole").await;
    });
    let mut answer = answer.await;
    assert_eq!(answer.text().await, "whole");
    let request = origin.request(1).await;
    for (name, _) in hops.iter().filter(|(name, _)| !["Connection", "X-Stays"].contains(name)) {
        assert_eq!((request.headers.one(name), answer.header(name)), (None, None), "{name}");
    }
    assert_eq!((request.headers.one("expect"), request.headers.one("http2-settings")), (None, None));
    assert_eq!((request.headers.one("x-stays"), answer.header("x-stays")), (Some("1"), Some("1")));
    // A client cannot remove the fields that manifold sets.
    let client = Client::get("/").http11().header("Connection", "X-Forwarded-For, Host, X-Forwarded-Proto");
    let request = seen(client, &gateway, &origin).await;
    for name in ["x-forwarded-for", "host", "x-forwarded-proto"] {
        assert_eq!(request.headers.all(name).len(), 1, "{name}");
    }
}

#[tokio::test]
async fn crumbs_of_a_cookie_are_joined() {
    let origin = Origin::start();
    let gateway = Gateway::with(private(&origin)).await;
    let client = Client::get("/").header("Cookie", "a=1").header("Cookie", "b=2;c=3").header("Cookie", "d").h2();
    assert_eq!(seen(client, &gateway, &origin).await.headers.all("cookie"), ["a=1; b=2;c=3; d"]);
}

#[tokio::test]
async fn the_routes_own_fields_stand_in_place_of_the_clients() {
    let origin = Origin::start();
    let own = "upstream.headers = { authorization = \"Basic ours\", user-agent = \"ours\" }\npreserve_host = true";
    let gateway = Gateway::with(private(&origin).with(own)).await;
    for client in [Client::get("/"), Client::get("/").h2()] {
        let client = client.header("Authorization", "Bearer theirs").header("User-Agent", "theirs");
        let request = seen(client.header("Host", "site.example:81"), &gateway, &origin).await;
        for (name, value) in [("authorization", "Basic ours"), ("user-agent", "ours"), ("host", "site.example:81")] {
            assert_eq!(request.headers.all(name), [value]);
        }
    }
}

#[tokio::test]
async fn the_query_passes_as_it_came() {
    let origin = Origin::start();
    let defaults = "[defaults.share]\nquery = \"none\"\ncredentials = \"share\"\n";
    let gateway = Gateway::start(&(configuration("", [private(&origin)]) + defaults)).await;
    for target in ["/a?b=c&&d=%2F+x&lastEventId=7", "/a?", "/a", "/a?last-event-id="] {
        let request = seen(Client::get(target).header("Cookie", "a=1"), &gateway, &origin).await;
        assert_eq!((request.target.as_str(), request.headers.one("cookie")), (target, Some("a=1")));
    }
    // An origin that reads the header alone is told of the id as well.
    let told = |request: Arc<Request>| request.headers.all("last-event-id").join("|");
    assert_eq!(told(seen(Client::get("/?lastEventID=7"), &gateway, &origin).await), "7");
    assert_eq!(told(seen(Client::get("/?lastEventID=7").after(8), &gateway, &origin).await), "8");
}

#[tokio::test]
async fn parts_conditions_and_refusals_are_answered_by_the_origin() {
    let origin = Origin::start();
    for heartbeat in ["", SILENT] {
        let gateway = Gateway::with(private(&origin).with(heartbeat)).await;
        let part = ("Content-Range", "bytes 0-1/9");
        for (status, headers, body) in [
            (206, vec![part, ("Content-Type", "text/event-stream"), ("ETag", "\"1\"")], "da"),
            (304, vec![("ETag", "\"1\""), ("Cache-Control", "max-age=60"), ("Vary", "Accept")], ""),
            (416, vec![("Content-Range", "bytes */9"), ("Accept-Ranges", "bytes")], "no"),
            (200, vec![("Content-Type", "application/pdf"), ("ETag", "W/\"1\""), ("Content-Encoding", "gzip")], "pdf"),
            (401, vec![("WWW-Authenticate", "Bearer"), ("Cache-Control", "private"), ("X-Why", "a")], "who?"),
            (201, vec![("Content-Location", "/a/1"), ("Content-Digest", "sha-256=:x:")], "made"),
            (429, vec![("Retry-After", "3"), ("RateLimit", "limit=1")], "later"),
            (599, vec![("X-Odd", "1"), ("X-Odd", "2")], "odd"),
        ] {
            let client = || Client::get("/a").header("Range", "bytes=0-1").header("If-None-Match", "\"1\"");
            for client in [client(), client().http10(), client().h2()] {
                let answer = asked(client, &gateway, &origin, async |ask| match status {
                    304 => ask.head(status, &headers, Coding::Bare).await.end().await,
                    _ => ask.reply(status, &headers, body).await,
                });
                let mut answer = answer.await;
                assert_eq!((answer.status, answer.ended().await), (status, End::Orderly));
                assert_eq!(answer.bytes, body.as_bytes(), "{status}");
                for (name, _) in &headers {
                    let said: Vec<_> = headers.iter().filter(|(other, _)| other == name).map(|(_, v)| *v).collect();
                    assert_eq!(answer.headers.all(name), said, "{name} of {status}");
                }
                let known = ["connection", "content-length", "date"];
                let added = |name: &String| !headers.iter().any(|(said, _)| said.eq_ignore_ascii_case(name));
                let mut names = answer.headers.names();
                names.retain(|name| !known.contains(&name.as_str()) && added(name));
                assert!(names.is_empty(), "{status}: {names:?}");
                let length = (status != 304).then(|| body.len().to_string());
                assert_eq!(answer.header("content-length"), length.as_deref(), "{status}");
            }
        }
    }
}

#[tokio::test]
async fn an_answer_of_any_status_passes_as_it_comes_and_to_its_end() {
    const PIECE: usize = 256 << 10;
    let origin = Origin::start();
    let gateway = Gateway::with(private(&origin)).await;
    for status in [200, 403, 500] {
        for coding in [Coding::Chunked, Coding::Length(3 * PIECE), Coding::UntilClose] {
            let (mut client, mut body) = tokio::join!(Client::get("/").connect(&gateway), async {
                origin.accept().await.head(status, &[("Content-Type", "text/plain")], coding).await
            });
            assert_eq!(client.status, status);
            for n in 1..=3 {
                body.raw(format!("{n}").repeat(PIECE)).await;
                client.until(&format!("{n}").repeat(PIECE)).await;
            }
            body.end().await;
            client.complete().await;
            assert_eq!(client.bytes.len(), 3 * PIECE);
        }
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    let origin = Origin::start();
    let gateway = Gateway::with(private(&origin)).await;
    for status in [200, 404] {
        for coding in [Coding::Chunked, Coding::Length(9)] {
            for client in [Client::get("/"), Client::get("/").http10(), Client::get("/").h2()] {
                let (mut client, mut body) = tokio::join!(client.connect(&gateway), async {
                    origin.accept().await.head(status, &[("Content-Type", "text/plain")], coding).await
                });
                body.raw("some").await;
                client.until("some").await;
                body.cut().await;
                assert_ne!(client.ended().await, End::Orderly, "{status} {coding:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_connection_goes_on_after_an_answer() {
    let origin = Origin::start();
    let gateway = Gateway::with(private(&origin)).await;
    let kept = |path: &str, is_http10: bool| {
        let client = Client::get(path).http11().header("Connection", "keep-alive");
        if is_http10 { client.http10() } else { client }
    };
    for is_http10 in [false, true] {
        let answer = asked(kept("/0", is_http10), &gateway, &origin, async |ask| ask.reply(404, &[], "no").await);
        let mut answer = answer.await;
        assert_eq!((answer.framing, answer.header("connection")), (Some(Framing::Length(2)), Some("keep-alive")));
        for status in [304, 200, 500] {
            answer.complete().await;
            let connection = answer.into_connection();
            (answer, ()) = tokio::join!(kept("/1", is_http10).on(connection), async {
                let ask = origin.accept().await;
                if status == 304 {
                    ask.head(304, &[], Coding::Bare).await.end().await;
                } else {
                    ask.reply(status, &[], "more").await;
                }
            });
            assert_eq!(answer.status, status);
        }
    }
}

/// Fields about the bytes of a body pass only if manifold adds no bytes to the body.
#[tokio::test]
async fn the_head_of_a_stream_passes_as_it_is_where_not_one_byte_is_added() {
    let origin = Origin::start();
    let fields = [
        ("Content-Type", "Text/Event-Stream;charset=\"UTF-8\"; x=y"),
        ("Cache-Control", "private, max-age=3"),
        ("ETag", "\"1\""),
        ("Last-Modified", "Sat, 29 Oct 1994 19:43:31 GMT"),
        ("Content-Language", "de"),
        ("X-Accel-Buffering", "yes"),
        ("X-Odd", "1"),
    ];
    const BODY: &str = "data: 1\n\n";
    let of_bytes = ["etag", "content-length"];
    for heartbeat in ["", SILENT] {
        let gateway = Gateway::with(private(&origin).with(heartbeat)).await;
        let answer = asked(Client::get("/"), &gateway, &origin, async |ask| ask.reply(200, &fields, BODY).await);
        let mut answer = answer.await;
        answer.complete().await;
        for (name, value) in fields.iter().filter(|(name, _)| heartbeat == SILENT || *name != "ETag") {
            assert_eq!(answer.headers.all(name), [*value], "{name}");
        }
        for name in of_bytes {
            assert_eq!(answer.header(name).is_some(), heartbeat == SILENT, "{name}");
        }
        let (text, first) =
            (String::from_utf8(answer.bytes.clone()).unwrap(), if heartbeat == SILENT { "" } else { ":\n" });
        assert_eq!(text, format!("{first}{BODY}"));
        // Fields that keep proxies from holding heartbeats back are added only if there are heartbeats, and only if the
        // origin did not send them.
        let (bare, _body) = opened(Client::get("/"), &gateway, &origin).await;
        let expected = if heartbeat == SILENT { (None, None) } else { (Some("no-cache, no-transform"), Some("no")) };
        assert_eq!((bare.header("cache-control"), bare.header("x-accel-buffering")), expected);
    }
}

/// The origin sees the host of the request, so the host is a part of a stream's key.
#[tokio::test]
async fn a_host_that_is_preserved_reaches_the_origin_and_makes_another_stream() {
    for mode in ["", "share.mode = \"private\""] {
        let origin = Origin::start();
        let gateway = Gateway::with(route("/*", &origin).with("preserve_host = true").with(mode)).await;
        for client in [Client::get("/"), Client::get("/").http10(), Client::get("/").h2()] {
            let of = |host: &'static str| client.clone().header("Host", host);
            let (_one, _body) = opened(of("one.example"), &gateway, &origin).await;
            assert_eq!(origin.requests().last().unwrap().headers.all("host"), ["one.example"]);
            let (_two, _body) = opened(of("two.example:81"), &gateway, &origin).await;
            assert_eq!(origin.requests().last().unwrap().headers.all("host"), ["two.example:81"]);
            if mode.is_empty() {
                let _one = joined(of("one.example"), &gateway).await;
                break;
            }
        }
        let asked = origin.requests().len();
        assert_eq!(asked, if mode.is_empty() { 2 } else { 6 });
    }
}
