//! Origins to which only so many connections may be open at once.

use crate::client::Client;
use crate::gateway::{Gateway, Route, route};
use crate::origin::{Body, Origin, Speech, over};
use crate::stage::{answered, gap, joined, numbered, opened};
use tokio::task::JoinHandle;

fn limited(path: &str, origin: &Origin, most: usize) -> Route {
    route(path, origin).with(&format!("upstream.max_upstreams = {most}"))
}

/// A client whose stream waits for a connection. It is there as soon as its stream waits.
async fn waiting(path: &'static str, gateway: &Gateway) -> JoinHandle<crate::client::Response> {
    let target = gateway.target();
    let client = tokio::spawn(async move { Client::get(path).connect(target).await });
    gateway.log_line(&format!("stream={path}#")).await;
    client
}

/// The next request at the origin, which must be for this path and within the limit.
async fn next(path: &str, origin: &Origin, most: usize) -> Body {
    let exchange = origin.accept().await;
    assert_eq!(exchange.request.target, path);
    assert!(origin.open() <= most, "{} connections", origin.open());
    exchange.sse().await
}

#[tokio::test]
async fn streams_wait_in_order_and_are_held_meanwhile() {
    let origin = Origin::start();
    let gateway = Gateway::with(limited("/*", &origin, 2)).await;
    let (mut first, a) = opened(Client::get("/a"), &gateway, &origin).await;
    let (_second, b) = opened(Client::get("/b"), &gateway, &origin).await;
    // Each is held for a while before the next one comes, so their order is known.
    let mut late = Vec::new();
    for path in ["/c", "/d"] {
        late.push(joined(Client::get(path), &gateway).await);
    }
    let line = gateway.log_line("max_upstreams connections are open").await;
    assert!(line.contains("max_upstreams=2") && line.contains(&format!("origin={}", origin.url())), "{line}");
    // A stream whose response ended waits behind the others.
    a.cut().await;
    let c = next("/c", &origin, 2).await;
    c.cut().await;
    let d = next("/d", &origin, 2).await;
    b.cut().await;
    // The others ask again when the pauses before that are over, which are drawn by lot.
    let mut a = loop {
        let exchange = origin.accept().await;
        assert!(origin.open() <= 2, "{} connections", origin.open());
        match exchange.request.target.as_str() {
            "/a" => break exchange.sse().await,
            "/b" | "/c" => exchange.sse().await.cut().await,
            other => panic!("{other}"),
        }
    };
    a.event(&numbered(1)).await;
    assert_eq!(first.next_data().await, gap("upstream", None));
    assert_eq!(first.next_data().await, "1");
    d.cut().await;
    assert_ne!(origin.accept().await.request.target, "/a");
    assert_eq!(gateway.log().matches("max_upstreams connections are open").count(), 1);
}

#[tokio::test]
async fn a_stream_that_is_abandoned_leaves_the_queue() {
    let origin = Origin::start();
    let gateway = Gateway::with(limited("/*", &origin, 1).with("share.linger_secs = 0")).await;
    let (first, a) = opened(Client::get("/a"), &gateway, &origin).await;
    let abandoned = waiting("/b", &gateway).await;
    let late = waiting("/c", &gateway).await;
    abandoned.abort();
    gateway.log_line("stream closed route=/* stream=/b#").await;
    drop(first);
    a.gone().await;
    let mut c = next("/c", &origin, 1).await;
    c.event(&numbered(1)).await;
    assert_eq!(late.await.unwrap().next_data().await, "1");
    assert_eq!(origin.requests().len(), 2);
}

