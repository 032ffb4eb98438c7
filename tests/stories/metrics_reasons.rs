//! `/metrics`: the reasons that take more than one client to make happen. The others are in `metrics`.

use crate::admin_api::{act, only_stream};
use crate::client::{Client, End};
use crate::gateway::{Gateway, configuration, route};
use crate::metrics::{ADMIN, backfills, closes, gaps, phases, refusals, until};
use crate::origin::{Exchange, Origin, Port};
use crate::stage::{gap, joined, numbered, opened};
use crate::tokens::file;

#[tokio::test]
async fn a_client_that_skips_what_it_was_too_slow_for_has_a_gap() {
    let origin = Origin::start();
    let options = "client.on_lag = \"skip\"\nreplay.events = 4\nclient.stall_secs = 600";
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin).with(options)])).await;
    let (mut reads, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    let mut slow = joined(Client::get("/").small_receive_buffer(), &gateway).await;
    let newest = 400;
    for n in 1..=newest {
        body.event(&format!("id: {n}\ndata: {}\n\n", "x".repeat(32 << 10))).await;
        assert_eq!(reads.next_event().await.id, n.to_string());
    }
    let mut told = 0;
    loop {
        let event = slow.next_event().await;
        told += u32::from(event.kind == "gap");
        if event.id == newest.to_string() {
            break;
        }
    }
    assert!(told > 0);
    until(gateway.admin().await, &gaps("lag"), told.into()).await;
}

#[tokio::test]
async fn a_client_without_a_credential_is_counted() {
    let (origin, ring) = (Origin::start(), file(&format!("{} name\n", "ba".repeat(32))));
    let options = format!("auth.kind = \"key\"\nauth.keys_file = \"{}\"", ring.path().display());
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin).with(&options)])).await;
    assert_eq!(Client::get("/").connect(&gateway).await.status, 401);
    until(gateway.admin().await, &refusals("auth"), 1.0).await;
}

#[tokio::test]
async fn a_request_that_came_back_is_counted() {
    let here = Port::reserve().addr();
    let policy = "upstream.on_error = \"reflect\"";
    let config = configuration(ADMIN, [route("/*", format!("http://{here}").as_str()).with(policy)]);
    let gateway = Gateway::start(&config.replacen("127.0.0.1:0", &here.to_string(), 1)).await;
    assert_eq!(Client::get("/").connect(here).await.status, 508);
    until(gateway.admin().await, &refusals("loop"), 1.0).await;
}

/// The shared request and the request for an id, in this order.
async fn two_requests(origin: &Origin) -> [Exchange; 2] {
    let two = [origin.accept().await, origin.accept().await];
    let [one, other] = two;
    if one.request.headers.one("last-event-id").is_none() { [one, other] } else { [other, one] }
}

/// A gateway for an origin, on whose stream a client comes with the id 5.
async fn after_five(options: &str) -> (Gateway, Origin) {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin).with(options)])).await;
    (gateway, origin)
}

#[tokio::test]
async fn what_comes_of_backfills_is_told_apart() {
    let (gateway, origin) = after_five("").await;
    let (mut client, _bodies) = tokio::join!(Client::get("/").after(5).connect(&gateway), async {
        let [shared, asked] = two_requests(&origin).await;
        let (mut shared, mut asked) = (shared.sse().await, asked.sse().await);
        shared.event(&numbered(7)).await;
        asked.event(&format!("{}{}", numbered(6), numbered(7))).await;
        (shared, asked)
    });
    assert_eq!((client.next_data().await, client.next_data().await), ("6".to_owned(), "7".to_owned()));
    until(gateway.admin().await, &backfills("met"), 1.0).await;

    let (gateway, origin) = after_five("").await;
    let (client, _bodies) = tokio::join!(Client::get("/").after(5).connect(&gateway), async {
        let [shared, asked] = two_requests(&origin).await;
        let shared = shared.sse().await;
        asked.reply(404, &[], "").await;
        shared
    });
    assert_eq!(client.stream().next_data().await, gap("unknown", None));
    until(gateway.admin().await, &backfills("never"), 1.0).await;

    let (gateway, origin) = after_five("").await;
    let (client, _bodies) = tokio::join!(Client::get("/").after(5).connect(&gateway), async {
        let [shared, asked] = two_requests(&origin).await;
        let shared = shared.sse().await;
        asked.reply(401, &[], "").await;
        shared
    });
    assert_eq!(client.status, 401);
    until(gateway.admin().await, &backfills("refused"), 1.0).await;

    // The backfill brings more than the log holds.
    let (gateway, origin) = after_five("replay.events = 2").await;
    let (mut client, _bodies) = tokio::join!(Client::get("/").after(5).connect(&gateway), async {
        let [shared, asked] = two_requests(&origin).await;
        let (mut shared, mut asked) = (shared.sse().await, asked.sse().await);
        shared.event(&numbered(10)).await;
        asked.event(&(6..=10).map(numbered).collect::<String>()).await;
        (shared, asked)
    });
    assert!(client.next_data().await.starts_with("{\"reason\":\"evicted\""));
    until(gateway.admin().await, &backfills("short"), 1.0).await;
}

