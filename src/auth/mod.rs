//! Who may listen: what a credential says, and what a route asks of it. Pure: bytes, keys and an instant in, a permission
//! or a denial out.
//!
//! ```text
//!   request ─▶ Sources ── none ─────────────────────────────────────────▶ Denial::Missing
//!                │ a credential
//!                ▼
//!   Ticket, Jwt, KeyRing, Names, Forward ── not good ───────────────────▶ Denial::Invalid
//!                │ claims, and whose they are
//!                ▼
//!   Revocations ── revoked ─────────────────────────────────────────────▶ Denial::Invalid
//!                │
//!                ▼
//!   Demands: `require`, `allow` ── not met ─────────────────────────────▶ Denial::Forbidden
//!                │
//!                ▼
//!             Permission: a Grant, and claims for the stream's key
//! ```

mod allow;
mod claims;
mod denial;
mod forward;
mod jwt;
mod key_ring;
mod names;
mod record;
mod revocations;
mod sources;
mod ticket;
#[cfg(any(test, fuzzing))]
mod tried;
mod uses;

pub use allow::{Allow, InvalidRule, PathRule, Segments};
pub use claims::{Claims, Demand, Demands};
pub use denial::{Answered, Denial};
pub use forward::{Forward, ForwardUrl, InvalidUrl, Verdict, lifetime_of, question};
pub use jwt::{
    Algorithm, InvalidKeys, Jwt, KeySet, Keys, MOST_JWKS_BYTES, Unverified, algorithm_of, is_short_secret, keys_of_text,
};
pub use key_ring::{InvalidKeyRing, KeyRing};
pub use names::{Certificate, Names};
pub use record::{Record, RecordState};
pub use revocations::{Revocation, Revocations, RevocationsState, Whom};
pub use sources::{Source, Sources, without_parameters};
pub use ticket::{BadTicket, Ticket, TicketKey, TicketPolicy};
#[cfg(fuzzing)]
pub use tried::{try_tickets, try_tokens};
pub use uses::{Returned, Uses, UsesState};

use crate::caller::Grant;
use crate::digest::sha256;
use crate::upstream::Trust;
use std::borrow::Cow;
use std::time::Duration;

/// What a route asks of its clients (`[routes.auth]`).
#[derive(Debug, Clone, PartialEq)]
pub struct AuthPolicy {
    /// What kind of credential is asked for.
    pub kind: Kind,
    /// Where the credential stands in a request.
    pub sources: Sources,
    /// What its claims must say.
    pub demands: Demands,
    /// Short-lived tickets in place of the credential. `None`: there are none.
    pub tickets: Option<TicketPolicy>,
    /// The certificates that verify the servers of `jwks_url` and `url`. `None`: those of the system.
    pub trusted: Option<Trust>,
    /// What of this is probably not meant, in words.
    pub advice: Vec<String>,
    /// Tells this policy from others, by everything in it but keys and tickets.
    fingerprint: u64,
}

impl AuthPolicy {
    /// A policy.
    #[must_use]
    pub fn new(kind: Kind, sources: Sources, demands: Demands) -> Self {
        let of_kind = match &kind {
            Kind::Jwt(Jwt { algorithms, issuers, audiences, leeway, .. }) => {
                format!("{algorithms:?} {issuers:?} {audiences:?} {leeway:?}")
            }
            Kind::Forward(Forward { url, pass, .. }) => format!("{url:?} {pass:?}"),
            Kind::Key(_) => "key".to_owned(),
            Kind::Mtls(names) => format!("{names:?}"),
        };
        let digest = sha256(format!("{of_kind} {demands:?}").as_bytes());
        let fingerprint = digest.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        Self { kind, sources, demands, tickets: None, trusted: None, advice: Vec::new(), fingerprint }
    }

    /// Judges a permission that a credential gave, and notes that this policy gave it. `path`: what is asked for. `None`: it
    /// will be asked for later.
    ///
    /// # Errors
    /// When the demands are not met.
    pub fn permit(&self, mut permission: Permission, path: Option<&Segments>) -> Result<Permission, Denial> {
        self.demands.check(&permission.claims, path)?;
        permission.grant.policy = self.fingerprint;
        Ok(permission)
    }

    /// Whether a permission still holds that was given earlier, perhaps by a policy before this one.
    #[must_use]
    pub fn still_permits(&self, grant: &Grant) -> bool {
        let has_key = match &self.kind {
            Kind::Key(ring) => ring.has(&grant.credential),
            Kind::Jwt(Jwt { keys: Keys::Fixed(keys), .. }) => keys.has(grant.key),
            // The issuer may leave a key out whose tokens are still good.
            Kind::Jwt(Jwt { keys: Keys::Published(_), .. }) | Kind::Forward(_) | Kind::Mtls(_) => true,
        };
        grant.policy == self.fingerprint && has_key && !grant.is_over()
    }

    /// The claims that a ticket must say: those that are demanded, and these.
    #[must_use]
    pub fn claims_of_tickets<'n>(&'n self, others: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
        self.demands.names().into_iter().chain(others).collect()
    }

    /// A query without credentials. `None`: nothing is left.
    #[must_use]
    pub fn without_credentials<'q>(&self, query: Option<&'q str>) -> Option<Cow<'q, str>> {
        let ticket = self.tickets.as_ref().map(|_| TICKET_PARAMETER);
        let names: Vec<&str> = self.sources.parameters().chain(ticket).collect();
        without_parameters(query, &names)
    }
}

/// The parameter of the query in which a ticket stands.
pub const TICKET_PARAMETER: &str = "ticket";

/// The kinds of credentials.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// A JSON Web Token.
    Jwt(Jwt),
    /// What an authorisation service says.
    Forward(Forward),
    /// A static key.
    Key(KeyRing),
    /// A client certificate.
    Mtls(Names),
}

/// What a credential permits.
#[derive(Debug, Clone, PartialEq)]
pub struct Permission {
    /// What is kept of it for as long as the client is there.
    pub grant: Grant,
    /// What the credential says.
    pub claims: Claims,
}

/// How long a JWKS that names no lifetime is good for.
pub const JWKS_LIFETIME: Duration = Duration::from_secs(3600);
