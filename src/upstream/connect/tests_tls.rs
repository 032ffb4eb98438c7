//! TLS to real origins: full handshakes, and those that resume a session.

use super::tests::{listeners, request, serve};
use super::*;
use http::StatusCode;
use rustls::HandshakeKind;
use std::net::SocketAddr;
use std::sync::Mutex;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// The server's side of TLS for `origin.example`, and options that trust it.
pub(super) fn tls(protocol: &str) -> (TlsAcceptor, UpstreamOptions) {
    let (config, options) = server(protocol);
    (Arc::new(config).into(), options)
}

fn server(protocol: &str) -> (rustls::ServerConfig, UpstreamOptions) {
    let authority = rcgen::generate_simple_self_signed(["origin.example".to_owned()]).unwrap();
    let key = rustls_pki_types::PrivateKeyDer::Pkcs8(authority.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![authority.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    let trusted = Some(Trust::from_pem(authority.cert.pem().as_bytes()).unwrap());
    (config, UpstreamOptions { trusted, ..UpstreamOptions::default() })
}

pub(super) fn tls_origin(listener: &TcpListener) -> Origin {
    Origin::parse(&format!("https://origin.example:{}", listener.local_addr().unwrap().port())).unwrap()
}

/// An origin that begins a response on each connection and keeps the connection open. Notes the kind of each handshake.
fn streaming(listener: TcpListener, config: rustls::ServerConfig) -> Arc<Mutex<Vec<HandshakeKind>>> {
    let kinds = Arc::new(Mutex::new(Vec::new()));
    let (noted, acceptor) = (Arc::clone(&kinds), TlsAcceptor::from(Arc::new(config)));
    serve(listener, move |stream| {
        let (acceptor, noted) = (acceptor.clone(), Arc::clone(&noted));
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            noted.lock().unwrap().extend(stream.get_ref().1.handshake_kind());
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n").await.unwrap();
            stream.flush().await.unwrap();
            std::future::pending::<()>().await;
        }
    });
    kinds
}

fn connector(address: SocketAddr) -> Connector {
    Connector::finding(vec![address])
}

/// The numbers of full and of resumed handshakes.
fn counted(kinds: &Mutex<Vec<HandshakeKind>>) -> (usize, usize) {
    let kinds = kinds.lock().unwrap();
    let resumed = kinds.iter().filter(|kind| **kind == HandshakeKind::Resumed).count();
    (kinds.len() - resumed, resumed)
}

#[tokio::test]
async fn fifty_streams_make_one_full_handshake_one_after_another_and_all_at_once() {
    for versions in [&[&rustls::version::TLS13], &[&rustls::version::TLS12]] {
        for at_once in [false, true] {
            // On a busy machine a handshake may take longer than others wait for its session. Then the test tries again
            // with a new server.
            let mut kinds = (0, 0);
            for _ in 0..8 {
                kinds = handshakes_of_fifty(versions, at_once).await;
                if kinds == (1, 49) {
                    break;
                }
            }
            assert_eq!(kinds, (1, 49), "at once: {at_once}, {versions:?}");
        }
    }
}

/// Opens fifty streams, and counts the full handshakes and the resumed ones.
async fn handshakes_of_fifty(versions: &[&'static rustls::SupportedProtocolVersion], at_once: bool) -> (usize, usize) {
    let [listener] = listeners().await;
    let (config, options) = server_of(versions);
    let (origin, connector) = (tls_origin(&listener), connector(listener.local_addr().unwrap()));
    let kinds = streaming(listener, config);
    let (mut open, mut sending) = (Vec::new(), Vec::new());
    for _ in 0..50 {
        let (connector, origin, options) = (connector.clone(), origin.clone(), options.clone());
        let sent = tokio::spawn(async move { connector.send(&origin, &options, &request(), None).await.unwrap() });
        if at_once {
            sending.push(sent);
        } else {
            open.push(sent.await.unwrap());
        }
    }
    for sent in sending {
        open.push(sent.await.unwrap());
    }
    assert!(open.iter().all(|response| response.status == StatusCode::OK));
    counted(&kinds)
}

/// A server of these versions of TLS whose certificate is one of an authority, as `openssl req -x509` makes it.
fn server_of(versions: &[&'static rustls::SupportedProtocolVersion]) -> (rustls::ServerConfig, UpstreamOptions) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::new(vec!["origin.example".to_owned()]).unwrap();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let own = params.self_signed(&key).unwrap();
    let trusted = Some(Trust::from_pem(own.pem().as_bytes()).unwrap());
    let key = rustls_pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own.der().clone()], key)
        .unwrap();
    (config, UpstreamOptions { trusted, ..UpstreamOptions::default() })
}

#[tokio::test]
async fn a_session_is_resumed_only_by_those_who_trust_the_same_certificates() {
    let [listener] = listeners().await;
    let (config, options) = server("http/1.1");
    let (origin, connector) = (tls_origin(&listener), connector(listener.local_addr().unwrap()));
    let kinds = streaming(listener, config);
    let _open = connector.send(&origin, &options, &request(), None).await.unwrap();
    let (_, others) = server("http/1.1");
    for distrusting in [others, UpstreamOptions::default()] {
        let refused = connector.send(&origin, &distrusting, &request(), None).await;
        let Err(ConnectError::Unreachable(why)) = refused else { panic!("an origin that is not trusted") };
        assert!(why.contains("UnknownIssuer") || why.contains("BadSignature"), "{why}");
    }
    let _open = connector.send(&origin, &options, &request(), None).await.unwrap();
    assert_eq!(counted(&kinds), (1, 1));
}

#[tokio::test]
async fn an_origin_that_gives_no_sessions_is_not_waited_for_again() {
    let [listener] = listeners().await;
    let (mut config, options) = server("http/1.1");
    config.send_tls13_tickets = 0;
    let (origin, connector) = (tls_origin(&listener), connector(listener.local_addr().unwrap()));
    let kinds = streaming(listener, config);
    let sends: Vec<_> = (0..20)
        .map(|_| {
            let (connector, origin, options) = (connector.clone(), origin.clone(), options.clone());
            tokio::spawn(async move { connector.send(&origin, &options, &request(), None).await.unwrap() })
        })
        .collect();
    for send in sends {
        assert_eq!(send.await.unwrap().status, StatusCode::OK);
    }
    assert_eq!(counted(&kinds), (20, 0));
}
