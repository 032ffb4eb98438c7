//! Clients that use TLS: what they are served, how their connections begin and end, and who is turned away.

use crate::admin_api::{ADMIN, act, get, only_stream};
use crate::client::{Client, Connection, End};
use crate::frames::{DATA, END_STREAM, Frame, Frames, HEADERS, request};
use crate::gateway::{Gateway, configuration, route};
use crate::guard::guarded;
use crate::metrics::until;
use crate::mode::{has_engine, http2_is_by_session};
use crate::origin::{Authority, Origin, Version};
use crate::reload::reload;
use crate::stage::{Successor, gap, numbered, request_for};
use rustix::process::Signal;
use rustls::HandshakeKind;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const VERSIONS: [Version; 2] = [Version::Tls12, Version::Tls13];

/// A gateway with an address for TLS, and that address.
async fn secured(config: &str, authority: &Authority) -> (Gateway, SocketAddr) {
    let gateway = Gateway::spawn(&format!("{config}\n{}", authority.listens()));
    gateway.log_line(" tls=on").await;
    let address = gateway.tls_addr().unwrap();
    (gateway, address)
}

async fn handshake(connector: &TlsConnector, address: SocketAddr, name: &str) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    guarded("a handshake", connector.connect(name, stream)).await
}

#[tokio::test]
async fn streams_are_served_over_every_version_and_protocol() {
    let (origin, authority) = (Origin::start(), Authority::new());
    let config = configuration("", [route("/*", &origin).with("client.heartbeat_secs = 0.2")]);
    for version in VERSIONS {
        let (gateway, address) = secured(&config, &authority).await;
        let clients = [Client::get("/a"), Client::get("/a").http10(), Client::get("/a").h2()]
            .map(|it| it.tls_of(&authority, version));
        let [first, ..] = clients.clone();
        let (client, body) = tokio::join!(first.connect(address), async { origin.accept().await.sse().await });
        let (mut body, mut open) = (body, vec![client.stream()]);
        for client in clients {
            open.push(client.connect(address).await.stream());
        }
        for n in 1..=3 {
            body.event(&numbered(n)).await;
        }
        let large = "x".repeat(300_000);
        body.event(&format!("id: 4\ndata: {large}\n\n")).await;
        for client in &mut open {
            for n in 1..=3 {
                assert_eq!(client.next_data().await, n.to_string(), "{version:?}");
            }
            assert_eq!(client.next_data().await, large, "{version:?}");
            client.next_comment().await;
        }
        let mut late = Client::get("/a").after(2).tls_of(&authority, version).connect(address).await.stream();
        assert_eq!(late.next_data().await, "3", "{version:?}");
        gateway.signal(Signal::TERM);
        for mut client in open.into_iter().chain([late]) {
            assert_eq!(client.ended().await, End::Orderly, "{version:?}");
        }
    }
}

/// The id of a client that a session serves begins with `s-` in the API.
#[tokio::test]
async fn the_engine_serves_tls_1_3_and_sessions_serve_tls_1_2() {
    let (origin, authority) = (Origin::start(), Authority::new());
    let config = configuration(&format!("{ADMIN}\nshards = 1"), [route("/*", &origin)]);
    let (gateway, address) = secured(&config, &authority).await;
    let admin = gateway.admin().await;
    for (n, (client, version, is_in_session)) in [
        (Client::get("/0"), Version::Tls13, false),
        (Client::get("/1").http10(), Version::Tls13, false),
        (Client::get("/2").header("Connection", "x"), Version::Tls13, false),
        (Client::get("/3").h2(), Version::Tls13, http2_is_by_session(&config)),
        (Client::get("/4").h2(), Version::Tls12, true),
        (Client::get("/5"), Version::Tls12, true),
    ]
    .into_iter()
    .enumerate()
    {
        let client = client.tls_of(&authority, version).connect(address);
        let (client, mut body) = tokio::join!(client, async { origin.accept().await.sse().await });
        let mut client = client.stream();
        let id = only_stream(admin).await;
        let told = get(admin, &format!("/api/streams/{id}"), "StreamDetail").await;
        let shown = told["subscribers"][0]["id"].as_str().unwrap();
        assert_eq!(shown.starts_with("s-"), is_in_session, "{n} {version:?} {shown}");
        body.event(&numbered(1)).await;
        assert_eq!(client.next_data().await, "1");
        let (status, _) = act(admin, "POST", &format!("/api/streams/{id}/close")).await;
        assert_eq!(status, 202);
        assert_eq!(client.ended().await, End::Orderly, "{n} {version:?}");
    }
}

