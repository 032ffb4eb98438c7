//! Traffic secrets, and the keys that are made of them (RFC 8446, section 7).

use ring::aead::{self, LessSafeKey, UnboundKey};
use ring::error::Unspecified;
use ring::hkdf::{self, KeyType, Prk};
use std::fmt;
use zeroize::Zeroize;

/// The most bytes of a key.
const MOST_KEY_BYTES: usize = 32;

/// The most bytes of a secret: those of SHA-384.
const MOST_SECRET_BYTES: usize = 48;

/// What a cipher suite of TLS 1.3 encrypts with. The suite's hash follows from it (RFC 8446, appendix B.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Aes128Gcm,
    Aes256Gcm,
    ChaCha20Poly1305,
}

impl Algorithm {
    const ALL: [Self; 3] = [Self::Aes128Gcm, Self::Aes256Gcm, Self::ChaCha20Poly1305];

    /// The algorithm of this number.
    pub(super) fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The number by which another process knows it.
    pub(super) fn number(self) -> u8 {
        self as u8
    }

    fn aead(self) -> &'static aead::Algorithm {
        match self {
            Self::Aes128Gcm => &aead::AES_128_GCM,
            Self::Aes256Gcm => &aead::AES_256_GCM,
            Self::ChaCha20Poly1305 => &aead::CHACHA20_POLY1305,
        }
    }

    fn hkdf(self) -> hkdf::Algorithm {
        match self {
            Self::Aes128Gcm | Self::ChaCha20Poly1305 => hkdf::HKDF_SHA256,
            Self::Aes256Gcm => hkdf::HKDF_SHA384,
        }
    }

    fn key_bytes(self) -> usize {
        self.aead().key_len()
    }

    fn secret_bytes(self) -> usize {
        self.hkdf().len()
    }
}

/// The traffic secret of one direction. A KeyUpdate replaces it by the next one.
pub(super) struct Secret([u8; MOST_SECRET_BYTES]);

impl Secret {
    /// `None`: the secret has another length than those of this algorithm.
    pub(super) fn new(algorithm: Algorithm, bytes: &[u8]) -> Option<Self> {
        let mut secret = Self([0; MOST_SECRET_BYTES]);
        let place = secret.0.get_mut(..algorithm.secret_bytes())?;
        (place.len() == bytes.len()).then(|| place.copy_from_slice(bytes))?;
        Some(secret)
    }

    /// The bytes of the secret.
    pub(super) fn bytes(&self, algorithm: Algorithm) -> &[u8] {
        self.0.get(..algorithm.secret_bytes()).unwrap_or_default()
    }

    /// The secret after a KeyUpdate (RFC 8446, section 7.2).
    pub(super) fn next(&self, algorithm: Algorithm) -> Result<Self, Unspecified> {
        let mut next = Self([0; MOST_SECRET_BYTES]);
        let place = next.0.get_mut(..algorithm.secret_bytes()).ok_or(Unspecified)?;
        self.expand(algorithm, b"traffic upd", place)?;
        Ok(next)
    }

    /// HKDF-Expand-Label without a context (RFC 8446, section 7.1).
    fn expand(&self, algorithm: Algorithm, label: &[u8], out: &mut [u8]) -> Result<(), Unspecified> {
        const PREFIX: &[u8] = b"tls13 ";
        let bytes = u16::try_from(out.len()).map_err(|_| Unspecified)?.to_be_bytes();
        let label_bytes = [u8::try_from(PREFIX.len() + label.len()).map_err(|_| Unspecified)?];
        let secret = self.0.get(..algorithm.secret_bytes()).ok_or(Unspecified)?;
        let prk = Prk::new_less_safe(algorithm.hkdf(), secret);
        prk.expand(&[&bytes, &label_bytes, PREFIX, label, &[0]], Bytes(out.len()))?.fill(out)
    }
}

#[cfg(test)]
impl Secret {
    pub(super) fn copy(&self) -> Self {
        Self(self.0)
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// A number of bytes to derive.
struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

/// The keys of one direction, and the number of the next record.
///
/// The key is expanded when it is needed, because an expanded key takes half a kilobyte.
pub(super) struct Keys {
    key: [u8; MOST_KEY_BYTES],
    iv: [u8; aead::NONCE_LEN],
    pub(super) algorithm: Algorithm,
    /// The number of the next record under these keys.
    pub(super) seq: u64,
}

impl Keys {
    /// The keys that a secret stands for, for the record `seq` and those after it.
    pub(super) fn of(algorithm: Algorithm, secret: &Secret, seq: u64) -> Result<Self, Unspecified> {
        let mut keys = Self { key: [0; MOST_KEY_BYTES], iv: [0; aead::NONCE_LEN], algorithm, seq };
        let place = keys.key.get_mut(..algorithm.key_bytes()).ok_or(Unspecified)?;
        secret.expand(algorithm, b"key", place)?;
        secret.expand(algorithm, b"iv", &mut keys.iv)?;
        Ok(keys)
    }

    /// Whether these are the keys.
    pub(super) fn are(&self, key: &[u8], iv: &[u8]) -> bool {
        self.key.get(..self.algorithm.key_bytes()) == Some(key) && self.iv == iv
    }

    /// The key, ready to be used.
    pub(super) fn expanded(&self) -> Result<LessSafeKey, Unspecified> {
        let key = self.key.get(..self.algorithm.key_bytes()).ok_or(Unspecified)?;
        Ok(LessSafeKey::new(UnboundKey::new(self.algorithm.aead(), key)?))
    }

    /// The nonce of the next record (RFC 8446, section 5.3).
    pub(super) fn nonce(&self) -> aead::Nonce {
        let mut nonce = self.iv;
        let seq = self.seq.to_be_bytes();
        nonce.iter_mut().skip(aead::NONCE_LEN - seq.len()).zip(seq).for_each(|(byte, of_seq)| *byte ^= of_seq);
        aead::Nonce::assume_unique_for_key(nonce)
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        self.key.zeroize();
        self.iv.zeroize();
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({:?}, seq {})", self.algorithm, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_take_56_bytes() {
        assert_eq!(size_of::<Keys>(), 56);
    }

    #[test]
    fn a_secret_has_the_length_of_its_hash() {
        for (algorithm, bytes) in
            [(Algorithm::Aes128Gcm, 32), (Algorithm::Aes256Gcm, 48), (Algorithm::ChaCha20Poly1305, 32)]
        {
            for length in 0..=50 {
                assert_eq!(Secret::new(algorithm, &[7; 50][..length]).is_some(), length == bytes, "{algorithm:?}");
            }
        }
    }

    #[test]
    fn neither_secrets_nor_keys_are_shown() {
        let secret = Secret::new(Algorithm::Aes128Gcm, &[0xab; 32]).unwrap();
        let keys = Keys::of(Algorithm::Aes128Gcm, &secret, 5).unwrap();
        assert_eq!(format!("{secret:?} {keys:?}"), "Secret Keys(Aes128Gcm, seq 5)");
    }
}
