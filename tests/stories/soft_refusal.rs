//! Clients that are refused for now: an `EventSource` is told when to come back, anyone else gets a status.

use crate::client::{Client, Response};
use crate::gateway::{Gateway, Route, configuration, route};
use crate::origin::Origin;
use crate::stage::{let_in, numbered, opened};

/// What asks for an event stream, as an `EventSource` of a page does.
fn event_source(path: &str) -> Client<'static> {
    Client::get(path.to_owned()).header("Accept", "text/event-stream").header("Origin", "https://page.example")
}

/// Anything else.
fn other(path: &str) -> Client<'static> {
    Client::get(path.to_owned()).header("Accept", "*/*").header("Origin", "https://page.example")
}

async fn is_soft(mut response: Response, why: &str) {
    assert_eq!((response.status, response.header("content-type")), (200, Some("text/event-stream")), "{why}");
    assert_eq!(response.header("access-control-allow-origin"), Some("*"), "{why}");
    let body = response.text().await;
    let (comment, retry) = body.split_once("\nretry: ").unwrap_or_else(|| panic!("{body:?}"));
    assert_eq!(comment, format!(": {why}"));
    let millis: u64 = retry.trim_end().parse().unwrap();
    assert!((2_000..=122_000).contains(&millis), "{millis}");
}

async fn is_hard(mut response: Response, status: u16, why: &str) {
    assert_eq!((response.status, response.header("retry-after")), (status, Some("1")), "{why}");
    assert_eq!(response.header("access-control-allow-origin"), Some("*"), "{why}");
    assert_eq!(response.text().await.trim_end(), why);
}

/// A gateway that is at a limit once a client is on `/a`, and the path of the client that is one too many.
struct Full {
    reason: &'static str,
    server: &'static str,
    route: &'static str,
    path: &'static str,
    status: u16,
    why: &'static str,
    key: &'static str,
}

const FULL: [Full; 6] = [
    Full {
        reason: "subscribers",
        server: "",
        route: "limits.subscribers = 1",
        path: "/b",
        status: 503,
        why: "too many clients",
        key: "limits.subscribers",
    },
    Full {
        reason: "subscribers",
        server: "",
        route: "limits.subscribers = 1\nshare.mode = \"private\"",
        path: "/b",
        status: 503,
        why: "too many clients",
        key: "limits.subscribers",
    },
    Full {
        reason: "per_stream",
        server: "",
        route: "limits.per_stream = 1",
        path: "/a",
        status: 503,
        why: "too many clients on this stream",
        key: "limits.per_stream",
    },
    Full {
        reason: "streams",
        server: "",
        route: "share.max_streams = 1",
        path: "/b",
        status: 503,
        why: "too many streams",
        key: "share.max_streams",
    },
    Full {
        reason: "connections",
        server: "max_connections = 1",
        route: "",
        path: "/a",
        status: 503,
        why: "too many connections",
        key: "server.max_connections",
    },
    Full {
        reason: "per_address",
        server: "limits.per_address = 1",
        route: "",
        path: "/a",
        status: 429,
        why: "too many connections of this address",
        key: "server.limits.per_address",
    },
];

fn configured(full: &Full, refuse: &str, origin: &Origin) -> String {
    let route: Route = route("/*", origin).with(full.route).with("cors.origins = [\"*\"]");
    configuration(&format!("{}\nlimits.refuse = {refuse:?}", full.server), [route])
}

#[tokio::test]
async fn each_reason_has_a_soft_form_and_a_status() {
    for full in &FULL {
        for refuse in ["retry", "status"] {
            let origin = Origin::start();
            let gateway = Gateway::start(&configured(full, refuse, &origin)).await;
            let (first, mut body) = opened(Client::get("/a"), &gateway, &origin).await;
            for h2 in [false, true] {
                let ask = |client: Client<'static>| if h2 { client.h2() } else { client };
                if refuse == "retry" {
                    is_soft(ask(event_source(full.path)).connect(&gateway).await, full.why).await;
                } else if !h2 || full.reason != "connections" {
                    is_hard(ask(event_source(full.path)).connect(&gateway).await, full.status, full.why).await;
                }
            }
            // A client without a place has no route, unless it asks for a stream. Here it does.
            is_hard(other(full.path).connect(&gateway).await, full.status, full.why).await;
            let line = gateway.log_line("clients are refused").await;
            assert!(line.contains(&format!("reason={}", full.reason)) && line.contains(full.key), "{line}");
            // The client that is there is served, and its place is given back.
            body.event(&numbered(1)).await;
            drop(first);
            gateway.log_line("client left").await;
            if !full.route.contains("private") {
                drop(let_in(|| Client::get("/a"), &gateway).await);
            }
        }
    }
}

#[tokio::test]
async fn who_asks_for_no_event_stream_gets_no_event_stream() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("limits.per_stream = 1")).await;
    let (_first, _body) = opened(Client::get("/a"), &gateway, &origin).await;
    for accept in ["*/*", "text/*", "application/json", "text/event-stream;q=0"] {
        let response = Client::get("/a").header("Accept", accept).connect(&gateway).await;
        assert_eq!(response.status, 503, "{accept}");
    }
    let wrong = Client::method("POST", "/a").header("Accept", "text/event-stream").connect(&gateway).await;
    assert_eq!(wrong.status, 405, "what stays wrong has its status");
}

#[tokio::test]
async fn a_client_that_was_refused_softly_comes_back_and_receives() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("limits.per_stream = 1\ncors.origins = [\"*\"]")).await;
    let (first, mut body) = opened(Client::get("/a"), &gateway, &origin).await;
    is_soft(event_source("/a").connect(&gateway).await, "too many clients on this stream").await;
    drop(first);
    gateway.log_line("client left").await;
    let mut back = let_in(|| event_source("/a"), &gateway).await;
    body.event(&numbered(1)).await;
    assert_eq!(back.next_data().await, "1");
}
