//! The API of the admin address: what it tells is what clients and origins see, and what it does is seen by them.

use crate::admin_api::{ADMIN, act, asked, fits, get, only_stream, until};
use crate::client::{Client, Connection};
use crate::gateway::{Gateway, configuration, route};
use crate::origin::Origin;
use crate::stage::{joined, numbered, opened};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[tokio::test]
async fn a_stream_its_clients_and_its_events_are_told() {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin)])).await;
    let admin = gateway.admin().await;
    let (first, mut body) =
        tokio::join!(Client::get("/a?symbol=X&token=planted").http11().connect(&gateway), origin.stream());
    let mut first = first.stream();
    let mut second = joined(Client::get("/a?symbol=X&token=planted").h2(), &gateway).await;
    for n in 1..=3 {
        body.event(&numbered(n)).await;
        for client in [&mut first, &mut second] {
            assert_eq!(client.next_event().await.id, n.to_string());
        }
    }
    let id = only_stream(admin).await;
    let path = format!("/api/streams/{id}?events=2");
    let all_sent = |told: &Value| {
        told["subscribers"].as_array().unwrap().iter().filter(|client| client["events"] == 3).count() == 2
    };
    let told = until(admin, &path, "StreamDetail", all_sent).await;
    let stream = &told["stream"];
    assert_eq!((&stream["route"], &stream["key"]), (&json!("/*"), &json!("/a?symbol=X&token=…")));
    assert_eq!((&stream["phase"], &stream["sharing"]), (&json!("live"), &json!("shared")));
    assert_eq!((&stream["subscribers"], &stream["slowest_lag_events"]), (&json!(2), &json!(0)));
    assert_eq!((&stream["log"]["first_id"], &stream["log"]["last_id"]), (&json!("1"), &json!("3")));
    assert_eq!((&stream["log"]["entries"], &stream["last_error"]), (&json!(3), &Value::Null));
    assert!(stream["rates"]["last_10_secs"]["events_per_sec"].as_f64().unwrap() > 0.0);
    let mut protocols: Vec<_> =
        told["subscribers"].as_array().unwrap().iter().map(|client| client["protocol"].as_str().unwrap()).collect();
    protocols.sort_unstable();
    assert_eq!(protocols, ["HTTP/1.1", "HTTP/2"]);
    let events = told["events"].as_array().unwrap();
    assert_eq!(events.iter().map(|event| event["id"].as_str().unwrap()).collect::<Vec<_>>(), ["2", "3"]);
    let routes = get(admin, "/api/routes", "Routes").await;
    assert_eq!((&routes["routes"][0]["subscribers"], &routes["routes"][0]["streams"]), (&json!(2), &json!(1)));
    let process = get(admin, "/api/process", "Process").await;
    assert_eq!((&process["streams"], &process["subscribers"]), (&json!(1), &json!(2)));
    assert!(!format!("{told}{routes}{process}").contains("planted"));
}

