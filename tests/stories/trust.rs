//! Which origins the gateway trusts, and the advice that it logs about the others.

use crate::client::Client;
use crate::gateway::{Gateway, Route, config_file, configuration, route};
use crate::guard::guarded;
use crate::origin::Origin;
use crate::stage::{asked, opened};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A certificate with its key, and the certificate of its signer in PEM.
struct Certificate {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    signer: String,
}

/// An authority. All authorities of this function have one name and different keys.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "an authority");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

impl Certificate {
    /// A certificate for these names, signed by a new authority.
    fn signed(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Self {
        let issuer = authority();
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &issuer).unwrap().der().clone();
        Self { certificate, key: PrivateKeyDer::Pkcs8(key.serialize_der().into()), signer: issuer.pem() }
    }

    /// A certificate as `openssl req -x509` makes it: one of an authority, signed by itself.
    fn own(names: &[&str], common_name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params =
            CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, common_name);
        change(&mut params);
        let certificate = params.self_signed(&key).unwrap();
        let signer = certificate.pem();
        Self { certificate: certificate.der().clone(), key: PrivateKeyDer::Pkcs8(key.serialize_der().into()), signer }
    }

    fn acceptor(&self) -> TlsAcceptor {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// An origin over TLS that keeps connections and answers each request with one event.
struct TlsOrigin {
    address: SocketAddr,
    handshakes: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\ndata: 1\n\n";

impl TlsOrigin {
    async fn start(certificate: &Certificate) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (handshakes, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (acceptor, handshaken, asked) = (certificate.acceptor(), Arc::clone(&handshakes), Arc::clone(&requests));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, handshaken, asked) = (acceptor.clone(), Arc::clone(&handshaken), Arc::clone(&asked));
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    handshaken.fetch_add(1, Ordering::Relaxed);
                    let mut head = Vec::new();
                    while stream.read_buf(&mut head).await.is_ok_and(|read| read > 0) {
                        if head.ends_with(b"\r\n\r\n") {
                            asked.fetch_add(1, Ordering::Relaxed);
                            head.clear();
                            stream.write_all(ANSWER).await.unwrap();
                        }
                    }
                });
            }
        });
        Self { address, handshakes, requests }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn trusting(route: Route, file: &NamedTempFile) -> Route {
    route.with(&format!("upstream.ca_file = {:?}", file.path()))
}

