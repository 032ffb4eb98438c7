//! Connections with TLS that a proxy introduces, and those for which there is no place.

use crate::client::{Client, Connection};
use crate::gateway::{Gateway, configuration, route};
use crate::guard::guarded;
use crate::metrics::{ADMIN, refusals, until};
use crate::origin::{Authority, Origin};
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// The header of the PROXY protocol for a client at 203.0.113.7, in versions 1 and 2.
const HEADERS: [&[u8]; 2] = [
    b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x0a\0\0\x01\x12\x67\x01\xbb",
];

const INTRODUCED: &str = "trusted_proxies = [\"127.0.0.1\"]\nproxy_protocol = \"on\"";

/// A gateway with an address for TLS, and that address.
async fn secured(server: &str, origin: &Origin, authority: &Authority) -> (Gateway, SocketAddr) {
    let routes = [route("/proxied", origin).with("kind = \"proxy\""), route("/*", origin)];
    let gateway = Gateway::spawn(&format!("{}\n{}", configuration(server, routes), authority.listens()));
    gateway.log_line(" tls=on").await;
    let address = gateway.tls_addr().unwrap();
    (gateway, address)
}

/// Sends pieces of bytes, and does a handshake for HTTP/1.1 after them.
async fn after<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    address: SocketAddr,
    authority: &Authority,
) -> std::io::Result<TlsStream<TcpStream>> {
    handshake_after(pieces, address, authority, "http/1.1").await
}

async fn handshake_after<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    address: SocketAddr,
    authority: &Authority,
    protocol: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for piece in pieces {
        stream.write_all(piece).await?;
    }
    let name = ServerName::try_from("localhost").unwrap();
    guarded("a handshake", authority.connector(&[protocol]).connect(name, stream)).await
}

#[tokio::test]
async fn a_proxy_introduces_its_client_before_the_handshake() {
    let (origin, authority) = (Origin::start(), Authority::new());
    let (gateway, address) = secured(INTRODUCED, &origin, &authority).await;
    for size in [1, 7, 1000] {
        for header in HEADERS {
            let mut stream = after(header.chunks(size), address, &authority).await.unwrap();
            let request = b"GET /proxied HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n";
            stream.write_all(request).await.unwrap();
            let exchange = origin.accept().await;
            let told = ["x-forwarded-for", "x-forwarded-proto"].map(|name| exchange.request.headers.one(name));
            assert_eq!(told, [Some("203.0.113.7"), Some("https")]);
            exchange.reply(200, &[], "").await;
        }
    }
    // The engine serves the next ones.
    let mut bodies = Vec::new();
    for (n, header) in HEADERS.into_iter().enumerate() {
        let mut stream = after([header].into_iter(), address, &authority).await.unwrap();
        stream.write_all(format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await.unwrap();
        bodies.push(origin.stream().await);
        let mut head = [0; 12];
        guarded("a head", stream.read_exact(&mut head)).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        drop(stream);
        let line = gateway.log_lines("client left", n + 1).await.remove(n);
        assert!(line.contains(" client=203.0.113.7 "), "{line}");
    }
    assert!(after([].into_iter(), address, &authority).await.is_err(), "a trusted proxy must begin with the header");
    gateway.log_line("not begin with a valid PROXY header").await;
}

#[tokio::test]
async fn a_header_of_the_proxy_protocol_is_no_handshake_where_none_is_expected() {
    let (origin, authority) = (Origin::start(), Authority::new());
    for server in ["", "trusted_proxies = [\"10.0.0.1\"]\nproxy_protocol = \"on\""] {
        let (_gateway, address) = secured(server, &origin, &authority).await;
        for header in HEADERS {
            assert!(after([header].into_iter(), address, &authority).await.is_err(), "{server}");
            // Within TLS it is no request.
            let mut stream = after([].into_iter(), address, &authority).await.unwrap();
            let request = [header, b"GET /proxied HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
            stream.write_all(&request).await.unwrap();
            let mut answer = Vec::new();
            drop(guarded("the end", stream.read_to_end(&mut answer)).await);
            assert!(answer.starts_with(b"HTTP/1.1 400 "), "{}", answer.escape_ascii());
        }
    }
    assert_eq!(origin.requests().len(), 0);
}

/// HTTP/2 has no answer before there is a request, and a client that agreed on it does not understand one of HTTP/1.1.
#[tokio::test]
async fn a_client_whose_first_bytes_do_not_end_is_told_in_the_protocol_of_its_handshake() {
    const GOAWAY: [u8; 17] = [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let (origin, authority) = (Origin::start(), Authority::new());
    let (_gateway, address) = secured("head_secs = 1", &origin, &authority).await;
    for (protocol, begins) in [("h2", &b"PRI * HTTP/2.0\r\n"[..]), ("h2", b"P"), ("http/1.1", b"PRI")] {
        let mut stream = handshake_after([].into_iter(), address, &authority, protocol).await.unwrap();
        stream.write_all(begins).await.unwrap();
        let mut told = Vec::new();
        drop(guarded("the end", stream.read_to_end(&mut told)).await);
        let is_told = if protocol == "h2" { told.ends_with(&GOAWAY) } else { told.starts_with(b"HTTP/1.1 408 ") };
        assert!(is_told, "{protocol} {}: {}", begins.escape_ascii(), told.escape_ascii());
    }
}

/// A few connections without a place are read from, so that they can be told. The others are closed at once.
#[tokio::test]
async fn tls_connections_beyond_all_places_are_closed_counted_and_logged() {
    let (origin, authority) = (Origin::start(), Authority::new());
    let (gateway, address) = secured(&format!("{ADMIN}\nmax_connections = 1"), &origin, &authority).await;
    let admin = gateway.admin().await;
    let (first, _body) = tokio::join!(Client::get("/").tls(&authority).connect(address), origin.stream());
    let first = first.stream();
    assert_eq!(Client::get("/").tls(&authority).connect(address).await.status, 503);
    until(admin, &refusals("connections"), 1.0).await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(Connection::open(address).await);
    }
    gateway.log_line("clients are refused reason=connections").await;
    for mut connection in silent {
        assert_eq!(connection.rest().await, b"");
    }
    let counted = async {
        let series = refusals("connections");
        loop {
            let figures = Client::get("/metrics").connect(admin).await.text().await;
            let value = figures.lines().find_map(|line| line.strip_prefix(&series)?.trim().parse::<f64>().ok());
            if value.is_some_and(|value| value > 1.0) {
                return;
            }
        }
    };
    guarded("the connections to be counted", counted).await;
    drop(first);
}
