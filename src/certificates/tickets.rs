//! The keys of session tickets. With the same keys, one process resumes the sessions of another one.
//!
//! ```text
//!   name (16) │ salt (32) │ sealed: the time of issue (8), the session │ tag (16)
//! ```
//!
//! - The name says which key sealed the ticket. It is derived from the key and from how clients are checked. So a ticket
//!   is worth nothing where clients are checked in another way.
//! - Each ticket has a key of its own, derived from the key and the salt with HKDF-SHA256 (RFC 5869). So the bound on
//!   random nonces under one key (NIST SP 800-38D, section 8.3) does not limit how many tickets a key of the file seals.
//! - The session is sealed with AES-256-GCM. The name and the salt are authenticated, too.

use crate::digest::{sha256, unhex};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk};
use ring::rand::{SecureRandom, SystemRandom};
use rustls::server::ProducesTickets;
use rustls_pki_types::UnixTime;
use std::fmt;

/// How long a ticket is good, in seconds: 12 hours, as those of rustls.
pub(super) const LIFETIME_SECS: u32 = 12 * 60 * 60;
/// How far the clocks of two processes may differ, in seconds. A ticket from further in the future is refused.
pub(super) const CLOCKS_DIFFER_SECS: u64 = 300;
/// The most keys of a file. Each one that is not the ticket's costs a comparison.
const MAX_KEYS: usize = 16;

const KEY_BYTES: usize = 32;
const NAME_BYTES: usize = 16;
const SALT_BYTES: usize = 32;
const TIME_BYTES: usize = 8;

const NAME_LABEL: &[u8] = b"manifold ticket name 1";
const KEY_LABEL: &[u8] = b"manifold ticket key 1";

/// The keys of a file. The first one seals, and all open. Two are equal if they hold the same keys in the same order.
#[derive(Clone)]
pub struct TicketKeys {
    keys: Vec<Prk>,
    /// The SHA-256 of each key, in the same order.
    digests: Vec<[u8; 32]>,
}

/// Why a text is not [`TicketKeys`]. It never contains a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTicketKeys {
    /// There is none.
    #[error("the file contains no key: openssl rand -hex 32 makes one")]
    Empty,
    /// A line is something else. Lines are counted from 1.
    #[error("line {0} of the file must be a key of 64 hexadecimal digits, as openssl rand -hex 32 makes it")]
    Line(usize),
    /// A key is there twice.
    #[error("line {0} of the file is a key that is in the file already")]
    Twice(usize),
    /// There are too many.
    #[error("the file contains more than {MAX_KEYS} keys")]
    TooMany,
}

impl TicketKeys {
    /// Reads keys, one on each line. Empty lines and lines that begin with `#` are ignored.
    ///
    /// # Errors
    /// Fails when there is no key, and when a line is something else.
    pub fn from_text(text: &[u8]) -> Result<Self, InvalidTicketKeys> {
        let (mut keys, mut digests) = (Vec::new(), Vec::new());
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let key: [u8; KEY_BYTES] = unhex(line).ok_or(InvalidTicketKeys::Line(index + 1))?;
            let digest = sha256(&key);
            if digests.contains(&digest) {
                return Err(InvalidTicketKeys::Twice(index + 1));
            }
            digests.push(digest);
            keys.push(Prk::new_less_safe(HKDF_SHA256, &key));
        }
        match keys.len() {
            0 => Err(InvalidTicketKeys::Empty),
            1..=MAX_KEYS => Ok(Self { keys, digests }),
            _ => Err(InvalidTicketKeys::TooMany),
        }
    }
}

impl PartialEq for TicketKeys {
    fn eq(&self, other: &Self) -> bool {
        self.digests == other.digests
    }
}

impl Eq for TicketKeys {}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketKeys({})", self.keys.len())
    }
}

/// Seals sessions into tickets and opens them.
pub(super) struct SharedTickets {
    /// There is at least one.
    keys: Vec<NamedKey>,
    now: fn() -> u64,
}

struct NamedKey {
    name: [u8; NAME_BYTES],
    key: Prk,
}

/// The length of a name, for HKDF.
#[derive(Debug, Clone, Copy)]
struct Name;

impl KeyType for Name {
    fn len(&self) -> usize {
        NAME_BYTES
    }
}

impl SharedTickets {
    /// `context`: how clients are checked.
    pub(super) fn new(keys: &TicketKeys, context: &[u8]) -> Result<Self, ring::error::Unspecified> {
        Self::at(keys, context, || UnixTime::now().as_secs())
    }

    /// With a clock, in seconds.
    pub(super) fn at(keys: &TicketKeys, context: &[u8], now: fn() -> u64) -> Result<Self, ring::error::Unspecified> {
        let named = |key: &Prk| -> Result<NamedKey, ring::error::Unspecified> {
            let mut name = [0; NAME_BYTES];
            key.expand(&[NAME_LABEL, context], Name)?.fill(&mut name)?;
            Ok(NamedKey { name, key: key.clone() })
        };
        Ok(Self { keys: keys.keys.iter().map(named).collect::<Result<_, _>>()?, now })
    }

    fn seal(&self, session: &[u8]) -> Option<Vec<u8>> {
        let key = self.keys.first()?;
        let mut salt = [0; SALT_BYTES];
        SystemRandom::new().fill(&mut salt).ok()?;
        let mut sealed = Vec::with_capacity(TIME_BYTES + session.len());
        sealed.extend((self.now)().to_be_bytes());
        sealed.extend(session);
        let aad = Aad::from([key.name.as_slice(), &salt].concat());
        let tag = key.of_ticket(&salt)?.seal_in_place_separate_tag(nonce(), aad, &mut sealed).ok()?;
        Some([key.name.as_slice(), &salt, &sealed, tag.as_ref()].concat())
    }

    fn open(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (name, rest) = ticket.split_first_chunk::<NAME_BYTES>()?;
        let (salt, sealed) = rest.split_first_chunk::<SALT_BYTES>()?;
        let key = self.keys.iter().find(|key| key.name == *name)?;
        let aad = Aad::from([name.as_slice(), salt].concat());
        let mut sealed = sealed.to_vec();
        let opened = key.of_ticket(salt)?.open_in_place(nonce(), aad, &mut sealed).ok()?;
        let (issued, session) = opened.split_first_chunk::<TIME_BYTES>()?;
        let (issued, now) = (u64::from_be_bytes(*issued), (self.now)());
        let is_young = now.saturating_sub(issued) <= u64::from(LIFETIME_SECS);
        let is_of_now = issued.saturating_sub(now) <= CLOCKS_DIFFER_SECS;
        (is_young && is_of_now).then(|| session.to_vec())
    }
}

impl NamedKey {
    /// The key of one ticket.
    fn of_ticket(&self, salt: &[u8; SALT_BYTES]) -> Option<LessSafeKey> {
        let info = [KEY_LABEL, &self.name, salt];
        let key = self.key.expand(&info, &AES_256_GCM).ok()?;
        Some(LessSafeKey::new(UnboundKey::from(key)))
    }
}

/// The nonce of each ticket. A key of a ticket seals once.
fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

impl ProducesTickets for SharedTickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        LIFETIME_SECS
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.seal(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.open(cipher)
    }
}

impl fmt::Debug for SharedTickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedTickets({} keys)", self.keys.len())
    }
}
