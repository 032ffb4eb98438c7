//! What happens, as the API tells it while it happens.

use crate::admin_api::{ADMIN, asked, happening};
use crate::client::{Client, Response};
use crate::gateway::{Gateway, configuration, route};
use crate::guard::guarded;
use crate::origin::Origin;
use crate::stage::{answered, joined, numbered, opened, unanswered};
use rustix::process::Signal;
use serde_json::json;
use std::net::SocketAddr;

/// A reader that is there when this returns.
async fn reader(admin: SocketAddr) -> Response {
    let mut events = Client::get("/api/events?ticks=1").connect(admin).await.stream();
    assert_eq!(events.next_event().await.kind, "tick");
    events
}

#[tokio::test]
async fn gaps_and_refusals_are_told_with_their_reasons() {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration(ADMIN, [route("/a/*", &origin)])).await;
    let mut events = reader(gateway.admin().await).await;
    let (mut first, mut body) = opened(Client::get("/a/b"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    assert_eq!(first.next_event().await.id, "1");
    for _ in 0..2 {
        assert_eq!(joined(Client::get("/a/b").after("never"), &gateway).await.next_event().await.kind, "gap");
    }
    let mut told = 0;
    while told < 2 {
        let gaps = happening(&mut events, "gaps", "HappeningGaps").await;
        assert_eq!((&gaps["route"], &gaps["reason"]), (&json!("/a/*"), &json!("unknown")));
        told += gaps["count"].as_u64().unwrap();
    }
    assert_eq!(told, 2);
    assert_eq!(Client::get("/elsewhere").connect(&gateway).await.status, 404);
    let refusals = happening(&mut events, "refusals", "HappeningRefusals").await;
    assert_eq!((&refusals["reason"], &refusals["count"]), (&json!("route"), &json!(1)));
    assert_eq!(refusals["route"], json!(null), "no route refused");
    assert_eq!(Client::method("POST", "/a/b").connect(&gateway).await.status, 405);
    let refusals = happening(&mut events, "refusals", "HappeningRefusals").await;
    assert_eq!((&refusals["route"], &refusals["reason"]), (&json!("/a/*"), &json!("method")));
}

#[tokio::test]
async fn clients_that_are_ended_because_they_are_slow_are_told() {
    let origin = Origin::start();
    let options = "replay.events = 1\nclient.stall_secs = 600\nupstream.max_event_bytes = \"2MiB\"";
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin).with(options)])).await;
    let mut events = reader(gateway.admin().await).await;
    let (mut reads, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    let _slow = joined(Client::get("/").small_receive_buffer(), &gateway).await;
    let feeding = async {
        loop {
            body.event(&format!("data: {}\n\n", "x".repeat(1 << 20))).await;
            reads.next_event().await;
        }
    };
    let slow = tokio::select! {
        slow = happening(&mut events, "slow_clients", "HappeningSlow") => slow,
        never = guarded("a slow client", feeding) => never,
    };
    assert_eq!((&slow["route"], &slow["reason"], &slow["count"]), (&json!("/*"), &json!("lag"), &json!(1)));
}

#[tokio::test]
async fn a_drain_is_told_to_who_reads_on() {
    let (origin, proxied) = (Origin::start(), Origin::start());
    let routes = [route("/*", &origin), route("/unanswered", &proxied).with("kind = \"proxy\"")];
    let mut gateway = Gateway::start(&configuration(&format!("{ADMIN}\ndrain_secs = 60"), routes)).await;
    let mut events = reader(gateway.admin().await).await;
    let held = unanswered(&gateway, &proxied).await;
    gateway.signal(Signal::TERM);
    happening(&mut events, "drain", "HappeningDrain").await;
    answered(held).await;
    assert_eq!(gateway.exit_code().await, 0);
}

#[tokio::test]
async fn readers_beyond_the_most_are_refused_until_one_leaves() {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin)])).await;
    let admin = gateway.admin().await;
    let mut readers = Vec::new();
    for _ in 0..16 {
        readers.push(reader(admin).await);
    }
    let (status, problem) = asked(admin, Client::get("/api/events")).await;
    assert!(status == 503 && problem["detail"].as_str().unwrap().contains("16"), "{status} {problem}");
    readers.pop();
    let admitted = async {
        while Client::get("/api/events").connect(admin).await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    guarded("a place for a reader", admitted).await;
}
