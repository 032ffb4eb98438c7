//! Which clients share a stream, and which parts of a request reach the origin.

use crate::client::Client;
use crate::gateway::{Gateway, route};
use crate::origin::{Coding, Origin};
use crate::stage::{asked, joined, opened};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_simultaneous_first_clients_make_one_upstream_connection() {
    const CLIENTS: usize = 200;
    let origin = Origin::start();
    let gateway = Gateway::with(route("/ticks/*", &origin)).await;
    let mut clients: JoinSet<_> = (0..CLIENTS).map(|_| Client::get("/ticks/a").connect(gateway.target())).collect();
    let mut body = origin.stream().await;
    let mut all = Vec::new();
    while let Some(client) = clients.join_next().await {
        all.push(client.unwrap().stream());
    }
    body.event("data: one\n\n").await;
    for client in &mut all {
        assert_eq!(client.next_data().await, "one");
    }
    assert_eq!((origin.connections(), origin.requests().len()), (1, 1));
}

#[tokio::test]
async fn different_credentials_never_share() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let credentials = [
        ("Authorization", "Bearer a"),
        ("Authorization", "Bearer b"),
        ("X-Api-Key", "Bearer a"),
        ("Api-Key", "Bearer a"),
        ("Cookie", "session=a"),
        ("Cookie", "session=b"),
        ("X-None", ""),
    ];
    let mut streams = Vec::new();
    for (name, value) in credentials {
        let (client, body) = opened(Client::get("/").header(name, value), &gateway, &origin).await;
        let request = origin.requests().last().unwrap().clone();
        assert_eq!(request.headers.one(name), (name != "X-None").then_some(value), "{request:?}");
        let no_store = client.header("cache-control").unwrap().contains("no-store");
        assert_eq!(no_store, name != "X-None", "{:?}", client.headers);
        let again = joined(Client::get("/").header(name, value), &gateway).await;
        streams.push((client, again, body));
    }
    assert_eq!(origin.requests().len(), credentials.len());
    for (n, (_, _, body)) in streams.iter_mut().enumerate() {
        body.event(&format!("data: for {n}\n\n")).await;
    }
    for (n, (client, again, body)) in streams.into_iter().enumerate() {
        for mut client in [client, again] {
            assert_eq!(client.next_data().await, format!("for {n}"));
            assert_eq!(client.unread_events(), []);
        }
        drop(body);
    }
}

#[tokio::test]
async fn who_bears_an_empty_credential_shares_no_private_response() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("share.cookies = [\"session\"]")).await;
    // Each stream is ended. A stream that lost its origin would ask again, and take the place of the next request.
    let mut opened = Vec::new();
    for (name, value) in [("Authorization", ""), ("Authorization", "Bearer"), ("Cookie", "session=; theme=dark")] {
        for n in 0..2 {
            let ask = Client::get("/").header(name, value);
            let (client, mut body) = tokio::join!(ask.connect(&gateway), async {
                let headers = [("Content-Type", "text/event-stream"), ("Cache-Control", "private")];
                origin.accept().await.head(200, &headers, Coding::Chunked).await
            });
            let mut client = client.stream();
            body.event(&format!("data: of {n}\n\n")).await;
            assert_eq!(client.next_data().await, format!("of {n}"), "{name}: {value}");
            opened.push((client, body));
        }
    }
}

