//! The certificates that a route trusts instead of the system's. They come from its `ca_file`, which is parsed once.

use crate::digest::sha256;
use pingora::protocols::tls::CaType;
use pingora::utils::tls::{WrappedX509, parse_x509};
use rustls::RootCertStore;
use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use x509_parser::prelude::{ASN1Time, FromDer, X509Certificate};

/// A set of trusted certificates: of authorities, or of origins themselves. Cheap to clone. Two sets are equal if they
/// hold the same certificates in the same order.
#[derive(Clone)]
pub struct Trust(Arc<Trusted>);

struct Trusted {
    /// The certificates in pingora's form.
    parsed: Arc<CaType>,
    /// The certificates in the form of rustls.
    roots: Arc<RootCertStore>,
    /// The SHA-256 of each certificate, in the same order.
    digests: Vec<[u8; 32]>,
    /// The SHA-256 of all `digests`.
    digest: [u8; 32],
    /// Whether the origin that was verified last presented a certificate of this set, and not one that is signed by
    /// one.
    presents_own: AtomicBool,
}

/// Why a text is not a [`Trust`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTrust {
    /// The text is damaged.
    #[error("the file is not well-formed PEM")]
    NoPem,
    /// The text holds no certificate.
    #[error("the file contains no certificate (\"-----BEGIN CERTIFICATE-----\")")]
    Empty,
    /// One of the certificates cannot be used. They are counted from 1.
    #[error("certificate {0} of the file is not a usable X.509 certificate")]
    Certificate(usize),
}

/// Why a certificate that was presented is not the origin's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotOwn {
    #[error("the certificate is not one of those that are trusted")]
    Another,
    #[error("certificate not valid for name")]
    Name,
    #[error("certificate not valid yet")]
    Early,
    #[error("certificate expired")]
    Late,
}

impl Trust {
    /// Reads certificates in PEM. Other text between them is ignored.
    ///
    /// # Errors
    /// Fails when the text holds no certificate, or one that cannot be read.
    pub fn from_pem(text: &[u8]) -> Result<Self, InvalidTrust> {
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
        Self::new(&found.map_err(|_| InvalidTrust::NoPem)?)
    }

    fn new(certificates: &[CertificateDer<'_>]) -> Result<Self, InvalidTrust> {
        if certificates.is_empty() {
            return Err(InvalidTrust::Empty);
        }
        let mut parsed = Vec::with_capacity(certificates.len());
        let mut roots = RootCertStore::empty();
        for (index, certificate) in certificates.iter().enumerate() {
            // Certificates are parsed in two ways: with `x509_parser`, and with rustls. Both must succeed.
            let is_parsed = X509Certificate::from_der(certificate).is_ok();
            if !is_parsed || roots.add(certificate.clone().into_owned()).is_err() {
                return Err(InvalidTrust::Certificate(index + 1));
            }
            parsed.push(WrappedX509::new(certificate.to_vec(), parse_x509));
        }
        let digests: Vec<[u8; 32]> = certificates.iter().map(|certificate| sha256(certificate)).collect();
        let digest = sha256(digests.as_flattened());
        let (parsed, roots, presents_own) = (parsed.into(), Arc::new(roots), AtomicBool::new(false));
        Ok(Self(Arc::new(Trusted { parsed, roots, digests, digest, presents_own })))
    }

    pub(super) fn certificates(&self) -> Arc<CaType> {
        Arc::clone(&self.0.parsed)
    }

    /// The certificates in the form of rustls.
    pub(super) fn roots(&self) -> Arc<RootCertStore> {
        Arc::clone(&self.0.roots)
    }

    /// Differs for different sets.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.0.digest
    }

    /// A number that differs for different sets. Kept connections are found by it, so that a connection is used only by
    /// routes that trust the same certificates. It is never 0, which stands for the system's certificates.
    pub(super) fn number(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0.digest;
        u64::from_be_bytes([a, b, c, d, e, f, g, h]).max(1)
    }

    /// Whether one of the certificates may be the host's own.
    pub(super) fn holds_own_of(&self, host: &str) -> bool {
        self.0.parsed.iter().any(|certificate| is_for(certificate.borrow_cert(), certificate.borrow_raw_cert(), host))
    }

    /// Judges the certificate that a host presented, by its SHA-256. rustls has checked that the host has the key of
    /// the certificate.
    pub(super) fn judge(&self, presented: &[u8], host: &str, now: ASN1Time) -> Result<(), NotOwn> {
        let index = self.0.digests.iter().position(|digest| digest.as_slice() == presented).ok_or(NotOwn::Another)?;
        let certificate = self.0.parsed.get(index).ok_or(NotOwn::Another)?;
        if !is_for(certificate.borrow_cert(), certificate.borrow_raw_cert(), host) {
            return Err(NotOwn::Name);
        }
        let validity = certificate.borrow_cert().validity();
        match now {
            now if now < validity.not_before => Err(NotOwn::Early),
            now if now > validity.not_after => Err(NotOwn::Late),
            _ => Ok(()),
        }
    }

