//! Crowds that connect before any of them asks for something, near the limit of open files.

use crate::client::{Client, Connection};
use crate::descriptors::{limited, origin};
use crate::gateway::{Gateway, configuration, route};
use crate::guard::guarded;
use crate::mode::WITHOUT_TLS;
use crate::origin::Origin;
use crate::stage::{numbered, opened};

async fn connected(gateway: &Gateway, clients: usize) -> Vec<Connection> {
    let mut connections = Vec::new();
    for _ in 0..clients {
        connections.push(Connection::open(gateway).await);
    }
    connections
}

#[tokio::test]
async fn those_who_ask_for_one_stream_are_all_served_although_each_might_have_asked_for_another() {
    let origin = Origin::start();
    let (gateway, _file) = limited("ulimit -n 300", &configuration(WITHOUT_TLS, [route("/*", &origin)])).await;
    let (mut first, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    let mut clients = Vec::new();
    for connection in connected(&gateway, 200).await {
        clients.push(tokio::spawn(Client::get("/").on(connection)));
    }
    let mut served = Vec::new();
    for client in clients {
        let client = guarded("an answer", client).await.unwrap();
        assert_eq!(client.status, 200);
        served.push(client);
    }
    body.event(&numbered(1)).await;
    assert_eq!(first.next_data().await, "1");
    for client in &mut served {
        assert_eq!(client.next_data().await, "1");
    }
}

/// Each connection is promised a second place, for the stream that it may open. So these are promised all places.
#[tokio::test]
async fn who_asks_is_served_although_those_who_say_nothing_were_promised_all_places() {
    let origin = Origin::start();
    let patient = format!("{WITHOUT_TLS}\nhead_secs = 300");
    let (gateway, _file) = limited("ulimit -n 300", &configuration(&patient, [route("/*", &origin)])).await;
    let (mut first, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    let mut silent = connected(&gateway, 150).await;
    for connection in &mut silent {
        connection.send("G").await;
    }
    let mut client = Client::get("/").connect(&gateway).await;
    assert_eq!(client.status, 200);
    body.event(&numbered(1)).await;
    for client in [&mut first, &mut client] {
        assert_eq!(client.next_data().await, "1");
    }
}

#[tokio::test]
async fn those_who_ask_for_a_stream_each_are_served_or_told() {
    let origin = origin();
    let (gateway, _file) = limited("ulimit -n 300", &configuration(WITHOUT_TLS, [route("/*", &origin)])).await;
    let mut clients = Vec::new();
    for (n, connection) in connected(&gateway, 220).await.into_iter().enumerate() {
        clients.push(tokio::spawn(Client::get(format!("/{n}")).on(connection)));
    }
    let mut served = Vec::new();
    let mut refused = 0;
    for client in clients {
        let mut client = guarded("an answer", client).await.unwrap();
        if client.status == 200 {
            assert_eq!(client.next_data().await, "1");
            served.push(client);
        } else {
            assert_eq!((client.status, client.header("retry-after").is_some()), (503, true));
            refused += 1;
        }
    }
    assert!(served.len() >= 80 && refused > 0, "{} served, {refused} told", served.len());
}
