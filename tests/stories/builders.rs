//! Tests of the builders without the gateway. The stories rely on what is tested here.

use crate::client::{Client, Connection, End, event};
use crate::http1::Framing;
use crate::origin::{Coding, Origin, Port, ResumingOrigin, Speech};

#[tokio::test]
async fn a_client_sees_every_event_and_an_orderly_end() {
    let origin = Origin::start();
    let (mut client, mut body) =
        tokio::join!(Client::get("/a?b=c").header("X-Odd", "1").connect(&origin), origin.stream());
    body.event("id: 1\ndata: one\n\n").await;
    assert_eq!(client.next_event().await, event("message", "one", "1"));
    body.raw(": hello\nevent: x\ndata: t").await;
    assert_eq!(client.next_comment().await, " hello");
    body.raw("wo\nretry: 7\n\n").await;
    assert_eq!(client.next_event().await, event("x", "two", "1"));
    body.end().await;
    assert_eq!(client.text().await, "id: 1\ndata: one\n\n: hello\nevent: x\ndata: two\nretry: 7\n\n");
    assert_eq!(client.retries(), [7]);

    let request = origin.request(1).await;
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/a?b=c"));
    assert_eq!(request.headers.names(), ["host", "x-odd"]);
    let again = Client::get("/again").on(client.into_connection());
    let (mut again, ()) = tokio::join!(again, async { origin.accept().await.reply(404, &[], "no").await });
    assert_eq!((again.status, again.text().await.as_str()), (404, "no"));
    assert_eq!((origin.request(2).await.connection, origin.connections()), (1, 1));
    drop(again);
    origin.open_connections(0).await;
}

#[tokio::test]
async fn each_framing_ends_in_its_way() {
    let origin = Origin::start();
    for (coding, framing) in [
        (Coding::Length(10), Framing::Length(10)),
        (Coding::UntilClose, Framing::UntilClose),
        (Coding::Bare, Framing::UntilClose),
    ] {
        let client = Client::get("/").http10();
        let (mut client, exchange) = tokio::join!(client.connect(&origin), async {
            let mut body = origin.accept().await.head(200, &[], coding).await;
            body.event("data: 12\n\n").await;
            body.end().await;
        });
        let () = exchange;
        assert_eq!(client.framing, Some(framing));
        assert_eq!(client.next_data().await, "12");
        assert_eq!(client.text().await, "data: 12\n\n");
    }
}

#[tokio::test]
async fn a_cut_and_a_reset_are_told_apart() {
    let origin = Origin::start();
    for end in [End::Cut, End::Reset, End::Cut] {
        let (mut client, body) = tokio::join!(Client::get("/").connect(&origin), origin.stream());
        match end {
            End::Reset => body.abort(),
            End::Cut => body.cut().await,
            End::Orderly => unreachable!(),
        }
        assert_eq!(client.ended().await, end);
    }
}

#[tokio::test]
async fn an_origin_sees_its_client_go() {
    let origin = Origin::start();
    let (client, body) = tokio::join!(Client::get("/").connect(&origin), origin.stream());
    origin.open_connections(1).await;
    drop(client);
    body.gone().await;
    let (client, body) = tokio::join!(Client::get("/").connect(&origin), origin.stream());
    client.reset();
    body.gone().await;
    origin.open_connections(0).await;
}

#[tokio::test]
async fn a_resuming_origin_survives_its_death() {
    let origin = ResumingOrigin::start();
    origin.publish();
    origin.publish();
    let mut client = Client::get("/").connect(&*origin).await;
    assert_eq!(client.next_event().await, event("message", "1", "1"));
    assert_eq!(client.next_event().await, event("message", "2", "2"));
    origin.kill().await;
    assert_eq!(client.ended().await, End::Reset);
    assert!(tokio::net::TcpStream::connect(origin.addr()).await.is_err());
    origin.publish();
    origin.restart();
    let mut client = Client::get("/").after(1).connect(&*origin).await;
    assert_eq!(client.next_data().await, "2");
    assert_eq!(client.next_data().await, "3");
    origin.publish();
    assert_eq!(client.next_data().await, "4");
}

#[tokio::test]
async fn a_reserved_port_refuses() {
    let port = Port::reserve();
    assert!(tokio::net::TcpStream::connect(port.addr()).await.is_err());
}

#[tokio::test]
async fn h2_works_in_the_clear() {
    let origin = Origin::speaking(Speech::H2c);
    let client = Client::method("POST", "/a?b").header("X-Odd", 1).body("hello").h2();
    let (mut client, mut body) = tokio::join!(client.connect(&origin), origin.stream());
    body.event("data: 1\n\n").await;
    assert_eq!(client.next_data().await, "1");
    body.end().await;
    assert_eq!(client.ended().await, End::Orderly);
    let request = origin.request(1).await;
    assert_eq!(
        (request.version.as_str(), request.target.as_str(), request.body.as_slice()),
        ("HTTP/2", "/a?b", &b"hello"[..])
    );

    drop(client);
    let (mut client, body) = tokio::join!(Client::get("/").h2().connect(&origin), origin.stream());
    body.cut().await;
    assert_eq!(client.ended().await, End::Cut);
    drop(client);
    let (client, body) = tokio::join!(Client::get("/").h2().connect(&origin), origin.stream());
    drop(client);
    body.gone().await;
    origin.open_connections(0).await;
}

#[tokio::test]
async fn tls_works_in_both_versions() {
    let origin = Origin::speaking(Speech::Tls(&["h2", "http/1.1"]));
    for (client, version) in [(Client::get("/").h2(), "HTTP/2"), (Client::get("/"), "HTTP/1.1")] {
        let client = client.tls(origin.authority());
        let (mut client, mut body) = tokio::join!(client.connect(&origin), origin.stream());
        body.event("data: 1\n\n").await;
        assert_eq!(client.next_data().await, "1");
        assert_eq!(origin.requests().last().unwrap().version, version);
    }
}

#[tokio::test]
async fn an_upgraded_connection_carries_anything() {
    let origin = Origin::start();
    let client = Client::get("/").header("Upgrade", "odd").header("Connection", "upgrade");
    let (client, (mut tunnel, mut writer)) = tokio::join!(client.connect(&origin), async {
        let headers = [("Upgrade", "odd"), ("Connection", "upgrade")];
        origin.accept().await.head(101, &headers, Coding::Bare).await.upgraded()
    });
    assert_eq!(client.status, 101);
    let mut client: Connection = client.into_connection();
    client.send("ping").await;
    while tunnel.fill().await.unwrap() {
        if tunnel.take().ends_with(b"g") {
            break;
        }
    }
    tokio::io::AsyncWriteExt::write_all(&mut writer, b"pong").await.unwrap();
    assert_eq!(client.receive(4).await, b"pong");
}