    /// Whether the origin that was verified last presented a certificate of this set.
    pub(super) fn presents_own(&self) -> bool {
        self.0.presents_own.load(Ordering::Relaxed)
    }

    /// Notes whether an origin presented a certificate of this set.
    pub(super) fn presented_own(&self, own: bool) {
        self.0.presents_own.store(own, Ordering::Relaxed);
    }
}

/// Whether a certificate is for this host, by its alternative names (RFC 9525). If it has none, its common name counts.
/// RFC 9525 forbids the common name for certificates that an authority signs. Here the route's author chose the
/// certificate itself.
fn is_for(certificate: &X509Certificate<'_>, der: &[u8], host: &str) -> bool {
    if let Ok(None) = certificate.subject_alternative_name() {
        let mut names = certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok());
        return names.any(|name| name.eq_ignore_ascii_case(host));
    }
    let der = CertificateDer::from(der);
    let (Ok(parsed), Ok(name)) = (ParsedCertificate::try_from(&der), ServerName::try_from(host)) else { return false };
    verify_server_name(&parsed, &name).is_ok()
}

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        self.0.digest == other.0.digest
    }
}

impl Eq for Trust {}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Trust({} certificates, {:016x})", self.0.digests.len(), self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, date_time_ymd};

    /// A self-signed certificate of an authority, with these alternative names and this common name.
    fn certificate(names: &[&str], common_name: &str) -> rcgen::Certificate {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2030, 1, 1);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap()
    }

    #[test]
    fn a_text_is_read_or_it_is_told_what_is_wrong() {
        let pem = certificate(&["a"], "a").pem();
        let no_certificate = "-----BEGIN CERTIFICATE-----\nMAMCAQE=\n-----END CERTIFICATE-----\n";
        let of = |text: &str| Trust::from_pem(text.as_bytes());
        assert!(of(&format!("# a comment\n{pem}\nbetween\n{pem}")).is_ok());
        assert!(
            Trust::from_pem(&[b"# T\xfcrk\n".as_slice(), pem.as_bytes()].concat()).is_ok(),
            "a comment is anything"
        );
        assert_eq!(of(""), Err(InvalidTrust::Empty));
        assert_eq!(of("nonsense"), Err(InvalidTrust::Empty));
        assert_eq!(of("-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n"), Err(InvalidTrust::NoPem));
        assert_eq!(of(&format!("{pem}{no_certificate}")), Err(InvalidTrust::Certificate(2)));
    }

    #[test]
    fn certificates_that_differ_keep_connections_apart() {
        let (one, other) = (certificate(&["a"], "a").pem(), certificate(&["a"], "a").pem());
        let of = |text: &str| Trust::from_pem(text.as_bytes()).unwrap();
        assert_eq!((of(&one), of(&one).number()), (of(&one), of(&one).number()));
        let numbers = [0, of(&one).number(), of(&other).number(), of(&format!("{one}{other}")).number()];
        for (index, number) in numbers.iter().enumerate() {
            assert!(!numbers[..index].contains(number), "{numbers:?}");
        }
        assert_ne!(of(&one), of(&other));
    }

    #[test]
    fn an_own_certificate_is_byte_for_byte_the_one_that_is_trusted_for_the_host_and_in_time() {
        let at = |year: i32| ASN1Time::from_timestamp(date_time_ymd(year, 6, 1).unix_timestamp()).unwrap();
        let digest = |certificate: &rcgen::Certificate| sha256(certificate.der()).to_vec();
        for (names, common_name, host, year, expected) in [
            (&["localhost"][..], "x", "localhost", 2025, Ok(())),
            (&["localhost"], "x", "LOCALHOST", 2025, Ok(())),
            (&["*.example.com"], "x", "a.example.com", 2025, Ok(())),
            (&["127.0.0.1"], "x", "127.0.0.1", 2025, Ok(())),
            (&["::1"], "x", "::1", 2025, Ok(())),
            // `openssl req -x509 -subj /CN=localhost` makes no alternative names.
            (&[], "localhost", "localhost", 2025, Ok(())),
            (&[], "LocalHost", "localhost", 2025, Ok(())),
            (&[], "other", "localhost", 2025, Err(NotOwn::Name)),
            (&["other"], "localhost", "localhost", 2025, Err(NotOwn::Name)),
            (&["localhost"], "x", "127.0.0.1", 2025, Err(NotOwn::Name)),
            (&["localhost"], "x", "localhost", 2019, Err(NotOwn::Early)),
            (&["localhost"], "x", "localhost", 2031, Err(NotOwn::Late)),
        ] {
            let own = certificate(names, common_name);
            let trust = Trust::from_pem(own.pem().as_bytes()).unwrap();
            assert_eq!(trust.judge(&digest(&own), host, at(year)), expected, "{names:?} {common_name} {host} {year}");
            assert_eq!(trust.holds_own_of(host), expected != Err(NotOwn::Name));
            let other = certificate(names, common_name);
            assert_eq!(trust.judge(&digest(&other), host, at(2025)), Err(NotOwn::Another));
            assert_eq!(trust.judge(&[], host, at(2025)), Err(NotOwn::Another), "nothing was presented");
        }
    }
}
