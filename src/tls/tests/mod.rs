//! Tests with rustls at the other end: it makes the handshakes, and opens what a channel sealed.

mod detaching;
mod incoming;
mod moving;
mod reading;
mod sealing;

use super::*;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, SupportedCipherSuite};
use std::io::{ErrorKind, Read, Write};
use std::sync::{Arc, LazyLock};

/// All suites of TLS 1.3.
pub(crate) const SUITES: [SupportedCipherSuite; 3] = [
    ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
    ring::cipher_suite::TLS13_AES_256_GCM_SHA384,
    ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
];

static CERTIFIED: LazyLock<rcgen::CertifiedKey<rcgen::KeyPair>> =
    LazyLock::new(|| rcgen::generate_simple_self_signed(["gateway.example".to_owned()]).unwrap());

/// The two ends of a connection, after the handshake.
pub(crate) struct Pair {
    pub(crate) client: ClientConnection,
    pub(crate) server: ServerConnection,
    pub(crate) capture: Arc<Capture>,
}

fn configs(suites: &[SupportedCipherSuite]) -> (ClientConfig, ServerConfig) {
    let provider = Arc::new(CryptoProvider { cipher_suites: suites.to_vec(), ..ring::default_provider() });
    let key = PrivateKeyDer::Pkcs8(CERTIFIED.signing_key.serialize_der().into());
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CERTIFIED.cert.der().clone()], key)
        .unwrap();
    server.enable_secret_extraction = true;
    let mut roots = RootCertStore::empty();
    roots.add(CERTIFIED.cert.der().clone()).unwrap();
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (client, server)
}

impl Pair {
    pub(crate) fn new(suite: SupportedCipherSuite) -> Self {
        let mut pair = Self::begun(configs(&[suite]));
        while pair.exchange() {}
        assert!(!pair.client.is_handshaking() && !pair.server.is_handshaking());
        pair
    }

    fn begun((client, mut server): (ClientConfig, ServerConfig)) -> Self {
        let capture = Arc::new(Capture::default());
        server.key_log = Arc::clone(&capture) as _;
        Self {
            client: ClientConnection::new(Arc::new(client), "gateway.example".try_into().unwrap()).unwrap(),
            server: ServerConnection::new(Arc::new(server)).unwrap(),
            capture,
        }
    }

    /// Carries what each end has for the other. Returns whether there was anything.
    fn exchange(&mut self) -> bool {
        let mut wire = Vec::new();
        while self.client.wants_write() {
            self.client.write_tls(&mut wire).unwrap();
        }
        let mut rest = &wire[..];
        while !rest.is_empty() {
            self.server.read_tls(&mut rest).unwrap();
            self.server.process_new_packets().unwrap();
        }
        let mut back = Vec::new();
        while self.server.wants_write() {
            self.server.write_tls(&mut back).unwrap();
        }
        opened(&mut self.client, &back);
        !wire.is_empty() || !back.is_empty()
    }

    /// The client, and the channel that the server became.
    pub(crate) fn detached(self) -> (ClientConnection, Channel) {
        (self.client, Channel::of(self.server, &self.capture).unwrap())
    }
}

/// A client that is connected to a channel.
pub(crate) fn connected(suite: SupportedCipherSuite) -> (ClientConnection, Channel) {
    Pair::new(suite).detached()
}

/// The plaintext that a client finds in these bytes.
pub(crate) fn opened(client: &mut ClientConnection, mut wire: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    while !wire.is_empty() {
        client.read_tls(&mut wire).unwrap();
        client.process_new_packets().unwrap();
        match client.reader().read_to_end(&mut plain) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    plain
}

/// What a client says: data, and whatever it has to send besides.
pub(crate) fn said(client: &mut ClientConnection, plain: &[u8]) -> Vec<u8> {
    client.writer().write_all(plain).unwrap();
    let mut wire = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut wire).unwrap();
    }
    wire
}

/// Sends all of this, and all that is pending, at once.
pub(crate) fn sent(channel: &mut Channel, mut plain: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let mut wire = Vec::new();
        let sealed = channel.seal(plain, &mut wire);
        assert_eq!(channel.settle(sealed, &wire, wire.len()), sealed.plain());
        plain = &plain[sealed.plain()..];
        all.extend(wire);
        if plain.is_empty() {
            assert!(!channel.has_pending());
            return all;
        }
    }
}
