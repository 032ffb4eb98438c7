//! Private routes: a plain proxy with heartbeats and limits.

use crate::client::{Client, End};
use crate::gateway::{Gateway, Route, route};
use crate::origin::{Coding, Origin, Port};
use crate::stage::{asked, numbered, opened};

const SILENT: &str = "client.heartbeat_secs = \"off\"";

fn private(origin: &Origin) -> Route {
    route("/*", origin).with("share.mode = \"private\"")
}

#[tokio::test]
async fn each_client_has_an_upstream_of_its_own() {
    let origin = Origin::start();
    let gateway = Gateway::with(private(&origin)).await;
    let (mut one, mut body_one) = opened(Client::get("/"), &gateway, &origin).await;
    let (mut two, mut body_two) = opened(Client::get("/"), &gateway, &origin).await;
    body_one.event("data: one\n\n").await;
    body_two.event("data: two\n\n").await;
    assert_eq!(one.next_data().await, "one");
    assert_eq!(two.next_data().await, "two");
    assert_eq!(origin.requests().len(), 2);
}

#[tokio::test]
async fn what_a_client_says_reaches_the_origin_and_what_the_origin_says_the_client() {
    let origin = Origin::start();
    let gateway = Gateway::with(private(&origin)).await;
    let said = [
        ("Cookie", "session=1; other=2"),
        ("Origin", "https://page.example"),
        ("Authorization", "Bearer a"),
        ("Last-Event-ID", "7"),
        ("Accept", "text/event-stream"),
        ("X-Odd", "odd"),
    ];
    let answered = [
        ("Content-Type", "text/event-stream"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("Access-Control-Allow-Origin", "https://page.example"),
        ("Access-Control-Allow-Credentials", "true"),
        ("Vary", "Origin"),
        ("X-Theirs", "yes"),
    ];
    let client = said.iter().fold(Client::get("/a?b=c"), |client, (name, value)| client.header(name, value));
    let (client, _body) =
        tokio::join!(client.http11().header("Connection", "X-Hop").header("X-Hop", 1).connect(&gateway), async {
            origin.accept().await.head(200, &answered, Coding::Chunked).await
        });
    let request = origin.request(1).await;
    assert_eq!(request.target, "/a?b=c");
    for (name, value) in said {
        assert_eq!(request.headers.all(name), [value], "{name}");
    }
    assert_eq!(request.headers.all("x-hop"), [""; 0]);
    assert_eq!(request.headers.one("host"), Some(origin.addr().to_string().as_str()));
    let client = client.stream();
    assert_eq!(client.headers.all("set-cookie"), ["a=1", "b=2"]);
    for name in ["access-control-allow-origin", "access-control-allow-credentials", "vary", "x-theirs"] {
        assert_eq!(client.headers.all(name).len(), 1, "{name} of {:?}", client.headers);
    }
}

#[tokio::test]
async fn bytes_pass_unchanged() {
    let origin = Origin::start();
    let gateway = Gateway::with(private(&origin).with(SILENT)).await;
    let bytes = b"\xef\xbb\xbf: a comment\r\n\rid: 1\rodd\ndata:\xff\xfe\x00\n\n\n\nretry: 5\n\ndata: no end";
    for client in [Client::get("/"), Client::get("/").http10(), Client::get("/").h2()] {
        let (mut client, mut body) = opened(client, &gateway, &origin).await;
        for piece in bytes.chunks(7) {
            body.raw(piece).await;
        }
        body.end().await;
        assert_eq!(client.ended().await, End::Orderly);
        assert_eq!(client.bytes, bytes, "{:?}", String::from_utf8_lossy(&client.bytes));
    }
}

#[tokio::test]
async fn an_end_is_an_end_and_a_break_is_a_break() {
    let origin = Origin::start();
    let gateway = Gateway::with(private(&origin)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    body.end().await;
    assert_eq!(client.ended().await, End::Orderly);
    let (mut client, body) = opened(Client::get("/"), &gateway, &origin).await;
    body.abort();
    client.ended().await;
    assert_eq!(origin.requests().len(), 2, "nothing is asked for again");
}

#[tokio::test]
async fn refusals_and_failures_are_reflected() {
    let (origin, nobody) = (Origin::start(), Port::reserve());
    let gone = route("/nobody", &nobody).with("share.mode = \"private\"\nname = \"nobody\"");
    let gateway = Gateway::with_all([private(&origin), gone]).await;
    for status in [401, 404, 500, 503] {
        let headers = [("Set-Cookie", "a=1"), ("Content-Type", "text/plain")];
        let mut client =
            asked(Client::get("/"), &gateway, &origin, async |ask| ask.reply(status, &headers, "no").await).await;
        assert_eq!((client.status, client.text().await.as_str()), (status, "no"));
        assert_eq!(client.header("set-cookie"), Some("a=1"));
    }
    let no_more = asked(Client::get("/"), &gateway, &origin, async |ask| {
        ask.head(204, &[], Coding::Bare).await.end().await;
    });
    assert_eq!(no_more.await.status, 204);
    assert_eq!(Client::get("/nobody").connect(&gateway).await.status, 502);
}

#[tokio::test]
async fn heartbeats_come_between_events_and_never_within_one() {
    let origin = Origin::start();
    let gateway = Gateway::with(private(&origin).with("client.heartbeat_secs = 0.01")).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    for _ in 0..3 {
        client.next_comment().await;
    }
    body.raw("id: 1\nda").await;
    client.until("da").await;
    body.raw("ta: one\n\n").await;
    assert_eq!(client.next_data().await, "one");
    client.next_comment().await;
    let text = String::from_utf8(client.bytes.clone()).unwrap();
    assert!(text.contains("id: 1\ndata: one\n\n"), "{text:?}");
}

#[tokio::test]
async fn a_preflight_is_the_origins_to_answer() {
    let origin = Origin::start();
    let gateway = Gateway::with(private(&origin)).await;
    let preflight = Client::method("OPTIONS", "/a?b=c")
        .header("Origin", "https://page.example")
        .header("Access-Control-Request-Method", "GET")
        .header("Access-Control-Request-Headers", "last-event-id");
    let answer = asked(preflight, &gateway, &origin, async |ask| {
        assert_eq!((ask.request.method.as_str(), ask.request.target.as_str()), ("OPTIONS", "/a?b=c"));
        assert_eq!(ask.request.headers.one("access-control-request-headers"), Some("last-event-id"));
        ask.reply(200, &[("Access-Control-Allow-Headers", "last-event-id")], "").await;
    })
    .await;
    assert_eq!((answer.status, answer.header("access-control-allow-headers")), (200, Some("last-event-id")));
}

#[tokio::test]
async fn whatever_the_origin_answers_is_the_clients_answer() {
    let origin = Origin::start();
    let gateway = Gateway::with(private(&origin)).await;
    for status in [204, 205, 210, 299, 303, 404, 410, 503] {
        let answer = asked(Client::get("/"), &gateway, &origin, async |ask| ask.reply(status, &[], "").await).await;
        assert_eq!(answer.status, status);
    }
}

#[tokio::test]
async fn what_is_no_stream_passes_as_it_is() {
    let origin = Origin::start();
    let gateway = Gateway::with(private(&origin)).await;
    let page = asked(Client::get("/"), &gateway, &origin, async |ask| {
        ask.reply(200, &[("Content-Type", "text/html"), ("Set-Cookie", "a=1")], "<p>hello").await;
    });
    let mut page = page.await;
    assert_eq!(
        (page.status, page.header("content-type"), page.header("set-cookie")),
        (200, Some("text/html"), Some("a=1"))
    );
    assert_eq!(page.text().await, "<p>hello");
    let nothing = asked(Client::get("/"), &gateway, &origin, async |ask| {
        ask.reply(204, &[("Set-Cookie", "a=; Max-Age=0")], "").await;
    });
    let nothing = nothing.await;
    assert_eq!((nothing.status, nothing.header("set-cookie")), (204, Some("a=; Max-Age=0")));
}

#[tokio::test]
async fn a_redirect_shows_the_path_at_which_clients_find_its_target() {
    let origin = Origin::start();
    let stripped = route("/stripped/*", &origin).with("share.mode = \"private\"\nstrip_prefix = \"/stripped\"");
    let gateway = Gateway::with_all([private(&origin), stripped]).await;
    let there = format!("{}/there/x", origin.url());
    for (path, shown) in [("/a", "/there/x"), ("/stripped/a", "/stripped/there/x")] {
        let headers = [("Location", there.as_str()), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=1")];
        let answer = asked(Client::get(path), &gateway, &origin, async |ask| ask.reply(302, &headers, "").await).await;
        assert_eq!((answer.status, answer.header("location")), (302, Some(shown)), "{path}");
        assert_eq!(answer.headers.all("set-cookie"), ["a=1", "b=1"], "{path}");
    }
}

#[tokio::test]
async fn a_redirect_is_the_clients_to_follow() {
    let origin = Origin::start();
    let gateway = Gateway::with(private(&origin)).await;
    let absolute = format!("{}/there", origin.url());
    let ask = |cross| if cross { Client::get("/").header("Origin", "https://page.example") } else { Client::get("/") };
    for (location, shown) in [("/there", "/there"), (&absolute, "/there"), ("y?z", "y?z"), ("http://a/b", "http://a/b")]
    {
        for cross in [false, true] {
            let headers = [("Location", location)];
            let answer = asked(ask(cross), &gateway, &origin, async |ask| ask.reply(307, &headers, "there").await);
            let mut answer = answer.await;
            assert_eq!((answer.status, answer.header("location")), (307, Some(shown)), "{cross} {location}");
            assert_eq!(answer.text().await, "there");
        }
    }
    assert_eq!(origin.requests().len(), 8);
}

#[tokio::test]
async fn a_head_that_comes_with_the_first_event_is_waited_for() {
    let origin = Origin::start();
    let lazy = "share.mode = \"private\"\nupstream.head_timeout_secs = 0.05";
    let gateway = Gateway::with(route("/*", &origin).with(lazy)).await;
    let (mut client, mut body) = tokio::join!(Client::get("/").connect(&gateway), async {
        let exchange = origin.accept().await;
        // Many times the head timeout.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let mut body = exchange.sse().await;
        body.event(&numbered(1)).await;
        body
    });
    assert_eq!(client.status, 200);
    client = client.stream();
    assert_eq!(client.next_data().await, "1");
    body.event(&numbered(2)).await;
    assert_eq!(client.next_data().await, "2");
}
