//! The private key of a certificate.

use super::chain::is_key;
use rustls::SignatureAlgorithm;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::sign::SigningKey;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::{PemObject, SectionKind};
use std::fmt;
use std::sync::Arc;

/// What PEM says of a key that is encrypted: in PKCS#8, and in the older forms (RFC 1421).
const ENCRYPTED: [&[u8]; 2] = [b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"Proc-Type: 4,ENCRYPTED"];

/// A private key.
#[derive(Clone)]
pub struct Key(pub(super) Arc<dyn SigningKey>);

/// What a key signs with, the most preferred first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyKind {
    /// ECDSA. It costs the server little.
    Ecdsa,
    /// Ed25519. It costs the server little, and browsers do not know it.
    Ed25519,
    /// RSA. It costs the server much.
    Rsa,
}

/// Why a text is not a [`Key`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// The text is damaged.
    #[error("the file is not well-formed PEM")]
    NoPem,
    /// The text holds no key, or one in another form.
    #[error("the file contains no private key (\"-----BEGIN PRIVATE KEY-----\", or EC PRIVATE KEY or RSA PRIVATE KEY)")]
    Empty,
    /// The text holds a certificate instead.
    #[error("the file contains a certificate and no private key (\"-----BEGIN PRIVATE KEY-----\")")]
    OnlyCertificate,
    /// The key needs a passphrase.
    #[error(
        "the key is encrypted, and manifold has no passphrase: openssl pkey -in FILE -out NEW writes it without one"
    )]
    Encrypted,
    /// The key is of another kind, or damaged.
    #[error(
        "the key cannot be used: it must be an ECDSA key (P-256 or P-384), an RSA key (2048 to 8192 bits) or an Ed25519 key"
    )]
    Unusable,
}

impl Key {
    /// Reads the first private key of a text in PEM: PKCS#8, SEC1 (`EC PRIVATE KEY`) or PKCS#1 (`RSA PRIVATE KEY`). Other
    /// text, and certificates, are ignored.
    ///
    /// # Errors
    /// Fails when there is no key that can be used.
    pub fn from_pem(text: &[u8]) -> Result<Self, InvalidKey> {
        if ENCRYPTED.iter().any(|mark| memchr::memmem::find(text, mark).is_some()) {
            return Err(InvalidKey::Encrypted);
        }
        let sections: Result<Vec<(SectionKind, Vec<u8>)>, _> = PemObject::pem_slice_iter(text).collect();
        let sections = sections.map_err(|_| InvalidKey::NoPem)?;
        let has_certificate = sections.iter().any(|(kind, _)| *kind == SectionKind::Certificate);
        let Some((kind, der)) = sections.into_iter().find(|(kind, _)| is_key(*kind)) else {
            return Err(if has_certificate { InvalidKey::OnlyCertificate } else { InvalidKey::Empty });
        };
        let der = PrivateKeyDer::from_pem(kind, der).ok_or(InvalidKey::Empty)?;
        any_supported_type(&der).map(Self).map_err(|_| InvalidKey::Unusable)
    }

    /// What the key signs with.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        match self.0.algorithm() {
            SignatureAlgorithm::RSA => KeyKind::Rsa,
            SignatureAlgorithm::ED25519 => KeyKind::Ed25519,
            // Of the other algorithms, ring signs with this one.
            _ => KeyKind::Ecdsa,
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ecdsa => "ECDSA",
            Self::Ed25519 => "Ed25519",
            Self::Rsa => "RSA",
        })
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.kind())
    }
}
