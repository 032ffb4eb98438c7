//! Streams that share connections of HTTP/2 to their origin.

use crate::client::{Client, Response};
use crate::gateway::{Gateway, Route, route};
use crate::origin::{Body, Origin, Speech};
use crate::stage::{joined, numbered, opened};
use std::time::Duration;

const BOTH: Speech = Speech::Tls(&["h2", "http/1.1"]);

/// A route whose streams share connections.
fn multiplexed(path: &str, origin: &Origin, speech: Speech) -> Route {
    let route = route(path, origin).with("upstream.multiplex = \"on\"");
    match speech {
        Speech::Tls(_) => route.with(&format!("upstream.ca_file = {:?}", origin.authority().path())),
        Speech::Http1 | Speech::H2c | Speech::H2cAtMost(_) => route,
    }
}

/// The streams `/0` to `/{n - 1}`, each with one client.
async fn streams(n: usize, gateway: &Gateway, origin: &Origin) -> Vec<(Response, Body)> {
    let mut open = Vec::new();
    for n in 0..n {
        open.push(opened(Client::get(format!("/{n}")), gateway, origin).await);
    }
    open
}

/// Each stream delivers an event of its own.
async fn each_delivers(open: &mut [(Response, Body)], id: u64) {
    for (n, (_, body)) in open.iter_mut().enumerate() {
        body.event(&format!("id: {id}\ndata: {id} of {n}\n\n")).await;
    }
    for (n, (client, _)) in open.iter_mut().enumerate() {
        assert_eq!(client.next_data().await, format!("{id} of {n}"));
    }
}

#[tokio::test]
async fn many_streams_share_one_connection() {
    for speech in [BOTH, Speech::H2c] {
        for mode in ["", "share.mode = \"private\""] {
            let origin = Origin::speaking(speech);
            let gateway = Gateway::with(multiplexed("/*", &origin, speech).with(mode)).await;
            let mut open = streams(30, &gateway, &origin).await;
            each_delivers(&mut open, 1).await;
            assert_eq!(origin.connections(), 1, "{speech:?} {mode}");
            assert!(origin.requests().iter().all(|request| request.version == "HTTP/2"));
            // A stream that ends hurts no other.
            let (ended, body) = open.remove(0);
            drop(ended);
            if !mode.is_empty() {
                body.gone().await;
            }
            each_delivers(&mut open, 2).await;
            assert_eq!(origin.connections(), 1, "{speech:?} {mode}");
        }
    }
}