#[tokio::test]
async fn nothing_of_a_request_outside_the_key_reaches_the_origin() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("share.credentials = \"share\"")).await;
    let usual = [
        "Accept",
        "Accept-Encoding",
        "Accept-Language",
        "Authorization",
        "Cookie",
        "DNT",
        "Forwarded",
        "From",
        "Origin",
        "If-None-Match",
        "If-Modified-Since",
        "Pragma",
        "Range",
        "Referer",
        "Sec-Fetch-Mode",
        "User-Agent",
        "Via",
        "X-Api-Key",
        "Api-Key",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Real-IP",
        "Traceparent",
    ];
    // HTTP/2 allows no other value of TE.
    let mut odd = Client::get("/a").header("Host", "odd.example").header("TE", "trailers");
    for name in usual {
        odd = odd.header(name, "odd-value");
    }
    for n in 0..100 {
        odd = odd.header(&format!("X-Odd-{n}"), format!("odd-value-{n}"));
    }
    let (first, mut body) = opened(odd, &gateway, &origin).await;
    let second = joined(Client::get("/a"), &gateway).await;
    body.event("data: x\n\n").await;
    for mut client in [first, second] {
        assert_eq!(client.next_data().await, "x");
    }
    let request = origin.request(1).await;
    assert_eq!(origin.requests().len(), 1);
    assert!(!format!("{request:?}").contains("odd"), "{request:?}");
    let names = request.headers.names();
    let own = ["accept", "accept-encoding", "cache-control", "connection", "host", "user-agent", "via"];
    assert!(names.iter().all(|name| own.contains(&name.as_str())), "{names:?}");
    assert_eq!(request.headers.one("host"), Some(origin.addr().to_string().as_str()));
    assert_eq!(request.headers.one("accept-encoding"), Some("identity"));
    assert_eq!(request.headers.one("accept"), Some("text/event-stream"));
    assert!(request.headers.one("user-agent").unwrap().starts_with("manifold"), "{request:?}");
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/a"));
}

#[tokio::test]
async fn a_route_that_shares_sends_its_own_credentials() {
    let origin = Origin::start();
    let own = "share.credentials = \"share\"\nupstream.headers = { authorization = \"Bearer manifold\" }";
    let gateway = Gateway::with(route("/*", &origin).with(own)).await;
    let (_first, _body) = opened(Client::get("/").header("Authorization", "Bearer a"), &gateway, &origin).await;
    let second = joined(Client::get("/").header("Authorization", "Bearer b"), &gateway).await;
    assert_eq!(origin.request(1).await.headers.all("authorization"), ["Bearer manifold"]);
    assert_eq!(second.header("cache-control"), Some("no-cache, no-transform"));
}

#[tokio::test]
async fn the_query_makes_another_stream_as_the_route_says() {
    for (query, targets) in [
        ("\"all\"", vec!["/?a=1&b=2", "/?a=1&b=3", "/?a=2&b=2", "/"]),
        ("\"none\"", vec!["/"]),
        ("[\"a\"]", vec!["/?a=1", "/?a=2", "/"]),
    ] {
        let origin = Origin::start();
        let gateway = Gateway::with(route("/*", &origin).with(&format!("share.query = {query}"))).await;
        let asked = ["/?a=1&b=2", "/?a=1&b=3", "/?a=2&b=2", "/"];
        let mut clients = Vec::new();
        let serve = async {
            let mut bodies = Vec::new();
            for _ in &targets {
                bodies.push(origin.stream().await);
            }
            bodies
        };
        let ask = async {
            for target in asked {
                clients.push(joined(Client::get(target), &gateway).await);
            }
        };
        let (_bodies, ()) = tokio::join!(serve, ask);
        let seen: Vec<_> = origin.requests().iter().map(|request| request.target.clone()).collect();
        assert_eq!(seen, targets, "query = {query}");
    }
}

#[tokio::test]
async fn named_headers_and_cookies_make_another_stream_and_no_others_do() {
    let origin = Origin::start();
    let named = "share.headers = [\"accept-language\"]\nshare.cookies = [\"session\"]";
    let gateway = Gateway::with(route("/*", &origin).with(named)).await;
    let ask =
        |language: &str, cookie: &str| Client::get("/").header("Accept-Language", language).header("Cookie", cookie);
    let (_a, _body_a) = opened(ask("de", "session=1; analytics=1"), &gateway, &origin).await;
    let _same = joined(ask("de", "analytics=2; session=1"), &gateway).await;
    let (_b, _body_b) = opened(ask("en", "session=1"), &gateway, &origin).await;
    let (_c, _body_c) = opened(ask("de", "session=2"), &gateway, &origin).await;
    let forwarded: Vec<_> = origin
        .requests()
        .iter()
        .map(|request| {
            (
                request.headers.one("accept-language").unwrap().to_owned(),
                request.headers.one("cookie").unwrap().to_owned(),
            )
        })
        .collect();
    let expected = [("de", "session=1"), ("en", "session=1"), ("de", "session=2")];
    assert_eq!(forwarded, expected.map(|(language, cookie)| (language.to_owned(), cookie.to_owned())));
}

