//! Tickets: what stands in a URL in the place of a credential.
//!
//! A ticket says all that it needs to say, and is sealed by HMAC-SHA256. So every process that has the key opens it. That
//! it is used once is for [`Uses`](super::Uses) to see.

use super::Permission;
use super::claims::Claims;
use super::denial::Denial;
use crate::caller::{Grant, TicketId};
use crate::millis::{millis, unix_millis};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What tickets of this kind begin with. Another kind begins with another number.
const VERSION: u8 = 1;
/// The bytes of the seal at the end.
const SEAL_BYTES: usize = 32;
/// The fewest bytes of a key.
const FEWEST_KEY_BYTES: usize = 16;

/// The tickets of a route.
#[derive(Debug, Clone, PartialEq)]
pub struct TicketPolicy {
    /// The path at which a credential is given for a ticket.
    pub path: String,
    /// How long a ticket may be used for the first time.
    pub lifetime: Duration,
    /// How long after the end of its connection its client may come back.
    pub grace: Duration,
    /// How long after its issue a ticket is of no use at all.
    pub longest: Duration,
    /// The keys that open tickets. The first seals them. `None`: the process makes one.
    pub keys: Option<Arc<[TicketKey]>>,
    /// Whether a ticket is good for the address alone that it was given to.
    pub binds_address: bool,
}

/// A key that seals tickets.
#[derive(Clone)]
pub struct TicketKey {
    key: hmac::Key,
    bytes: Box<[u8]>,
}

/// What a ticket says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ticket {
    /// The route's name.
    pub route: Box<str>,
    /// The path that it is good for. `None`: every path of the route that the claims permit.
    pub path: Option<Box<str>>,
    /// What the credential permits.
    pub grant: Grant,
    /// The claims that the route needs.
    pub claims: Map<String, Value>,
    /// When it was issued, in milliseconds since 1970.
    pub issued: u64,
    /// The only address that it is good for. `None`: any.
    pub address: Option<IpAddr>,
}

/// Why a ticket is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadTicket {
    /// It was not sealed by this key, or not so.
    Forged,
    /// It is for another route.
    Route,
    /// It is for another path.
    Path,
    /// It was given to another address.
    Address,
    /// It is too old.
    Old,
}

impl From<BadTicket> for Denial {
    fn from(why: BadTicket) -> Self {
        Self::Invalid(match why {
            BadTicket::Forged => "no ticket of ours",
            BadTicket::Route => "ticket of another route",
            BadTicket::Path => "ticket of another path",
            BadTicket::Address => "ticket of another address",
            BadTicket::Old => "ticket too old",
        })
    }
}

impl TicketKey {
    /// A key with these bytes. `None`: they are too few.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Option<Self> {
        let is_long_enough = bytes.len() >= FEWEST_KEY_BYTES;
        is_long_enough.then(|| Self { key: hmac::Key::new(hmac::HMAC_SHA256, bytes), bytes: bytes.into() })
    }

    /// The keys in a file, one on each line.
    ///
    /// # Errors
    /// With the number of a line that is too short.
    pub fn of_text(text: &str) -> Result<Arc<[Self]>, usize> {
        let lines = (1_usize..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let keys: Vec<_> =
            lines.map(|(number, line)| Self::new(line.trim().as_bytes()).ok_or(number)).collect::<Result<_, _>>()?;
        if keys.is_empty() { Err(1) } else { Ok(keys.into()) }
    }

    /// A new key.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 32];
        fill(&mut bytes);
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &bytes), bytes: Box::new(bytes) }
    }

    /// The bytes of the key, for a process that goes on with it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl PartialEq for TicketKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

/// Without the key.
impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKey(..)")
    }
}

impl TicketId {
    /// A new id, which nobody can guess.
    #[must_use]
    pub fn random() -> Self {
        let mut id = [0; 16];
        fill(&mut id);
        Self(id)
    }
}

/// Fills bytes with random ones. Without them the process cannot do what it is for.
#[expect(clippy::expect_used, reason = "the system's random numbers do not fail after they began")]
fn fill(bytes: &mut [u8]) {
    SystemRandom::new().fill(bytes).expect("the system gives random numbers");
}