#[tokio::test]
async fn requests_that_come_with_the_end_of_the_handshake_are_the_engines_too() {
    let (origin, authority) = (Origin::start(), Authority::new());
    let config = configuration(&format!("{ADMIN}\nshards = 1"), [route("/*", &origin)]);
    let (gateway, _) = secured(&config, &authority).await;
    let admin = gateway.admin().await;
    let mut client = Frames::open_tls_at_once(&gateway, &authority).await;
    let large = "x".repeat(2_000);
    let fields = [&request("GET", "/")[..], &[("x-large", &large)]].concat();
    for stream in [1, 3, 5, 7] {
        // Each is a record of its own. All of them together are more than one read takes.
        client.send(&[Frame::head(stream, END_STREAM, &fields)]).await;
    }
    let (heads, mut body) = tokio::join!(each(&mut client, HEADERS, b""), async { origin.accept().await.sse().await });
    assert!(heads.iter().all(|head| head.status() == 200));
    let id = only_stream(admin).await;
    let told = get(admin, &format!("/api/streams/{id}"), "StreamDetail").await;
    let shown: Vec<_> = (0..4).map(|n| told["subscribers"][n]["id"].as_str().unwrap().starts_with("s-")).collect();
    assert_eq!(shown, [http2_is_by_session(&config); 4]);
    body.event(&numbered(1)).await;
    let _delivered = each(&mut client, DATA, b"data: 1").await;
}

/// The next frame of this type with this text on each of the streams 1, 3, 5 and 7.
async fn each(client: &mut Frames, kind: u8, text: &[u8]) -> Vec<Frame> {
    let mut found: Vec<Frame> = Vec::new();
    while found.len() < 4 {
        let frame = guarded("frames on each stream", client.next()).await.expect("the connection has ended");
        let has_text = memchr::memmem::find(&frame.payload, text).is_some();
        if frame.kind == kind && has_text && !found.iter().any(|other| other.stream == frame.stream) {
            found.push(frame);
        }
    }
    found
}

#[tokio::test]
async fn the_origin_is_told_of_tls_and_pages_are_served_over_kept_connections() {
    let (origin, authority) = (Origin::start(), Authority::new());
    let config = configuration("", [route("/*", &origin).with("kind = \"proxy\"")]);
    let (_gateway, address) = secured(&config, &authority).await;
    for version in VERSIONS {
        for client in [Client::get("/a"), Client::get("/a").h2(), Client::method("POST", "/a").body("some text")] {
            let client = client.tls_of(&authority, version);
            let answer = async {
                let exchange = origin.accept().await;
                assert_eq!(exchange.request.headers.one("x-forwarded-proto"), Some("https"));
                exchange.reply(200, &[], &"y".repeat(200_000)).await;
            };
            let (mut response, ()) = tokio::join!(client.connect(address), answer);
            assert_eq!(response.text().await.len(), 200_000);
        }
    }
}

#[tokio::test]
async fn a_client_that_speaks_plain_http_is_told_so() {
    let (origin, authority) = (Origin::start(), Authority::new());
    let (_gateway, address) = secured(&configuration("", [route("/*", &origin)]), &authority).await;
    let mut response = Client::get("/").connect(address).await;
    assert_eq!((response.status, response.text().await.as_str()), (400, "this address speaks TLS: use https://\n"));
}

#[tokio::test]
async fn a_plain_request_is_sent_to_https_when_asked() {
    let (origin, authority) = (Origin::start(), Authority::new());
    let config = configuration("", [route("/*", &origin)]);
    let lines = format!("{}redirect_http = true\n", authority.listens());
    let gateway = Gateway::spawn(&format!("{config}\n{lines}"));
    gateway.log_line(" tls=on").await;
    let port = gateway.tls_addr().unwrap().port();
    for client in [Client::get("/a?b=c"), Client::get("/a?b=c").h2()] {
        let response = client.connect(gateway.addr()).await;
        assert_eq!(response.status, 308);
        assert_eq!(response.header("location"), Some(&*format!("https://127.0.0.1:{port}/a?b=c")));
    }
    let response = Client::get("/a").header("Host", "a.example").connect(gateway.addr()).await;
    assert_eq!(response.header("location"), Some("https://a.example/a"));
    // A reload takes it back.
    std::fs::write(gateway.config(), format!("{config}\n{}", authority.listens())).unwrap();
    reload(&gateway, 1).await;
    let (response, _body) =
        tokio::join!(Client::get("/a").connect(gateway.addr()), async { origin.accept().await.sse().await });
    assert_eq!(response.status, 200);
}

