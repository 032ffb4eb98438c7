//! The access lines of clients that are slow, that stay, and that leave all at once.

use crate::access_log::{lines, logging, started};
use crate::client::{Client, Response};
use crate::gateway::{Gateway, configuration, descriptors, route};
use crate::guard::guarded;
use crate::origin::{Body, Origin};
use crate::stage::{joined, numbered, opened};
use crate::stuck_log::deaf;
use serde_json::Value;
use std::time::Duration;
use tokio::io::AsyncReadExt;

/// The events that a slow client is sent: more than the kernel buffers for it at both ends.
const MANY: usize = 24;

/// How a client speaks.
type Speech = fn(Client<'static>) -> Client<'static>;

const SPEECHES: [(&str, Speech); 2] = [("by-http1", |client| client), ("by-http2", Client::h2)];

/// A number as an access line tells it.
fn number(line: &Value, key: &str) -> u64 {
    line[key].as_u64().unwrap_or_else(|| panic!("no {key} in {line}"))
}

/// Sends a large event, which a client reads at once.
async fn send_large(body: &mut Body, reads: &mut Response) {
    body.event(&format!("data: {}\n\n", "x".repeat(512 << 10))).await;
    reads.next_event().await;
}

/// A gateway with these options of the route, a client that reads, its stream, and one that does not read by itself.
async fn with_a_slow_client(options: &str, id: &str, speech: Speech) -> (Gateway, Response, Body, Response) {
    let origin = Origin::start();
    let gateway = started(&logging("end", [route("/*", &origin).with(options)])).await;
    let (reads, body) = opened(Client::get("/"), &gateway, &origin).await;
    let slow = speech(Client::get("/").header("X-Request-Id", id).small_receive_buffer());
    let slow = joined(slow, &gateway).await;
    (gateway, reads, body, slow)
}

#[tokio::test]
async fn a_client_that_fell_off_the_log_is_told_of_with_its_lag() {
    for (id, speech) in SPEECHES {
        let options = "replay.events = 1\nclient.stall_secs = 600";
        let (gateway, mut reads, mut body, _slow) = with_a_slow_client(options, id, speech).await;
        let mut sent = 0;
        while !gateway.log().contains("client left") {
            sent += 1;
            assert!(sent <= 600, "no client left");
            send_large(&mut body, &mut reads).await;
            // A client that stops reading may keep its event for a while.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let left = lines(&gateway, "client left", 1).await.remove(0);
        assert_eq!((&left["why"], &left["request_id"], &left["status"]), (&"lag".into(), &id.into(), &200.into()));
        assert!(number(&left, "lag") > 0 && number(&left, "lag_worst") >= number(&left, "lag"), "{left}");
        assert!(number(&left, "events") < sent, "{left}");
    }
}

#[tokio::test]
async fn a_client_that_stalled_is_told_of_with_its_lag() {
    for (id, speech) in SPEECHES {
        let options = "client.stall_secs = 0.3\nreplay.bytes = \"64MiB\"";
        let (gateway, mut reads, mut body, _slow) = with_a_slow_client(options, id, speech).await;
        for _ in 0..MANY {
            send_large(&mut body, &mut reads).await;
        }
        let left = lines(&gateway, "client left", 1).await.remove(0);
        assert_eq!((&left["why"], &left["request_id"], &left["gaps"]), (&"stall".into(), &id.into(), &0.into()));
        assert!(number(&left, "lag") > 0 && number(&left, "lag_worst") >= number(&left, "lag"), "{left}");
        assert!(number(&left, "events") < MANY as u64, "{left}");
    }
}

#[tokio::test]
async fn of_a_client_that_was_slow_and_caught_up_the_worst_lag_is_told() {
    for (id, speech) in SPEECHES {
        let options = "client.stall_secs = 600\nreplay.bytes = \"64MiB\"";
        let (gateway, mut reads, mut body, mut slow) = with_a_slow_client(options, id, speech).await;
        for _ in 0..MANY {
            send_large(&mut body, &mut reads).await;
        }
        for _ in 0..MANY {
            slow.next_event().await;
        }
        body.event(&numbered(1)).await;
        assert_eq!(slow.next_data().await, "1");
        drop(slow);
        let left = lines(&gateway, "client left", 1).await.remove(0);
        assert_eq!((&left["why"], &left["request_id"]), (&"client".into(), &id.into()), "{left}");
        assert_eq!((&left["lag"], &left["gaps"]), (&0.into(), &0.into()), "{left}");
        assert_eq!(number(&left, "events"), MANY as u64 + 1, "{left}");
        assert!(number(&left, "lag_worst") > 0, "{left}");
    }
}

#[tokio::test]
async fn a_client_that_stays_is_told_of_again_and_again_whether_events_come_or_not() {
    let origin = Origin::start();
    let private = |path| route(path, &origin).with("share.mode = \"private\"");
    let routes = [private("/private"), private("/private-busy"), route("/*", &origin)];
    let gateway = started(&logging("all", routes)).await;
    for (path, is_busy, speech) in [
        ("/shared", false, SPEECHES[0].1),
        ("/shared-busy", true, SPEECHES[0].1),
        ("/private", false, SPEECHES[0].1),
        ("/private-busy", true, SPEECHES[0].1),
        ("/http2", false, SPEECHES[1].1),
    ] {
        let id = path.trim_start_matches('/');
        let client = speech(Client::get(path).header("X-Request-Id", id));
        let (mut client, mut body) = opened(client, &gateway, &origin).await;
        let told = format!("\"request_id\":\"{id}\"");
        let stays = async {
            loop {
                if is_busy {
                    body.event(&numbered(1)).await;
                    client.next_event().await;
                }
                let log = gateway.log();
                let lines = log.lines().filter(|line| line.contains("client stays") && line.contains(&told));
                let read: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
                if read.len() >= 3 {
                    return read;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let stays = guarded(format!("three lines about {id}"), stays).await;
        for pair in stays.windows(2) {
            assert!(number(&pair[0], "ms") < number(&pair[1], "ms"), "{stays:?}");
            assert_eq!(number(&pair[0], "events") < number(&pair[1], "events"), is_busy, "{stays:?}");
        }
    }
}

/// The clients of a crowd. Its access lines are more than the queue of the log and the pipe hold.
const CROWD: usize = 800;

#[tokio::test]
async fn a_crowd_that_leaves_at_once_jams_nothing_and_the_log_says_how_many_lines_it_lacks() {
    let origin = Origin::start();
    let (gateway, address, mut log) = deaf(&configuration("", [route("/*", &origin)])).await;
    let (client, mut body) = tokio::join!(Client::get("/").connect(address), origin.stream());
    let mut client = client.stream();
    let mut crowd = Vec::new();
    // Each quotation mark takes two bytes in the log.
    let (agent, id) = ("\"".repeat(256), "\"".repeat(128));
    for _ in 0..CROWD {
        let one = Client::get("/").header("User-Agent", &agent).header("X-Request-Id", &id);
        crowd.push(one.connect(address).await);
    }
    drop(crowd);
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    drop(Client::get("/").connect(address).await);
    // The log is not read before all have left.
    let process = gateway.id().unwrap().cast_signed();
    let left = async {
        while descriptors(process).unwrap() > CROWD / 8 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    guarded("the departure of the crowd", left).await;

    let mut read = String::new();
    let (mut told, mut dropped) = (0, 0);
    while told + dropped < CROWD {
        let mut room = [0; 4096];
        let got = guarded("the log", log.read(&mut room)).await.unwrap();
        assert_ne!(got, 0, "{read}");
        read.push_str(&String::from_utf8_lossy(&room[..got]));
        let whole = read.rsplit_once('\n').map_or("", |(whole, _)| whole);
        told = whole.matches("client left route=").count();
        let counts = whole.lines().filter_map(|line| line.split_once("log lines were dropped count="));
        let number = |count: &str| count.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse::<usize>().unwrap();
        dropped = counts.map(|(_, count)| number(count)).sum();
    }
    assert!(told > 0 && dropped > 0, "{told} lines and {dropped} dropped");
}
