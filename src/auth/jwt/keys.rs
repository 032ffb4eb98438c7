//! The keys that check tokens.

use super::{Algorithm, crypto};
use crate::digest::sha256;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse};
use jsonwebtoken::{AlgorithmFamily, DecodingKey, DecodingKeyKind};
use serde_json::Value;
use std::fmt;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer, SubjectPublicKeyInfo, X509Certificate};
use x509_parser::public_key::PublicKey;

/// The largest JSON Web Key Set, in bytes.
pub const MOST_JWKS_BYTES: usize = 256 << 10;
/// The most keys of a set.
const MOST_KEYS: usize = 100;
/// The object identifier of Ed25519 (RFC 8410).
const ED25519: &str = "1.3.101.112";

/// Keys that check tokens.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// One key.
#[derive(Clone)]
struct Key {
    id: Option<String>,
    /// The only algorithm that the key is for. `None`: all of its family.
    algorithm: Option<Algorithm>,
    /// The curve's size in bits, of a key on a curve.
    bits: Option<u16>,
    key: DecodingKey,
    /// Tells the key from others.
    fingerprint: u64,
}

/// Why a text has no keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKeys {
    /// It is empty.
    #[error("is empty")]
    Empty,
    /// It looks like JSON and is no JWKS.
    #[error("is not a JSON Web Key Set (RFC 7517)")]
    Json,
    /// It has no key that checks signatures by these algorithms.
    #[error("has no key for the algorithms of the route")]
    NoKey,
    /// It is PEM that cannot be read.
    #[error("has no public key: it must have \"-----BEGIN PUBLIC KEY-----\" or a certificate")]
    Pem,
    /// It has a private key, which does not belong here.
    #[error("has a private key: manifold needs the public key alone")]
    Private,
    /// It has too many keys.
    #[error("has more than {MOST_KEYS} keys")]
    TooMany,
}

impl KeySet {
    /// Reads a JSON Web Key Set, or one JSON Web Key. Keys that are not for these algorithms, or not for signatures, are
    /// left out. `allows_secrets`: whether keys of HMAC count.
    ///
    /// # Errors
    /// When it is no key set, or when nothing is left.
    pub fn of_json(text: &[u8], algorithms: &[Algorithm], allows_secrets: bool) -> Result<Self, InvalidKeys> {
        crypto::install();
        let value: Value = serde_json::from_slice(text).map_err(|_| InvalidKeys::Json)?;
        let listed = match value.get("keys") {
            Some(Value::Array(keys)) => keys.clone(),
            Some(_) => return Err(InvalidKeys::Json),
            None if value.get("kty").is_some() => vec![value],
            None => return Err(InvalidKeys::Json),
        };
        if listed.len() > MOST_KEYS {
            return Err(InvalidKeys::TooMany);
        }
        // A key that cannot be read, such as one of a new kind, does not spoil the others.
        let read = listed.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let keys: Vec<_> = read.filter_map(|jwk| Key::of_jwk(&jwk, allows_secrets)).collect();
        Self { keys }.checked(algorithms)
    }

    fn of_secret(secret: &[u8]) -> Self {
        crypto::install();
        Self { keys: vec![Key::new(DecodingKey::from_secret(secret), None)] }
    }

    fn of_pem(text: &str) -> Result<Self, InvalidKeys> {
        crypto::install();
        let mut keys = Vec::new();
        for pem in Pem::iter_from_buffer(text.as_bytes()) {
            let pem = pem.map_err(|_| InvalidKeys::Pem)?;
            let key = match pem.label.as_str() {
                "PUBLIC KEY" => {
                    SubjectPublicKeyInfo::from_der(&pem.contents).ok().and_then(|(_, key)| Key::of_spki(&key))
                }
                "CERTIFICATE" => {
                    let parsed = X509Certificate::from_der(&pem.contents).ok();
                    parsed.and_then(|(_, certificate)| Key::of_spki(certificate.public_key()))
                }
                "RSA PUBLIC KEY" => Some(Key::new(DecodingKey::from_rsa_der(&pem.contents), None)),
                label if label.ends_with("PRIVATE KEY") => return Err(InvalidKeys::Private),
                _ => None,
            };
            keys.push(key.ok_or(InvalidKeys::Pem)?);
        }
        if keys.is_empty() { Err(InvalidKeys::Pem) } else { Ok(Self { keys }) }
    }

    fn checked(self, algorithms: &[Algorithm]) -> Result<Self, InvalidKeys> {
        let is_of_use = algorithms.iter().any(|algorithm| self.keys.iter().any(|key| key.is_for(*algorithm)));
        if is_of_use { Ok(self) } else { Err(InvalidKeys::NoKey) }
    }

    /// The keys that may have signed a token with this header, and whether the token names a key that is not here.
    pub(super) fn candidates(&self, id: Option<&str>, algorithm: Algorithm) -> (Vec<(&DecodingKey, u64)>, bool) {
        let is_named = |key: &&Key| id.is_none() || key.id.is_none() || key.id.as_deref() == id;
        let named: Vec<_> = self.keys.iter().filter(is_named).collect();
        let is_unknown = named.is_empty() || (id.is_some() && named.iter().all(|key| key.id.is_none()));
        (
            named.into_iter().filter(|key| key.is_for(algorithm)).map(|key| (&key.key, key.fingerprint)).collect(),
            is_unknown,
        )
    }