#[tokio::test]
async fn silent_clients_and_half_handshakes_end_in_time_and_hold_up_nobody() {
    let (origin, authority) = (Origin::start(), Authority::new());
    let config = configuration("head_secs = 1", [route("/*", &origin).with("kind = \"proxy\"")]);
    let (gateway, address) = secured(&config, &authority).await;
    let mut silent = Connection::open(address).await;
    let mut half = Connection::open(address).await;
    // A record of 512 bytes begins.
    half.send([22, 3, 1, 2, 0, 1]).await;
    let mut broken = Connection::open(address).await;
    broken.send([22, 3, 1, 0, 2, 1, 2]).await;
    // An alert, or nothing, and the end.
    assert!(broken.rest().await.len() <= 7);
    let answer = async { origin.accept().await.reply(200, &[], "").await };
    let (response, ()) = tokio::join!(Client::get("/").tls(&authority).connect(address), answer);
    assert_eq!(response.status, 200);
    assert_eq!(silent.rest().await, b"");
    assert!(half.rest().await.len() <= 7);
    gateway.log_line("TLS handshake failed peer=127.0.0.1:").await;
}

#[tokio::test]
async fn a_session_is_resumed_within_a_process() {
    let (origin, authority) = (Origin::start(), Authority::new());
    let (_gateway, address) = secured(&configuration("", [route("/*", &origin)]), &authority).await;
    for version in VERSIONS {
        let connector = authority.connector_of(&["http/1.1"], version);
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let mut stream = handshake(&connector, address, "localhost").await.unwrap();
            kinds.push(stream.get_ref().1.handshake_kind().unwrap());
            // The ticket comes with the answer.
            stream.write_all(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
        }
        assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed], "{version:?}");
    }
}

#[tokio::test]
async fn another_certificate_is_taken_at_a_reload_and_a_bad_one_is_not() {
    let (origin, old, new) = (Origin::start(), Authority::new(), Authority::new());
    let config = configuration("", [route("/*", &origin)]);
    let (gateway, address) = secured(&config, &old).await;
    let (client, body) =
        tokio::join!(Client::get("/").tls(&old).connect(address), async { origin.accept().await.sse().await });
    let (mut client, mut body) = (client.stream(), body);
    let [cert, key] = new.pair();
    let lines = |cert: &std::path::Path| {
        format!("{config}\n[server.tls]\nlisten = [\"127.0.0.1:0\"]\ncert = {cert:?}\nkey = {key:?}\n")
    };
    // The key does not belong to this certificate.
    std::fs::write(gateway.config(), lines(old.pair()[0])).unwrap();
    gateway.signal(Signal::HUP);
    let line = gateway.log_line("configuration not reloaded").await;
    assert!(line.contains("server.tls.key"), "{line}");
    let with = |authority: &Authority| authority.connector(&["http/1.1"]);
    assert!(handshake(&with(&old), address, "localhost").await.is_ok());
    std::fs::write(gateway.config(), lines(cert)).unwrap();
    let line = reload(&gateway, 1).await;
    assert!(line.contains("server.tls.cert"), "{line}");
    assert!(handshake(&with(&new), address, "localhost").await.is_ok());
    assert!(handshake(&with(&old), address, "localhost").await.is_err());
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1", "a client that is there stays");
}

#[tokio::test]
async fn a_certificate_is_chosen_by_the_name_that_the_client_asks_for() {
    let (origin, first, second) = (Origin::start(), Authority::new(), Authority::of(&["b.example", "*.c.example"]));
    let [cert, key] = second.pair();
    let lines = format!(
        "{}\n{}[[server.tls.certificates]]\ncert = {cert:?}\nkey = {key:?}\n",
        configuration("", [route("/*", &origin)]),
        first.listens()
    );
    let gateway = Gateway::spawn(&lines);
    gateway.log_line(" tls=on").await;
    let address = gateway.tls_addr().unwrap();
    for (authority, name, is_served) in [
        (&first, "localhost", true),
        (&second, "b.example", true),
        (&second, "d.c.example", true),
        (&first, "b.example", false),
        (&second, "localhost", false),
    ] {
        let connector = authority.connector(&["http/1.1"]);
        assert_eq!(handshake(&connector, address, name).await.is_ok(), is_served, "{name}");
    }
}