/// Three routes to one origin: a shared stream, a private one, and a proxy.
fn in_three_ways(url: &str) -> [(&'static str, Route); 3] {
    let close = "upstream.on_close = \"close\"\nupstream.on_error = \"reflect\"";
    [
        ("/stream", route("/stream", url).with(close)),
        ("/private", route("/private", url).with("share.mode = \"private\"")),
        ("/proxy", route("/proxy", url).with("kind = \"proxy\"")),
    ]
}

#[tokio::test]
async fn connections_of_one_ca_file_are_not_used_for_another() {
    let certificate = Certificate::signed(&["localhost"], |_| {});
    let origin = TlsOrigin::start(&certificate).await;
    let (right, wrong) = (file(&certificate.signer), file(&authority().pem()));
    let proxy = |path: &str| route(path, origin.url().as_str()).with("kind = \"proxy\"");
    let config =
        configuration("", [trusting(proxy("/right"), &right), trusting(proxy("/wrong"), &wrong), proxy("/system")]);
    // The system has a certificate, but none that verifies this origin.
    let gateway = Gateway::spawn_with(&config, &[("SSL_CERT_FILE", wrong.path().to_str().unwrap())]);
    gateway.log_line("listening addr=").await;
    for asked in 1..=3 {
        let mut client = Client::get("/right").connect(&gateway).await;
        assert_eq!(client.status, 200);
        // A client that leaves earlier may take the connection to the origin along.
        client.text().await;
        for path in ["/wrong", "/system"] {
            assert_eq!(Client::get(path).connect(&gateway).await.status, 502, "{path}");
        }
        assert_eq!(origin.requests(), asked, "a route that does not trust the origin sends it nothing");
    }
    assert_eq!(origin.handshakes.load(Ordering::Relaxed), 1, "the route that trusts the origin keeps its connection");
}

#[tokio::test]
async fn an_origins_own_certificate_is_one_that_ca_file_may_name() {
    for (names, common_name) in [(&["localhost"][..], "whatever"), (&[], "localhost")] {
        let certificate = Certificate::own(names, common_name, |_| {});
        let origin = TlsOrigin::start(&certificate).await;
        // The file also holds an authority that has nothing to do with the origin. That must not matter.
        let trusted = file(&format!("{}{}", authority().pem(), certificate.signer));
        let routes = in_three_ways(&origin.url()).map(|(_, route)| trusting(route, &trusted));
        let gateway = Gateway::with_all(routes).await;
        for round in 0..2 {
            for path in ["/stream", "/private", "/proxy"] {
                let mut answer = Client::get(path).connect(&gateway).await;
                assert_eq!(answer.status, 200, "{path} {round}: {}", gateway.log());
                answer.until("data: 1").await;
            }
            let posted = Client::method("POST", "/proxy").connect(&gateway).await;
            assert_eq!(posted.status, 200, "{}", gateway.log());
        }
    }
}

#[tokio::test]
async fn an_own_certificate_that_ca_file_does_not_name_is_refused() {
    // Both certificates have the same names, so that they differ only in their bytes.
    let [held, presented] = [(); 2].map(|()| Certificate::own(&["localhost"], "localhost", |_| {}));
    let origin = TlsOrigin::start(&presented).await;
    let trusted = file(&held.signer);
    let routes = in_three_ways(&origin.url()).map(|(_, route)| trusting(route, &trusted));
    let gateway = Gateway::with_all(routes).await;
    for path in ["/stream", "/private", "/proxy", "/stream", "/private", "/proxy"] {
        assert_eq!(Client::get(path).connect(&gateway).await.status, 502, "{path}");
        let posted = Client::method("POST", "/proxy").body("s3cret").connect(&gateway).await;
        assert_eq!(posted.status, 502);
    }
    assert_eq!(origin.requests(), 0, "nothing is sent to an origin that is not trusted");
}

#[tokio::test]
async fn what_is_wrong_with_a_certificate_comes_with_advice() {
    let authority_of_the_same_name = authority().pem();
    let past = |params: &mut CertificateParams| {
        (params.not_before, params.not_after) = (date_time_ymd(2000, 1, 1), date_time_ymd(2001, 1, 1));
    };
    let future = |params: &mut CertificateParams| {
        (params.not_before, params.not_after) = (date_time_ymd(4000, 1, 1), date_time_ymd(4001, 1, 1));
    };
    let cases: [(Certificate, Option<&str>, &str); 8] = [
        (Certificate::signed(&["localhost"], past), None, "renew the certificate of https://localhost:"),
        (Certificate::signed(&["localhost"], future), None, "set the clock of this machine"),
        (Certificate::signed(&["other.example"], |_| {}), None, "its certificate is not for localhost"),
        (
            Certificate::signed(&["localhost"], |_| {}),
            Some(&authority_of_the_same_name),
            "another authority of the same name signed its certificate",
        ),
        (
            Certificate::own(&["localhost"], "x", |_| {}),
            Some(&authority_of_the_same_name),
            "name the file of this very certificate in upstream.ca_file",
        ),
        (Certificate::own(&["localhost"], "x", past), None, "renew the certificate of https://localhost:"),
        (Certificate::own(&["localhost"], "x", future), None, "issue the certificate of https://localhost:"),
        (Certificate::own(&["other.example"], "x", |_| {}), None, "in upstream.ca_file if it is for localhost"),
    ];
    for (certificate, trusted, advice) in cases {
        let origin = TlsOrigin::start(&certificate).await;
        let trusted = file(trusted.unwrap_or(&certificate.signer));
        for (path, route) in in_three_ways(&origin.url()) {
            let gateway = Gateway::with(trusting(route, &trusted)).await;
            assert_eq!(Client::get(path).connect(&gateway).await.status, 502, "{advice}");
            let line = gateway.log_line(advice).await;
            assert!(line.contains(&format!("{}: ", origin.address)), "it names the address: {line}");
        }
        assert_eq!(origin.requests(), 0, "{advice}");
    }
}

/// How a server reacts to bytes of a protocol that it does not speak.
#[derive(Debug, Clone, Copy)]
enum Deaf {
    Resets,
    Closes,
    Says(&'static [u8]),
}

async fn deaf(how: Deaf) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(turn_away(stream, how));
        }
    });
    address
}

