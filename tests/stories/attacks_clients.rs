//! Clients that come in crowds, begin and do not end, or end as soon as they have begun.

use crate::client::{Client, Connection};
use crate::frames::{CONTINUATION, END_STREAM, Ended, Frame, Frames, HEADERS, PREFACE, RST_STREAM, block, request};
use crate::gateway::{Gateway, route};
use crate::guard::guarded;
use crate::http1::latin1;
use crate::mode::http2_is_by_session;
use crate::origin::{Origin, Port};
use crate::under_attack::{KIB, MIB, PATIENT, SERVING, Siege, besieged, descriptors, statuses};
use std::cell::Cell;
use std::fmt::Debug;
use std::ops::RangeBounds;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// The connections of the story about those that are half open. `STORIES_HALF_OPEN` asks for more, such as 10,000.
fn half_open() -> usize {
    std::env::var("STORIES_HALF_OPEN").map_or(1000, |n| n.parse().expect("STORIES_HALF_OPEN is a number"))
}

/// What a connection may cost that has sent a part of a head.
const HALF_OPEN: usize = 12 * KIB;

/// Connections in the clear, each of which has sent this.
async fn crowd(gateway: &Gateway, n: usize, sent: impl Fn(usize) -> Vec<u8>) -> Vec<TcpStream> {
    let mut crowd = Vec::new();
    for number in 0..n {
        let mut stream = guarded("a connection", TcpStream::connect(gateway.addr())).await.unwrap();
        stream.write_all(&sent(number)).await.unwrap();
        crowd.push(stream);
    }
    crowd
}

/// Descriptors that a process may open or close for reasons of its own while a story counts.
const OTHERS: usize = 20;

/// Waits until the number of the gateway's descriptors is in this range.
async fn until_descriptors(gateway: &Gateway, what: &str, range: impl RangeBounds<usize> + Debug) {
    let seen = Cell::new(descriptors(gateway.id()));
    let waited = async {
        while !range.contains(&seen.get()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            seen.set(descriptors(gateway.id()));
        }
    };
    let reached = std::fmt::from_fn(|f| write!(f, "{what}: {} descriptors, not {range:?}", seen.get()));
    guarded(reached, waited).await;
}

#[tokio::test]
async fn a_crowd_of_half_open_connections_costs_little_each_and_keeps_nobody_out() {
    let n = half_open();
    let server = format!("{PATIENT}\nmax_connections = {}", n + 500);
    let (gateway, peaceful) = besieged(&server, []).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    let before = descriptors(gateway.id());
    let crowd = crowd(&gateway, n, |number| match number % 5 {
        0 => Vec::new(),
        1 => b"G".to_vec(),
        2 => b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec(),
        3 => PREFACE[..20].to_vec(),
        _ => format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(1000)).into_bytes(),
    });
    let crowd = crowd.await;
    until_descriptors(&gateway, "all connections to be accepted", before + n - OTHERS..).await;
    siege.endured(SERVING + n * HALF_OPEN).await;
    drop(crowd);
    until_descriptors(&gateway, "all connections to be closed", ..before + 100).await;
}

#[tokio::test]
async fn heads_that_never_end_are_refused_and_their_places_are_free_again() {
    const CROWD: usize = 100;
    let server = format!("head_secs = 1\nmax_connections = {}", CROWD + 50);
    let (gateway, peaceful) = besieged(&server, []).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    for _ in 0..2 {
        let mut slow = Vec::new();
        for _ in 0..CROWD {
            let mut connection = Connection::open(&gateway).await;
            connection.send("GET / HTTP/1.1\r\nHost: a\r\nX: ").await;
            slow.push(connection);
        }
        for mut connection in slow {
            // The head drips on while the gateway still waits for its end.
            connection.send("x").await;
            assert_eq!(statuses(&latin1(&connection.rest().await)), [408]);
        }
    }
    siege.endured(SERVING + CROWD * 64 * KIB).await;
}

#[tokio::test]
async fn bodies_that_never_end_are_refused_and_hold_no_connection_to_the_origin() {
    const CROWD: usize = 50;
    let origin = Port::reserve();
    let listener = origin.listen();
    // It takes what comes, and says nothing.
    let silent = tokio::spawn(async move {
        let mut taken = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            taken.push(stream);
        }
    });
    let slow = route("/slow", &origin).with("kind = \"proxy\"\nproxy.idle_timeout_secs = 1");
    let (gateway, peaceful) = besieged("", [slow]).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    let before = descriptors(gateway.id());
    for framing in ["Content-Length: 1000000\r\n\r\nx", "Transfer-Encoding: chunked\r\n\r\nfffff\r\nx"] {
        let mut crowd = Vec::new();
        for _ in 0..CROWD {
            let mut connection = Connection::open(&gateway).await;
            connection.send(format!("POST /slow HTTP/1.1\r\nHost: a\r\n{framing}")).await;
            crowd.push(connection);
        }
        for connection in crowd {
            assert_eq!(connection.response(false).await.status, 408);
        }
    }
    until_descriptors(&gateway, "the connections to be closed", ..before + OTHERS).await;
    siege.endured(SERVING + CROWD * 256 * KIB).await;
    silent.abort();
}

