//! A certificate authority that only the story knows, and the origin's certificate, which it signed.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CrlDistributionPoint, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use tempfile::NamedTempFile;
use time::{Duration, OffsetDateTime};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// A certificate authority and the certificate that it signed, which is for `localhost`.
#[derive(Debug)]
pub struct Authority {
    file: NamedTempFile,
    root: CertificateDer<'static>,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    /// The certificate and its key in PEM, for a gateway.
    pair: [NamedTempFile; 2],
}

/// The newest version of TLS that a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    Tls12,
    Tls13,
}

impl Authority {
    /// A new authority that nothing else trusts.
    pub fn new() -> Self {
        Self::of(&["localhost"])
    }

    /// A new authority, whose certificate is for these names.
    pub fn of(names: &[&str]) -> Self {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        Self::signing(CertificateParams::new(names).unwrap())
    }

    /// A new authority, whose certificate is like those of public authorities: it is valid for some weeks, says what it
    /// is for, and where a list of revoked certificates would be.
    #[allow(dead_code, reason = "the stories do not need it")]
    pub fn like_a_public_one() -> Self {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        let now = OffsetDateTime::now_utc();
        (params.not_before, params.not_after) = (now - Duration::days(1), now + Duration::days(80));
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        // Nothing asks for it.
        let uris = vec!["http://127.0.0.1/revoked.crl".to_owned()];
        params.crl_distribution_points = vec![CrlDistributionPoint { uris }];
        Self::signing(params)
    }

    fn signing(mut params: CertificateParams) -> Self {
        let mut of_issuer = CertificateParams::default();
        of_issuer.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(of_issuer, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        // OpenSSL takes a certificate for self-signed if its authority has the same name.
        params.distinguished_name.push(DnType::CommonName, "a server of a test");
        let certificate = params.signed_by(&key, &issuer).unwrap();
        Self {
            file: file_of(&issuer.pem()),
            root: issuer.der().clone(),
            certificate: certificate.der().clone(),
            pair: [certificate.pem(), key.serialize_pem()].map(|pem| file_of(&pem)),
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        }
    }

    /// The file of the authority's own certificate, in PEM.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The file of the certificate, and that of its key, in PEM.
    pub fn pair(&self) -> [&Path; 2] {
        self.pair.each_ref().map(NamedTempFile::path)
    }

    /// The lines of `[server.tls]` for a gateway with this certificate at a free port.
    pub fn listens(&self) -> String {
        let [cert, key] = self.pair();
        format!("[server.tls]\nlisten = [\"127.0.0.1:0\"]\ncert = {cert:?}\nkey = {key:?}\n")
    }

    /// Accepts TLS connections with the signed certificate.
    pub fn acceptor(&self, protocols: &[&str]) -> TlsAcceptor {
        self.acceptor_of(protocols, rustls::DEFAULT_VERSIONS)
    }

    /// Accepts TLS connections of these versions with the signed certificate.
    pub fn acceptor_of(
        &self,
        protocols: &[&str],
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> TlsAcceptor {
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())
            .unwrap();
        config.alpn_protocols = named(protocols);
        TlsAcceptor::from(Arc::new(config))
    }

    /// Makes TLS connections, and trusts this authority only.
    pub fn connector(&self, protocols: &[&str]) -> TlsConnector {
        self.connector_of(protocols, Version::Tls13)
    }

    /// Makes TLS connections of this version, and trusts this authority only.
    pub fn connector_of(&self, protocols: &[&str], version: Version) -> TlsConnector {
        TlsConnector::from(Arc::new(self.client_config(protocols, version)))
    }

    /// What a client of this version needs to trust this authority only.
    pub fn client_config(&self, protocols: &[&str], version: Version) -> ClientConfig {
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[match version {
                Version::Tls12 => &rustls::version::TLS12,
                Version::Tls13 => &rustls::version::TLS13,
            }])
            .unwrap()
            .with_root_certificates(self.roots())
            .with_no_client_auth();
        config.alpn_protocols = named(protocols);
        config
    }

    /// The same for a client that has the certificate of `client`.
    pub fn client_config_with(&self, protocols: &[&str], version: Version, client: &Self) -> ClientConfig {
        let mut config = self.client_config(protocols, version);
        let key = ring::sign::any_supported_type(&client.key).unwrap();
        let pair = CertifiedKey::new(vec![client.certificate.clone()], key);
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(pair));
        config
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).unwrap();
        roots
    }
}

fn file_of(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn named(protocols: &[&str]) -> Vec<Vec<u8>> {
    protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect()
}