#[tokio::test]
async fn an_operator_ends_a_client_a_stream_and_a_connection_to_the_origin() {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin)])).await;
    let admin = gateway.admin().await;
    let (mut first, mut body) = opened(Client::get("/a"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    assert_eq!(first.next_event().await.id, "1");
    let id = only_stream(admin).await;

    let (status, done) = act(admin, "POST", &format!("/api/streams/{id}/reconnect")).await;
    assert_eq!((status, &done["done"]), (202, &json!("reconnect")));
    fits("Done", &done);
    body.gone().await;
    let again = origin.accept().await;
    assert_eq!(again.request.headers.one("last-event-id"), Some("1"));
    let mut body = again.sse().await;
    body.event(&numbered(2)).await;
    assert_eq!(first.next_event().await.id, "2", "the client stayed and missed nothing");

    let mut second = joined(Client::get("/a"), &gateway).await;
    let path = format!("/api/streams/{id}");
    let two = |told: &Value| told["subscribers"].as_array().unwrap().len() == 2;
    let told = until(admin, &path, "StreamDetail", two).await;
    assert_eq!(told["stream"]["reconnects"], 1);
    let youngest = told["subscribers"]
        .as_array()
        .unwrap()
        .iter()
        .min_by(|one, other| one["age_secs"].as_f64().unwrap().total_cmp(&other["age_secs"].as_f64().unwrap()));
    let client = youngest.unwrap()["id"].as_str().unwrap().to_owned();
    let client = format!("{path}/subscribers/{client}");
    assert_eq!(act(admin, "DELETE", &client).await.0, 202);
    second.complete().await;
    assert_eq!(act(admin, "DELETE", &client).await.0, 404, "it is gone");
    body.event(&numbered(3)).await;
    assert_eq!(first.next_event().await.id, "3", "the other one stays");

    assert_eq!(act(admin, "POST", &format!("{path}/close")).await.0, 202);
    first.complete().await;
    body.gone().await;
    until(admin, "/api/streams", "Streams", |page| page["total"] == 0).await;
    assert_eq!(act(admin, "POST", &format!("{path}/close")).await.0, 404);
    gateway.log_line("operator acts do=close").await;
}

#[tokio::test]
async fn bad_requests_are_named_and_pages_of_other_sites_cannot_act() {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin)])).await;
    let admin = gateway.admin().await;
    let (mut first, mut body) = opened(Client::get("/a"), &gateway, &origin).await;
    let id = only_stream(admin).await;
    for (path, status, named) in [
        ("/api/streams?limit=0", 400, "limit"),
        ("/api/streams?limit=1001", 400, "limit"),
        ("/api/streams?limit=1&limit=2", 400, "limit"),
        ("/api/streams?sort=x", 400, "sort"),
        ("/api/streams?order=up", 400, "order"),
        ("/api/streams?phase=dead", 400, "phase"),
        ("/api/streams?secret=1", 400, "secret"),
        ("/api/streams?after=x", 400, "after"),
        ("/api/streams?after=0000000000000001-0", 410, "after"),
        ("/api/routes?x=1", 400, "x"),
        ("/api/process?x=1", 400, "x"),
        ("/api/events?ticks=2", 400, "ticks"),
        ("/api/nothing", 404, "docs/api.md"),
        ("/api/streams/00000000-0", 404, "stream"),
        ("/api/streams/%00", 404, "stream"),
        ("/api/streams/-1", 404, "stream"),
    ] {
        let (answered, problem) = asked(admin, Client::get(path)).await;
        assert_eq!(answered, status, "{path} {problem}");
        assert!(problem["detail"].as_str().unwrap().contains(named), "{path} {problem}");
    }
    let huge = format!("/api/streams?q={}", "a".repeat(5000));
    assert_eq!(asked(admin, Client::get(huge)).await.0, 400);
    let close = format!("/api/streams/{id}/close");
    let answer = Client::method("DELETE", "/api/streams").connect(admin).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, HEAD")));
    let answer = Client::get(&close).connect(admin).await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("POST")));
    for (name, value) in
        [("Content-Type", "application/json"), ("Origin", "http://evil"), ("Sec-Fetch-Site", "cross-site")]
    {
        let client = Client::method("POST", &close).header(name, value);
        let client = if name == "Content-Type" { client } else { client.header("X-Manifold-Action", 1) };
        assert_eq!(asked(admin, client).await.0, 403, "{name}");
    }
    for path in
        [&format!("/api/streams/{id}/subscribers/0-0-77777777777777"), &format!("/api/streams/{id}/subscribers/s-999")]
    {
        assert_eq!(act(admin, "DELETE", path).await.0, 404, "{path}");
    }
    body.event(&numbered(1)).await;
    assert_eq!(first.next_event().await.id, "1", "nothing was ended");
    for path in ["/api/streams", "/api/routes", "/api/process", "/api/events"] {
        let mut connection = Connection::open(admin).await;
        connection.send(format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")).await;
        assert_eq!(connection.response(true).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn pages_show_each_stream_that_lives_throughout_once() {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin)])).await;
    let admin = gateway.admin().await;
    let mut clients = Vec::new();
    for n in 0..12 {
        clients.push(opened(Client::get(format!("/{n}")), &gateway, &origin).await);
    }
    until(admin, "/api/streams", "Streams", |page| page["total"] == 12).await;
    for sort in ["subscribers", "rate", "age", "log_bytes", "key", "last_error", "lag"] {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut path = format!("/api/streams?limit=5&sort={sort}");
        let mut extra = Vec::new();
        loop {
            let page = get(admin, &path, "Streams").await;
            for stream in page["streams"].as_array().unwrap() {
                *seen.entry(stream["key"].as_str().unwrap().to_owned()).or_default() += 1;
            }
            // Between the pages streams change, and others come.
            let key = format!("/x{}-{sort}", extra.len());
            extra.push(opened(Client::get(key), &gateway, &origin).await);
            clients[0].1.event(&numbered(1)).await;
            let Some(next) = page["next"].as_str() else { break };
            path = format!("/api/streams?limit=5&sort={sort}&after={next}");
        }
        for n in 0..12 {
            assert_eq!(seen.get(&format!("/{n}")), Some(&1), "{sort} /{n}: {seen:?}");
        }
        assert!(extra.len() >= 3, "{sort}");
    }
}

