//! Clients of HTTP/2 that send many frames that carry nothing.

use crate::client::Client;
use crate::frames::{ENHANCE_YOUR_CALM, Frame, Frames, GOAWAY, PING, PRIORITY, SETTINGS};
use crate::gateway::{Gateway, route};
use crate::origin::Origin;
use crate::stage::{numbered, opened};

/// The most frames that a story sends.
const FLOOD: usize = 100_000;

/// The frames that are sent at once. The gateway's answers to them fit into the buffers of the sockets.
const AT_ONCE: usize = 500;

#[tokio::test]
async fn a_flood_of_frames_that_carry_nothing_ends_its_connection_and_no_other() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut neighbour, mut body) = opened(Client::get("/a").h2(), &gateway, &origin).await;
    for (n, (what, frame)) in [
        ("PING", Frame::new(PING, 0, 0, [7; 8])),
        ("SETTINGS", Frame::new(SETTINGS, 0, 0, [0, 3, 0, 0, 0, 9])),
        ("PRIORITY", Frame::new(PRIORITY, 0, 1, [0, 0, 0, 0, 9])),
        ("an unknown type", Frame::new(0xee, 0, 0, "what")),
        ("WINDOW_UPDATE", Frame::window_update(0, 1)),
    ]
    .into_iter()
    .enumerate()
    {
        let mut client = Frames::open(&gateway, &[]).await;
        client.send(&[Frame::get(1, "/a")]).await;
        assert_eq!(client.status(1).await, 200, "{what}");
        let (mut ended, mut sent) = (None, 0);
        while ended.is_none() && sent < FLOOD {
            client.send(&vec![frame.clone(); AT_ONCE]).await;
            sent += AT_ONCE;
            // The gateway has seen all of them when it answers this PING, unless it has ended the connection.
            client.send(&[Frame::new(PING, 0, 0, *b"the last")]).await;
            ended = loop {
                match client.next().await {
                    None => break Some(None),
                    Some(frame) if frame.kind == GOAWAY => break Some(Some(frame.code())),
                    Some(frame) if frame.kind == PING && frame.payload == b"the last" => break None,
                    Some(_) => {}
                }
            };
        }
        // A reset of the connection may overtake the GOAWAY.
        assert!(matches!(ended, Some(None | Some(ENHANCE_YOUR_CALM))), "{what}: {ended:?} after {sent}");
        body.event(&numbered(n as u64)).await;
        assert_eq!(neighbour.next_data().await, n.to_string());
    }
}

#[tokio::test]
async fn a_client_that_measures_the_path_or_opens_its_window_often_is_served() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (_first, mut body) = opened(Client::get("/a"), &gateway, &origin).await;
    let mut client = Frames::open(&gateway, &[]).await;
    client.send(&[Frame::get(1, "/a")]).await;
    assert_eq!(client.status(1).await, 200);
    for n in 0..3000_u64 {
        body.event(&numbered(n)).await;
        let data = client.find(0, 1).await.expect("an event");
        let bytes = u32::try_from(data.payload.len()).unwrap();
        client.send(&[Frame::window_update(0, bytes), Frame::window_update(1, bytes)]).await;
        if n % 10 == 0 {
            client.send(&[Frame::new(PING, 0, 0, [1; 8])]).await;
        }
    }
}
