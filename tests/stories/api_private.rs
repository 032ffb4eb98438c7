//! The API of the admin address about streams of private routes, and about clients that take nothing.

use crate::admin_api::{ADMIN, act, asked, only_stream, until};
use crate::client::{Client, End};
use crate::gateway::{Gateway, configuration, route};
use crate::origin::Origin;
use crate::stage::{numbered, opened};
use serde_json::{Value, json};

const PRIVATE: &str = "share.mode = \"private\"";

#[tokio::test]
async fn streams_of_a_private_route_are_listed_with_their_client_and_can_be_closed() {
    let origin = Origin::start();
    let routes = [route("/own", &origin).with(PRIVATE), route("/*", &origin)];
    let gateway = Gateway::start(&configuration(ADMIN, routes)).await;
    let admin = gateway.admin().await;
    let (mut shared, mut of_shared) = opened(Client::get("/a"), &gateway, &origin).await;
    let one = Client::get("/own?symbol=X&token=planted").http11().header("User-Agent", "one");
    let (mut one, mut of_one) = opened(one, &gateway, &origin).await;
    let (mut two, mut of_two) = opened(Client::get("/own").h2(), &gateway, &origin).await;
    for n in 1..=3 {
        of_one.event(&numbered(n)).await;
        assert_eq!(one.next_event().await.id, n.to_string());
    }
    let all = until(admin, "/api/streams?sort=age", "Streams", |page| page["total"] == 3).await;
    let keys: Vec<_> = all["streams"].as_array().unwrap().iter().map(|stream| &stream["key"]).collect();
    assert_eq!(keys, ["/a", "/own?symbol=X&token=…", "/own"], "the oldest first");
    let page = until(admin, "/api/streams?route=/own&sort=rate&limit=1", "Streams", |page| page["total"] == 2).await;
    let [of_busy] = &page["streams"].as_array().unwrap()[..] else { panic!("{page}") };
    assert_eq!((&of_busy["key"], &of_busy["sharing"]), (&json!("/own?symbol=X&token=…"), &json!("private")));
    let next = page["next"].as_str().unwrap();
    let page = until(admin, &format!("/api/streams?after={next}"), "Streams", |page| page["next"].is_null()).await;
    let [of_quiet] = &page["streams"].as_array().unwrap()[..] else { panic!("{page}") };
    assert_eq!((&of_quiet["phase"], &of_quiet["subscribers"]), (&json!("live"), &json!(1)));

    let path = |stream: &Value| format!("/api/streams/{}", stream["id"].as_str().unwrap());
    let (busy, quiet) = (path(of_busy), path(of_quiet));
    let three = |told: &Value| told["subscribers"][0]["events"] == 3;
    let told = until(admin, &format!("{busy}?events=10"), "StreamDetail", three).await;
    let client = &told["subscribers"][0];
    assert_eq!((&client["user_agent"], &client["protocol"]), (&json!("one"), &json!("HTTP/1.1")));
    assert_eq!((&client["lag_events"], &client["slow_since"]), (&json!(0), &Value::Null));
    let stream = &told["stream"];
    assert!(stream["rates"]["last_10_secs"]["events_per_sec"].as_f64().unwrap() > 0.0, "{stream}");
    assert_eq!((&stream["log"]["end_position"], &stream["log"]["entries"]), (&json!(3), &json!(0)));
    assert_eq!(told["events"], json!([]));
    assert!(!format!("{all}{told}").contains("planted"));

    let (status, problem) = act(admin, "POST", &format!("{busy}/reconnect")).await;
    assert_eq!((status, stream["can_reconnect"].as_bool()), (409, Some(false)), "{problem}");
    let client = client["id"].as_str().unwrap();
    let shared_id = path(&all["streams"][0]);
    for other in [&quiet, &shared_id] {
        assert_eq!(act(admin, "DELETE", &format!("{other}/subscribers/{client}")).await.0, 404, "{other}");
    }
    assert_eq!(act(admin, "DELETE", &format!("{busy}/subscribers/{client}")).await.0, 202);
    one.complete().await;
    of_one.gone().await;
    of_two.event(&numbered(1)).await;
    assert_eq!(two.next_event().await.id, "1", "the other one stays");
    assert_eq!(act(admin, "POST", &format!("{quiet}/close")).await.0, 202);
    assert_eq!(two.ended().await, End::Orderly);
    of_two.gone().await;
    until(admin, "/api/streams", "Streams", |page| page["total"] == 1).await;
    assert_eq!(act(admin, "POST", &format!("{quiet}/close")).await.0, 404);
    assert_eq!(asked(admin, Client::get(&busy)).await.0, 404);
    of_shared.event(&numbered(1)).await;
    assert_eq!(shared.next_event().await.id, "1");
}

/// The engine sends the rest of an event, if the client takes it after all. A session cuts the event.
#[tokio::test]
async fn an_operator_ends_a_client_that_takes_nothing_and_no_half_event_looks_whole() {
    for (is_private, is_h2) in [(false, false), (false, true), (true, false), (true, true)] {
        let origin = Origin::start();
        let options = format!("client.stall_secs = 600\n{}", if is_private { PRIVATE } else { "" });
        let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin).with(&options)])).await;
        let admin = gateway.admin().await;
        let slow = Client::get("/").small_receive_buffer();
        let (mut slow, mut body) = opened(if is_h2 { slow.h2() } else { slow }, &gateway, &origin).await;
        let id = only_stream(admin).await;
        let send = async {
            // A private stream takes no more from the origin than its client takes.
            loop {
                body.event(&format!("data: {}\n\n", "x".repeat(256 << 10))).await;
            }
        };
        let path = format!("/api/streams/{id}");
        let is_slow = |told: &Value| told["subscribers"][0]["slow_since"].is_string();
        let told = tokio::select! {
            () = send => unreachable!(),
            told = until(admin, &path, "StreamDetail", is_slow) => told,
        };
        let client = told["subscribers"][0]["id"].as_str().unwrap();
        assert_eq!(act(admin, "DELETE", &format!("{path}/subscribers/{client}")).await.0, 202);
        let line = gateway.log_line("client left").await;
        assert!(line.contains("why=closed"), "{line}");
        let end = slow.ended().await;
        let text = String::from_utf8_lossy(slow.bytes());
        let rest = text.rsplit("\n\n").next().unwrap_or_default();
        let is_half = rest.contains('x');
        assert!(end != End::Orderly || !is_half, "private {is_private} h2 {is_h2}: half an event looks whole");
    }
}
