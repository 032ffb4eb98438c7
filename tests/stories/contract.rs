//! Every contract case from an origin through manifold to a client that follows the HTML standard.

#[path = "../support/contract.rs"]
mod cases;

use crate::client::{Client, Response, Target};
use crate::gateway::{Gateway, route};
use crate::origin::{Coding, Origin};
use cases::{Case, Connection};
use std::cell::Cell;

/// The options by which a client cannot tell manifold from a plain proxy.
const SHARED: &str = "replay.ids = \"origin\"\nshare.linger_secs = 1\nupstream.on_close = \"close\"\n\
    upstream.on_error = \"reflect\"";
const PRIVATE: &str = "share.mode = \"private\"\nclient.heartbeat_secs = \"off\"";

#[tokio::test]
async fn every_case_passes_with_nothing_between() {
    let origin = Origin::start();
    for (n, case) in cases::cases().iter().enumerate() {
        let life = pass(case, n, Target::from(&origin), &origin).await;
        assert_eq!((life.comments, life.retries), (case.comments.clone(), case.retry.clone()), "{}", case.name);
    }
}

#[tokio::test]
async fn every_case_passes_on_a_shared_route() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with(SHARED)).await;
    for (n, case) in cases::cases().iter().enumerate() {
        let comments = pass(case, n, gateway.target(), &origin).await.comments;
        assert!(comments.iter().all(String::is_empty), "{}: {comments:?}", case.name);
    }
}

#[tokio::test]
async fn every_case_passes_on_a_private_route() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with(PRIVATE)).await;
    for (n, case) in cases::cases().iter().enumerate() {
        let life = pass(case, n, gateway.target(), &origin).await;
        assert_eq!((life.comments, life.retries), (case.comments.clone(), case.retry.clone()), "{}", case.name);
    }
}

/// The events and ends that a client has seen on all its connections.
#[derive(Debug, Default)]
struct Life {
    events: Vec<(String, Vec<u8>, String)>,
    comments: Vec<String>,
    retries: Vec<u64>,
    last_id: String,
}

impl Life {
    fn remember(&mut self, response: &Response) {
        let events = response.unread_events();
        self.events.extend(events.into_iter().map(|event| (event.kind, event.data.into_bytes(), event.id)));
        self.comments.extend(response.unread_comments());
        self.retries.extend(response.retries());
        response.last_id().clone_into(&mut self.last_id);
    }
}

/// Runs a case on a path of its own.
async fn pass(case: &Case, n: usize, gateway: Target, origin: &Origin) -> Life {
    let before = origin.requests().len();
    let served = Cell::new(0);
    let serve = async {
        for connection in &case.connections {
            answer(connection, case, origin, &served).await;
        }
    };
    let (life, ()) = tokio::join!(live(case, format!("/{n}"), gateway, &served), serve);
    let expected: Vec<_> = case
        .events
        .iter()
        .map(|event| (event.event_type.clone(), event.data.clone(), event.last_event_id.clone()))
        .collect();
    let lengths = |events: &[(_, Vec<u8>, _)]| events.iter().map(|event| event.1.len()).collect::<Vec<_>>();
    // Megabytes of data are useless in a message, so their lengths are compared first.
    assert_eq!(lengths(&life.events), lengths(&expected), "{}: lengths", case.name);
    assert!(life.events == expected, "{} ({:?}): {:?}", case.name, case.note, life.events);
    assert_eq!(origin.requests().len() - before, case.connections.len(), "{}: requests", case.name);
    life
}

async fn answer(connection: &Connection, case: &Case, origin: &Origin, served: &Cell<usize>) {
    let exchange = origin.accept().await;
    served.set(served.get() + 1);
    for (name, value) in &connection.expect {
        assert_eq!(exchange.request.headers.one(name), value.as_deref(), "{}: {name}", case.name);
    }
    let itself = format!("{}{}", origin.url(), exchange.request.target);
    let mut headers: Vec<_> =
        connection.headers.iter().map(|(name, value)| (name.as_str(), value.replace("{self}", &itself))).collect();
    if connection.status == 200 && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        headers.push(("Content-Type", "text/event-stream".to_owned()));
    }
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let coding = if connection.status == 204 { Coding::Bare } else { Coding::Chunked };
    let mut body = exchange.head(connection.status, &headers, coding).await;
    for chunk in &connection.chunks {
        body.raw(chunk).await;
    }
    assert!(!connection.holds, "{}: no case so far leaves its response open", case.name);
    body.end().await;
}

/// Connects, reads to the end and reconnects, until the case has no more answers or an answer is not a stream.
async fn live(case: &Case, target: String, gateway: Target, served: &Cell<usize>) -> Life {
    let mut life = Life::default();
    loop {
        let client = Client::get(&target).header("Accept", "text/event-stream").header("Cache-Control", "no-cache");
        let client = if life.last_id.is_empty() { client } else { client.after(&life.last_id) };
        let mut response = client.connect(gateway.clone()).await.resumed_from(&life.last_id);
        let redirected = response.header("location").is_some_and(|location| location.ends_with(&target));
        if response.status != 200 && !redirected {
            return life;
        }
        if response.status == 200 {
            response.complete().await;
        }
        life.remember(&response);
        if served.get() == case.connections.len() {
            return life;
        }
    }
}
