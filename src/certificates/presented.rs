//! What the certificate of a server says, for those who connect to it.

use super::chain::parsed;
use super::subject::{AlternativeName, Subject, distinguished};
use super::validity::{InTime, Validity};
use rustls_pki_types::CertificateDer;
use std::time::SystemTime;

/// What the certificate of a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presented {
    /// The host names and addresses that it is for, in its order. The server chose them.
    pub names: Vec<String>,
    /// Who issued it: the distinguished name as text (RFC 4514). It contains no control characters.
    pub issuer: String,
    validity: Validity,
}

impl Presented {
    /// Reads a certificate. `None`: it cannot be read.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let names = Subject::of(certificate)?.alternatives.into_iter().filter_map(|name| match name {
            AlternativeName::Dns(name) => Some(name),
            AlternativeName::Ip(address) => Some(address.to_string()),
            AlternativeName::Email(_) | AlternativeName::Uri(_) => None,
        });
        let parsed = parsed(certificate)?;
        let (issuer, validity) = (distinguished(parsed.issuer()), Validity::of(parsed.validity()));
        Some(Self { names: names.collect(), issuer, validity })
    }

    /// When it expires.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.validity.not_after
    }

    /// Whether it is valid.
    #[must_use]
    pub fn is_in_time(&self, now: SystemTime) -> InTime {
        self.validity.is_in_time(now)
    }
}
