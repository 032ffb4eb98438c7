//! The names of client certificates that a route lets in.

use super::Permission;
use super::claims::Claims;
use super::denial::Denial;
use crate::caller::Grant;
use crate::certificates::{AlternativeName, Presented, Subject};
use crate::digest::sha256;
use crate::millis::unix_millis;
use rustls_pki_types::CertificateDer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::time::SystemTime;

/// Patterns of names: `CN=device-*`, `DNS:*.devices.example`, `URI:spiffe://example.org/*`, `email:*@example.org`,
/// `IP:192.0.2.7`, or a whole distinguished name. A `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names(pub Vec<String>);

/// A client certificate that the handshake has verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Whom it names.
    pub subject: Subject,
    /// The SHA-256 digest of it.
    pub digest: [u8; 32],
    /// When it expires.
    pub not_after: SystemTime,
}

impl Certificate {
    /// Reads a certificate. `None`: it cannot be read.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (subject, presented) = (Subject::of(certificate)?, Presented::of(certificate)?);
        Some(Self { subject, digest: sha256(certificate), not_after: presented.not_after() })
    }
}

impl Names {
    /// Whether the text can be a pattern.
    #[must_use]
    pub fn is_pattern(text: &str) -> bool {
        let prefixes = ["DNS:", "URI:", "email:", "IP:"];
        prefixes.iter().any(|prefix| text.strip_prefix(prefix).is_some_and(|rest| !rest.is_empty()))
            || text.split_once('=').is_some_and(|(name, value)| !name.is_empty() && !value.is_empty())
    }

    /// Judges a client's certificate.
    ///
    /// # Errors
    /// When there is none, or when none of its names is among those of the route.
    pub fn verify(&self, certificate: Option<&Certificate>) -> Result<Permission, Denial> {
        let Certificate { subject, digest, not_after } = certificate.ok_or(Denial::Missing)?;
        let common = subject.common_name.as_ref().map(|name| format!("CN={name}"));
        let alternatives = subject.alternatives.iter().map(ToString::to_string);
        let names: Vec<String> = [subject.name.clone()].into_iter().chain(common).chain(alternatives).collect();
        let is_listed = names.iter().any(|name| self.0.iter().any(|pattern| is_like(name, pattern)));
        if !is_listed {
            return Err(Denial::Forbidden);
        }
        let grant = Grant {
            subject: Some(subject.name.as_str().into()),
            expires: Some(unix_millis(*not_after)),
            credential: *digest,
            ..Grant::default()
        };
        Ok(Permission { grant, claims: claims(subject) })
    }
}

fn claims(subject: &Subject) -> Claims {
    let mut claims = Map::new();
    claims.insert("subject".to_owned(), Value::String(subject.name.clone()));
    if let Some(name) = &subject.common_name {
        claims.insert("cn".to_owned(), Value::String(name.clone()));
    }
    let of = |pick: fn(&AlternativeName) -> Option<String>| -> Value {
        subject.alternatives.iter().filter_map(pick).map(Value::String).collect::<Vec<_>>().into()
    };
    let dns = of(|name| if let AlternativeName::Dns(name) = name { Some(name.clone()) } else { None });
    let uri = of(|name| if let AlternativeName::Uri(name) = name { Some(name.clone()) } else { None });
    let email = of(|name| if let AlternativeName::Email(name) = name { Some(name.clone()) } else { None });
    claims.extend([("dns".to_owned(), dns), ("uri".to_owned(), uri), ("email".to_owned(), email)]);
    Claims(claims)
}

/// Whether a name is like a pattern, in which a `*` stands for any text. Host names and the names of attributes are the
/// same in any case; a whole name is compared without regard to case, because certificates are not uniform.
fn is_like(name: &str, pattern: &str) -> bool {
    let (name, pattern) = (name.to_ascii_lowercase(), pattern.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some((_, behind)) = rest.split_once(part) else { return false };
        rest = behind;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn a_star_stands_for_any_text() {
        for (name, pattern, is) in [
            ("CN=device-7", "CN=device-*", true),
            ("CN=device-", "CN=device-*", true),
            ("CN=device", "CN=device-*", false),
            ("CN=other-device-7", "CN=device-*", false),
            ("CN=device-7", "cn=DEVICE-7", true),
            ("CN=device-77", "CN=device-7", false),
            ("DNS:a.devices.example", "DNS:*.devices.example", true),
            ("DNS:devices.example", "DNS:*.devices.example", false),
            ("URI:spiffe://x/a/b", "URI:spiffe://x/*/b", true),
            ("URI:spiffe://x/a/c", "URI:spiffe://x/*/b", false),
            ("ab", "a*b*b", false),
            ("abb", "a*b*b", true),
            ("anything", "*", true),
        ] {
            assert_eq!(is_like(name, pattern), is, "{name} {pattern}");
        }
    }

    #[test]
    fn a_certificate_is_let_in_by_any_of_its_names() {
        let subject = Subject {
            name: "CN=alice,OU=ops,O=Example".to_owned(),
            common_name: Some("alice".to_owned()),
            alternatives: vec![AlternativeName::Dns("a.example".to_owned())],
        };
        let not_after = UNIX_EPOCH + Duration::from_secs(5);
        let certificate = Certificate { subject, digest: [7; 32], not_after };
        for (patterns, is_in) in [
            (&["CN=alice"][..], true),
            (&["CN=bob", "DNS:*.example"], true),
            (&["CN=alice,OU=*"], true),
            (&["*,O=Example"], true),
            (&["CN=bob"], false),
            (&["OU=ops"], false),
        ] {
            let names = Names(patterns.iter().map(|pattern| (*pattern).to_owned()).collect());
            let found = names.verify(Some(&certificate));
            assert_eq!(found.is_ok(), is_in, "{patterns:?}");
            if let Ok(Permission { grant, claims }) = found {
                assert_eq!((grant.expires, grant.credential), (Some(5_000), [7; 32]));
                assert_eq!(claims.text("cn").as_deref(), Some("alice"));
            }
        }
        assert_eq!(Names::default().verify(None), Err(Denial::Missing));
    }

    #[test]
    fn a_pattern_names_what_it_is_of() {
        for (text, is) in
            [("CN=a*", true), ("DNS:*", true), ("alice", false), ("DNS:", false), ("=x", false), ("CN=", false)]
        {
            assert_eq!(Names::is_pattern(text), is, "{text}");
        }
    }
}
