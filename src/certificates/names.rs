//! The names that a certificate is for.

use std::fmt;
use x509_parser::prelude::{GeneralName, X509Certificate};

/// The most names that are shown.
const MAX_SHOWN: usize = 4;

/// The DNS names of a certificate, in lower case. They come from its subjectAltName (RFC 5280, section 4.2.1.6). Its
/// common name does not count (RFC 9525, section 2). Neither do IP addresses, because a client does not send the address
/// that it wants (RFC 6066, section 3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// Names without a star.
    exact: Vec<String>,
    /// What follows the star in names such as `*.example.com`: `example.com`.
    below: Vec<String>,
    /// Whether there are names of another kind, such as IP addresses.
    has_others: bool,
}

impl Names {
    pub(super) fn of(certificate: &X509Certificate<'_>) -> Self {
        let mut names = Self::default();
        let Ok(Some(extension)) = certificate.subject_alternative_name() else { return names };
        for name in &extension.value.general_names {
            match name {
                GeneralName::DNSName(name) => names.add(&name.to_ascii_lowercase()),
                _ => names.has_others = true,
            }
        }
        names
    }

    fn add(&mut self, name: &str) {
        // A star stands for one whole label, the leftmost one (RFC 9525, section 6.3).
        let (names, name) = match name.strip_prefix("*.") {
            Some(rest) => (&mut self.below, rest),
            None => (&mut self.exact, name),
        };
        if !name.is_empty() && !name.contains('*') && !names.iter().any(|other| other == name) {
            names.push(name.to_owned());
        }
    }

    /// The names without a star.
    pub(super) fn exact(&self) -> impl Iterator<Item = &str> {
        self.exact.iter().map(String::as_str)
    }

    /// What follows the star in the names that have one.
    pub(super) fn below(&self) -> impl Iterator<Item = &str> {
        self.below.iter().map(String::as_str)
    }

    /// All names, as in the certificate.
    pub fn all(&self) -> impl Iterator<Item = String> {
        self.exact.iter().cloned().chain(self.below.iter().map(|rest| format!("*.{rest}")))
    }

    /// Whether no client can ask for the certificate by a name.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.below.is_empty()
    }

    /// Whether the certificate is for nothing at all, not even for an IP address.
    #[must_use]
    pub fn is_for_nothing(&self) -> bool {
        self.is_empty() && !self.has_others
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.all().collect();
        match all.len().checked_sub(MAX_SHOWN) {
            None | Some(0) if all.is_empty() => f.write_str("no DNS names"),
            None | Some(0) => f.write_str(&all.join(", ")),
            Some(more) => {
                write!(f, "{} and {more} more", all.iter().take(MAX_SHOWN).cloned().collect::<Vec<_>>().join(", "))
            }
        }
    }
}
