//! Bytes that are no handshake, handshakes that do not end, and records that must not be. The answer to each is an alert
//! (RFC 8446, section 6) or the end of the connection.

use crate::client::Client;
use crate::gateway::{Gateway, configuration, route};
use crate::guard::guarded;
use crate::origin::{Authority, Origin, Version};
use crate::under_attack::{KIB, PATIENT, SERVING, Siege};
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Types of records (RFC 8446, section 5.1).
const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// The type of a handshake message that ends a connection's keys (RFC 8446, section 4).
const CLIENT_HELLO: u8 = 1;

/// A gateway with an address for TLS, that address, and an origin that is not attacked.
async fn secured(server: &str, authority: &Authority) -> (Gateway, SocketAddr, Origin) {
    let peaceful = Origin::start();
    let config = configuration(server, [route("/*", &peaceful)]);
    let gateway = Gateway::spawn(&format!("{config}\n{}", authority.listens())).with_marks_of(crate::mode::WITHOUT_TLS);
    gateway.log_line(" tls=on").await;
    let address = gateway.tls_addr().unwrap();
    (gateway, address, peaceful)
}

/// A record of TLS.
fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
    stated(kind, [3, 3], payload.len(), payload)
}

/// A record that states this version and length.
fn stated(kind: u8, version: [u8; 2], length: usize, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(length).unwrap().to_be_bytes();
    [&[kind][..], &version, &length, payload].concat()
}

/// What a client says first.
fn client_hello(authority: &Authority, version: Version) -> Vec<u8> {
    let config = Arc::new(authority.client_config(&["http/1.1"], version));
    let name = ServerName::try_from("localhost").unwrap();
    let mut client = rustls::ClientConnection::new(config, name).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    hello
}

/// Sends bytes, ends the client's side, and returns all that comes back.
async fn told(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let mut stream = guarded("a connection", TcpStream::connect(address)).await.unwrap();
    // The gateway may have closed already.
    let _sent = guarded("room to send", stream.write_all(bytes)).await;
    let _closed = stream.shutdown().await;
    rest(&mut stream).await
}

async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let _reset = guarded("the end of the connection", stream.read_to_end(&mut all)).await;
    all
}

/// Whether the last of these records is an alert, or there is none. After the gateway's first word, an alert is sealed,
/// and looks like data.
fn ends_with_an_alert(mut bytes: &[u8]) -> bool {
    let (mut last, is_sealed) = (ALERT, bytes.first() == Some(&HANDSHAKE));
    while let [kind, 3, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        last = *kind;
        bytes = rest.get(length..).unwrap_or_default();
    }
    (last == ALERT || is_sealed && last == APPLICATION_DATA) && bytes.is_empty()
}

async fn connected(address: SocketAddr, authority: &Authority, version: Version) -> TlsStream<TcpStream> {
    let name = ServerName::try_from("localhost").unwrap();
    let stream = guarded("a connection", TcpStream::connect(address)).await.unwrap();
    let connector = authority.connector_of(&["http/1.1"], version);
    guarded("a handshake", connector.connect(name, stream)).await.unwrap()
}

/// A client over TLS is served.
async fn serves(address: SocketAddr, authority: &Authority) {
    let answer = Client::method("OPTIONS", "*").tls(authority).connect(address).await;
    assert_eq!(answer.status, 204);
}

#[tokio::test]
async fn what_is_no_handshake_is_answered_with_an_alert_or_not_at_all() {
    let authority = Authority::new();
    let (gateway, address, peaceful) = secured("", &authority).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    let hello = client_hello(&authority, Version::Tls13);
    let with = |at: usize, byte: u8| {
        let mut hello = hello.clone();
        hello[at] = byte;
        hello
    };
    let noise: Vec<u8> = (0..4000_u32).map(|n| u8::try_from(n.wrapping_mul(2_654_435_761) >> 24).unwrap()).collect();
    for (what, bytes) in [
        ("noise", noise),
        ("zeros", vec![0; 100_000]),
        ("SSL 2", vec![0x80, 0x2e, 1, 0, 2, 0, 0x15, 0, 0, 0, 0x10, 1, 0, 0x80, 2, 0, 0x80]),
        ("another type of message", with(5, 2)),
        ("a type that nobody knows", with(5, 0xff)),
        ("another type of record", with(0, APPLICATION_DATA)),
        ("a type of record that nobody knows", with(0, 200)),
        ("another version of records", with(1, 9)),
        ("a longer message than its record", with(6, 0xff)),
        ("a shorter message than its record", with(8, 1)),
        ("the longest session id", with(43, 0xff)),
        ("half of it", hello[..hello.len() / 2].to_vec()),
        ("twice", [hello.clone(), hello.clone()].concat()),
        ("an empty record", record(HANDSHAKE, &[])),
        ("many empty records", record(HANDSHAKE, &[]).repeat(100_000)),
        ("data without a key", record(APPLICATION_DATA, &[7; 100])),
        ("many changes of ciphers", record(CHANGE_CIPHER_SPEC, &[1]).repeat(100_000)),
        ("many warnings", record(ALERT, &[1, 90]).repeat(100_000)),
        ("a fatal alert", record(ALERT, &[2, 40])),
        ("a message of 16 MiB", record(HANDSHAKE, &[CLIENT_HELLO, 0xff, 0xff, 0xff, 3, 3])),
        ("an extension without end", stated(HANDSHAKE, [3, 1], 0x4000, &[CLIENT_HELLO; 0x4000])),
    ] {
        let answer = told(address, &bytes).await;
        assert!(ends_with_an_alert(&answer), "{what}: {}", answer.get(..60).unwrap_or(&answer).escape_ascii());
    }
    serves(address, &authority).await;
    siege.endured(SERVING).await;
}

