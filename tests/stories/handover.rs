//! An upgrade that clients do not notice: streams and clients go to the new process.

use crate::client::{Client, End};
use crate::frames::{DATA, Frame, Frames, GOAWAY, PING, RST_STREAM};
use crate::gateway::{Gateway, configuration, route};
use crate::mode::{WITHOUT_TLS, clients_move};
use crate::origin::{Authority, Origin, ResumingOrigin, Version};
use crate::relay;
use crate::releases::Releases;
use crate::stage::{Successor, gap, numbered, opened};
use rustix::process::Signal;
use std::time::Duration;

/// The clients are served by the engine, and no client that is drained leaves in time.
const SETTINGS: &str = "drain_secs = 600\nshards = 2\nhttp2 = \"engine\"";

/// Replaces the process. Returns the new one when the old one has ended.
async fn upgraded(gateway: &mut Gateway) -> Successor {
    gateway.signal(Signal::QUIT);
    let successor = Successor::of(&gateway.log_line("a new process serves").await);
    assert_eq!(gateway.succeeded().await, 0, "{}", gateway.log());
    successor
}

#[tokio::test]
async fn clients_stay_connected_and_get_each_event_once() {
    if !clients_move(SETTINGS) {
        // Those of TLS 1.2 are drained.
        return;
    }
    let origin = ResumingOrigin::start_live();
    let mut gateway = Gateway::start(&configuration(SETTINGS, [route("/*", &*origin)])).await;
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
    if !clients_move(SETTINGS) {
        // Those of TLS 1.2 are drained.
        return;
    }
    let origin = Origin::start();
    let mut gateway = Gateway::start(&configuration(SETTINGS, [route("/*", &origin)])).await;
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

/// The number of upgrades in a row, and of events in the meantime.
const UPGRADES: usize = 5;

/// Clients of every kind that the engine serves on a connection of its own. Some of them read nothing meanwhile, and are
/// in the middle of an event.
#[tokio::test]
async fn several_upgrades_in_a_row_lose_and_double_nothing_for_clients_of_any_kind() {
    let (origin, authority) = (ResumingOrigin::start_live(), Authority::new());
    let config = configuration(SETTINGS, [route("/*", &*origin).with("replay.events = 100000")]);
    let gateway = Gateway::start(&format!("{config}\n{}", authority.listens())).await;
    gateway.log_line(" tls=on").await;
    let (plain, tls) = (gateway.addr(), gateway.tls_addr().unwrap());
    let mut clients = Vec::new();
    for n in 0..42 {
        let path = format!("/{}", n % 3);
        let client = Client::get(&path);
        clients.push(match n % 7 {
            0 => client.tls_of(&authority, Version::Tls13).connect(tls).await.stream(),
            1 => client.http10().connect(plain).await.stream(),
            2 => client.small_receive_buffer().connect(plain).await.stream(),
            3 => client.h2().connect(plain).await.stream(),
            4 => client.h2().small_receive_buffer().connect(plain).await.stream(),
            5 => client.h2().tls_of(&authority, Version::Tls13).connect(tls).await.stream(),
            _ => client.http11().connect(plain).await.stream(),
        });
    }
    origin.publish();
    for client in &mut clients {
        assert_eq!(client.next_data().await, "1");
    }
    let (stop, mut stopped) = tokio::sync::oneshot::channel::<()>();
    let publishing = async {
        let mut published = 1_u64;
        while tokio::time::timeout(Duration::from_millis(5), &mut stopped).await.is_err() {
            origin.publish();
            published += 1;
        }
        published
    };
    let upgrading = async {
        gateway.signal(Signal::QUIT);
        let mut successors = Vec::new();
        for n in 1..=UPGRADES {
            let lines = gateway.log_lines("a new process serves", n).await;
            let successor = Successor::of(lines.last().unwrap());
            gateway.log_lines("drained: exit", n).await;
            if n < UPGRADES {
                successor.signal(Signal::QUIT);
            }
            successors.push(successor);
        }
        stop.send(()).unwrap();
        successors
    };
    let (published, _successors) = tokio::join!(publishing, upgrading);
    for (n, client) in clients.iter_mut().enumerate() {
        for event in 2..=published {
            assert_eq!(client.next_data().await, event.to_string(), "client {n}");
        }
    }
    let moved = gateway.log_lines("handed over streams=3 clients=42", UPGRADES).await;
    assert_eq!(moved.len(), UPGRADES);
}

/// The data of an event that waits on a stream of a connection of HTTP/2.
async fn next_on(connection: &mut Frames, streams: &[u32], n: u64) {
    let mut waiting: Vec<u32> = streams.to_vec();
    while !waiting.is_empty() {
        let frame = connection.next().await.expect("the connection stays");
        assert!(![GOAWAY, RST_STREAM].contains(&frame.kind), "{frame:?}");
        if frame.kind == DATA && String::from_utf8_lossy(&frame.payload).contains(&format!("data: {n}\n")) {
            waiting.retain(|stream| *stream != frame.stream);
        }
    }
}

#[tokio::test]
async fn a_browsers_connection_moves_with_all_its_streams_and_opens_more() {
    let (origin, authority) = (ResumingOrigin::start_live(), Authority::new());
    let config = configuration(SETTINGS, [route("/*", &*origin)]);
    let mut gateway = Gateway::start(&format!("{config}\n{}", authority.listens())).await;
    gateway.log_line(" tls=on").await;
    let mut connections = [Frames::open(&gateway, &[]).await, Frames::open_tls(&gateway, &authority, &[]).await];
    for connection in &mut connections {
        for (stream, path) in [(1, "/a"), (3, "/b"), (5, "/a")] {
            connection.send(&[Frame::get(stream, path)]).await;
            assert_eq!(connection.status(stream).await, 200);
        }
        // The client is in the middle of a frame.
        connection.bytes(&Frame::new(PING, 0, 0, *b"12345678").to_bytes()[..11]).await;
    }
    origin.publish();
    for connection in &mut connections {
        next_on(connection, &[1, 3, 5], 1).await;
    }
    let _successor = upgraded(&mut gateway).await;
    gateway.log_line("handed over streams=2 clients=6").await;
    origin.publish();
    for connection in &mut connections {
        next_on(connection, &[1, 3, 5], 2).await;
        connection.bytes(&Frame::new(PING, 0, 0, *b"12345678").to_bytes()[11..]).await;
        assert_eq!(connection.find(PING, 0).await.unwrap().payload, b"12345678");
        connection.send(&[Frame::get(7, "/c")]).await;
        assert_eq!(connection.status(7).await, 200);
    }
    origin.publish();
    for connection in &mut connections {
        next_on(connection, &[1, 3, 5, 7], 3).await;
    }
}

#[tokio::test]
async fn only_streams_whose_routes_are_what_they_were_move() {
    if !clients_move(SETTINGS) {
        // Those of TLS 1.2 are drained.
        return;
    }
    let [stays, other, origin] =
        [ResumingOrigin::start_live(), ResumingOrigin::start_live(), ResumingOrigin::start_live()];
    let routes = |changed: &ResumingOrigin, last: &str| {
        configuration(
            &format!("{}\n{WITHOUT_TLS}", SETTINGS.replace("600", "5")),
            [
                route("/stays/*", &*stays).with("client.heartbeat_secs = 7"),
                route("/changed/*", &**changed),
                route(&format!("/{last}/*"), &*origin),
            ],
        )
    };
    let mut gateway = Gateway::start(&routes(&origin, "removed")).await;
    let mut clients = Vec::new();
    for path in ["/stays/a", "/changed/a", "/removed/a"] {
        clients.push(Client::get(path).connect(&gateway).await.stream());
    }
    stays.publish();
    origin.publish();
    for client in &mut clients {
        assert_eq!(client.next_data().await, "1");
    }
    // A policy of clients may change, and the route may be another one in number.
    let after = routes(&other, "added").replace("heartbeat_secs = 7", "heartbeat_secs = 9");
    let listen = format!("listen = [\"{}\"]", gateway.addr());
    std::fs::write(gateway.config(), after.replace("listen = [\"127.0.0.1:0\"]", &listen)).unwrap();
    let _successor = upgraded(&mut gateway).await;
    gateway.log_line("handed over streams=1 clients=1").await;
    for client in &mut clients[1..] {
        assert_eq!(client.ended().await, End::Orderly);
    }
    stays.publish();
    assert_eq!(clients[0].next_data().await, "2");
    other.publish();
    let mut again = Client::get("/changed/a").connect(&gateway).await.stream();
    other.publish();
    assert_eq!(again.next_data().await, "2");
    assert_eq!(Client::get("/removed/a").connect(&gateway).await.status, 404);
}

#[tokio::test]
async fn two_versions_that_do_not_understand_each_other_move_nothing_and_the_old_process_drains() {
    let (origin, releases) = (ResumingOrigin::start_live(), relay::speaking(9));
    let config = configuration(&SETTINGS.replace("600", "5"), [route("/*", &*origin)]);
    let (gateway, _file) = releases.run(&config).await;
    let mut client = Client::get("/").connect(&gateway).await.stream();
    origin.publish();
    assert_eq!(client.next_data().await, "1");
    releases.switch();
    gateway.signal(Signal::QUIT);
    let _new = Successor::of(&gateway.log_line("relay: the new process has pid=").await);
    gateway.log_line("streams and clients stay here, because the new process speaks another version version=9").await;
    gateway.log_line("a new process serves").await;
    assert_eq!(client.ended().await, End::Orderly);
    let id = client.last_id().to_owned();
    let mut client = Client::get("/").after(&id).connect(&gateway).await.stream();
    origin.publish();
    assert_eq!(client.next_data().await, "2");
}

/// An earlier version of the program takes sockets over, and no streams.
#[tokio::test]
async fn a_new_process_that_takes_no_streams_lets_the_old_one_drain() {
    let (origin, releases) = (ResumingOrigin::start_live(), Releases::new("printf r >&0\nexec sleep 3600"));
    let config = configuration(&SETTINGS.replace("600", "5"), [route("/*", &*origin)]);
    let (mut gateway, _file) = releases.run(&config).await;
    let mut client = Client::get("/").connect(&gateway).await.stream();
    origin.publish();
    assert_eq!(client.next_data().await, "1");
    releases.switch();
    let _successor = upgraded(&mut gateway).await;
    gateway.log_line("handed over streams=0 clients=0").await;
    assert_eq!(client.ended().await, End::Orderly);
}
