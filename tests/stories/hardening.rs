//! Regression tests for faults that were found once, or nearly happened.

use crate::client::{Client, Connection, End};
use crate::gateway::{Gateway, config_file, route};
use crate::origin::Origin;
use crate::stage::{asked, gap, numbered, opened};

const SILENT: &str = "client.heartbeat_secs = \"off\"";

#[tokio::test]
async fn a_file_that_is_no_socket_is_left_alone() {
    let origin = Origin::start();
    let file = config_file("precious");
    let listen = format!("[server]\nlisten = [\"unix:{}\"]\n", file.path().display());
    let config = config_file(&format!("{listen}[[routes]]\npath = \"/*\"\norigin = \"{}\"\n", origin.url()));
    let (code, said) = Gateway::run(&["-c", config.path().to_str().unwrap()]).await;
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("is not a socket"), "{said}");
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), "precious");
}

#[tokio::test]
async fn a_client_that_sent_stray_bytes_is_noticed_when_it_leaves() {
    let origin = Origin::start();
    for share in ["", "share.mode = \"private\""] {
        let gateway = Gateway::with(route("/*", &origin).with(SILENT).with(share)).await;
        let mut client = Connection::open(&gateway).await;
        client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
        let mut body = origin.stream().await;
        body.event(&numbered(1)).await;
        client.receive(1).await;
        client.send("\r\nGET /later HTTP/1.1\r\nHost: a\r\n\r\n").await;
        drop(client);
        gateway.log_line("client left").await;
    }
}

#[tokio::test]
async fn an_id_of_the_origin_that_no_header_can_hold_is_nothing_to_resume_from() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event("id: a\u{1}1\ndata: 1\n\n").await;
    body.end().await;
    let exchange = origin.accept().await;
    assert_eq!(exchange.request.headers.one("last-event-id"), None);
    exchange.sse().await.event("id: a\u{1}3\ndata: 3\n\n").await;
    for data in ["1", &gap("upstream", None), "3"] {
        assert_eq!(client.next_data().await, data);
    }
}

#[tokio::test]
async fn an_event_that_was_refused_is_not_fetched_again() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("upstream.max_event_bytes = \"64B\"")).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event(&format!("{}id: 2\ndata: {}\n\n", numbered(1), "x".repeat(99))).await;
    body.end().await;
    let exchange = origin.accept().await;
    assert_eq!(exchange.request.headers.one("last-event-id"), Some("2"));
    exchange.sse().await.event(&numbered(3)).await;
    for data in ["1", &gap("upstream", Some(1)), "3"] {
        assert_eq!(client.next_data().await, data);
    }
}

#[tokio::test]
async fn what_broke_off_upstream_does_not_look_whole_downstream() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("upstream.on_close = \"close\"")).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    body.abort();
    assert_ne!(client.ended().await, End::Orderly);
}

#[tokio::test]
async fn a_routes_own_reconnection_time_is_the_last_word() {
    let origin = Origin::start();
    let own = "client.retry_ms = 5000\nclient.retry_jitter = 0\nupstream.on_close = \"close\"";
    let gateway = Gateway::with(route("/*", &origin).with(own)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event("retry: 100\ndata: 1\n\n").await;
    body.end().await;
    assert_eq!(client.ended().await, End::Orderly);
    assert_eq!(client.retries(), [5000]);
}

#[tokio::test]
async fn events_that_are_held_to_share_a_write_hold_nothing_else() {
    let origin = Origin::start();
    let held = "client.flush_ms = 299000\nclient.heartbeat_secs = 0.05\nupstream.on_close = \"close\"";
    let gateway = Gateway::with(route("/*", &origin).with(held)).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    let mut sent = 0;
    let mut is_held = false;
    while !is_held {
        sent += 1;
        // An event that arrives while the greeting or a heartbeat is written goes out at once.
        assert!(sent <= 10, "no event is held");
        body.event(&numbered(sent)).await;
        for _ in 0..client.unread_comments().len() + 3 {
            client.next_comment().await;
        }
        is_held = !client.unread_events().iter().any(|event| event.data == sent.to_string());
    }
    body.event(&numbered(sent + 1)).await;
    body.end().await;
    for n in 1..=sent + 1 {
        assert_eq!(client.next_data().await, n.to_string());
    }
    assert_eq!(client.ended().await, End::Orderly);
}

#[tokio::test]
async fn a_malformed_head_of_the_origin_is_not_quoted() {
    let origin = Origin::start();
    let reflect = "upstream.on_error = \"reflect\"";
    let gateway = Gateway::with(route("/*", &origin).with(reflect)).await;
    let broken = "HTTP/1.1 200 OK\r\nSet-Cookie: a=s3cret\r\nno field\r\n\r\n";
    let answer = asked(Client::get("/"), &gateway, &origin, async |ask| ask.bytes(broken).await).await;
    assert_eq!(answer.status, 502);
    gateway.log_line("origin down").await;
    assert!(!gateway.log().contains("s3cret"), "{}", gateway.log());
}
