//! Connections of HTTP/2 in a drain, and when their routes go.

use crate::frames::{ACK, DATA, Frame, Frames, GOAWAY, HEADERS, NO_ERROR, PING, RST_STREAM};
use crate::gateway::{Gateway, configuration, route};
use crate::mode::http2_is_by_session;
use crate::origin::{Authority, Origin};
use crate::reload::{reload, rewrite};
use crate::stage::{Successor, numbered};
use futures_util::future::join_all;
use rustix::process::Signal;
use std::collections::BTreeMap;

/// The last stream that the first GOAWAY of a connection names: all may still come.
const ANY_STREAM: u32 = (1 << 31) - 1;

/// What a client saw of a connection until it ended.
#[derive(Debug, Default)]
struct Seen {
    /// The last streams and the codes of the GOAWAYs.
    goodbyes: Vec<(u32, u32)>,
    /// What came on each stream since, and whether it ended in order.
    streams: BTreeMap<u32, (String, bool)>,
}

impl Seen {
    fn note(&mut self, frame: &Frame) {
        let stream = self.streams.entry(frame.stream).or_default();
        match frame.kind {
            DATA => {
                assert!(!stream.1, "nothing follows the end");
                stream.0 += std::str::from_utf8(&frame.payload).unwrap();
                stream.1 = frame.ends_stream();
            }
            GOAWAY => self.goodbyes.push((last_stream(frame), frame.code())),
            RST_STREAM => panic!("stream {} was reset: {}", frame.stream, frame.code()),
            _ => {}
        }
    }
}

fn last_stream(goodbye: &Frame) -> u32 {
    u32::from_be_bytes(goodbye.payload[..4].try_into().unwrap())
}

/// Reads to the end of a connection, and answers PINGs.
async fn to_the_end(client: &mut Frames) -> Seen {
    let mut seen = Seen::default();
    while let Some(frame) = client.next().await {
        seen.note(&frame);
        if frame.is(PING, 0) && frame.flags & ACK == 0 {
            client.send(&[Frame::new(PING, ACK, 0, frame.payload)]).await;
        }
    }
    seen
}

/// Whether a text ends by asking the client back.
fn asks_back(text: &str) -> bool {
    let last = text.lines().last().unwrap_or_default();
    text.ends_with('\n') && last.strip_prefix("retry: ").is_some_and(|millis| millis.parse::<u32>().is_ok())
}

/// A gateway with a route that stays, and with a shared and a private one, and the configuration that it has.
async fn started(origin: &Origin, authority: &Authority) -> (Gateway, String) {
    let private = "name = \"private\"\nshare.mode = \"private\"";
    let routes = [route("/stays/*", origin), route("/shared/*", origin), route("/private/*", origin).with(private)];
    let config = format!("{}\n{}", configuration("", routes), authority.listens());
    let gateway = Gateway::spawn(&config);
    gateway.log_line(" tls=on").await;
    (gateway, config)
}

/// Connections over plain TCP and over TLS.
async fn each_way(gateway: &Gateway, authority: &Authority) -> [Frames; 2] {
    [Frames::open(gateway, &[]).await, Frames::open_tls(gateway, authority, &[]).await]
}

#[tokio::test]
async fn a_drain_says_goodbye_and_ends_each_stream_in_order() {
    for signal in [Signal::TERM, Signal::QUIT] {
        let (origin, authority) = (Origin::start(), Authority::new());
        let (mut gateway, _) = started(&origin, &authority).await;
        let [idle, idle_tls] = each_way(&gateway, &authority).await;
        let mut clients = each_way(&gateway, &authority).await;
        let mut bodies = Vec::new();
        for (n, client) in clients.iter_mut().enumerate() {
            for (stream, path) in [(1, "shared"), (3, "private")] {
                client.send(&[Frame::get(stream, &format!("/{path}/{n}"))]).await;
                bodies.push(origin.stream().await);
                assert_eq!(client.status(stream).await, 200);
            }
        }
        gateway.signal(signal);
        let _successor = match signal {
            Signal::QUIT => Some(Successor::of(&gateway.log_line("a new process serves").await)),
            _ => None,
        };
        let [plain, tls] = clients;
        let all = [(true, idle), (true, idle_tls), (false, plain), (false, tls)];
        let ends = all.map(|(is_idle, mut client)| async move { (is_idle, to_the_end(&mut client).await) });
        for (is_idle, seen) in join_all(ends).await {
            assert_eq!(seen.goodbyes.first(), Some(&(ANY_STREAM, NO_ERROR)), "{signal:?} {seen:?}");
            assert_eq!(seen.goodbyes.last(), Some(&(if is_idle { 0 } else { 3 }, NO_ERROR)), "{signal:?} {seen:?}");
            for stream in [1, 3].into_iter().filter(|_| !is_idle) {
                let (text, is_over) = &seen.streams[&stream];
                assert!(*is_over && asks_back(text), "{signal:?} {stream} {seen:?}");
            }
        }
        let code = if signal == Signal::QUIT { gateway.succeeded().await } else { gateway.exit_code().await };
        assert_eq!(code, 0, "{}", gateway.log());
    }
}

