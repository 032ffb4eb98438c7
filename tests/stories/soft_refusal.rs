//! Clients that are refused for now: an `EventSource` is told when to come back, anyone else gets a status.

use crate::admin_api::{act, only_stream};
use crate::client::{Client, Connection, Response};
use crate::gateway::{Gateway, Route, configuration, route};
use crate::metrics::{ADMIN, refusals, until};
use crate::origin::Origin;
use crate::stage::{let_in, numbered, opened};
use rustix::process::Signal;

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

/// How long a client waits for a connection to the origin.
const QUEUE: &str = "upstream.max_upstreams = 1\nupstream.on_error = \"reflect\"\nupstream.head_timeout_secs = 1";

/// The same, where each client has a connection of its own.
const OWN_QUEUE: &str = "upstream.max_upstreams = 1\nupstream.on_error = \"reflect\"\nupstream.head_timeout_secs = 1\n\
                         share.mode = \"private\"";

const FULL: [Full; 8] = [
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
        reason: "upstreams",
        server: "",
        route: QUEUE,
        path: "/b",
        status: 503,
        why: "too many connections to the origin",
        key: "upstream.max_upstreams",
    },
    Full {
        reason: "upstreams",
        server: "",
        route: OWN_QUEUE,
        path: "/b",
        status: 503,
        why: "too many connections to the origin",
        key: "upstream.max_upstreams",
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
        why: "too many connections from this address",
        key: "server.limits.per_address",
    },
];

fn configured(full: &Full, refuse: &str, origin: &Origin) -> String {
    let route: Route = route("/*", origin).with(full.route).with("cors.origins = [\"*\"]");
    configuration(&format!("{ADMIN}\n{}\nlimits.refuse = {refuse:?}", full.server), [route])
}

#[tokio::test]
async fn each_reason_has_a_soft_form_and_a_status() {
    for full in &FULL {
        for refuse in ["retry", "status"] {
            let origin = Origin::start();
            let gateway = Gateway::start(&configured(full, refuse, &origin)).await;
            let (first, mut body) = opened(Client::get("/a"), &gateway, &origin).await;
            let mut refused = 0.0;
            for h2 in [false, true] {
                let ask = |client: Client<'static>| if h2 { client.h2() } else { client };
                if refuse == "retry" {
                    is_soft(ask(event_source(full.path)).connect(&gateway).await, full.why).await;
                    refused += 1.0;
                } else if !h2 || full.reason != "connections" {
                    is_hard(ask(event_source(full.path)).connect(&gateway).await, full.status, full.why).await;
                    refused += 1.0;
                }
            }
            // A client without a place has no route, unless it asks for a stream. Here it does.
            is_hard(other(full.path).connect(&gateway).await, full.status, full.why).await;
            until(gateway.admin().await, &refusals(full.reason), refused + 1.0).await;
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

/// The limit is a rate, so how many of them are refused depends on how fast they come.
#[tokio::test]
async fn an_address_that_opens_connections_too_fast_is_told_when_to_come_back() {
    let origin = Origin::answering(|exchange| async move { exchange.sse().await.gone().await });
    let route = route("/*", &origin).with("cors.origins = [\"*\"]");
    let gateway = Gateway::start(&configuration("limits.new_per_address_per_sec = 1", [route])).await;
    let mut served = Vec::new();
    let refused = loop {
        assert!(served.len() < 40, "no connection was refused");
        let response = event_source("/a").connect(&gateway).await;
        // A soft refusal says how long it is.
        if response.header("content-length").is_some() {
            break response;
        }
        served.push(response);
    };
    assert!(!served.is_empty(), "the first is served");
    is_soft(refused, "too many new connections from this address").await;
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

#[tokio::test]
async fn who_asks_in_a_drain_is_told_when_to_come_back() {
    for (refuse, expected) in [("retry", "HTTP/1.1 200"), ("status", "HTTP/1.1 503")] {
        let origin = Origin::start();
        let server = format!("{ADMIN}\ndrain_secs = 600\nlimits.refuse = {refuse:?}");
        let proxy = route("/slow", &origin).with("kind = \"proxy\"");
        let gateway = Gateway::start(&configuration(&server, [route("/*", &origin), proxy])).await;
        let admin = gateway.admin().await;
        // A request that its origin does not answer holds up the drain.
        let mut slow = Connection::open(&gateway).await;
        slow.send("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let _exchange = origin.accept().await;
        let mut late = Connection::open(&gateway).await;
        late.send("GET /a HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n").await;
        gateway.signal(Signal::TERM);
        while tokio::net::TcpStream::connect(gateway.addr()).await.is_ok() {}
        late.send("\r\n").await;
        let mut answer = late.response(false).await;
        assert_eq!(format!("HTTP/1.1 {}", answer.status), expected);
        assert_eq!(answer.text().await.contains("retry: "), refuse == "retry");
        until(admin, &refusals("drain"), 1.0).await;
    }
}

/// An operator closes the stream while a client waits for the origin's answer.
#[tokio::test]
async fn a_client_whose_stream_ended_before_its_response_began_comes_back() {
    for refuse in ["retry", "status"] {
        let origin = Origin::start();
        let route = route("/*", &origin).with("upstream.on_error = \"reflect\"\ncors.origins = [\"*\"]");
        let gateway = Gateway::start(&configuration(&format!("{ADMIN}\nlimits.refuse = {refuse:?}"), [route])).await;
        let (admin, target) = (gateway.admin().await, gateway.target());
        let waits = tokio::spawn(async move { event_source("/a").connect(target).await });
        let unanswered = origin.accept().await;
        let id = only_stream(admin).await;
        assert_eq!(act(admin, "POST", &format!("/api/streams/{id}/close")).await.0, 202);
        let refused = waits.await.unwrap();
        if refuse == "retry" {
            is_soft(refused, "the stream just ended").await;
        } else {
            is_hard(refused, 503, "the stream just ended").await;
        }
        until(admin, &refusals("ended"), 1.0).await;
        let line = gateway.log_line("clients are refused").await;
        assert!(line.contains("reason=ended route=/*"), "{line}");
        drop(unanswered);
        let (mut back, mut body) = opened(event_source("/a"), &gateway, &origin).await;
        body.event(&numbered(1)).await;
        assert_eq!(back.next_data().await, "1");
    }
}
