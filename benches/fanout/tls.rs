//! TLS as the clients speak it: version 1.3 with the key exchange and the cipher that browsers ask for first. Every
//! server takes part on these terms.

use super::Failure;
use super::dial::send;
use super::identity::{Identity, NAME};
use parking_lot::Mutex;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{cipher_suite, default_provider, kx_group};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, NamedGroup,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The names of the protocols in ALPN. A client offers one of them.
pub(crate) const HTTP_1: &[u8] = b"http/1.1";
pub(crate) const HTTP_2: &[u8] = b"h2";

/// What all clients of a process have in common.
#[derive(Debug)]
pub(crate) struct Settings(Arc<ClientConfig>);

impl Settings {
    /// The clients trust only `identity`, and speak only `protocol`. They keep up to `tickets` session tickets, and resume a session if they have
    /// one. With 0 they accept the tickets of the server, as every browser does, but each handshake is a full one.
    pub(crate) fn new(identity: &Identity, protocol: &[u8], tickets: usize) -> Result<Self, Failure> {
        let provider = CryptoProvider {
            cipher_suites: vec![cipher_suite::TLS13_AES_128_GCM_SHA256],
            kx_groups: vec![kx_group::X25519],
            ..default_provider()
        };
        let config = ClientConfig::builder_with_provider(Arc::new(provider));
        let config = config.with_protocol_versions(&[&rustls::version::TLS13])?.dangerous();
        let config = config.with_custom_certificate_verifier(Arc::new(Known(identity.certificate()?)));
        let mut config = config.with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        config.resumption = Resumption::store(Arc::new(Tickets { most: tickets, kept: Mutex::default() }));
        Ok(Self(Arc::new(config)))
    }

    pub(crate) fn session(&self) -> Result<Session, Failure> {
        Ok(Session(ClientConnection::new(self.0.clone(), ServerName::try_from(NAME)?)?))
    }
}

/// The TLS connection of one client.
#[derive(Debug)]
pub(crate) struct Session(ClientConnection);

impl Session {
    /// Sends `bytes`. The first call begins the handshake, and the bytes are sent at its end.
    pub(crate) fn send(&mut self, socket: &OwnedFd, bytes: &[u8]) -> Result<(), Failure> {
        self.0.writer().write_all(bytes)?;
        Ok(self.flush(socket)?)
    }

    /// Reads `bytes`, which came from the server. Appends what they contain to `plain`, and answers if it must.
    pub(crate) fn read(&mut self, socket: &OwnedFd, mut bytes: &[u8], plain: &mut Vec<u8>) -> Result<(), Failure> {
        while !bytes.is_empty() {
            self.0.read_tls(&mut bytes)?;
            let state = self.0.process_new_packets()?;
            let from = plain.len();
            plain.resize(from + state.plaintext_bytes_to_read(), 0);
            self.0.reader().read_exact(&mut plain[from..])?;
            if state.peer_has_closed() {
                break;
            }
        }
        Ok(self.flush(socket)?)
    }

    /// Whether the handshake is complete, and whether it resumed a session. `None`: it is not complete.
    pub(crate) fn resumed(&self) -> Option<bool> {
        let kind = self.0.handshake_kind().filter(|_| !self.0.is_handshaking())?;
        Some(kind == HandshakeKind::Resumed)
    }

    fn flush(&mut self, socket: &OwnedFd) -> io::Result<()> {
        let mut bytes = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut bytes)?;
        }
        if bytes.is_empty() { Ok(()) } else { send(socket, &bytes) }
    }
}

/// The certificate of the run. A client compares the certificate that it gets, and does not check the signature of the
/// handshake: that would cost the clients' core more than a handshake costs the server.
#[derive(Debug)]
struct Known(CertificateDer<'static>);

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let same = *end_entity == self.0;
        same.then(ServerCertVerified::assertion).ok_or_else(|| CertificateError::UnknownIssuer.into())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("the clients speak TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// The session tickets that clients got. Each is used once.
#[derive(Debug)]
struct Tickets {
    most: usize,
    kept: Mutex<Vec<Tls13ClientSessionValue>>,
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut kept = self.kept.lock();
        if kept.len() < self.most {
            kept.push(ticket);
        }
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.kept.lock().pop()
    }
}
