//! Connections on proxy routes that change their protocol.

use crate::client::{Client, Connection, Response};
use crate::gateway::{Gateway, Route, Url, route};
use crate::guard::guarded;
use crate::origin::{Coding, Origin, Port, Speech};
use crate::stage::asked;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn proxy(origin: &(impl Url + ?Sized)) -> Route {
    route("/*", origin).with("kind = \"proxy\"")
}

fn upgrading(protocol: &str) -> Client<'static> {
    Client::get("/socket").http11().header("Connection", "Upgrade").header("Upgrade", protocol)
}

/// Sends a frame in each direction.
async fn talk(client: &mut Connection, origin: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin)) {
    client.send([0x81, 0, b'p']).await;
    let mut heard = [0; 3];
    guarded("the client's frame", origin.read_exact(&mut heard)).await.expect("a frame, and no end");
    assert_eq!(heard, [0x81, 0, b'p']);
    origin.write_all(&[0x82, 0, b'q']).await.unwrap();
    assert_eq!(client.receive(3).await, [0x82, 0, b'q']);
}

#[tokio::test]
async fn a_hundred_upgrades_of_a_hundred_stay_open() {
    const SWITCHED: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let port = Port::reserve();
    let listener = port.listen();
    let gateway = Gateway::with(proxy(&port)).await;
    for n in 0..100 {
        let (client, mut origin) = tokio::join!(upgrading("websocket").connect(&gateway), async {
            let (mut stream, _) = guarded("a connection", listener.accept()).await.unwrap();
            // Written before the request is read, so that the answer is there when the gateway looks for what comes
            // next.
            stream.write_all(SWITCHED).await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                assert!(guarded("a request", stream.read_buf(&mut request)).await.unwrap() > 0);
            }
            stream
        });
        assert_eq!((client.status, client.header("upgrade")), (101, Some("websocket")), "{n}");
        talk(&mut client.into_connection(), &mut origin).await;
    }
}

/// Upgrades a connection. Returns the head of the answer, and what keeps the origin's end open.
async fn upgraded(client: Client<'_>, gateway: &Gateway, origin: &Origin, protocol: &str) -> (Response, impl Sized) {
    let headers = [("Connection", "Upgrade"), ("Upgrade", protocol)];
    tokio::join!(client.connect(gateway), async {
        origin.accept().await.head(101, &headers, Coding::Bare).await.upgraded()
    })
}

#[tokio::test]
async fn an_upgrade_asks_an_origin_of_http2_by_http1() {
    let origin = Origin::speaking(Speech::Tls(&["h2", "http/1.1"]));
    let ca = format!("upstream.ca_file = \"{}\"", origin.authority().path().display());
    let gateway = Gateway::with(proxy(&origin).with(&ca)).await;
    // The gateway has a connection of HTTP/2 to the origin that it could use.
    let before = asked(Client::get("/"), &gateway, &origin, async |ask| ask.reply(200, &[], "").await).await;
    assert_eq!(before.status, 200);
    let (client, _both) = upgraded(upgrading("websocket"), &gateway, &origin, "websocket").await;
    assert_eq!(client.status, 101);
    let versions: Vec<_> = origin.requests().iter().map(|request| request.version.clone()).collect();
    assert_eq!(versions, ["HTTP/2", "HTTP/1.1"]);
}

#[tokio::test]
async fn any_protocol_may_be_changed_to_but_not_another_http() {
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin)).await;
    let (client, _both) = upgraded(upgrading("odd/1"), &gateway, &origin, "odd/1").await;
    assert_eq!((client.status, client.header("upgrade")), (101, Some("odd/1")));
    let client = upgrading("h2c, HTTP/2.0").header("HTTP2-Settings", "AAMAAABkAAQAAP__");
    let client = asked(client, &gateway, &origin, async |ask| ask.reply(200, &[], "").await).await;
    assert_eq!(client.status, 200);
    let request = origin.requests().last().unwrap().clone();
    for name in ["upgrade", "http2-settings", "connection"] {
        assert_eq!(request.headers.one(name), None, "{name}");
    }
}

#[tokio::test]
async fn a_protocol_that_nobody_asked_for_is_502() {
    const SWITCHED: &str = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: odd\r\n\r\nodd bytes";
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin)).await;
    for client in [Client::get("/"), Client::get("/").h2(), upgrading("h2c")] {
        let client = asked(client, &gateway, &origin, async |ask| ask.bytes(SWITCHED).await).await;
        assert_eq!(client.status, 502);
    }
}

#[tokio::test]
async fn an_upgrade_that_is_refused_is_an_answer_like_any_other() {
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin)).await;
    for status in [200, 401, 426] {
        let headers = [("Upgrade", "websocket"), ("Connection", "Upgrade")];
        let mut client = asked(upgrading("websocket"), &gateway, &origin, async |ask| {
            ask.reply(status, &headers, "no").await;
        })
        .await;
        assert_eq!((client.status, client.text().await.as_str()), (status, "no"));
        // With 426 this field says what a client must ask for.
        assert_eq!(client.header("upgrade"), (status == 426).then_some("websocket"));
    }
}

#[tokio::test]
async fn an_upgraded_connection_may_be_quiet_for_longer_than_a_response() {
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin).with("proxy.idle_timeout_secs = 2")).await;
    let headers = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
    let (client, (mut tunnel, mut writer)) = tokio::join!(upgrading("websocket").connect(&gateway), async {
        origin.accept().await.head(101, &headers, Coding::Bare).await.upgraded()
    });
    let mut client = client.into_connection();
    // When this request times out, the upgraded connection has been quiet for longer.
    let late = asked(Client::get("/"), &gateway, &origin, async |ask| ask.gone().await).await;
    assert_eq!(late.status, 504);
    client.send("ping").await;
    assert!(guarded("the client's bytes", tunnel.fill()).await.unwrap());
    writer.write_all(b"pong").await.unwrap();
    assert_eq!(client.receive(4).await, b"pong");
}

#[tokio::test]
async fn a_protocol_is_asked_for_only_where_the_connection_names_it() {
    let origin = Origin::start();
    let gateway = Gateway::with(proxy(&origin)).await;
    let headers = [("Upgrade", "foo, h2c"), ("Connection", "Upgrade")];
    let client = Client::get("/socket").http11().header("Upgrade", "websocket");
    for (client, shown) in [(client, Some("foo")), (Client::get("/socket").h2(), None)] {
        let client = asked(client, &gateway, &origin, async |ask| ask.reply(426, &headers, "").await).await;
        assert_eq!((client.status, client.header("upgrade")), (426, shown));
        let request = origin.requests().last().unwrap().clone();
        assert_eq!((request.headers.one("upgrade"), request.headers.one("connection")), (None, None));
    }
}