#[tokio::test]
async fn what_strangers_wrote_is_text_and_what_happens_is_told() {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration(
        ADMIN,
        [route("/*", &origin).with("upstream = { backoff_min_ms = 60000, backoff_max_ms = 60000 }")],
    ))
    .await;
    let admin = gateway.admin().await;
    let mut events = Client::get("/api/events?ticks=1").connect(admin).await.stream();
    let tick = events.next_event().await;
    assert_eq!(tick.kind, "tick");
    fits("Tick", &serde_json::from_str(&tick.data).unwrap());
    let asked = Client::get("/%3Cscript%3E?q=%3Cb%3E&api_key=planted").connect(&gateway);
    let (first, mut body) = tokio::join!(asked, origin.stream());
    let mut first = first.stream();
    body.event("id: <i>\ndata: <script>\n\n").await;
    assert_eq!(first.next_event().await.data, "<script>");
    let id = only_stream(admin).await;
    let told = get(admin, &format!("/api/streams/{id}?events=100"), "StreamDetail").await;
    assert_eq!(told["stream"]["key"], "/%3Cscript%3E?q=%3Cb%3E&api_key=…");
    assert_eq!(told["stream"]["log"]["last_id"], "<i>");
    body.abort();
    // The next attempt is told a moment after the phase.
    let waiting = |page: &Value| page["streams"][0]["next_attempt"].is_string();
    let page = until(admin, "/api/streams?phase=waiting", "Streams", waiting).await;
    let stream = &page["streams"][0];
    assert!(stream["last_error"]["why"].as_str().unwrap().contains("lost"), "{stream}");
    let down = loop {
        let event = events.next_event().await;
        if event.kind != "tick" {
            break event;
        }
    };
    assert_eq!(down.kind, "origin_down");
    let value: Value = serde_json::from_str(&down.data).unwrap();
    fits("HappeningDown", &value);
    assert_eq!(value["streams"], 1);
    assert_eq!(stream["last_error"]["is_over"], false);
    let outages = get(admin, "/api/routes", "Routes").await["outages"].clone();
    assert_eq!((&outages[0]["origin"], &outages[0]["since"]), (&value["origin"], &value["since"]));
    assert_eq!((&outages[0]["streams"], &outages[0]["why"], &outages[1]), (&json!(1), &value["why"], &Value::Null));
    // The connection to the origin is made at once, though the next attempt is due in a minute.
    assert_eq!(act(admin, "POST", &format!("/api/streams/{id}/reconnect")).await.0, 202);
    let _body = origin.stream().await;
    let up = Client::get("/api/events").after(&down.id).connect(admin).await.stream().next_event().await;
    assert_eq!(up.kind, "origin_up");
    fits("HappeningUp", &serde_json::from_str(&up.data).unwrap());
    assert_eq!(get(admin, "/api/routes", "Routes").await["outages"], json!([]));
    let is_over = |told: &Value| told["stream"]["last_error"]["is_over"] == true;
    let told = until(admin, &format!("/api/streams/{id}"), "StreamDetail", is_over).await;
    let again = Client::get("/api/events").after("0-0").connect(admin).await.stream().next_event().await;
    assert_eq!(again.kind, "missed");
    fits("HappeningMissed", &serde_json::from_str(&again.data).unwrap());
    assert!(!format!("{told}{page}").contains("planted"));
    drop(events);
    assert!(first.unread_events().is_empty());
}
