//! `manifold probe` of a manifold that speaks TLS.

use crate::gateway::{Gateway, config_file, configuration, route};
use crate::origin::{Authority, Origin};
use crate::probe::{Said, WELL, with_head};
use crate::tls_expiry::{certificate, lines};
use std::net::SocketAddr;
use std::path::Path;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// A gateway with these lines of `[server.tls]`, and the port at which it speaks TLS.
async fn gateway(lines: &str) -> (Gateway, Origin, u16) {
    let origin = with_head(&WELL);
    let gateway = Gateway::spawn(&format!("{}\n{lines}", configuration("", [route("/*", &origin)])));
    gateway.log_line(" tls=on").await;
    let port = gateway.tls_addr().unwrap().port();
    (gateway, origin, port)
}

/// Probes a URL for a second, and trusts the certificates of a file.
async fn trusting(file: &Path, url: &str) -> Said {
    Said::of(url, &["--secs", "1", "--ca-file", file.to_str().unwrap()]).await
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_and_what_was_agreed_on_is_told() {
    let authority = Authority::new();
    for (alpn, chosen, protocol) in
        [("[\"h2\", \"http/1.1\"]", "HTTP/2", "HTTP/2"), ("[\"http/1.1\"]", "HTTP/1.1", "HTTP/1.1")]
    {
        let (_gateway, _origin, port) = gateway(&format!("{}alpn = {alpn}\n", authority.listens())).await;
        let said = trusting(authority.path(), &format!("https://localhost:{port}/a")).await;
        said.wrong(&[]).is("connection", "good", "127.0.0.1").is("protocol", "good", protocol);
        said.is("tls", "good", &format!("TLS 1.3. HTTP/2 and HTTP/1.1 were offered, and the server chose {chosen}"));
        said.is(
            "certificate",
            "good",
            "is trusted. It is for \"localhost\", was issued by \"CN=rcgen self signed cert\"",
        );
    }
}

#[tokio::test]
async fn a_certificate_of_an_unknown_authority_is_refused_with_the_option_that_trusts_it() {
    let (authority, other) = (Authority::new(), certificate(&["other.example"], -1, 90).0);
    let (_gateway, origin, port) = gateway(&authority.listens()).await;
    let said = trusting(other[0].path(), &format!("https://localhost:{port}/a")).await;
    said.wrong(&["connection"]).is("connection", "wrong", "--ca-file");
    let (_, words) = said.about("connection");
    assert!(!words.contains("upstream.ca_file") && !words.contains("route"), "{words}");
    assert_eq!(origin.connections(), 0, "nothing was asked for");
}

#[tokio::test]
async fn a_certificate_for_other_names_is_told_with_its_names() {
    let authority = Authority::of(&["a.example", "*.b.example"]);
    let (_gateway, _origin, port) = gateway(&authority.listens()).await;
    let said = trusting(authority.path(), &format!("https://localhost:{port}/a")).await;
    let words = "is not for \"localhost\", but for \"a.example\", \"*.b.example\"";
    said.wrong(&["connection"]).is("connection", "wrong", words).is(
        "connection",
        "wrong",
        "Use a name of the certificate",
    );
}

#[tokio::test]
async fn a_certificate_that_has_expired_or_expires_soon_is_told() {
    for (from, to, key, verdict, words) in [
        (-80, -10, "connection", "wrong", "the certificate of the server has expired, at 20"),
        (10, 90, "connection", "wrong", "is not valid yet, but from 20"),
        (-80, 10, "certificate", "note", "Renew it"),
        (-80, 30, "certificate", "good", "expires in 29 days"),
    ] {
        let (pair, _) = certificate(&["localhost"], from, to);
        let (_gateway, _origin, port) = gateway(&lines(&[&pair])).await;
        let said = trusting(pair[0].path(), &format!("https://localhost:{port}/a")).await;
        said.is(key, verdict, words).wrong(if verdict == "wrong" { &["connection"] } else { &[] });
    }
}

/// A server in front of another one that speaks only TLS 1.2, and that knows no ALPN.
async fn tls12_before(behind: SocketAddr, authority: &Authority) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = authority.acceptor_of(&[], &[&rustls::version::TLS12]);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut secured) = acceptor.accept(stream).await else { return };
                let mut plain = TcpStream::connect(behind).await.unwrap();
                // Either side may leave at any time.
                drop(copy_bidirectional(&mut secured, &mut plain).await);
            });
        }
    });
    port
}

#[tokio::test]
async fn a_server_that_speaks_only_tls_1_2_is_told() {
    let (authority, origin) = (Authority::new(), with_head(&WELL));
    let gateway = Gateway::with(route("/*", &origin)).await;
    let port = tls12_before(gateway.addr(), &authority).await;
    let said = trusting(authority.path(), &format!("https://localhost:{port}/a")).await;
    said.wrong(&[]).is("tls", "note", "TLS 1.2. HTTP/2 and HTTP/1.1 were offered, and the server chose no protocol");
    said.is("certificate", "good", "\"localhost\"").is("protocol", "good", "HTTP/1.1");
}

#[tokio::test]
async fn the_wrong_scheme_is_told_with_the_right_one() {
    let authority = Authority::new();
    let (gateway, _origin, port) = gateway(&authority.listens()).await;
    let said = trusting(authority.path(), &format!("http://localhost:{port}/a")).await;
    said.is("status", "wrong", "The status is 400.").is("status", "wrong", "the URL must begin with https://");
    let plain = gateway.addr().port();
    let said = trusting(authority.path(), &format!("https://localhost:{plain}/a")).await;
    let words = format!("its URL must begin with http://: it is then http://localhost:{plain}");
    said.wrong(&["connection"]).is("connection", "wrong", &words);
}

#[tokio::test]
async fn a_file_without_certificates_is_refused() {
    let empty = config_file("nothing");
    for (file, words) in [
        (empty.path().to_str().unwrap(), "probe: --ca-file: the file contains no certificate"),
        ("/nowhere/ca.pem", "probe: --ca-file /nowhere/ca.pem: the file cannot be read"),
    ] {
        let (code, told) = Gateway::run(&["probe", "https://localhost/", "--ca-file", file]).await;
        assert!(code == 64 && told.contains(words), "{code} {told}");
    }
}
