//! What is configured is what is held: the memory of streams, and the events that wait to share a write.

use crate::client::{Client, Response};
use crate::gateway::{Gateway, route};
use crate::guard::guarded;
use crate::origin::{Body, Origin};
use crate::stage::opened;
use std::fmt::Write;
use std::time::Duration;
use tokio::time::sleep;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// What a stream may hold beside its log.
const BESIDE: usize = 64 * KIB;

/// What the process may hold beside its streams after they were busy, such as the buffers of its threads.
const PROCESS: usize = 10 * MIB;

/// The number of events that are sent in one piece.
const PIECE: usize = 50;

/// Streams with a client each.
async fn streams(n: usize, gateway: &Gateway, origin: &Origin) -> Vec<(Response, Body)> {
    let mut streams = Vec::new();
    for number in 0..n {
        streams.push(opened(Client::get(format!("/{number}")), gateway, origin).await);
    }
    streams
}

/// Sends each stream this many events with data of this size. Every client is given each of them.
async fn feed(streams: &mut [(Response, Body)], events: usize, size: usize) {
    let data = "x".repeat(size);
    for first in (0..events).step_by(PIECE) {
        let mut piece = String::new();
        for id in first..events.min(first + PIECE) {
            write!(piece, "id: {id}\ndata: {data}\n\n").unwrap();
        }
        for (client, body) in &mut *streams {
            body.event(&piece).await;
            for _ in first..events.min(first + PIECE) {
                assert_eq!(client.next_data().await.len(), size);
            }
        }
    }
}

/// Waits until the process holds no more than this.
pub async fn holds_at_most(gateway: &Gateway, bytes: usize) {
    let fallen = async {
        while gateway.resident() > bytes {
            sleep(Duration::from_millis(100)).await;
        }
    };
    let what = format!("the process to hold {} KiB, and not {}", bytes / KIB, gateway.resident() / KIB);
    guarded(what, fallen).await;
}

#[tokio::test]
async fn after_a_burst_a_stream_holds_what_its_log_may() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("replay.events = 1")).await;
    let mut streams = streams(60, &gateway, &origin).await;
    let before = gateway.resident();
    feed(&mut streams, 1000, KIB).await;
    holds_at_most(&gateway, before + 60 * (2 * KIB + BESIDE) + PROCESS).await;
}

#[tokio::test]
async fn small_events_cost_no_more_than_the_bytes_of_a_log() {
    const BYTES: usize = 128 * KIB;
    let origin = Origin::start();
    let small = "replay.events = 100000\nreplay.bytes = \"128KiB\"";
    let gateway = Gateway::with(route("/*", &origin).with(small)).await;
    let mut streams = streams(20, &gateway, &origin).await;
    let before = gateway.resident();
    feed(&mut streams, 6000, 1).await;
    holds_at_most(&gateway, before + 20 * (BYTES + BESIDE) + PROCESS).await;
}

#[tokio::test]
async fn events_that_are_too_old_are_not_held_on_a_quiet_stream() {
    let origin = Origin::start();
    let aging = "replay.events = 10000\nreplay.age_secs = 2";
    let gateway = Gateway::with(route("/*", &origin).with(aging)).await;
    let mut streams = streams(20, &gateway, &origin).await;
    let before = gateway.resident();
    feed(&mut streams, 2000, KIB).await;
    holds_at_most(&gateway, before + 20 * (2 * KIB + BESIDE) + PROCESS).await;
}

#[tokio::test]
async fn events_that_are_held_to_share_a_write_are_sent_before_the_log_drops_them() {
    let origin = Origin::start();
    let few = "replay.events = 10\nclient.flush_ms = 250000";
    let gateway = Gateway::with(route("/*", &origin).with(few)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    for n in 0..100 {
        body.event(&format!("id: {n}\ndata: {n}\n\n")).await;
    }
    // At most as many are held back as the log may hold.
    for n in 0..90 {
        assert_eq!(client.next_data().await, n.to_string());
    }
    drop(body);
}
