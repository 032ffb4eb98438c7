//! Static keys, of which only the digests are kept.

use super::Permission;
use super::claims::Claims;
use super::denial::Denial;
use crate::caller::Grant;
use crate::digest::{sha256, unhex};
use serde_json::{Map, Value};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};

/// Static keys, by their SHA-256 digests. Each has a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyRing(Vec<([u8; 32], Box<str>)>);

/// Why a text is not a [`KeyRing`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeyRing {
    /// A line is not a digest and a name. The line is not shown: it may be a key.
    #[error("line {0} must be a SHA-256 digest as 64 hexadecimal digits, white space, and a name")]
    Line(usize),
    /// Two lines have one digest.
    #[error("line {0} has the digest of an earlier line")]
    Twice(usize),
    /// There is no key.
    #[error("has no key")]
    Empty,
}

impl KeyRing {
    /// Reads a file: on each line a digest as `sha256sum` writes it, and the name of the key. Empty lines, and those that
    /// begin with `#`, mean nothing.
    ///
    /// # Errors
    /// When a line is something else, or when there is no key.
    pub fn parse(text: &str) -> Result<Self, InvalidKeyRing> {
        let mut keys: Vec<([u8; 32], Box<str>)> = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (digits, name) = line.split_once(char::is_whitespace).ok_or(InvalidKeyRing::Line(number))?;
            let digest = unhex(digits.as_bytes()).ok_or(InvalidKeyRing::Line(number))?;
            if keys.iter().any(|(held, _)| *held == digest) {
                return Err(InvalidKeyRing::Twice(number));
            }
            keys.push((digest, name.trim().into()));
        }
        if keys.is_empty() { Err(InvalidKeyRing::Empty) } else { Ok(Self(keys)) }
    }

    /// Finds a key. The time that this takes does not depend on which key it is, or on whether it is one.
    ///
    /// # Errors
    /// When it is none.
    pub fn verify(&self, key: &str) -> Result<Permission, Denial> {
        let digest = sha256(key.as_bytes());
        let (mut found, mut at) = (Choice::from(0), 0_u32);
        for (number, (held, _)) in (0..).zip(&self.0) {
            let is_it = held.ct_eq(&digest);
            at.conditional_assign(&number, is_it);
            found |= is_it;
        }
        let held = self.0.get(at as usize).filter(|_| bool::from(found));
        let (_, name) = held.ok_or(Denial::Invalid("no such key"))?;
        let grant = Grant { subject: Some(name.clone()), credential: digest, ..Grant::default() };
        let claims = Map::from_iter([("name".to_owned(), Value::String(name.to_string()))]);
        Ok(Permission { grant, claims: Claims(claims) })
    }

    /// Whether the key with this digest is there.
    #[must_use]
    pub fn has(&self, digest: &[u8; 32]) -> bool {
        self.0.iter().any(|(held, _)| held == digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RING: &str = "# keys\n\
        ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  first one\n\n\
        \tCB8379AC2098AA165029E3938A51DA0BCECFC008FD6795F401178647F96C5B34\tsecond\n";

    #[test]
    fn a_key_is_found_by_its_digest() {
        let ring = KeyRing::parse(RING).unwrap();
        for (key, name) in [
            ("abc", Some("first one")),
            ("def", Some("second")),
            ("abd", None),
            ("", None),
            ("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", None),
        ] {
            let found = ring.verify(key);
            assert_eq!(found.as_ref().ok().and_then(|found| found.grant.subject.as_deref()), name, "{key}");
            if let Ok(Permission { grant, claims }) = found {
                assert_eq!(claims.text("name").as_deref(), name);
                assert!(ring.has(&grant.credential));
            }
        }
    }

    #[test]
    fn a_bad_file_names_the_line_and_not_what_it_says() {
        let digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        for (text, error) in [
            (String::new(), InvalidKeyRing::Empty),
            ("# nothing\n".to_owned(), InvalidKeyRing::Empty),
            ("secret\n".to_owned(), InvalidKeyRing::Line(1)),
            (format!("{digest}\n"), InvalidKeyRing::Line(1)),
            (format!("{digest} a\nsecret b\n"), InvalidKeyRing::Line(2)),
            (format!("{digest} a\n\n{digest} b\n"), InvalidKeyRing::Twice(3)),
        ] {
            assert_eq!(KeyRing::parse(&text), Err(error), "{text}");
        }
    }
}
