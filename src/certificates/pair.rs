//! A certificate with its key.

use super::chain::Chain;
use super::key::{Key, KeyKind};
use super::names::Names;
use super::validity::InTime;
use rustls::server::ParsedCertificate;
use rustls::sign::CertifiedKey;
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

/// A certificate chain with the key that belongs to it. Two pairs are equal if their chains are. The key is then the
/// same, too, because a certificate names its key.
#[derive(Clone)]
pub struct Pair {
    chain: Chain,
    pub(super) certified: Arc<CertifiedKey>,
    kind: KeyKind,
}

/// Why a key and a chain are not a [`Pair`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unrelated {
    /// The key belongs to no certificate of the chain.
    #[error("the key does not belong to the certificate")]
    Foreign,
    /// The key belongs to a later certificate of the chain. They are counted from 1.
    #[error(
        "the key belongs to certificate {0} of the file, which must be the first: the server's own certificate comes \
         before those of authorities"
    )]
    Later(usize),
}

impl Pair {
    /// Joins a chain and its key.
    ///
    /// # Errors
    /// Fails when the key is not that of the first certificate.
    pub fn new(chain: Chain, key: Key) -> Result<Self, Unrelated> {
        let public = key.0.public_key();
        let owner = chain.certificates.iter().position(|certificate| {
            ParsedCertificate::try_from(certificate)
                .is_ok_and(|parsed| Some(parsed.subject_public_key_info()) == public)
        });
        match owner {
            Some(0) => {}
            Some(index) => return Err(Unrelated::Later(index + 1)),
            None => return Err(Unrelated::Foreign),
        }
        let kind = key.kind();
        let certified = Arc::new(CertifiedKey::new(chain.certificates.clone(), key.0));
        Ok(Self { chain, certified, kind })
    }

    /// The names that clients ask for it by.
    #[must_use]
    pub fn names(&self) -> &Names {
        &self.chain.names
    }

    /// What its key signs with.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// When it expires.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.chain.validity.not_after
    }

    /// Whether it is valid.
    #[must_use]
    pub fn is_in_time(&self, now: SystemTime) -> InTime {
        self.chain.validity.is_in_time(now)
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.chain == other.chain
    }
}

impl Eq for Pair {}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pair({:?}, {})", self.chain, self.kind)
    }
}
