//! A quiet response, and the response that replaces it.

use crate::client::{Client, End};
use crate::gateway::{Gateway, route};
use crate::guard::guarded;
use crate::origin::{Origin, over};
use crate::stage::{gap, opened};
use std::collections::HashMap;

/// The ways in which an origin that allows each client one connection ends the old one.
const ENDS: [&str; 5] = ["in order", "by a reset", "without its last chunk", "within an event", "with a last word"];

#[tokio::test]
async fn a_quiet_response_that_ends_for_its_successor_is_waited_for_and_nothing_is_lost() {
    let origin = Origin::start();
    // Longer than an origin takes to answer, even on a busy machine. After twice this time the gateway would ask
    // again.
    let gateway = Gateway::with(route("/*", &origin).with("upstream.idle_timeout_secs = 2")).await;
    let mut streams = HashMap::new();
    for (n, end) in ENDS.into_iter().enumerate() {
        let path = format!("/{n}");
        let (mut client, mut body) = opened(Client::get(&path), &gateway, &origin).await;
        body.event("data: 1\n\n").await;
        assert_eq!(client.next_data().await, "1");
        streams.insert(path, (end, client, body));
    }
    let mut successions = Vec::new();
    for _ in ENDS {
        let next = origin.accept().await;
        let (end, client, mut body) = streams.remove(&next.request.target).unwrap();
        let old = body.watch_gone();
        match end {
            "in order" => body.end().await,
            "by a reset" => body.abort(),
            "without its last chunk" => body.cut().await,
            "within an event" => {
                body.raw("data: ha").await;
                body.cut().await;
            }
            _ => {
                body.raw(": another connection of yours came\n\n").await;
                body.end().await;
            }
        }
        // The gateway has seen the end before the origin answers.
        guarded("the end to be seen", over(old)).await;
        successions.push((end, client, next));
    }
    for (end, mut client, next) in successions {
        let mut body = next.sse().await;
        body.event("data: 2\n\n").await;
        let data = client.next_data().await;
        assert_ne!(data, gap("upstream", None), "{end}");
        assert_eq!(data, "2", "{end}");
    }
}

#[tokio::test]
async fn a_successor_that_comes_to_nothing_leaves_the_end_as_it_was() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("upstream.idle_timeout_secs = 1")).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event("data: 1\n\n").await;
    assert_eq!(client.next_data().await, "1");
    let next = origin.accept().await;
    body.abort();
    next.reply(503, &[], "full").await;
    let mut body = origin.stream().await;
    body.event("data: 2\n\n").await;
    assert_eq!(client.next_data().await, gap("upstream", None));
    assert_eq!(client.next_data().await, "2");
}

#[tokio::test]
async fn an_end_that_is_passed_on_to_clients_has_no_successor() {
    let origin = Origin::start();
    let finite = "upstream.idle_timeout_secs = 0.2\nupstream.on_close = \"close\"";
    let gateway = Gateway::with(route("/*", &origin).with(finite)).await;
    let (mut client, body) = opened(Client::get("/"), &gateway, &origin).await;
    let next = origin.accept().await;
    body.end().await;
    assert_eq!(client.ended().await, End::Orderly);
    next.gone().await;
}