#[tokio::test]
async fn a_client_that_is_cut_is_not_told_of_an_orderly_end() {
    let (origin, authority) = (Origin::start(), Authority::new());
    let route = route("/*", &origin).with("client.stall_secs = 1\nreplay.bytes = \"64MiB\"");
    let (gateway, address) = secured(&configuration("", [route]), &authority).await;
    for version in VERSIONS {
        let client = Client::get("/").tls_of(&authority, version).small_receive_buffer();
        let (client, body) = tokio::join!(client.connect(address), async { origin.accept().await.sse().await });
        let (mut client, mut body) = (client.stream(), body);
        let line = format!("data: {}\n\n", "z".repeat(100_000));
        for _ in 0..300 {
            body.event(&line).await;
        }
        gateway.log_line("why=stall").await;
        assert_eq!(client.ended().await, End::Reset, "{version:?}");
        drop(body);
    }
}

#[tokio::test]
async fn a_drain_ends_streams_in_order_and_a_successor_takes_the_address_over() {
    let (origin, authority) = (Origin::start(), Authority::new());
    let config = configuration("drain_secs = 600", [route("/*", &origin)]);
    let (mut gateway, address) = secured(&config, &authority).await;
    let mut open = Vec::new();
    for version in VERSIONS {
        let path = format!("/{version:?}");
        let client = Client::get(path).tls_of(&authority, version);
        let (client, body) = tokio::join!(client.connect(address), async { origin.accept().await.sse().await });
        open.push((version, client.stream(), body));
    }
    gateway.signal(Signal::QUIT);
    let successor = Successor::of(&gateway.log_line("pid=").await);
    // The keys of TLS 1.2 stay in rustls, so such a client is asked to come back, and at once: its stream has moved.
    let moves = |version| version == Version::Tls13 && has_engine("");
    for (version, client, _body) in &mut open {
        if !moves(*version) {
            assert_eq!(client.ended().await, End::Orderly, "{version:?}");
        }
    }
    assert_eq!(gateway.succeeded().await, 0);
    for (version, client, _body) in &mut open {
        if moves(*version) {
            let mut body = request_for(&format!("/{version:?}"), &origin).await.sse().await;
            body.event("data: from the new process\n\n").await;
            // The origin has no ids, so events may be lost.
            assert_eq!(client.next_data().await, gap("upstream", None));
            assert_eq!(client.next_data().await, "from the new process");
        }
    }
    let (client, _body) =
        tokio::join!(Client::get("/").tls(&authority).connect(address), async { origin.accept().await.sse().await });
    assert_eq!(client.status, 200);
    successor.signal(Signal::TERM);
}

#[tokio::test]
async fn handshakes_are_counted_by_their_outcome() {
    let (origin, authority) = (Origin::start(), Authority::new());
    let config = configuration("admin = \"127.0.0.1:0\"", [route("/*", &origin)]);
    let (gateway, address) = secured(&config, &authority).await;
    let admin = gateway.admin().await;
    let stranger = Authority::new();
    assert!(handshake(&stranger.connector(&["http/1.1"]), address, "localhost").await.is_err());
    assert!(handshake(&authority.connector(&["http/1.1"]), address, "localhost").await.is_ok());
    for (outcome, n) in [("full", 1), ("failed", 1), ("resumed", 0)] {
        until(admin, &format!("manifold_tls_handshakes_total{{outcome=\"{outcome}\"}}"), f64::from(n)).await;
    }
}

/// The configuration for a client certificate of this authority.
fn asks_for(clients: &Authority, auth: &str) -> String {
    format!("client_ca_file = {:?}\nclient_auth = \"{auth}\"\n", clients.path())
}

#[tokio::test]
async fn clients_without_a_certificate_are_turned_away_if_one_is_required() {
    let (origin, authority, clients) = (Origin::start(), Authority::new(), Authority::new());
    for (auth, without) in [("optional", true), ("required", false)] {
        let config = configuration("", [route("/*", &origin).with("kind = \"proxy\"")]);
        let lines = format!("{config}\n{}{}", authority.listens(), asks_for(&clients, auth));
        let gateway = Gateway::spawn(&lines);
        gateway.log_line(" tls=on").await;
        let address = gateway.tls_addr().unwrap();
        for version in VERSIONS {
            for (with, is_served) in [(Some(&clients), true), (Some(&authority), false), (None, without)] {
                let config = match with {
                    None => authority.client_config(&["http/1.1"], version),
                    Some(of) => authority.client_config_with(&["http/1.1"], version, of),
                };
                let connector = TlsConnector::from(Arc::new(config));
                let ask = async {
                    let mut stream = handshake(&connector, address, "localhost").await?;
                    stream.write_all(b"OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await?;
                    let mut answer = String::new();
                    stream.read_to_string(&mut answer).await.map(|_| answer.starts_with("HTTP/1.1 204"))
                };
                assert_eq!(ask.await.unwrap_or(false), is_served, "{auth} {version:?} {}", with.is_some());
            }
        }
    }
}
