//! What a client may, because of the credential that it showed.

use crate::digest::unhex;
use crate::millis::unix_millis;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// What a client may, because of the credential that it showed. Nothing in it is a secret.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Grant {
    /// Whom the credential names.
    pub subject: Option<Box<str>>,
    /// The id of the token (`jti` of a JWT).
    pub token_id: Option<Box<str>>,
    /// The id of the ticket with which the client came.
    pub ticket: Option<TicketId>,
    /// When the credential was issued, in seconds since 1970.
    pub issued: Option<u64>,
    /// When the permission ends, in milliseconds since 1970. `None`: it has no end of its own.
    pub expires: Option<u64>,
    /// The SHA-256 digest of the credential.
    pub credential: [u8; 32],
    /// Tells the key that checked the credential from others.
    pub key: u64,
    /// Tells the policy of the route that gave the permission from others.
    pub policy: u64,
    /// How often an authorisation service is asked again, in milliseconds.
    pub recheck: Option<u64>,
    /// The permission was taken back.
    #[serde(skip)]
    pub over: Over,
}

/// Whether a permission was taken back.
#[derive(Debug, Default)]
pub struct Over(AtomicBool);

impl Clone for Over {
    fn clone(&self) -> Self {
        Self(AtomicBool::new(self.0.load(Ordering::Relaxed)))
    }
}

impl PartialEq for Over {
    fn eq(&self, other: &Self) -> bool {
        self.0.load(Ordering::Relaxed) == other.0.load(Ordering::Relaxed)
    }
}

impl Eq for Over {}

/// The id of a ticket.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TicketId(pub [u8; 16]);

impl Grant {
    /// The permission, about which nobody can ask again, ends when that would have been due.
    pub fn expire_instead_of_recheck(&mut self, now: SystemTime) {
        if let Some(recheck) = self.recheck.take() {
            let due = unix_millis(now).saturating_add(recheck);
            self.expires = Some(self.expires.map_or(due, |expires| expires.min(due)));
        }
    }

    /// Takes the permission back.
    pub fn end(&self) {
        self.over.0.store(true, Ordering::Relaxed);
    }

    /// Whether the permission was taken back.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over.0.load(Ordering::Relaxed)
    }

    /// How long the permission lasts from now on. `None`: it has no end of its own.
    #[must_use]
    pub fn left(&self, now: SystemTime) -> Option<Duration> {
        let expires = Duration::from_millis(self.expires?);
        Some(expires.saturating_sub(now.duration_since(UNIX_EPOCH).unwrap_or_default()))
    }
}

impl fmt::Debug for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, token_id, ticket, issued, expires, .. } = self;
        f.debug_struct("Grant")
            .field("subject", subject)
            .field("token_id", token_id)
            .field("ticket", ticket)
            .field("issued", issued)
            .field("expires", expires)
            .finish_non_exhaustive()
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TicketId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for TicketId {
    type Err = NoTicketId;

    fn from_str(text: &str) -> Result<Self, NoTicketId> {
        unhex(text.as_bytes()).map(Self).ok_or(NoTicketId)
    }
}

/// A text is not the id of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 32 hexadecimal digits")]
pub struct NoTicketId;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permission_lasts_until_its_end() {
        let at = |millis| UNIX_EPOCH + Duration::from_millis(millis);
        let grant = Grant { expires: Some(5_000), ..Grant::default() };
        for (now, left) in [(0, 5_000), (4_999, 1), (5_000, 0), (9_000, 0)] {
            assert_eq!(grant.left(at(now)), Some(Duration::from_millis(left)), "{now}");
        }
        assert_eq!(Grant::default().left(at(0)), None);
    }

    #[test]
    fn the_id_of_a_ticket_is_read_as_it_is_shown() {
        let id = TicketId([0, 1, 0x7f, 0x80, 0xff, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
        assert_eq!(id.to_string().parse(), Ok(id));
        for text in ["", "00", "+1017f80ff05060708090a0b0c0d0e0f", "00017f80ff05060708090a0b0c0d0e0f00", "zz"] {
            assert_eq!(text.parse::<TicketId>(), Err(NoTicketId), "{text}");
        }
    }
}