#[tokio::test]
async fn a_stream_is_counted_by_what_its_upstream_does() {
    let (gateway, origin) = after_five("upstream.backoff_min_ms = 600000\nupstream.backoff_max_ms = 600000").await;
    let admin = gateway.admin().await;
    let (mut client, body) = tokio::join!(Client::get("/").connect(&gateway), async {
        let asked = origin.accept().await;
        until(admin, &phases("connecting"), 1.0).await;
        asked.sse().await
    });
    until(admin, &phases("live"), 1.0).await;
    until(admin, &phases("connecting"), 0.0).await;
    body.cut().await;
    origin.kill().await;
    until(admin, &phases("waiting"), 1.0).await;
    until(admin, &phases("live"), 0.0).await;
    client = client.stream();
    drop(gateway);
    assert_ne!(client.ended().await, End::Orderly);
}

/// A stream that has lost its connection waits behind the others for another one. If none comes in time, its clients
/// are closed because of that limit.
#[tokio::test]
async fn a_client_whose_stream_gets_no_connection_any_more_is_closed_for_a_limit() {
    let origin = Origin::start();
    let options = "upstream.max_upstreams = 1\nupstream.on_error = \"reflect\"\nupstream.head_timeout_secs = 3";
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin).with(options)])).await;
    let (mut first, body) = opened(Client::get("/a"), &gateway, &origin).await;
    let target = gateway.target();
    let second = tokio::spawn(async move { Client::get("/b").connect(target).await });
    gateway.log_line("max_upstreams connections are open").await;
    body.end().await;
    let exchange = origin.accept().await;
    assert_eq!(exchange.request.target, "/b");
    let mut body = exchange.sse().await;
    let mut second = second.await.unwrap();
    assert_ne!(first.ended().await, End::Orderly);
    until(gateway.admin().await, &closes("limit"), 1.0).await;
    let line = gateway.log_line("client left").await;
    assert!(line.contains("stream=/a#") && line.contains("why=limit"), "{line}");
    assert!(!gateway.log().contains("origin down"), "the origin does not fail");
    body.event(&numbered(1)).await;
    assert_eq!(second.next_data().await, "1");
}

#[tokio::test]
async fn what_an_operator_ends_is_counted_as_closed() {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin)])).await;
    let admin = gateway.admin().await;
    for h2 in [false, true] {
        let client = || if h2 { Client::get("/a").h2() } else { Client::get("/a") };
        let (mut first, mut body) = opened(client(), &gateway, &origin).await;
        body.event(&numbered(1)).await;
        assert_eq!(first.next_event().await.id, "1");
        let id = only_stream(admin).await;
        let path = format!("/api/streams/{id}");
        let before = if h2 { 2.0 } else { 0.0 };
        let told = crate::admin_api::get(admin, &path, "StreamDetail").await;
        let client_id = told["subscribers"][0]["id"].as_str().unwrap();
        assert_eq!(act(admin, "DELETE", &format!("{path}/subscribers/{client_id}")).await.0, 202);
        first.complete().await;
        until(admin, &closes("closed"), before + 1.0).await;
        let mut second = joined(client(), &gateway).await;
        assert_eq!(act(admin, "POST", &format!("{path}/close")).await.0, 202);
        second.complete().await;
        body.gone().await;
        until(admin, &closes("closed"), before + 2.0).await;
        crate::admin_api::until(admin, "/api/streams", "Streams", |page| page["total"] == 0).await;
    }
    let lines = gateway.log_lines("client left", 4).await;
    assert!(lines.iter().all(|line| line.contains("why=closed detail=dismissed")), "{lines:?}");
    until(admin, &closes("drain"), 0.0).await;
}
