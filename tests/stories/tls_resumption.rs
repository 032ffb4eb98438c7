//! TLS to origins: one full handshake, and the sessions that follow.

use crate::client::Client;
use crate::gateway::{Gateway, route};
use crate::origin::{Origin, Speech};
use crate::stage::{numbered, opened};

/// The number of streams.
const MANY: usize = 50;

#[tokio::test]
async fn many_streams_of_one_origin_make_one_full_handshake() {
    for protocols in [&["http/1.1"][..], &["h2", "http/1.1"]] {
        for at_once in [false, true] {
            let origin = Origin::speaking(Speech::Tls(protocols));
            let trusting = format!("upstream.ca_file = {:?}", origin.authority().path());
            // Another route to the origin has the same sessions.
            let routes = ["/a/*", "/b/*"].map(|path| route(path, &origin).with(&trusting));
            let gateway = Gateway::with_all(routes).await;
            let path = |n: usize| format!("/{}/{n}", ["a", "b"][n % 2]);
            let mut open = Vec::new();
            if at_once {
                let address = gateway.addr();
                let clients: Vec<_> = (0..MANY)
                    .map(|n| tokio::spawn(async move { Client::get(path(n)).connect(address).await.stream() }))
                    .collect();
                for _ in 0..MANY {
                    let mut body = origin.stream().await;
                    body.event(&numbered(1)).await;
                    open.push(body);
                }
                for client in clients {
                    assert_eq!(client.await.unwrap().next_data().await, "1");
                }
            } else {
                for n in 0..MANY {
                    let (mut client, mut body) = opened(Client::get(path(n)), &gateway, &origin).await;
                    body.event(&numbered(1)).await;
                    assert_eq!(client.next_data().await, "1");
                    open.push(body);
                }
            }
            assert_eq!(origin.handshakes(), (1, MANY - 1), "{protocols:?} at once: {at_once}");
        }
    }
}

#[tokio::test]
async fn streams_that_connect_again_resume_too() {
    let origin = Origin::speaking(Speech::Tls(&["http/1.1"]));
    let trusting = format!("upstream.ca_file = {:?}", origin.authority().path());
    let gateway = Gateway::with(route("/*", &origin).with(&trusting)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    for id in 1..=5 {
        body.event(&numbered(id)).await;
        assert_eq!(client.next_data().await, id.to_string());
        body.abort();
        body = origin.stream().await;
    }
    assert_eq!(origin.handshakes(), (1, 5));
}