#[tokio::test]
async fn an_answer_for_one_person_is_not_shared() {
    for (name, value, said) in [
        ("Cache-Control", "max-age=0, private", "private"),
        ("Set-Cookie", "a=b", "cookie"),
        ("Vary", "Cookie", "Vary"),
    ] {
        let origin = Origin::start();
        let share = "share.credentials = \"share\"";
        let trusting = format!("name = \"trusting\"\n{share}\nshare.trust_origin = true");
        let routes = [route("/*", &origin).with(share), route("/trusting", &origin).with(&trusting)];
        let gateway = Gateway::with_all(routes).await;
        let headers = [("Content-Type", "text/event-stream"), (name, value)];
        let chunked = Coding::Chunked;
        let refused =
            asked(Client::get("/"), &gateway, &origin, async |ask| drop(ask.head(200, &headers, chunked).await)).await;
        assert_eq!(refused.status, 502, "{name}: {value}");
        gateway.log_line(said).await;
        let (trusted, body) = tokio::join!(Client::get("/trusting").connect(&gateway), async {
            origin.accept().await.head(200, &headers, chunked).await
        });
        assert_eq!(trusted.stream().headers.all("set-cookie"), [""; 0]);
        drop(body);
    }
}

#[tokio::test]
async fn a_route_opens_no_more_streams_than_it_may() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("share.max_streams = 2")).await;
    let (_a, _body_a) = opened(Client::get("/?a"), &gateway, &origin).await;
    let (_b, _body_b) = opened(Client::get("/?b"), &gateway, &origin).await;
    assert_eq!(Client::get("/?c").connect(&gateway).await.status, 503);
    let _shared = joined(Client::get("/?b"), &gateway).await;
    assert_eq!(origin.requests().len(), 2);
}

#[tokio::test]
async fn a_stream_outlives_its_last_client_for_as_long_as_the_route_says() {
    let origin = Origin::start();
    let routes = [
        route("/lingers", &origin).with("share.linger_secs = 600\nreplay.start = \"all\""),
        route("/goes", &origin).with("share.linger_secs = 0.01"),
    ];
    let gateway = Gateway::with_all(routes).await;
    let (first, mut body) = opened(Client::get("/lingers"), &gateway, &origin).await;
    drop(first);
    gateway.log_line("client left").await;
    body.event("id: 1\ndata: kept\n\n").await;
    let mut second = joined(Client::get("/lingers"), &gateway).await;
    assert_eq!(second.next_data().await, "kept");
    assert_eq!(origin.connections(), 1);

    let (client, body) = opened(Client::get("/goes"), &gateway, &origin).await;
    drop(client);
    body.gone().await;
}

#[tokio::test]
async fn the_longest_path_of_the_right_host_wins() {
    let (site, ticks, exact, other) = (Origin::start(), Origin::start(), Origin::start(), Origin::start());
    let routes = [
        route("/*", &site).with("name = \"site\""),
        route("/ticks/*", &ticks).with("strip_prefix = \"/ticks\""),
        route("/ticks/one", &exact),
        route("/*", &other).with("name = \"other\"\nhost = \"other.example\""),
    ];
    let gateway = Gateway::with_all(routes).await;
    // The bodies are kept, so that no stream asks again.
    let mut bodies = Vec::new();
    for (target, host, origin, seen) in [
        ("/a", "a.example", &site, "/a"),
        ("/ticks", "a.example", &site, "/ticks"),
        ("/ticks/two?x", "a.example", &ticks, "/two?x"),
        ("/ticks/one", "a.example", &exact, "/ticks/one"),
        ("/a", "OTHER.example:8080", &other, "/a"),
    ] {
        let (_client, body) = opened(Client::get(target).header("Host", host), &gateway, origin).await;
        assert_eq!(origin.requests().last().unwrap().target, seen);
        bodies.push(body);
    }
}