#[tokio::test]
async fn streams_that_begin_together_make_one_connection() {
    let origin = Origin::speaking(BOTH);
    let gateway = Gateway::with(multiplexed("/*", &origin, BOTH)).await;
    let clients: Vec<_> = (0..50)
        .map(|n| {
            let target = gateway.target();
            tokio::spawn(async move { Client::get(format!("/{n}")).connect(target).await.stream() })
        })
        .collect();
    let mut bodies = Vec::new();
    for _ in 0..50 {
        bodies.push(origin.stream().await);
    }
    for client in clients {
        client.await.unwrap();
    }
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn without_the_key_each_stream_has_a_connection() {
    let origin = Origin::speaking(BOTH);
    let trusting = format!("upstream.ca_file = {:?}", origin.authority().path());
    let gateway = Gateway::with(route("/*", &origin).with(&trusting)).await;
    let mut open = streams(3, &gateway, &origin).await;
    each_delivers(&mut open, 1).await;
    assert_eq!(origin.connections(), 3);
}

#[tokio::test]
async fn an_origin_of_http1_has_a_connection_for_each_stream_and_a_line_says_so_once() {
    for speech in [Speech::Tls(&["http/1.1"]), Speech::Http1] {
        let origin = Origin::speaking(speech);
        let gateway = Gateway::with(multiplexed("/*", &origin, speech)).await;
        let mut open = streams(4, &gateway, &origin).await;
        each_delivers(&mut open, 1).await;
        // Where TLS does not tell, the origin was asked once whether it speaks HTTP/2.
        let asked = usize::from(speech == Speech::Http1);
        assert_eq!(origin.connections(), 4 + asked, "{speech:?}");
        origin.open_connections(4).await;
        let line = gateway.log_line("speaks HTTP/1.1 only").await;
        assert!(line.contains("multiplex") && line.contains("origin=http"), "{line}");
        assert_eq!(gateway.log().matches("speaks HTTP/1.1 only").count(), 1);
    }
}

#[tokio::test]
async fn more_streams_than_the_origin_takes_on_a_connection_make_another() {
    let speech = Speech::H2cAtMost(3);
    let origin = Origin::speaking(speech);
    let gateway = Gateway::with(multiplexed("/*", &origin, speech)).await;
    let mut open = streams(7, &gateway, &origin).await;
    each_delivers(&mut open, 1).await;
    assert_eq!(origin.connections(), 3);
}

#[tokio::test]
async fn a_stream_that_is_reset_hurts_no_other() {
    let origin = Origin::speaking(Speech::H2c);
    let gateway = Gateway::with(multiplexed("/*", &origin, Speech::H2c)).await;
    let mut open = streams(5, &gateway, &origin).await;
    each_delivers(&mut open, 1).await;
    let (client, body) = open.remove(2);
    body.cut().await;
    let again = origin.accept().await;
    assert_eq!((again.request.target.as_str(), again.request.headers.one("last-event-id")), ("/2", Some("1")));
    open.insert(2, (client, again.sse().await));
    each_delivers(&mut open, 2).await;
    assert_eq!(origin.connections(), 1);
    assert_eq!(origin.requests().len(), 6);
}

#[tokio::test]
async fn after_a_goaway_open_streams_go_on_and_new_ones_find_another_connection() {
    let origin = Origin::speaking(Speech::H2c);
    let gateway = Gateway::with(multiplexed("/*", &origin, Speech::H2c)).await;
    let mut open = streams(3, &gateway, &origin).await;
    open[0].1.go_away();
    each_delivers(&mut open, 1).await;
    let mut late = opened(Client::get("/late"), &gateway, &origin).await;
    late.1.event(&numbered(1)).await;
    assert_eq!(late.0.next_data().await, "1");
    each_delivers(&mut open, 2).await;
    assert_eq!(origin.connections(), 2);
    assert_eq!(origin.requests().len(), 4, "no stream was asked for twice");
}

#[tokio::test]
async fn streams_whose_connection_is_lost_resume_and_the_outage_is_told_once() {
    let origin = Origin::speaking(Speech::H2c);
    let gateway = Gateway::with(multiplexed("/*", &origin, Speech::H2c)).await;
    let mut open = streams(8, &gateway, &origin).await;
    each_delivers(&mut open, 7).await;
    origin.kill().await;
    let down = gateway.log_line("origin down").await;
    assert!(down.contains("streams=8"), "{down}");
    origin.restart();
    let before = origin.connections();
    let mut bodies: Vec<Option<Body>> = (0..8).map(|_| None).collect();
    for _ in 0..8 {
        let exchange = origin.accept().await;
        assert_eq!(exchange.request.headers.one("last-event-id"), Some("7"));
        let n: usize = exchange.request.target.trim_start_matches('/').parse().unwrap();
        bodies[n] = Some(exchange.sse().await);
    }
    let clients = open.into_iter().map(|(client, _)| client);
    let mut open: Vec<_> = clients.zip(bodies.into_iter().map(Option::unwrap)).collect();
    each_delivers(&mut open, 8).await;
    assert_eq!(origin.connections(), before + 1);
    gateway.log_line("origin up").await;
    assert_eq!(gateway.log().matches("origin down").count(), 1);
}

/// The client takes nothing, so its stream is not read either, or not for a while. The origin sends more than the window
/// of one stream, in frames of a kind that would be too many long before they fill a window.
#[tokio::test]
async fn a_stream_that_nobody_reads_stops_no_other() {
    for (mode, size) in [("private", 10), ("private", 8 << 10), ("shared", 10)] {
        let origin = Origin::speaking(Speech::H2c);
        let slow = multiplexed("/slow/*", &origin, Speech::H2c).with(&format!("share.mode = {mode:?}"));
        let slow = slow.with("client.stall_secs = 600\nclient.heartbeat_secs = \"off\"");
        let gateway = Gateway::with_all([slow, multiplexed("/*", &origin, Speech::H2c)]).await;
        let mut open = streams(2, &gateway, &origin).await;
        let slow = Client::get("/slow/1").small_receive_buffer();
        let (_deaf, mut flood) = opened(slow, &gateway, &origin).await;
        // More than the sockets and the window hold.
        let event = format!("data: {}\n\n", "x".repeat(size - 8));
        for _ in 0..(6 << 20) / size {
            flood.event(&event).await;
        }
        for id in 1..=20 {
            each_delivers(&mut open, id).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(origin.connections(), 1, "{mode} {size}");
    }
}

#[tokio::test]
async fn routes_of_one_origin_share_its_connections() {
    let origin = Origin::speaking(Speech::H2c);
    let routes = ["/a", "/b"].map(|path| multiplexed(path, &origin, Speech::H2c));
    let gateway = Gateway::with_all(routes).await;
    let _a = opened(Client::get("/a"), &gateway, &origin).await;
    let (_b, mut body) = opened(Client::get("/b"), &gateway, &origin).await;
    let mut late = joined(Client::get("/b"), &gateway).await;
    body.event(&numbered(1)).await;
    assert_eq!(late.next_data().await, "1");
    assert_eq!(origin.connections(), 1);
}
