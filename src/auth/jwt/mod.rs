//! JSON Web Tokens (RFC 7519).
//!
//! What the token says about how it is to be checked counts for nothing: the algorithms are those of the configuration,
//! and the keys are those of the configuration's file or URL. Fields of the header such as `jku`, `jwk` and `x5c` are not
//! looked at.

mod crypto;
mod keys;
#[cfg(test)]
mod tests;

pub use jsonwebtoken::Algorithm;
pub use keys::{InvalidKeys, KeySet, MOST_JWKS_BYTES, is_short_secret, keys_of_text};

use super::Permission;
use super::claims::Claims;
use super::denial::Denial;
use super::forward::ForwardUrl;
use crate::caller::Grant;
use crate::digest::sha256;
use jsonwebtoken::{Header, Validation, decode, decode_header};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The algorithms that a configuration may list.
const ALGORITHMS: [(&str, Algorithm); 12] = [
    ("HS256", Algorithm::HS256),
    ("HS384", Algorithm::HS384),
    ("HS512", Algorithm::HS512),
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// The most keys that one token is tried with, if it names none.
const MOST_TRIES: usize = 8;
/// The longest subject and token id that are kept, in bytes.
const MOST_NAME_BYTES: usize = 256;
/// Times beyond this count as this: the year 5138.
const LATEST: f64 = 1e11;

/// What a route asks of tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct Jwt {
    /// The only algorithms that count.
    pub algorithms: Vec<Algorithm>,
    /// The issuers of which one must be the token's. Empty: any.
    pub issuers: Vec<String>,
    /// The audiences of which one must be the token's. Empty: any.
    pub audiences: Vec<String>,
    /// How far the clocks of the issuer and this machine may differ.
    pub leeway: Duration,
    /// The keys that check tokens.
    pub keys: Keys,
}

/// Where the keys come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Keys {
    /// They are part of the configuration.
    Fixed(Arc<KeySet>),
    /// They are published at a URL.
    Published(Arc<ForwardUrl>),
}

/// Why a token is not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unverified {
    /// It is not good.
    Denied(Denial),
    /// It names a key that is not in the set. The issuer may have a new one.
    UnknownKey,
}

impl From<Denial> for Unverified {
    fn from(denial: Denial) -> Self {
        Self::Denied(denial)
    }
}

/// The algorithm of this name.
#[must_use]
pub fn algorithm_of(name: &str) -> Option<Algorithm> {
    ALGORITHMS.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
}

impl Jwt {
    /// Verifies a token.
    ///
    /// # Errors
    /// When it is not good, or when its key is not known.
    pub fn verify(&self, token: &str, keys: &KeySet, now: SystemTime) -> Result<Permission, Unverified> {
        let (claims, key) = self.signed(token, keys)?;
        let mut permission = self.judge(claims, sha256(token.as_bytes()), now)?;
        permission.grant.key = key;
        Ok(permission)
    }

    /// The claims of a token whose signature is good, and what tells its key from others.
    fn signed(&self, token: &str, keys: &KeySet) -> Result<(Claims, u64), Unverified> {
        crypto::install();
        let header = decode_header(token).map_err(|_| Denial::Invalid("no JWT"))?;
        check_header(&header)?;
        if !self.algorithms.contains(&header.alg) {
            return Err(Denial::Invalid("algorithm not listed").into());
        }
        let mut validation = Validation::new(header.alg);
        validation.required_spec_claims.clear();
        // Times and audience are judged by `judge`, with the clock of the caller.
        (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
        let (candidates, is_unknown) = keys.candidates(header.kid.as_deref(), header.alg);
        for (key, fingerprint) in candidates.into_iter().take(MOST_TRIES) {
            if let Ok(data) = decode::<Map<String, Value>>(token, key, &validation) {
                return Ok((Claims(data.claims), fingerprint));
            }
        }
        Err(if is_unknown { Unverified::UnknownKey } else { Denial::Invalid("signature").into() })
    }

    /// Judges what a signed token says about itself.
    fn judge(&self, claims: Claims, credential: [u8; 32], now: SystemTime) -> Result<Permission, Denial> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let leeway = self.leeway.as_secs_f64();
        let expires = time(&claims, "exp")?.ok_or(Denial::Invalid("no exp"))?;
        if now >= expires + leeway {
            return Err(Denial::Invalid("expired"));
        }
        if time(&claims, "nbf")?.is_some_and(|from| now + leeway < from) {
            return Err(Denial::Invalid("not valid yet"));
        }
        let issued = time(&claims, "iat")?;
        let is_text = |name: &str| claims.get(name).is_none_or(Value::is_string);
        if !["iss", "sub", "jti"].into_iter().all(is_text) {
            return Err(Denial::Invalid("a claim of the wrong type"));
        }
        let is_among =
            |list: &[String], text: &Value| text.as_str().is_some_and(|text| list.iter().any(|one| one == text));
        if !self.issuers.is_empty() && !claims.get("iss").is_some_and(|issuer| is_among(&self.issuers, issuer)) {
            return Err(Denial::Invalid("issuer"));
        }
        let is_for_us = match claims.get("aud") {
            _ if self.audiences.is_empty() => true,
            Some(Value::Array(all)) => all.iter().any(|one| is_among(&self.audiences, one)),
            Some(one) => is_among(&self.audiences, one),
            None => false,
        };
        if !is_for_us {
            return Err(Denial::Invalid("audience"));
        }
        // A token that is good for its leeway alone is good to the end of that.
        let ends = if now < expires { expires } else { expires + leeway };
        let named = |name: &str| {
            claims.text(name).filter(|text| text.len() <= MOST_NAME_BYTES).map(|text| text.as_ref().into())
        };
        let grant = Grant {
            subject: named("sub"),
            token_id: named("jti"),
            ticket: None,
            issued: issued.map(whole),
            expires: Some(whole(ends * 1000.0)),
            credential,
            ..Grant::default()
        };
        if (claims.get("sub").is_some() && grant.subject.is_none())
            || (claims.get("jti").is_some() && grant.token_id.is_none())
        {
            return Err(Denial::Invalid("a subject or id that is too long"));
        }
        Ok(Permission { grant, claims })
    }
}

/// Refuses a token that asks for what is not done here (RFC 7515, section 4.1.11), and one of another kind, such as a
/// logout token (RFC 8725, section 3.11).
fn check_header(header: &Header) -> Result<(), Denial> {
    if header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
        return Err(Denial::Invalid("a header that asks for more"));
    }
    let kind = header.typ.as_deref().unwrap_or_default().to_ascii_lowercase();
    let kind = kind.strip_prefix("application/").unwrap_or(&kind);
    let is_other = kind.ends_with("+jwt") && kind != "at+jwt";
    if is_other { Err(Denial::Invalid("a token of another kind")) } else { Ok(()) }
}

/// A time of the claims, in seconds since 1970.
fn time(claims: &Claims, name: &str) -> Result<Option<f64>, Denial> {
    match claims.0.get(name) {
        None => Ok(None),
        Some(value) => match value.as_f64() {
            Some(time) if time >= 0.0 => Ok(Some(time.min(LATEST))),
            _ => Err(Denial::Invalid("a time that is none")),
        },
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a time is within 0..=1e14")]
fn whole(number: f64) -> u64 {
    number as u64
}