#[tokio::test]
async fn clients_that_reset_what_they_have_just_begun_leave_nothing_behind() {
    let origin = Origin::answering(|exchange| async move { exchange.sse().await.gone().await });
    let (gateway, peaceful) = besieged("", [route("/*", &origin)]).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    let before = descriptors(gateway.id());
    for number in 0..600 {
        let mut connection = Connection::open(gateway.addr()).await;
        let sent = match number % 4 {
            0 => String::new(),
            1 => "GET /a HTTP/1.1\r\nHo".to_owned(),
            2 => format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", number % 50),
            _ => latin1(PREFACE),
        };
        connection.send(sent).await;
        connection.reset();
    }
    until_descriptors(&gateway, "all connections to be closed", ..before + 120).await;
    siege.endured(SERVING + 50 * 128 * KIB).await;
}

#[tokio::test]
async fn streams_of_http2_that_are_reset_as_soon_as_they_are_opened_are_no_flood_at_the_origin() {
    const RESETS: u32 = 20_000;
    let origin = Origin::answering(|exchange| async move { exchange.reply(200, &[], "ok").await });
    let (gateway, peaceful) = besieged("", [route("/*", &origin).with("kind = \"proxy\"")]).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    let mut client = Frames::open(&gateway, &[]).await;
    for first in (0..RESETS).step_by(100) {
        let pair = |n: u32| {
            let stream = 2 * n + 1;
            [Frame::get(stream, "/a"), Frame::new(RST_STREAM, 0, stream, 8_u32.to_be_bytes())]
        };
        let frames: Vec<_> = (first..first + 100).flat_map(pair).collect();
        client.send(&frames).await;
    }
    drop(client);
    let mut after = Frames::open(&gateway, &[]).await;
    after.send(&[Frame::get(1, "/after")]).await;
    assert_eq!(after.ended(1).await, Ended::Answered(200, b"ok".to_vec()));
    let asked = origin.requests().len();
    assert!(asked < RESETS as usize / 2, "{asked} of {RESETS} requests reached the origin");
    siege.endured(SERVING + 20 * MIB).await;
}

#[tokio::test]
async fn a_head_of_http2_that_never_ends_ends_its_connection() {
    let origin = Origin::start();
    let (gateway, peaceful) = besieged("", [route("/*", &origin)]).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    let padding = block(&[("x-a", &"x".repeat(10_000))]);
    let empty = Frame::new(CONTINUATION, 0, 1, []);
    for piece in [Frame::new(CONTINUATION, 0, 1, padding), empty] {
        let mut client = Frames::open(&gateway, &[]).await;
        client.send(&[Frame::new(HEADERS, END_STREAM, 1, block(&request("GET", "/a")))]).await;
        for _ in 0..100 {
            client.send(&vec![piece.clone(); 100]).await;
        }
        // The gateway has ended the connection, with a word or without one.
        client.over().await;
    }
    assert_eq!(origin.requests().len(), 0);
    siege.endured(SERVING + 4 * MIB).await;
}

/// One octet of a field block names an entry of 4 KB in the dynamic table (RFC 7541, section 7.3).
#[tokio::test]
async fn a_small_field_block_that_stands_for_a_large_head_is_refused() {
    let origin = Origin::start();
    let (gateway, peaceful) = besieged("", [route("/*", &origin)]).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    let mut bomb = block(&request("GET", "/a"));
    // A literal field that is added to the table: 3,900 octets.
    bomb.extend([0x40, 1, b'x', 0x7f, 0xbd, 0x1d]);
    bomb.extend(vec![b'x'; 127 + 0x3d + (0x1d << 7)]);
    bomb.extend(vec![0xbe; 12_000]);
    let mut client = Frames::open(&gateway, &[]).await;
    client.send(&[Frame::new(HEADERS, END_STREAM | crate::frames::END_HEADERS, 1, bomb)]).await;
    match client.ended(1).await {
        Ended::Answered(status, _) => assert_eq!(status, 431),
        Ended::Reset(_) | Ended::Over(_) => {}
    }
    assert_eq!(origin.requests().len(), 0);
    siege.endured(SERVING).await;
}

#[tokio::test]
async fn a_client_that_asks_for_many_streams_at_once_opens_as_many_as_the_route_allows() {
    const STREAMS: usize = 20;
    let origin = Origin::answering(|exchange| async move { exchange.sse().await.gone().await });
    let options = format!("share.max_streams = {STREAMS}");
    let (gateway, peaceful) = besieged("limits.refuse = \"status\"", [route("/*", &origin).with(&options)]).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    let mut clients = Vec::new();
    for number in 0..10 * STREAMS {
        clients.push(Client::get(format!("/{number}")).connect(&gateway).await);
    }
    let (served, refused): (Vec<_>, Vec<_>) = clients.iter().partition(|client| client.status == 200);
    assert_eq!(served.len(), STREAMS);
    assert!(refused.iter().all(|client| client.status == 503));
    assert!(origin.connections() <= STREAMS, "{}", origin.connections());
    // A session of HTTP/2 keeps that much for a connection that stays open.
    let by_session = gateway.mode().is_http2() && http2_is_by_session("");
    let each = if by_session { clients.len() * 64 * KIB } else { 0 };
    siege.endured(SERVING + STREAMS * 128 * KIB + each).await;
}
