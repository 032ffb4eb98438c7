//! TLS to one origin: the certificates that are trusted are read once, and sessions are resumed.

use super::sessions::Sessions;
use super::trust::{NotOwn, Trust};
use crate::digest::sha256;
use crate::upstream::Origin;
use pingora::{Error, ErrorType};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use x509_parser::prelude::ASN1Time;

/// The protocols that are offered (RFC 7301), the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why there is no TLS on a connection.
#[derive(Debug)]
pub(super) enum NoHandshake {
    /// It could not begin.
    NoTls(Box<Error>),
    /// The origin is not verified, or does not answer in TLS.
    Failed(io::Error),
    /// It was too slow.
    Late,
}

impl From<NoHandshake> for Box<Error> {
    fn from(why: NoHandshake) -> Self {
        match why {
            NoHandshake::NoTls(error) => error,
            NoHandshake::Failed(error) => Error::explain(ErrorType::TLSHandshakeFailure, error.to_string()).into_up(),
            NoHandshake::Late => Error::new_up(ErrorType::TLSHandshakeTimedout),
        }
    }
}

/// What TLS connections to one origin have in common.
#[derive(Debug)]
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    sessions: Arc<Sessions>,
    /// The name that the origin must have a certificate for.
    name: ServerName<'static>,
}

impl Tls {
    /// TLS to an origin. `trust`: the certificates that are trusted instead of `system`.
    ///
    /// # Errors
    /// Fails when the origin's host can be in no certificate.
    pub(super) fn new(origin: &Origin, trust: Option<&Trust>, system: &Arc<RootCertStore>) -> pingora::Result<Self> {
        let failed = |why: String| Error::explain(ErrorType::TLSHandshakeFailure, why).into_up();
        let host = origin.bare_host();
        let shown = without_leftmost_underscores(host).unwrap_or_else(|| host.to_owned());
        let name = ServerName::try_from(shown).map_err(|error| failed(format!("{host}: {error}")))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| failed(error.to_string()))?;
        let mut config = match trust {
            Some(trust) if trust.holds_own_of(host) => {
                let verifier = OwnVerifier::new(trust, host, provider).map_err(failed)?;
                builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
            }
            Some(trust) => builder.with_root_certificates(trust.roots()).with_no_client_auth(),
            None => builder.with_root_certificates(Arc::clone(system)).with_no_client_auth(),
        };
        let sessions = Arc::new(Sessions::default());
        config.resumption = Resumption::store(Arc::clone(&sessions) as _);
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(Self { config: Arc::new(config), sessions, name })
    }

    /// Makes the handshake on a TCP connection. It resumes a session if it can. `patience`: the longest time of the
    /// handshake.
    ///
    /// # Errors
    /// Fails when the origin is not verified, does not answer in TLS, or is too slow.
    pub(super) async fn handshake(
        &self,
        stream: TcpStream,
        patience: Duration,
    ) -> Result<TlsStream<TcpStream>, NoHandshake> {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let name = self.name.clone();
        let (running, handshake) = self.sessions.begin(|| connector.connect(name, stream)).await;
        let stream = match timeout(patience, handshake).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(NoHandshake::Failed(error)),
            Err(_) => return Err(NoHandshake::Late),
        };
        running.done();
        Ok(stream)
    }
}

/// The host with hyphens in place of the underscores of its first label. `None`: there are none, or the host has fewer
/// than three labels. A certificate for `*.example.com` is then for `a_b.example.com`, too: rustls takes a name with
/// an underscore for one that no wildcard stands for. pingora does the same.
fn without_leftmost_underscores(host: &str) -> Option<String> {
    let (first, rest) = host.split_once('.')?;
    (rest.contains('.') && first.contains('_')).then(|| format!("{}.{rest}", first.replace('_', "-")))
}

/// Verifies the certificate of an origin as rustls does. If rustls refuses only its kind or its name, the certificate
/// may be the origin's own, which the configuration names.
///
/// rustls refuses a certificate that is one of an authority (`CaUsedAsEndEntity`), even if it is trusted itself.
/// `openssl req -x509` makes such certificates by default. It also refuses one that has its name in the old place.
#[derive(Debug)]
struct OwnVerifier {
    signed: Arc<WebPkiServerVerifier>,
    trust: Trust,
    host: String,
}

impl OwnVerifier {
    fn new(trust: &Trust, host: &str, provider: Arc<CryptoProvider>) -> Result<Self, String> {
        let signed = WebPkiServerVerifier::builder_with_provider(trust.roots(), provider);
        let signed = signed.build().map_err(|error| error.to_string())?;
        Ok(Self { signed, trust: trust.clone(), host: host.to_owned() })
    }

    /// Whether the certificate may be accepted although rustls refused it for `error`.
    fn may_be_own(error: &rustls::Error) -> bool {
        match error {
            rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => true,
            rustls::Error::InvalidCertificate(CertificateError::Other(other)) => {
                format!("{other:?}").contains("CaUsedAsEndEntity")
            }
            _ => false,
        }
    }

    fn judge(&self, certificate: &[u8], now: UnixTime) -> Result<(), NotOwn> {
        let now = i64::try_from(now.as_secs()).ok().and_then(|secs| ASN1Time::from_timestamp(secs).ok());
        self.trust.judge(&sha256(certificate), &self.host, now.unwrap_or_else(ASN1Time::now))
    }
}

impl ServerCertVerifier for OwnVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.signed.verify_server_cert(certificate, others, name, ocsp, now) {
            Err(error) if Self::may_be_own(&error) => {
                let judged = self.judge(certificate, now);
                let other = |why| CertificateError::Other(OtherError(Arc::new(why)));
                judged.map(|()| ServerCertVerified::assertion()).map_err(|why| other(why).into())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signed.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.signed.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
}
