//! A certificate with those of the authorities between it and a root.

use super::names::Names;
use super::validity::Validity;
use crate::digest::{Sha256, sha256};
use rustls::server::ParsedCertificate;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::{PemObject, SectionKind};
use std::fmt;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A certificate, followed by those of the authorities between it and a root. Two chains are equal if they are the same
/// bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Chain {
    /// There is at least one. The first is the server's own.
    pub(super) certificates: Vec<CertificateDer<'static>>,
    pub(super) names: Names,
    pub(super) validity: Validity,
}

/// Why a text is not a [`Chain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidChain {
    /// The text is damaged.
    #[error("the file is not well-formed PEM")]
    NoPem,
    /// The text holds no certificate.
    #[error("the file contains no certificate (\"-----BEGIN CERTIFICATE-----\")")]
    Empty,
    /// The text holds a private key instead.
    #[error("the file contains a private key and no certificate (\"-----BEGIN CERTIFICATE-----\")")]
    OnlyKey,
    /// One of the certificates cannot be used. They are counted from 1.
    #[error("certificate {0} of the file is not a usable X.509 certificate")]
    Certificate(usize),
}

impl Chain {
    /// Reads certificates in PEM. The server's own must be the first. Other text, and a key, are ignored.
    ///
    /// # Errors
    /// Fails when the text holds no certificate, or one that cannot be read.
    pub fn from_pem(text: &[u8]) -> Result<Self, InvalidChain> {
        let certificates = certificates(text)?;
        let Some(own) = certificates.first() else { return Err(InvalidChain::Empty) };
        let parsed = parsed(own).ok_or(InvalidChain::Certificate(1))?;
        // rustls accepts fewer certificates than `x509_parser`: only those of version 3.
        ParsedCertificate::try_from(own).map_err(|_| InvalidChain::Certificate(1))?;
        let (names, validity) = (Names::of(&parsed), Validity::of(parsed.validity()));
        Ok(Self { certificates, names, validity })
    }
}

/// All certificates of a text in PEM. There is at least one.
pub(super) fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, InvalidChain> {
    let sections: Result<Vec<(SectionKind, Vec<u8>)>, _> = PemObject::pem_slice_iter(text).collect();
    let sections = sections.map_err(|_| InvalidChain::NoPem)?;
    let has_key = sections.iter().any(|(kind, _)| is_key(*kind));
    let found = sections.into_iter().filter(|(kind, _)| *kind == SectionKind::Certificate);
    let found: Vec<_> = found.map(|(_, der)| CertificateDer::from(der)).collect();
    if found.is_empty() {
        return Err(if has_key { InvalidChain::OnlyKey } else { InvalidChain::Empty });
    }
    match found.iter().position(|certificate| parsed(certificate).is_none()) {
        Some(index) => Err(InvalidChain::Certificate(index + 1)),
        None => Ok(found),
    }
}

/// Whether a section is a private key.
pub(super) fn is_key(kind: SectionKind) -> bool {
    matches!(kind, SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey)
}

/// A certificate in the form of `x509_parser`.
pub(super) fn parsed<'a>(certificate: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    let (rest, parsed) = X509Certificate::from_der(certificate).ok()?;
    rest.is_empty().then_some(parsed)
}

/// The SHA-256 of certificates in their order.
pub(super) fn digest(certificates: &[CertificateDer<'_>]) -> [u8; 32] {
    let mut all = Sha256::new();
    for certificate in certificates {
        all.update(&sha256(certificate));
    }
    all.finish()
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain({} certificates, {})", self.certificates.len(), self.names)
    }
}