async fn turn_away(mut stream: TcpStream, how: Deaf) {
    let mut heard = [0; 4096];
    let _read = guarded("something to turn away", stream.read(&mut heard)).await;
    match how {
        Deaf::Resets => socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap(),
        Deaf::Closes => {}
        Deaf::Says(words) => stream.write_all(words).await.unwrap(),
    }
}

#[tokio::test]
async fn a_server_that_speaks_another_protocol_comes_with_advice() {
    // OpenSSL answers a request without TLS with this fatal alert.
    const ALERT: &[u8] = b"\x15\x03\x01\x00\x02\x02\x46";
    for how in [Deaf::Resets, Deaf::Closes, Deaf::Says(ALERT), Deaf::Says(b"HTTP/1.1 400 Bad Request\r\n\r\n")] {
        for scheme in ["http", "https"] {
            if scheme == "http" && matches!(how, Deaf::Says(said) if said.starts_with(b"HTTP")) {
                continue;
            }
            let address = deaf(how).await;
            let url = format!("{scheme}://{address}");
            let other = if scheme == "http" { "https" } else { "http" };
            let anybody = file(&authority().pem());
            for (path, route) in in_three_ways(&url) {
                let gateway = Gateway::with(trusting(route, &anybody)).await;
                assert_eq!(Client::get(path).connect(&gateway).await.status, 502);
                if scheme == "https" && matches!(how, Deaf::Says(ALERT)) {
                    continue;
                }
                let line = gateway.log_line(&format!("its URL must begin with {other}://")).await;
                assert!(line.contains(&format!("{other}://{address}")), "{how:?} {path}: {line}");
                if path == "/proxy" {
                    let posted = Client::method("POST", path).body("x").connect(&gateway).await;
                    assert_eq!(posted.status, 502);
                    gateway.log_lines(&format!("its URL must begin with {other}://"), 2).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn an_origin_that_worked_is_not_said_to_speak_another_protocol() {
    let origin = Origin::start();
    let gateway = Gateway::with(route("/*", &origin).with("kind = \"proxy\"")).await;
    asked(Client::get("/"), &gateway, &origin, async |ask| ask.reply(200, &[], "").await).await;
    let post = Client::method("POST", "/").body("x");
    assert_eq!(asked(post, &gateway, &origin, async |ask| ask.abort()).await.status, 502);
    let line = gateway.log_line("proxying failed").await;
    assert!(!line.contains("TLS"), "{line}");
}

#[tokio::test]
async fn certificates_of_the_system_that_cannot_be_read_end_a_process_that_needs_them() {
    let broken = file("-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n");
    let (empty, nonsense, folder) = (file(""), file("nonsense"), tempfile::tempdir().unwrap());
    let certificate = file(&authority().pem());
    let folder = folder.path().to_str().unwrap();
    let places: [(&str, &str); 7] = [
        ("SSL_CERT_FILE", "/nowhere/at all.pem"),
        ("SSL_CERT_FILE", ""),
        ("SSL_CERT_FILE", broken.path().to_str().unwrap()),
        ("SSL_CERT_FILE", empty.path().to_str().unwrap()),
        ("SSL_CERT_FILE", nonsense.path().to_str().unwrap()),
        ("SSL_CERT_FILE", folder),
        ("SSL_CERT_DIR", "/nowhere"),
    ];
    let needs = [route("/*", "https://localhost:1").with("kind = \"proxy\""), route("/*", "https://localhost:1")];
    let needs = needs.map(|route| config_file(&configuration("", [route])));
    for (variable, place) in places {
        for needs in &needs {
            let (code, said) = Gateway::run_with(&["-c", needs.path().to_str().unwrap()], &[(variable, place)]).await;
            assert_eq!(code, 1, "{variable}={place}: {said}");
            assert!(said.contains(&format!("{variable}={place:?} cannot be used")), "{said}");
            assert_eq!(said.matches("manifold: ").count(), 1, "{said}");
            assert!(!said.contains("panicked"), "{said}");
        }
        let well = trusting(route("/s", "https://localhost:1"), &certificate);
        let config = configuration("", [well, route("/*", "http://127.0.0.1:1")]);
        let gateway = Gateway::spawn_with(&config, &[(variable, place)]);
        gateway.log_line("listening addr=").await;
    }
}

#[tokio::test]
async fn a_ca_file_that_cannot_be_used_is_an_error_of_the_configuration() {
    let empty = file("");
    let odd = file("-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n");
    for (path, why) in [
        ("/nowhere.pem", "the file cannot be read"),
        (empty.path().to_str().unwrap(), "the file contains no certificate"),
        (odd.path().to_str().unwrap(), "certificate 1 of the file is not a usable X.509 certificate"),
    ] {
        for kind in ["stream", "proxy"] {
            let lines = format!("kind = {kind:?}\nupstream.ca_file = {path:?}");
            let config = config_file(&configuration("", [route("/*", "https://localhost:1").with(&lines)]));
            let (code, said) = Gateway::run(&["-c", config.path().to_str().unwrap()]).await;
            assert_eq!(code, 64, "{said}");
            assert!(said.contains("upstream.ca_file") && said.contains(path) && said.contains(why), "{said}");
        }
    }
}

#[tokio::test]
async fn a_404_of_the_origin_at_the_first_try_names_the_url() {
    let origin = Origin::start();
    let events = format!("{}/events", origin.url());
    let private = route("/private/events", events.as_str()).with("share.mode = \"private\"");
    let living = route("/living/*", &origin).with("share.mode = \"private\"");
    let routes = [private, route("/events", events.as_str()), route("/well/*", &origin), living];
    let gateway = Gateway::with_all(routes).await;
    for path in ["/events", "/private/events"] {
        let client = Client::get(format!("{path}?token=s3cret"));
        assert_eq!(asked(client, &gateway, &origin, async |ask| ask.reply(404, &[], "").await).await.status, 404);
        let line = gateway.log_line(&format!("route={path} url={events}{path}: ")).await;
        assert!(line.contains(" WARN ") && line.contains("origin answered 404"), "{line}");
    }
    // The advice is logged once per route, and not for a route that has worked before.
    drop(asked(Client::get("/well/a"), &gateway, &origin, async |ask| drop(ask.sse().await)).await);
    let (_stream, _body) = opened(Client::get("/living/a"), &gateway, &origin).await;
    for path in ["/events?again", "/private/events?again", "/well/b", "/living/b"] {
        let answer = async |ask: crate::origin::Exchange| ask.reply(404, &[], "").await;
        assert_eq!(asked(Client::get(path), &gateway, &origin, answer).await.status, 404);
    }
    let log = gateway.log();
    assert_eq!(log.matches("origin answered 404 route=").count(), 2, "{log}");
    assert!(!log.contains("s3cret"), "{log}");
}
