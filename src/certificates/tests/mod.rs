//! Tests of certificates, with clients of rustls that are connected by memory alone.

mod choice;
mod clients;
mod files;
mod resumption;
mod tickets;

use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, PKCS_RSA_SHA256};
use rustls::client::WebPkiServerVerifier;
use rustls::crypto::ring::default_provider;
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::{
    ClientConfig, ClientConnection, ConfigBuilder, ServerConfig, ServerConnection, SignatureScheme,
    SupportedProtocolVersion, WantsVerifier,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::sync::Arc;

/// A certificate with its key, both in PEM.
struct Files {
    cert: String,
    key: String,
}

impl Files {
    /// A certificate with a key for ECDSA, which signed itself.
    fn of(names: &[&str]) -> Self {
        Self::with_key(names, &KeyPair::generate().unwrap())
    }

    fn rsa(names: &[&str]) -> Self {
        let key = include_str!("keys/rsa-pkcs8.pem");
        Self::with_key(names, &KeyPair::from_pkcs8_pem_and_sign_algo(key, &PKCS_RSA_SHA256).unwrap())
    }

    fn with_key(names: &[&str], key: &KeyPair) -> Self {
        let cert = params(names).self_signed(key).unwrap().pem();
        Self { cert, key: key.serialize_pem() }
    }

    fn pair(&self) -> Pair {
        Pair::new(Chain::from_pem(self.cert.as_bytes()).unwrap(), Key::from_pem(self.key.as_bytes()).unwrap()).unwrap()
    }

    fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()
    }
}

fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

/// An authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = params(&[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn authorities(&self) -> Authorities {
        Authorities::from_pem(self.0.pem().as_bytes()).unwrap()
    }

    fn signs(&self, params: &CertificateParams) -> Files {
        let key = KeyPair::generate().unwrap();
        Files { cert: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }
}

/// What most tests need of an identity.
fn options(pairs: Vec<Pair>) -> IdentityOptions {
    IdentityOptions { pairs, alpn: vec![Alpn::Http2, Alpn::Http1], clients: None, ticket_keys: None }
}

fn identity(options: &IdentityOptions) -> Identity {
    Identity::new(options.clone()).unwrap()
}

/// A client that trusts these certificates.
struct Client {
    config: Arc<ClientConfig>,
}

/// Begins a client that knows only some schemes, and which trusts `certificates`.
fn client(
    certificates: &[&Files],
    knows: impl Fn(SignatureScheme) -> bool,
    versions: &[&'static SupportedProtocolVersion],
) -> ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let provider = Arc::new(only(default_provider(), knows));
    let mut roots = rustls::RootCertStore::empty();
    certificates.iter().for_each(|files| roots.add(files.der()).unwrap());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build().unwrap();
    let builder: ConfigBuilder<ClientConfig, WantsVerifier> =
        ClientConfig::builder_with_provider(provider).with_protocol_versions(versions).unwrap();
    builder.with_webpki_verifier(verifier)
}

fn only(provider: CryptoProvider, knows: impl Fn(SignatureScheme) -> bool) -> CryptoProvider {
    let WebPkiSupportedAlgorithms { all, mapping } = provider.signature_verification_algorithms;
    let mapping: Vec<_> = mapping.iter().copied().filter(|(scheme, _)| knows(*scheme)).collect();
    let signature_verification_algorithms = WebPkiSupportedAlgorithms { all, mapping: mapping.leak() };
    CryptoProvider { signature_verification_algorithms, ..provider }
}

impl Client {
    /// A client without a certificate that trusts these.
    fn trusting(certificates: &[&Files], versions: &[&'static SupportedProtocolVersion]) -> Self {
        Self { config: Arc::new(client(certificates, |_| true, versions).with_no_client_auth()) }
    }

    /// A client with a certificate.
    fn with(certificates: &[&Files], own: &Files, versions: &[&'static SupportedProtocolVersion]) -> Self {
        let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).unwrap();
        let config = client(certificates, |_| true, versions).with_client_auth_cert(vec![own.der()], key).unwrap();
        Self { config: Arc::new(config) }
    }

    fn offering(mut self, alpn: &[&str]) -> Self {
        Arc::make_mut(&mut self.config).alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        self
    }

    /// Connects to `name`, up to the tickets that follow the handshake.
    fn connect(
        &self,
        server: &Arc<ServerConfig>,
        name: &str,
    ) -> Result<(ClientConnection, ServerConnection), rustls::Error> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = ClientConnection::new(Arc::clone(&self.config), name).unwrap();
        let mut server = ServerConnection::new(Arc::clone(server)).unwrap();
        while client.wants_write() || server.wants_write() {
            let mut bytes = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut bytes).unwrap();
            }
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                server.read_tls(&mut rest).unwrap();
                server.process_new_packets()?;
            }
            bytes.clear();
            while server.wants_write() {
                server.write_tls(&mut bytes).unwrap();
            }
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                client.read_tls(&mut rest).unwrap();
                client.process_new_packets()?;
            }
        }
        assert!(!client.is_handshaking() && !server.is_handshaking());
        Ok((client, server))
    }
}
