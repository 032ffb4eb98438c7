//! Fifty reloads under a crowd: nobody is disconnected, nothing is lost, nothing comes twice.

use crate::client::{Client, Response};
use crate::gateway::{Gateway, configuration, route};
use crate::origin::Origin;
use crate::reload::{reload, rewrite};
use crate::stage::{numbered, opened};
use futures_util::future::join_all;
use std::time::Duration;

const CLIENTS: usize = 1000;
const RELOADS: usize = 50;

/// The configuration of the `n`th reload. Each changes something of the policy.
fn nth(n: usize, origin: &Origin, other: &Origin) -> String {
    let more = [
        "client.heartbeat_secs = 20",
        "replay.events = 50\nclient.heartbeat_secs = 1",
        "client.retry_ms = 1500\nclient.stall_secs = 60",
        "cors = { origins = [\"*\"] }\nupstream.headers.x-n = \"a\"",
        "client.max_lifetime_secs = 3600\nshare.linger_secs = 5",
        "client.flush_ms = 5\nupstream.hold_secs = 7\nlimits.subscribers = 5000",
    ];
    // Another route comes and goes beside it.
    let beside = n.is_multiple_of(3).then(|| route("/beside", other));
    let shared = route("/*", origin).with(more[n % more.len()]);
    configuration(&format!("keepalive_secs = {}", 60 + n), beside.into_iter().chain([shared]))
}

/// Reads the events after `from` up to `to`, each once and in order.
async fn reads(client: &mut Response, from: usize, to: usize) {
    for n in from + 1..=to {
        assert_eq!(client.next_event().await.id, n.to_string());
    }
}

#[tokio::test]
async fn nobody_is_disconnected_and_nothing_is_lost() {
    let (origin, other) = (Origin::start(), Origin::start());
    let gateway = Gateway::start(&nth(0, &origin, &other)).await;
    let (first, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    let mut clients = vec![first];
    for chunk in 0..CLIENTS / 50 {
        let joining = (0..50).map(|n| {
            let client = if (chunk + n).is_multiple_of(20) { Client::get("/").h2() } else { Client::get("/") };
            async { client.connect(&gateway).await.stream() }
        });
        clients.extend(join_all(joining).await);
    }
    for n in 1..=RELOADS {
        rewrite(&gateway, &nth(n, &origin, &other));
        let told = reload(&gateway, n).await;
        assert!(told.contains("policy=/*"), "{told}");
        body.event(&numbered(n as u64)).await;
        if n.is_multiple_of(10) {
            join_all(clients.iter_mut().map(|client| reads(client, n - 10, n))).await;
            // Most of the time the next reload comes while events are on their way.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    for client in &clients {
        assert!(client.unread_events().is_empty(), "nothing comes twice");
    }
    assert_eq!((origin.requests().len(), origin.connections()), (1, 1));
    assert!(!gateway.log().contains("client left"), "{}", gateway.log());
}