impl Ticket {
    /// The ticket as text.
    #[must_use]
    pub fn seal(&self, key: &TicketKey) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(rmp_serde::to_vec(self).unwrap_or_default());
        let seal = hmac::sign(&key.key, &bytes);
        bytes.extend_from_slice(seal.as_ref());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a ticket that was sealed by one of the keys.
    ///
    /// # Errors
    /// When it was not.
    pub fn open(text: &str, keys: &[TicketKey]) -> Result<Self, BadTicket> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadTicket::Forged)?;
        let at = bytes.len().checked_sub(SEAL_BYTES).ok_or(BadTicket::Forged)?;
        let (said, seal) = bytes.split_at_checked(at).ok_or(BadTicket::Forged)?;
        if !keys.iter().any(|key| hmac::verify(&key.key, said, seal).is_ok()) {
            return Err(BadTicket::Forged);
        }
        match said.split_first() {
            Some((&VERSION, said)) => rmp_serde::from_slice(said).map_err(|_| BadTicket::Forged),
            _ => Err(BadTicket::Forged),
        }
    }

    /// The id of a ticket, whoever sealed it.
    #[must_use]
    pub fn id_of(text: &str) -> Option<TicketId> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let said = bytes.get(1..bytes.len().checked_sub(SEAL_BYTES)?)?;
        rmp_serde::from_slice::<Self>(said).ok()?.grant.ticket
    }

    /// Whether the ticket is good for this request, and what it permits then. Whether it was used before is another
    /// question.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(
        self,
        policy: &TicketPolicy,
        route: &str,
        path: &str,
        address: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Permission, BadTicket> {
        if *self.route != *route {
            return Err(BadTicket::Route);
        }
        if self.path.as_deref().is_some_and(|own| own != path) {
            return Err(BadTicket::Path);
        }
        if self.address.is_some() && self.address != address {
            return Err(BadTicket::Address);
        }
        let ends = self.ends(policy);
        let is_over = unix_millis(now) >= ends;
        if is_over {
            return Err(BadTicket::Old);
        }
        let expires = self.grant.expires.map_or(ends, |expires| expires.min(ends));
        let grant = Grant { expires: Some(expires), ..self.grant };
        Ok(Permission { grant, claims: Claims(self.claims) })
    }

    /// When the ticket is of no use at all, in milliseconds since 1970.
    fn ends(&self, policy: &TicketPolicy) -> u64 {
        self.issued.saturating_add(millis(policy.longest))
    }

    /// Whether the ticket may be used for the first time.
    #[must_use]
    pub fn is_fresh(&self, policy: &TicketPolicy, now: SystemTime) -> bool {
        unix_millis(now) < self.issued.saturating_add(millis(policy.lifetime))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    fn at(secs: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(secs)
    }

    fn policy() -> TicketPolicy {
        TicketPolicy {
            path: "/ticket".to_owned(),
            lifetime: Duration::from_secs(30),
            grace: Duration::from_secs(300),
            longest: Duration::from_secs(3600),
            keys: None,
            binds_address: false,
        }
    }

    fn ticket() -> Ticket {
        let grant = Grant {
            subject: Some("alice".into()),
            ticket: Some(TicketId([3; 16])),
            expires: Some(5_000_000),
            ..Grant::default()
        };
        let claims = Map::from_iter([("tenant".to_owned(), Value::from("acme"))]);
        Ticket { route: "r".into(), path: None, grant, claims, issued: 1_000_000, address: None }
    }

    #[test]
    fn a_ticket_opens_with_its_key_alone_and_no_byte_of_it_can_be_changed() {
        let (key, other) = (TicketKey::random(), TicketKey::random());
        let text = ticket().seal(&key);
        assert_eq!(Ticket::open(&text, std::slice::from_ref(&key)), Ok(ticket()));
        assert_eq!(Ticket::open(&text, &[other.clone(), key.clone()]), Ok(ticket()));
        assert_eq!(Ticket::open(&text, &[other]), Err(BadTicket::Forged));
        let bytes = URL_SAFE_NO_PAD.decode(&text).unwrap();
        for at in 0..bytes.len() {
            for bit in [1, 0x80] {
                let mut forged = bytes.clone();
                forged[at] ^= bit;
                let forged = URL_SAFE_NO_PAD.encode(forged);
                assert_eq!(Ticket::open(&forged, std::slice::from_ref(&key)), Err(BadTicket::Forged), "{at}");
            }
            let cut = URL_SAFE_NO_PAD.encode(&bytes[..at]);
            assert_eq!(Ticket::open(&cut, std::slice::from_ref(&key)), Err(BadTicket::Forged), "{at}");
        }
        for text in [format!("{text}="), format!(" {text}"), text.replace(['-', '_'], "+") + "/", String::new()] {
            assert_eq!(Ticket::open(&text, std::slice::from_ref(&key)), Err(BadTicket::Forged), "{text}");
        }
    }

    #[test]
    fn a_ticket_is_good_for_its_route_path_address_and_time() {
        let address = |text: &str| Some(text.parse().unwrap());
        let bound = Ticket { path: Some("/a".into()), address: address("192.0.2.1"), ..ticket() };
        for (ticket, route, path, from, now, expected) in [
            (ticket(), "r", "/x", None, 1_001, Ok(4_600_000)),
            (ticket(), "r", "/x", None, 4_599, Ok(4_600_000)),
            (ticket(), "r", "/x", None, 4_600, Err(BadTicket::Old)),
            (ticket(), "s", "/x", None, 1_001, Err(BadTicket::Route)),
            (bound.clone(), "r", "/a", address("192.0.2.1"), 1_001, Ok(4_600_000)),
            (bound.clone(), "r", "/a/", address("192.0.2.1"), 1_001, Err(BadTicket::Path)),
            (bound.clone(), "r", "/a", address("192.0.2.2"), 1_001, Err(BadTicket::Address)),
            (bound, "r", "/a", None, 1_001, Err(BadTicket::Address)),
        ] {
            let checked = ticket.check(&policy(), route, path, from, at(now));
            assert_eq!(checked.map(|permission| permission.grant.expires.unwrap()), expected, "{route} {path} {now}");
        }
        let short = Ticket { grant: Grant { expires: Some(1_002_000), ..Grant::default() }, ..ticket() };
        assert_eq!(short.check(&policy(), "r", "/", None, at(1_001)).unwrap().grant.expires, Some(1_002_000));
        for (now, is_fresh) in [(1_000, true), (1_029, true), (1_030, false)] {
            assert_eq!(ticket().is_fresh(&policy(), at(now)), is_fresh, "{now}");
        }
    }

    #[test]
    fn a_file_has_a_key_on_each_line() {
        let keys = TicketKey::of_text("0123456789abcdef\n\n  fedcba9876543210fedcba\n").unwrap();
        assert_eq!(
            keys.iter().map(TicketKey::bytes).collect::<Vec<_>>(),
            [&b"0123456789abcdef"[..], b"fedcba9876543210fedcba"]
        );
        assert_eq!(TicketKey::of_text("0123456789abcdef\nshort\n").err(), Some(2));
        assert_eq!(TicketKey::of_text("").err(), Some(1));
    }
}
