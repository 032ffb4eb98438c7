//! Clients that are slow, that do not read, that send nothing, or that take too much.

use crate::client::{Client, Connection, End};
use crate::gateway::{Gateway, configuration, route};
use crate::guard::guarded;
use crate::origin::Origin;
use crate::stage::{joined, numbered, opened, read_burst};
use std::time::Duration;

/// More events of [`BIG`] bytes than the kernel buffers for one client at both ends.
const MANY: u64 = 400;
const BIG: usize = 32 * 1024;

fn big(n: u64) -> String {
    format!("id: {n}\ndata: {n} {}\n\n", "x".repeat(BIG))
}

#[tokio::test]
async fn a_client_that_stops_reading_is_closed_and_costs_the_others_nothing() {
    let origin = Origin::start();
    let options = "client.stall_secs = 0.3\nreplay.bytes = \"64MiB\"";
    let gateway = Gateway::with(route("/*", &origin).with(options)).await;
    let (mut reads, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    let deaf = [
        joined(Client::get("/").small_receive_buffer(), &gateway).await,
        joined(Client::get("/").small_receive_buffer().http10(), &gateway).await,
        joined(Client::get("/").small_receive_buffer().h2(), &gateway).await,
    ];
    for n in 1..=MANY {
        body.event(&big(n)).await;
        assert_eq!(reads.next_event().await.id, n.to_string());
    }
    let left = gateway.log_lines("client left", deaf.len()).await;
    assert!(left.iter().all(|line| line.contains("why=stall")), "{left:#?}");
    body.event(&numbered(MANY + 1)).await;
    assert_eq!(reads.next_event().await.id, (MANY + 1).to_string());
}

/// No write waits here: the kernel's buffer holds what the client does not take.
#[tokio::test]
async fn a_client_that_stops_reading_a_quiet_stream_is_closed_as_one_that_stalls() {
    for share in ["", "share.mode = \"private\""] {
        let origin = Origin::start();
        let options = format!("client.stall_secs = 0.3\nclient.heartbeat_secs = \"off\"\n{share}");
        let gateway = Gateway::with(route("/*", &origin).with(&options)).await;
        for (n, client) in [Client::get("/a"), Client::get("/b").http10()].into_iter().enumerate() {
            let (_deaf, mut body) = opened(client.small_receive_buffer(), &gateway, &origin).await;
            body.event(&big(1)).await;
            let left = gateway.log_lines("client left", n + 1).await.remove(n);
            assert!(left.contains("why=stall"), "{left}");
        }
    }
}

/// The client's socket becomes writable only now and then. For a long time the gateway hears nothing but arriving
/// bytes, and all that time the kernel sees a client that takes nothing.
#[tokio::test]
async fn a_burst_passes_whole_to_an_only_client_that_reads_slowly_and_steadily() {
    tokio::join!(reads_slowly(""), reads_slowly("shards = \"off\""));
}

async fn reads_slowly(server: &str) {
    const EVENTS: usize = 6000;
    const SLOWLY: usize = 450;
    // A busy machine may keep a client from reading for as long as a client may stall. Then the test tries again with
    // a new client.
    for _ in 0..5 {
        let origin = Origin::start();
        let upstream = "upstream.on_close = \"close\"\nupstream.idle_timeout_secs = 0.4";
        let options = format!("replay.events = 100\nclient.stall_secs = 3\n{upstream}");
        let gateway = Gateway::start(&configuration(server, [route("/*", &origin).with(&options)])).await;
        let (mut client, body) = opened(Client::get("/").small_receive_buffer(), &gateway, &origin).await;
        let pause = |next| (next < SLOWLY && next % 5 == 0).then(|| Duration::from_millis(50));
        let read = read_burst(&mut client, body, EVENTS, pause).await;
        // A busy machine may also keep the origin from sending for as long as it may be quiet. An origin that is not
        // read for that time is not quiet: it would be asked again in each of the tries.
        let is_asked_once = origin.requests().len() == 1;
        if is_asked_once && read == (EVENTS, End::Orderly) {
            return;
        }
        if !is_asked_once {
            continue;
        }
        assert_ne!(read.1, End::Orderly, "a response that was cut does not look complete");
    }
    panic!("no client was sent the whole burst of an origin that was asked once {server}");
}

#[tokio::test]
async fn a_client_that_falls_off_the_log_is_closed_or_told_as_the_route_says() {
    for on_lag in ["disconnect", "skip"] {
        let origin = Origin::start();
        let options = format!("client.on_lag = \"{on_lag}\"\nreplay.events = 4\nclient.stall_secs = 600");
        let gateway = Gateway::with(route("/*", &origin).with(&options)).await;
        let (mut reads, mut body) = opened(Client::get("/"), &gateway, &origin).await;
        let mut slow = joined(Client::get("/").small_receive_buffer(), &gateway).await;
        for n in 1..=MANY {
            body.event(&big(n)).await;
            assert_eq!(reads.next_event().await.id, n.to_string());
        }
        if on_lag == "disconnect" {
            assert!([End::Orderly, End::Reset, End::Cut].contains(&slow.ended().await));
            let left = gateway.log_line("client left").await;
            assert!(left.contains("why=lag"), "{left}");
            continue;
        }
        let (mut last, mut gaps) = (0, 0);
        while last < MANY {
            let event = slow.next_event().await;
            if event.kind == "gap" {
                let missed =
                    event.data.strip_prefix("{\"reason\":\"lag\",\"missed\":").and_then(|rest| rest.strip_suffix('}'));
                last += missed.unwrap_or_else(|| panic!("{event:?}")).parse::<u64>().unwrap();
                gaps += 1;
            } else {
                last += 1;
                assert_eq!(event.id, last.to_string());
            }
        }
        assert!(gaps > 0);
    }
}

#[tokio::test]
async fn a_response_ends_in_order_after_the_lifetime_that_the_route_sets() {
    let life = "client.max_lifetime_secs = 0.05\nclient.retry_jitter = 0";
    for server in ["", "shards = \"off\""] {
        let origin = Origin::start();
        let gateway = Gateway::start(&configuration(server, [route("/*", &origin).with(life)])).await;
        let (mut first, _body) = opened(Client::get("/"), &gateway, &origin).await;
        assert_eq!((first.ended().await, first.retries()), (End::Orderly, &[3000][..]));
        for client in [Client::get("/").http10(), Client::get("/").h2()] {
            let mut client = joined(client, &gateway).await;
            assert_eq!((client.ended().await, client.retries()), (End::Orderly, &[3000][..]), "it is asked back");
        }
        assert_eq!(origin.requests().len(), 1);
    }
    let origin = Origin::start();
    let private = format!("share.mode = \"private\"\n{life}");
    let gateway = Gateway::with(route("/*", &origin).with(&private)).await;
    for client in [Client::get("/"), Client::get("/").http10(), Client::get("/").h2()] {
        let (mut client, _body) = opened(client, &gateway, &origin).await;
        assert_eq!((client.ended().await, client.retries()), (End::Orderly, &[3000][..]));
    }
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let mut one_field = Connection::open(&gateway).await;
    one_field.send("GET / HTTP/1.1\r\nHost: x\r\nX: ").await;
    one_field.send(vec![b'x'; 2 * 1024 * 1024]).await;
    assert_eq!(one_field.response(false).await.status, 431);

    let mut fields = Connection::open(&gateway).await;
    fields.send("GET / HTTP/1.1\r\nHost: x\r\n").await;
    fields.send("X: y\r\n".repeat(1000)).await;
    fields.send("\r\n").await;
    let status = fields.response(false).await.status;
    assert!([400, 431].contains(&status), "{status}");

    let mut endless = Connection::open(&gateway).await;
    endless.send(vec![b'G'; 2 * 1024 * 1024]).await;
    let answer = endless.rest().await;
    assert!(answer.starts_with(b"HTTP/1.1 4") || answer.is_empty(), "{:?}", String::from_utf8_lossy(&answer));
    assert_eq!(origin.requests().len(), 0);
}

#[tokio::test]
async fn a_short_request_is_answered_without_more_bytes() {
    let origin = Origin::answering(|exchange| exchange.reply(404, &[], ""));
    let gateway = Gateway::with(route("/*", &origin)).await;
    // Each request is shorter than the 24 bytes of the HTTP/2 preface.
    for request in ["GET / HTTP/1.0\r\n\r\n", "X / HTTP/1.1\r\n\r\n", "PRI\r\n\r\n", "\r\nG / HTTP/1.0\r\n\r\n"] {
        let mut connection = Connection::open(&gateway).await;
        connection.send(request).await;
        assert!(connection.receive(1).await.starts_with(b"H"), "{request:?}");
    }
}

#[tokio::test]
async fn a_client_that_goes_before_it_asked_costs_nothing() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    for sent in ["", "G", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let mut connection = Connection::open(&gateway).await;
        connection.send(sent).await;
        connection.reset();
        let mut connection = Connection::open(&gateway).await;
        connection.send(sent).await;
        connection.half_close().await;
        connection.rest().await;
    }
    let (_client, _body) = opened(Client::get("/"), &gateway, &origin).await;
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn the_limit_of_connections_is_kept() {
    for shards in ["1", "\"off\""] {
        let origin = Origin::start();
        let server = format!("max_connections = 2\nshards = {shards}");
        let gateway = Gateway::start(&configuration(&server, [route("/*", &origin)])).await;
        let (first, _body) = opened(Client::get("/"), &gateway, &origin).await;
        let _second = joined(Client::get("/"), &gateway).await;
        assert_eq!(Client::get("/").connect(&gateway).await.status, 503);
        drop(first);
        gateway.log_line("client left").await;
        // Exactly one place is free.
        let _third = guarded("the freed place", async {
            loop {
                let client = Client::get("/").connect(&gateway).await;
                if client.status == 200 {
                    return client;
                }
                assert_eq!(client.status, 503);
            }
        })
        .await;
        assert_eq!(Client::get("/").connect(&gateway).await.status, 503);
    }
}

#[tokio::test]
async fn streams_that_nobody_is_on_keep_nobody_out() {
    let origin = Origin::start();
    let options = "share.max_streams = 3\nshare.linger_secs = 600";
    let gateway = Gateway::with(route("/*", &origin).with(options)).await;
    let (staying, mut kept) = opened(Client::get("/?staying"), &gateway, &origin).await;
    let mut bodies = Vec::new();
    for n in 0..2 {
        let (client, body) = opened(Client::get(format!("/?{n}")), &gateway, &origin).await;
        drop(client);
        gateway.log_lines("client left", n + 1).await;
        bodies.push(body);
    }
    let mut clients = Vec::new();
    for (n, longest_empty) in (2..).zip(bodies) {
        clients.push(opened(Client::get(format!("/?{n}")), &gateway, &origin).await);
        longest_empty.gone().await;
    }
    assert_eq!(Client::get("/?5").connect(&gateway).await.status, 503);
    let mut staying = [staying, joined(Client::get("/?staying"), &gateway).await];
    kept.event(&numbered(1)).await;
    for client in &mut staying {
        assert_eq!(client.next_data().await, "1");
    }
    assert_eq!(origin.requests().len(), 5);
}

#[tokio::test]
async fn a_stream_whose_origin_never_answered_ends_with_its_client() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("share.linger_secs = 600")).await;
    let mut connection = Connection::open(&gateway).await;
    connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    let exchange = origin.accept().await;
    connection.reset();
    exchange.gone().await;
}

#[tokio::test]
async fn the_logs_of_all_streams_are_bounded_and_the_longest_empty_one_gives_way() {
    let origin = Origin::start();
    let options = "share.linger_secs = 600";
    let config = configuration("replay_bytes = \"250KiB\"", [route("/*", &origin).with(options)]);
    let gateway = Gateway::start(&config).await;
    let mut bodies = Vec::new();
    for n in 0..2 {
        let (mut client, mut body) = opened(Client::get(format!("/?{n}")), &gateway, &origin).await;
        for n in 1..=2 {
            body.event(&big(n)).await;
            assert!(client.next_data().await.starts_with(&n.to_string()));
        }
        drop(client);
        gateway.log_lines("client left", n + 1).await;
        bodies.push(body);
    }
    let (mut client, mut body) = opened(Client::get("/?2"), &gateway, &origin).await;
    for n in 1..=3 {
        body.event(&big(n)).await;
        assert!(client.next_data().await.starts_with(&n.to_string()));
    }
    bodies.remove(0).gone().await;
    let mut back = joined(Client::get("/?1").after(1), &gateway).await;
    assert!(back.next_data().await.starts_with('2'), "the other log is whole");
    assert_eq!(origin.requests().len(), 3);
}
