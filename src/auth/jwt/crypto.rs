//! The cryptography of tokens, from the library that TLS uses.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind};
use ring::{hmac, signature as ring_signature};
use signature::Verifier;
use std::sync::Once;

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::InvalidAlgorithm.into()),
    verifier_factory: checker,
    key_utils: KeyUtils::new_unimplemented(),
};

/// Gives jsonwebtoken its cryptography.
pub(super) fn install() {
    static ONCE: Once = Once::new();
    // Nobody else gives it one.
    ONCE.call_once(|| _ = PROVIDER.install_default());
}

/// Checks signatures by one key.
struct Checker {
    algorithm: Algorithm,
    key: DecodingKey,
}

fn checker(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    Ok(Box::new(Checker { algorithm: *algorithm, key: key.clone() }))
}

impl JwtVerifier for Checker {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for Checker {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let is_good = match self.algorithm.family() {
            AlgorithmFamily::Hmac => self.is_mac(message, signature),
            AlgorithmFamily::Rsa => self.is_of_rsa(message, signature),
            AlgorithmFamily::Ec | AlgorithmFamily::Ed => self.is_of_curve(message, signature),
        };
        is_good.filter(|is_good| *is_good).map(drop).ok_or_else(signature::Error::new)
    }
}

impl Checker {
    /// In constant time.
    fn is_mac(&self, message: &[u8], signature: &[u8]) -> Option<bool> {
        let algorithm = match self.algorithm {
            Algorithm::HS256 => hmac::HMAC_SHA256,
            Algorithm::HS384 => hmac::HMAC_SHA384,
            Algorithm::HS512 => hmac::HMAC_SHA512,
            _ => return None,
        };
        let key = hmac::Key::new(algorithm, self.key.try_get_as_bytes().ok()?);
        Some(hmac::verify(&key, message, signature).is_ok())
    }

    fn is_of_rsa(&self, message: &[u8], signature: &[u8]) -> Option<bool> {
        let algorithm: &ring_signature::RsaParameters = match self.algorithm {
            Algorithm::RS256 => &ring_signature::RSA_PKCS1_2048_8192_SHA256,
            Algorithm::RS384 => &ring_signature::RSA_PKCS1_2048_8192_SHA384,
            Algorithm::RS512 => &ring_signature::RSA_PKCS1_2048_8192_SHA512,
            Algorithm::PS256 => &ring_signature::RSA_PSS_2048_8192_SHA256,
            Algorithm::PS384 => &ring_signature::RSA_PSS_2048_8192_SHA384,
            Algorithm::PS512 => &ring_signature::RSA_PSS_2048_8192_SHA512,
            _ => return None,
        };
        Some(match self.key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                ring_signature::RsaPublicKeyComponents { n, e }.verify(algorithm, message, signature).is_ok()
            }
            DecodingKeyKind::SecretOrDer(key) => {
                ring_signature::UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok()
            }
        })
    }

    fn is_of_curve(&self, message: &[u8], signature: &[u8]) -> Option<bool> {
        let algorithm: &dyn ring_signature::VerificationAlgorithm = match self.algorithm {
            Algorithm::ES256 => &ring_signature::ECDSA_P256_SHA256_FIXED,
            Algorithm::ES384 => &ring_signature::ECDSA_P384_SHA384_FIXED,
            Algorithm::EdDSA => &ring_signature::ED25519,
            _ => return None,
        };
        let key = self.key.try_get_as_bytes().ok()?;
        Some(ring_signature::UnparsedPublicKey::new(algorithm, key).verify(message, signature).is_ok())
    }
}
