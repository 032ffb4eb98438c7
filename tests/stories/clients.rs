//! The address, scheme and host of a client that comes through other proxies.

use crate::client::{Client, Connection};
use crate::gateway::{Gateway, configuration, route};
use crate::mode::WITHOUT_TLS;
use crate::origin::Origin;
use crate::stage::{asked, joined, opened};
use rustix::process::Signal;

const FROM_A_PROXY: [(&str, &str); 3] = [
    ("X-Forwarded-For", "203.0.113.9, 203.0.113.7"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "public.example"),
];

/// The fields about the client that the origin gets, as `X-Forwarded-For | X-Forwarded-Proto | X-Forwarded-Host`.
async fn told(gateway: &Gateway, origin: &Origin, fields: &[(&str, &str)]) -> String {
    let client = fields.iter().fold(Client::get("/a"), |client, (name, value)| client.header(name, value));
    let client = asked(client, gateway, origin, async |ask| ask.reply(200, &[], "").await).await;
    assert_eq!(client.status, 200);
    let request = origin.requests().last().unwrap().clone();
    let field = |name| request.headers.one(name).unwrap_or("-").to_owned();
    ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"].map(field).join(" | ")
}

#[tokio::test]
async fn a_trusted_proxy_is_believed_and_a_stranger_is_not() {
    for (server, expected) in [
        ("trusted_proxies = [\"127.0.0.0/8\"]", "203.0.113.9, 203.0.113.7, 127.0.0.1 | https | public.example"),
        ("", "127.0.0.1 | http | HOST"),
        ("trusted_proxies = [\"10.0.0.0/8\"]", "127.0.0.1 | http | HOST"),
    ] {
        for kind in ["kind = \"proxy\"", "share.mode = \"private\""] {
            let origin = Origin::start();
            let gateway =
                Gateway::start(&configuration(server, [route("/*", &origin).with(kind).with(WITHOUT_TLS)])).await;
            let expected = expected.replace("HOST", &gateway.addr().to_string());
            assert_eq!(told(&gateway, &origin, &FROM_A_PROXY).await, expected, "{server} {kind}");
            let forged = [("X-Forwarded-Port", "1"), ("X-Real-IP", "1.1.1.1"), ("Forwarded", "for=1.1.1.1")];
            told(&gateway, &origin, &forged).await;
            let request = origin.requests().last().unwrap().clone();
            for (name, value) in forged {
                let passed = request.headers.one(name).is_some_and(|passed| passed.starts_with(value));
                assert_eq!(passed, server.contains("127"), "{name} {kind}");
            }
        }
    }
}

/// A stream route that forwards such a field passes the value that manifold believes. That value is a part of the key.
#[tokio::test]
async fn what_is_said_of_the_client_makes_another_stream_only_where_it_is_believed() {
    let share = "share.headers = [\"x-forwarded-proto\"]";
    for (server, proto) in [("", "http"), ("trusted_proxies = [\"127.0.0.1\"]", "https")] {
        let origin = Origin::start();
        let gateway =
            Gateway::start(&configuration(server, [route("/*", &origin).with(share).with(WITHOUT_TLS)])).await;
        let (_first, _body) = opened(Client::get("/").header("X-Forwarded-Proto", "https"), &gateway, &origin).await;
        let request = origin.requests().last().unwrap().clone();
        assert_eq!(request.headers.one("x-forwarded-proto"), Some(proto));
        if server.is_empty() {
            let _second = joined(Client::get("/"), &gateway).await;
        } else {
            let (_second, _body) = opened(Client::get("/"), &gateway, &origin).await;
        }
    }
}

#[tokio::test]
async fn the_log_names_the_client() {
    let origin = Origin::start();
    let server = "trusted_proxies = [\"127.0.0.1\"]";
    let gateway = Gateway::start(&configuration(server, [route("/*", &origin)])).await;
    let (client, _body) = opened(Client::get("/").header("X-Forwarded-For", "203.0.113.7"), &gateway, &origin).await;
    drop(client);
    let line = gateway.log_line("client left").await;
    assert!(line.contains(" client=203.0.113.7 "), "{line}");
}

const VERSION_1: &[u8] = b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n";
/// The header [`VERSION_1`] in version 2 of the protocol.
const VERSION_2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x0a\0\0\x01\x12\x67\0\x50";

#[tokio::test]
async fn the_proxy_protocol_tells_the_client_where_it_is_on_and_its_sender_trusted() {
    let origin = Origin::start();
    let proxied = || [route("/*", &origin).with("kind = \"proxy\"")];
    let on = "trusted_proxies = [\"127.0.0.1\"]\nproxy_protocol = \"on\"";
    let gateway = Gateway::start(&configuration(on, proxied())).await;
    for header in [VERSION_1, VERSION_2] {
        let mut connection = Connection::open(gateway.addr()).await;
        for byte in header {
            connection.send([*byte]).await;
        }
        connection.send("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n").await;
        let (response, ()) = tokio::join!(connection.response(false), async {
            origin.accept().await.reply(200, &[], "").await;
        });
        assert_eq!(response.status, 200);
        let request = origin.requests().last().unwrap().clone();
        assert_eq!(request.headers.one("x-forwarded-for"), Some("203.0.113.7"), "its own field is replaced");
    }
    let mut without = Connection::open(gateway.addr()).await;
    without.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(without.rest().await, b"", "a trusted proxy must begin with the header");
    gateway.log_line("not begin with a valid PROXY header").await;

    for server in ["", "trusted_proxies = [\"10.0.0.1\"]\nproxy_protocol = \"on\"", "trusted_proxies = [\"127.0.0.1\"]"]
    {
        let gateway = Gateway::start(&configuration(server, proxied())).await;
        for header in [VERSION_1, VERSION_2] {
            let mut connection = Connection::open(gateway.addr()).await;
            connection.send([header, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"].concat()).await;
            let answer = connection.rest().await;
            assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", answer.escape_ascii());
        }
    }
    assert_eq!(origin.requests().len(), 2);
}

#[tokio::test]
async fn a_proxy_that_introduces_nobody_does_not_hold_a_drain_up() {
    let origin = Origin::start();
    let server = "trusted_proxies = [\"127.0.0.1\"]\nproxy_protocol = \"on\"\nhead_secs = 3600\ndrain_secs = 3600";
    let mut gateway = Gateway::start(&configuration(server, [route("/*", &origin)])).await;
    let mut silent = Connection::open(gateway.addr()).await;
    silent.send("PROXY").await;
    gateway.signal(Signal::TERM);
    assert_eq!(gateway.exit_code().await, 0, "{}", gateway.log());
    assert_eq!(silent.rest().await, b"");
}
