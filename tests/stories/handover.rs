//! An upgrade that clients do not notice: streams and clients go to the new process.

use crate::client::Client;
use crate::gateway::{Gateway, configuration, route};
use crate::origin::{Origin, ResumingOrigin};
use crate::stage::{Successor, gap, numbered, opened};
use rustix::process::Signal;

/// Replaces the process. Returns the new one when the old one has ended.
async fn upgraded(gateway: &mut Gateway) -> Successor {
    gateway.signal(Signal::QUIT);
    let successor = Successor::of(&gateway.log_line("a new process serves").await);
    assert_eq!(gateway.succeeded().await, 0, "{}", gateway.log());
    successor
}

#[tokio::test]
async fn clients_stay_connected_and_get_each_event_once() {
    let origin = ResumingOrigin::start_live();
    let mut gateway = Gateway::start(&configuration("drain_secs = 600", [route("/*", &*origin)])).await;
    let mut clients = Vec::new();
    for path in ["/a", "/a", "/b"] {
        clients.push(Client::get(path).connect(&gateway).await.stream());
    }
    origin.publish();
    for client in &mut clients {
        assert_eq!(client.next_data().await, "1");
    }
    let _successor = upgraded(&mut gateway).await;
    gateway.log_line("handed over streams=2 clients=3").await;
    (0..5).for_each(|_| origin.publish());
    for client in &mut clients {
        for n in 2..=6_u64 {
            assert_eq!(client.next_data().await, n.to_string());
        }
    }
}

#[tokio::test]
async fn what_an_origin_without_ids_sent_meanwhile_is_told_as_a_gap_and_nobody_is_disconnected() {
    let origin = Origin::start();
    let mut gateway = Gateway::start(&configuration("drain_secs = 600", [route("/*", &origin)])).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event("data: 1\n\n").await;
    assert_eq!(client.next_data().await, "1");
    let _successor = upgraded(&mut gateway).await;
    let mut body = origin.stream().await;
    body.event("data: 2\n\n").await;
    assert_eq!(client.next_data().await, gap("upstream", None));
    assert_eq!(client.next_data().await, "2");
    body.event(&numbered(3)).await;
    assert_eq!(client.next_data().await, "3");
}