#[tokio::test]
async fn a_record_that_is_too_large_or_not_sealed_ends_its_connection() {
    let authority = Authority::new();
    let (gateway, address, peaceful) = secured("", &authority).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    let hello = client_hello(&authority, Version::Tls12);
    for version in [Version::Tls12, Version::Tls13] {
        for (what, bytes) in [
            ("a record of 64 KiB", stated(APPLICATION_DATA, [3, 3], 0xffff, &[7; 0xffff])),
            ("a record that is not sealed", record(APPLICATION_DATA, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")),
            ("an empty record", record(APPLICATION_DATA, &[])),
            ("a new handshake", hello.clone()),
            ("a new handshake as data", record(APPLICATION_DATA, &hello[5..])),
            ("an alert that is not sealed", record(ALERT, &[1, 100])),
            ("noise", vec![0x5a; 1000]),
        ] {
            let (mut stream, _) = connected(address, &authority, version).await.into_inner();
            let _sent = guarded("room to send", stream.write_all(&bytes)).await;
            let _closed = stream.shutdown().await;
            let answer = rest(&mut stream).await;
            // Alerts are sealed here, and tickets and an end come as data, too. But no answer to a request does.
            let text = answer.windows(5).any(|part| part == b"HTTP/");
            assert!(!text, "{version:?}, {what}: {}", answer.escape_ascii());
        }
    }
    serves(address, &authority).await;
    siege.endured(SERVING).await;
}

#[tokio::test]
async fn handshakes_that_never_end_cost_little_each_and_keep_nobody_out() {
    const CROWD: usize = 500;
    let authority = Authority::new();
    let server = format!("{PATIENT}\nmax_connections = {}", CROWD + 100);
    let (gateway, address, peaceful) = secured(&server, &authority).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    let hello = client_hello(&authority, Version::Tls13);
    let mut crowd = Vec::new();
    for number in 0..CROWD {
        let mut stream = guarded("a connection", TcpStream::connect(address)).await.unwrap();
        let begun = match number % 4 {
            0 => 1,
            1 => hello.len() / 2,
            2 => hello.len() - 1,
            // The whole of what a client says first. The rest never comes.
            _ => hello.len(),
        };
        stream.write_all(&hello[..begun]).await.unwrap();
        crowd.push(stream);
    }
    serves(address, &authority).await;
    siege.endured(SERVING + CROWD * 64 * KIB).await;
    drop(crowd);
}

#[tokio::test]
async fn handshakes_that_take_too_long_are_given_up() {
    let authority = Authority::new();
    let (gateway, address, peaceful) = secured("head_secs = 1", &authority).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    let hello = client_hello(&authority, Version::Tls13);
    let mut crowd = Vec::new();
    for begun in [0, 1, hello.len() / 2, hello.len()] {
        let mut stream = guarded("a connection", TcpStream::connect(address)).await.unwrap();
        stream.write_all(&hello[..begun]).await.unwrap();
        crowd.push(stream);
    }
    for mut stream in crowd {
        // The client keeps its side open.
        rest(&mut stream).await;
    }
    siege.endured(SERVING).await;
}

/// A client may ask for new keys at any time, and each time the server answers with its own change
/// (RFC 8446, section 4.6.3).
#[tokio::test]
async fn new_keys_without_end_are_served_or_end_their_connection() {
    let authority = Authority::new();
    let (gateway, address, peaceful) = secured("", &authority).await;
    let siege = Siege::of((&gateway, peaceful)).await;
    let mut stream = connected(address, &authority, Version::Tls13).await;
    for _ in 0..5_000 {
        if stream.get_mut().1.refresh_traffic_keys().is_err() || stream.flush().await.is_err() {
            break;
        }
    }
    let _sent = stream.write_all(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    let mut answer = Vec::new();
    let _end = guarded("the end of the connection", stream.read_to_end(&mut answer)).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 204"), "{}", answer.escape_ascii());
    serves(address, &authority).await;
    siege.endured(SERVING).await;
}