/// A client that has a stream sends another request when it is told that the gateway drains, and before it says that it
/// knows.
async fn begins_as_the_drain_does(mut client: Frames, n: usize) {
    let goodbye = client.find(GOAWAY, 0).await.unwrap();
    assert_eq!(last_stream(&goodbye), ANY_STREAM);
    client.send(&[Frame::get(3, &format!("/shared/{n}"))]).await;
    let (mut seen, mut ping, mut is_answered) = (Seen::default(), None, false);
    // Sessions ask whether the client knows.
    while (ping.is_none() && http2_is_by_session("")) || !is_answered {
        let frame = client.next().await.expect("the connection stays");
        seen.note(&frame);
        is_answered |= frame.is(HEADERS, 3);
        ping = ping.or_else(|| frame.is(PING, 0).then_some(frame.payload));
    }
    // Only now does the client answer, so the last GOAWAY comes.
    if let Some(ping) = ping {
        client.send(&[Frame::new(PING, ACK, 0, ping)]).await;
    }
    let rest = to_the_end(&mut client).await;
    assert_eq!(rest.goodbyes.last(), Some(&(3, NO_ERROR)), "{rest:?}");
    for stream in [1, 3] {
        let [before, after] = [&seen, &rest].map(|seen| seen.streams.get(&stream).cloned().unwrap_or_default());
        assert!((before.1 || after.1) && asks_back(&(before.0 + &after.0)), "{stream} {seen:?} {rest:?}");
    }
}

/// A request that was on its way when the client was told. One of HTTP/1.1 is served as well.
#[tokio::test]
async fn a_stream_that_begins_as_the_drain_does_is_served_and_ended_too() {
    let (origin, authority) = (Origin::start(), Authority::new());
    let (mut gateway, _) = started(&origin, &authority).await;
    let mut clients = each_way(&gateway, &authority).await;
    let mut bodies = Vec::new();
    for (n, client) in clients.iter_mut().enumerate() {
        client.send(&[Frame::get(1, &format!("/shared/{n}"))]).await;
        bodies.push(origin.stream().await);
        assert_eq!(client.status(1).await, 200);
    }
    gateway.signal(Signal::TERM);
    let [plain, tls] = clients;
    tokio::join!(begins_as_the_drain_does(plain, 0), begins_as_the_drain_does(tls, 1));
    assert_eq!(gateway.exit_code().await, 0, "{}", gateway.log());
}

#[tokio::test]
async fn a_stream_whose_route_is_gone_ends_in_order_and_its_neighbours_go_on() {
    let (origin, authority) = (Origin::start(), Authority::new());
    let (gateway, config) = started(&origin, &authority).await;
    let mut clients = each_way(&gateway, &authority).await;
    let mut bodies = Vec::new();
    for (n, client) in clients.iter_mut().enumerate() {
        for (stream, path) in [(1, "stays"), (3, "shared"), (5, "private")] {
            client.send(&[Frame::get(stream, &format!("/{path}/{n}"))]).await;
            bodies.push(origin.stream().await);
            assert_eq!(client.status(stream).await, 200);
        }
    }
    let (kept, _) = config.split_once("[[routes]]\npath = \"/shared/*\"").unwrap();
    rewrite(&gateway, &format!("{kept}\n{}", authority.listens()));
    reload(&gateway, 1).await;
    for (n, mut client) in clients.into_iter().enumerate() {
        let mut seen = Seen::default();
        while ![3, 5].iter().all(|id| seen.streams.get(id).is_some_and(|(_, is_over)| *is_over)) {
            let frame = client.next().await.expect("the connection stays");
            seen.note(&frame);
        }
        for id in [3, 5] {
            assert!(asks_back(&seen.streams[&id].0), "{id} {seen:?}");
        }
        assert_eq!(seen.goodbyes, [], "the connection is as good as before");
        bodies[3 * n].event(&numbered(1)).await;
        while !seen.streams.get(&1).is_some_and(|(text, _)| text.ends_with("data: 1\n\n")) {
            let frame = client.next().await.expect("the connection stays");
            seen.note(&frame);
        }
        client.send(&[Frame::get(7, "/private/")]).await;
        assert_eq!(client.status(7).await, 404);
    }
}