    /// Whether there is a key with this fingerprint.
    #[must_use]
    pub fn has(&self, fingerprint: u64) -> bool {
        self.keys.iter().any(|key| key.fingerprint == fingerprint)
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

/// The keys in the text of a file or of a variable: the secret of HMAC as it is without a final line break, PEM, or JSON.
///
/// # Errors
/// When it has no key for these algorithms.
pub fn keys_of_text(text: &str, algorithms: &[Algorithm]) -> Result<KeySet, InvalidKeys> {
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    if line.is_empty() {
        return Err(InvalidKeys::Empty);
    }
    if text.contains("-----BEGIN ") {
        return KeySet::of_pem(text)?.checked(algorithms);
    }
    // A secret may begin with any character, so a text counts as JSON only if it is an object.
    if serde_json::from_str::<Value>(text).is_ok_and(|value| value.is_object()) {
        return KeySet::of_json(text.as_bytes(), algorithms, true);
    }
    KeySet::of_secret(line.as_bytes()).checked(algorithms)
}

/// Whether the text is the secret of HMAC and shorter than the digest, which RFC 7518 (section 3.2) forbids.
#[must_use]
pub fn is_short_secret(text: &str, algorithms: &[Algorithm]) -> bool {
    let bytes = algorithms.iter().map(|algorithm| match algorithm {
        Algorithm::HS256 => 32,
        Algorithm::HS384 => 48,
        Algorithm::HS512 => 64,
        _ => 0,
    });
    text.trim_end_matches(['\r', '\n']).len() < bytes.max().unwrap_or(0) && !text.trim_start().starts_with(['{', '-'])
}

impl Key {
    fn new(key: DecodingKey, bits: Option<u16>) -> Self {
        let digest = sha256(&bytes_of(&key));
        let fingerprint = digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        Self { id: None, algorithm: None, bits, key, fingerprint }
    }

    /// `None`: the key is not for checking signatures, or not of a kind that is known.
    fn of_jwk(jwk: &Jwk, allows_secrets: bool) -> Option<Self> {
        let common = &jwk.common;
        let is_for_signatures = !matches!(&common.public_key_use, Some(of) if *of != PublicKeyUse::Signature);
        let checks = common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
        if !is_for_signatures || !checks {
            return None;
        }
        let bits = match &jwk.algorithm {
            AlgorithmParameters::EllipticCurve(curve) => match curve.curve {
                EllipticCurve::P256 => Some(256),
                EllipticCurve::P384 => Some(384),
                _ => return None,
            },
            AlgorithmParameters::OctetKeyPair(pair) if pair.curve != EllipticCurve::Ed25519 => return None,
            AlgorithmParameters::OctetKey(_) if !allows_secrets => return None,
            _ => None,
        };
        let algorithm = match common.key_algorithm {
            Some(algorithm) => Some(Algorithm::try_from(algorithm).ok()?),
            None => None,
        };
        let key = DecodingKey::from_jwk(jwk).ok()?;
        Some(Self { id: common.key_id.clone(), algorithm, ..Self::new(key, bits) })
    }

    fn of_spki(spki: &SubjectPublicKeyInfo<'_>) -> Option<Self> {
        if spki.algorithm.algorithm.to_id_string() == ED25519 {
            return Some(Self::new(DecodingKey::from_ed_der(&spki.subject_public_key.data), None));
        }
        match spki.parsed().ok()? {
            PublicKey::RSA(rsa) => {
                let modulus = rsa.modulus.strip_prefix(&[0]).unwrap_or(rsa.modulus);
                Some(Self::new(DecodingKey::from_rsa_raw_components(modulus, rsa.exponent), None))
            }
            PublicKey::EC(point) => {
                let bits = match point.data().len() {
                    65 => 256,
                    97 => 384,
                    _ => return None,
                };
                Some(Self::new(DecodingKey::from_ec_der(point.data()), Some(bits)))
            }
            _ => None,
        }
    }

    fn is_for(&self, algorithm: Algorithm) -> bool {
        let curve = match algorithm {
            Algorithm::ES256 => Some(256),
            Algorithm::ES384 => Some(384),
            _ => None,
        };
        let is_of_family = self.key.family() == algorithm.family();
        let is_of_curve = algorithm.family() != AlgorithmFamily::Ec || self.bits == curve;
        is_of_family && is_of_curve && self.algorithm.is_none_or(|only| only == algorithm)
    }

    /// What makes it this key and no other.
    fn identity(&self) -> (Option<&str>, Option<Algorithm>, AlgorithmFamily, Vec<u8>) {
        (self.id.as_deref(), self.algorithm, self.key.family(), bytes_of(&self.key))
    }
}

fn bytes_of(key: &DecodingKey) -> Vec<u8> {
    match key.kind() {
        DecodingKeyKind::SecretOrDer(bytes) => bytes.clone(),
        DecodingKeyKind::RsaModulusExponent { n, e } => [&n[..], &e[..]].concat(),
    }
}

impl PartialEq for KeySet {
    fn eq(&self, other: &Self) -> bool {
        self.keys.iter().map(Key::identity).eq(other.keys.iter().map(Key::identity))
    }
}

/// Without the keys.
impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySet({} keys)", self.keys.len())
    }
}