#[tokio::test]
async fn where_failures_are_reflected_a_client_is_told_that_it_waited_too_long() {
    let origin = Origin::start();
    let reflecting =
        limited("/a/*", &origin, 1).with("upstream.on_error = \"reflect\"\nupstream.head_timeout_secs = 0.3");
    let private = limited("/p/*", &origin, 1).with("share.mode = \"private\"\nupstream.on_error = \"reflect\"");
    let private = private.with("upstream.head_timeout_secs = 0.3");
    let gateway = Gateway::with_all([reflecting, private]).await;
    let (_first, _a) = opened(Client::get("/a/1"), &gateway, &origin).await;
    for path in ["/a/2", "/p/1"] {
        let mut refused = Client::get(path).connect(&gateway).await;
        assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")), "{path}");
        assert_eq!(refused.text().await.trim_end(), "too many connections to the origin", "{path}");
    }
    assert!(!gateway.log().contains("origin down"), "the origin was not asked, so it does not fail");
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn each_route_goes_by_its_own_number_and_all_connections_count() {
    let origin = Origin::start();
    let routes = [limited("/a/*", &origin, 1), limited("/b/*", &origin, 2), route("/free/*", &origin)];
    let gateway = Gateway::with_all(routes).await;
    let (_first, a) = opened(Client::get("/a/1"), &gateway, &origin).await;
    let _late = waiting("/a/2", &gateway).await;
    let (_second, b) = opened(Client::get("/b/1"), &gateway, &origin).await;
    let (_third, free) = opened(Client::get("/free/1"), &gateway, &origin).await;
    let _later = waiting("/b/2", &gateway).await;
    free.cut().await;
    // It goes by no number.
    let _free = next("/free/1", &origin, 3).await;
    a.cut().await;
    b.cut().await;
    // Only the routes that allow two connect beside it.
    let b = next("/b/2", &origin, 2).await;
    b.cut().await;
    // The pauses of both are drawn by lot.
    assert!(origin.accept().await.request.target.starts_with("/b/"));
    assert!(origin.open() <= 2, "{} connections", origin.open());
}

#[tokio::test]
async fn a_proxied_request_counts_and_is_answered_when_no_connection_may_be_made() {
    let origin = Origin::start();
    let proxy = route("/proxy/*", &origin).with("kind = \"proxy\"\nupstream.max_upstreams = 1");
    let proxy = proxy.with("upstream.connect_timeout_secs = 0.3");
    let gateway = Gateway::with_all([proxy, limited("/s", &origin, 1)]).await;
    let mut busy = crate::client::Connection::open(&gateway).await;
    busy.send("GET /proxy/1 HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let busy = (busy, origin.accept().await);
    let refused = Client::get("/proxy/2").connect(&gateway).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    let line = gateway.log_line("clients are refused reason=upstreams route=/proxy/*").await;
    assert!(line.contains("upstream.max_upstreams") && !gateway.log().contains("proxying failed"), "{line}");
    let soft = Client::get("/proxy/3").header("Accept", "text/event-stream");
    let mut soft = soft.connect(&gateway).await;
    assert_eq!((soft.status, soft.header("content-type")), (200, Some("text/event-stream")));
    let body = soft.text().await;
    assert!(body.starts_with(": too many connections to the origin\nretry: "), "{body:?}");
    let post = Client::method("POST", "/proxy/3").header("Accept", "text/event-stream");
    assert_eq!(post.connect(&gateway).await.status, 503, "it is no EventSource");
    let late = waiting("/s", &gateway).await;
    answered(busy).await;
    // The connection is kept for a while, and closed then.
    let mut body = next("/s", &origin, 1).await;
    body.event(&numbered(1)).await;
    assert_eq!(late.await.unwrap().next_data().await, "1");
}

#[tokio::test]
async fn a_proxied_request_that_waits_finds_the_kept_connection_of_another() {
    let origin = Origin::start();
    let proxy = route("/*", &origin).with("kind = \"proxy\"\nupstream.max_upstreams = 1");
    let gateway = Gateway::with(proxy.with("upstream.connect_timeout_secs = 60")).await;
    let requests: Vec<_> = (0..10)
        .map(|n| {
            let target = gateway.target();
            tokio::spawn(async move { Client::get(format!("/{n}")).connect(target).await.status })
        })
        .collect();
    for _ in 0..10 {
        origin.accept().await.reply(200, &[], "").await;
    }
    for request in requests {
        assert_eq!(request.await.unwrap(), 200);
    }
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn nothing_beside_an_open_response_waits_for_a_connection() {
    let origin = Origin::start();
    let gateway = Gateway::with(limited("/*", &origin, 1).with("upstream.idle_timeout_secs = 0.05")).await;
    let (mut client, mut body) = opened(Client::get("/").after("unknown"), &gateway, &origin).await;
    assert_eq!(client.next_event().await.kind, "gap");
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    // The response is quiet for a while. A successor would need a second connection.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let mut late = joined(Client::get("/").after("another"), &gateway).await;
    assert_eq!(late.next_event().await.kind, "gap");
    body.event(&numbered(2)).await;
    assert_eq!(client.next_data().await, "2");
    assert_eq!((origin.connections(), origin.requests().len()), (1, 1));
}

#[tokio::test]
async fn of_streams_that_share_connections_the_connections_count() {
    let origin = Origin::speaking(Speech::H2cAtMost(2));
    let shared = limited("/*", &origin, 1).with("upstream.multiplex = \"on\"\nshare.linger_secs = 0");
    let gateway = Gateway::with(shared).await;
    let (first, _a) = opened(Client::get("/a"), &gateway, &origin).await;
    let (mut second, mut b) = opened(Client::get("/b"), &gateway, &origin).await;
    let late = waiting("/c", &gateway).await;
    drop(first);
    let mut c = next("/c", &origin, 1).await;
    c.event(&numbered(1)).await;
    assert_eq!(late.await.unwrap().next_data().await, "1");
    b.event(&numbered(2)).await;
    assert_eq!(second.next_data().await, "2");
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn a_stream_that_nobody_is_on_gives_its_connection_to_one_that_waits() {
    let origin = Origin::start();
    let lasting = |path, most| limited(path, &origin, most).with("share.linger_secs = 3600");
    let gateway = Gateway::with_all([lasting("/a/*", 2), lasting("/b/*", 2)]).await;
    let (stays, kept) = opened(Client::get("/a/stays"), &gateway, &origin).await;
    let (leaves, left) = opened(Client::get("/a/leaves"), &gateway, &origin).await;
    drop(leaves);
    // The other route has the same origin.
    let (_third, _b) = opened(Client::get("/b/1"), &gateway, &origin).await;
    over(left.watch_gone()).await;
    drop(left);
    let _waits = waiting("/b/2", &gateway).await;
    drop(stays);
    over(kept.watch_gone()).await;
    drop(kept);
    let _b = next("/b/2", &origin, 2).await;
}
