//! Connections of HTTP/2 with many streams: how many there may be, how their events share frames, and what a stream that
//! is not read is to the others.

use crate::client::Client;
use crate::frames::{DATA, Ended, Frame, Frames, HEADERS, REFUSED_STREAM, RST_STREAM, SETTINGS, WINDOW};
use crate::gateway::{Gateway, route};
use crate::origin::{Body, Origin};
use crate::stage::{joined, numbered};

/// The largest flow-control window (RFC 9113 section 6.9.1), less that of a new connection.
const WIDER: u32 = (1 << 31) - 1 - 65_535;

/// `SETTINGS_MAX_CONCURRENT_STREAMS`.
const MOST_STREAMS: u16 = 3;

const SMALL: u32 = 50;

fn padded(n: usize) -> String {
    format!("id: {n}\ndata: {n} {}\n\n", "x".repeat(1000))
}

/// The data of events in a text.
fn numbers(text: &[u8]) -> Vec<usize> {
    let text = std::str::from_utf8(text).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| data.split(' ').next()?.parse().ok()).collect()
}

/// Opens a stream for each of these ids, each with an upstream of its own.
async fn opened(client: &mut Frames, origin: &Origin, ids: impl Iterator<Item = u32>) -> Vec<Body> {
    let mut bodies = Vec::new();
    for id in ids {
        client.send(&[Frame::get(id, &format!("/{id}"))]).await;
        bodies.push(origin.stream().await);
        assert_eq!(client.status(id).await, 200);
    }
    bodies
}

#[tokio::test]
async fn events_that_a_client_is_behind_share_frames() {
    const EVENTS: usize = 200;
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("client.heartbeat_secs = \"off\"")).await;
    let mut slow = Frames::open(&gateway, &[(WINDOW, 0)]).await;
    slow.send(&[Frame::window_update(0, WIDER)]).await;
    let mut body = opened(&mut slow, &origin, [1].into_iter()).await.remove(0);
    let mut other = joined(Client::get("/1"), &gateway).await;
    for n in 1..=EVENTS {
        body.event(&padded(n)).await;
        assert!(other.next_data().await.starts_with(&n.to_string()));
    }
    slow.send(&[Frame::window_update(1, WIDER)]).await;
    let (mut text, mut frames) = (Vec::new(), 0);
    while numbers(&text).last() != Some(&EVENTS) {
        let frame = slow.find(DATA, 1).await.expect("the connection stays");
        assert!(!frame.payload.is_empty());
        text.extend(&frame.payload);
        frames += 1;
    }
    assert_eq!(numbers(&text), (1..=EVENTS).collect::<Vec<_>>());
    // The greeting and the first event may have frames of their own. The others are about 16 KiB each.
    assert!(frames <= EVENTS / 10, "{frames} frames");
}

#[tokio::test]
async fn a_stream_that_is_not_read_does_not_hold_up_its_neighbours() {
    for private in ["", "share.mode = \"private\""] {
        let origin = Origin::start();
        let gateway = Gateway::with(route("/*", &origin).with(private)).await;
        let mut client = Frames::open(&gateway, &[]).await;
        // The client gives back what it takes, but for the first stream.
        let mut bodies = opened(&mut client, &origin, (0..=SMALL).map(|n| 2 * n + 1)).await;
        client.send(&[Frame::window_update(0, WIDER)]).await;
        let mut unread = bodies.remove(0);
        let flood = async {
            for n in 1..=300 {
                unread.event(&padded(n)).await;
            }
            std::future::pending::<()>().await;
        };
        let read = async {
            let mut got = 0;
            // Its window is used up. The greeting may have come before.
            while got < 65_533 {
                got += client.find(DATA, 1).await.expect("the connection stays").payload.len();
            }
            for n in 1..=20 {
                for (index, body) in bodies.iter_mut().enumerate() {
                    let id = 2 * u32::try_from(index).unwrap() + 3;
                    body.event(&padded(n)).await;
                    let mut text = Vec::new();
                    while numbers(&text).last() != Some(&n) || !text.ends_with(b"\n\n") {
                        let frame = client.next().await.expect("the connection stays");
                        assert!(!frame.is(DATA, 1) && !frame.is(RST_STREAM, 1), "{private}");
                        if frame.is(DATA, id) {
                            text.extend(&frame.payload);
                        }
                    }
                    client.send(&[Frame::window_update(id, 2000)]).await;
                }
            }
            // It goes on where it was.
            client.send(&[Frame::window_update(1, WIDER)]).await;
            assert!(client.find(DATA, 1).await.is_some());
        };
        tokio::select! {
            () = flood => {}
            () = read => {}
        }
    }
}

#[tokio::test]
async fn a_connection_has_256_streams_at_most_and_one_that_ends_makes_room() {
    const MOST: u32 = 256;
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let mut client = Frames::open(&gateway, &[]).await;
    client.send(&[Frame::window_update(0, WIDER)]).await;
    let settings = client.find(SETTINGS, 0).await.unwrap();
    let told = settings.payload.chunks(6).find(|setting| setting[..2] == MOST_STREAMS.to_be_bytes()).unwrap();
    assert_eq!(told[2..], MOST.to_be_bytes());
    let id = |n: u32| 2 * n + 1;
    client.send(&(0..MOST).map(|n| Frame::get(id(n), "/a")).collect::<Vec<_>>()).await;
    let mut body = origin.stream().await;
    let mut answered = 0;
    while answered < MOST {
        answered += u32::from(client.next().await.expect("the connection stays").kind == HEADERS);
    }
    client.send(&[Frame::get(id(MOST), "/a")]).await;
    assert_eq!(client.ended(id(MOST)).await, Ended::Reset(REFUSED_STREAM));
    body.event(&numbered(1)).await;
    let mut reached = std::collections::BTreeSet::new();
    while reached.len() < MOST as usize {
        let frame = client.next().await.expect("the connection stays");
        if frame.kind == DATA && frame.payload.ends_with(b"data: 1\n\n") {
            reached.insert(frame.stream);
        }
    }
    client.send(&[Frame::new(RST_STREAM, 0, 1, 8_u32.to_be_bytes())]).await;
    gateway.log_line("client left").await;
    client.send(&[Frame::get(id(MOST + 1), "/a")]).await;
    assert_eq!(client.status(id(MOST + 1)).await, 200);
}
