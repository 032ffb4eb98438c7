//! Judges the credential of a request. Pure.
//!
//! ```text
//!   a ticket ───────────────▶ its seal, route, path, address, time ─┐
//!   a credential, by kind ─┬▶ key, mtls ────────────────────────────┤
//!                          ├▶ jwt ── keys unknown ──▶ Asks(Keys)    ├─▶ revoked? ─▶ demands ─▶ Permitted
//!                          └▶ forward ── unknown ───▶ Asks(Service) ┘
//! ```
//!
//! What is asked is answered once, and then the request is judged again with the answer.

use crate::auth::{
    AuthPolicy, Certificate, Claims, Denial, Forward, Jwt, KeySet, Keys, Kind, Permission, Record, Segments, Source,
    Sources, TICKET_PARAMETER, Ticket, TicketPolicy, Unverified, Verdict, question,
};
use crate::caller::TicketId;
use crate::hub::ClaimField;
use crate::millis::{millis, unix_millis};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The field that tells a service of the path and query.
pub(super) const FORWARDED_URI: &str = "x-forwarded-uri";

/// The parts of a request that count.
#[derive(Debug, Clone, Copy)]
pub(in crate::gateway) struct Seeker<'a> {
    pub(in crate::gateway) method: &'a Method,
    pub(in crate::gateway) headers: &'a HeaderMap,
    /// The raw path and query, as they came.
    pub(in crate::gateway) path: &'a str,
    pub(in crate::gateway) query: Option<&'a str>,
    pub(in crate::gateway) host: Option<&'a str>,
    pub(in crate::gateway) is_tls: bool,
    pub(in crate::gateway) address: Option<IpAddr>,
    pub(in crate::gateway) certificate: Option<&'a Certificate>,
    /// The route's name.
    pub(in crate::gateway) route: &'a str,
    /// The path will be known later: a ticket is asked for.
    pub(in crate::gateway) is_without_path: bool,
}

/// What is known besides the request.
#[derive(Debug, Clone, Copy)]
pub(in crate::gateway) struct Knowledge<'a> {
    pub(in crate::gateway) now: SystemTime,
    pub(in crate::gateway) record: &'a Record,
    /// What was asked so far.
    pub(in crate::gateway) answers: &'a Answers,
}

/// The answers to what was asked for one request.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Answers {
    pub(in crate::gateway) keys: Option<Result<Arc<KeySet>, Arc<str>>>,
    /// The keys were asked for again, because one was not known.
    pub(in crate::gateway) are_newest: bool,
    pub(in crate::gateway) verdict: Option<Verdict>,
    /// What the verdict answers.
    pub(in crate::gateway) asked: Option<Asked>,
}

/// What must be known before the request can be judged.
#[derive(Debug)]
pub(in crate::gateway) enum Question {
    /// The keys of a token.
    Keys {
        auth: Arc<AuthPolicy>,
        /// A key is not known, so newer ones are wanted.
        newer: bool,
    },
    /// What the authorisation service says.
    Service(Asked),
}

/// What an authorisation service is asked.
#[derive(Debug)]
pub(in crate::gateway) struct Asked {
    pub(in crate::gateway) auth: Arc<AuthPolicy>,
    pub(in crate::gateway) fields: Vec<(HeaderName, HeaderValue)>,
    /// Tells the question from others.
    pub(in crate::gateway) digest: [u8; 32],
}

/// The judgement of a request.
#[derive(Debug)]
pub(in crate::gateway) enum Judged {
    Permitted(Permit),
    Denied(Denial),
    Asks(Question),
}

/// A permission, and the ticket that gave it.
#[derive(Debug)]
pub(in crate::gateway) struct Permit {
    pub(in crate::gateway) permission: Permission,
    pub(in crate::gateway) ticket: Option<TicketUse>,
}

/// The use of a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gateway) struct TicketUse {
    pub(in crate::gateway) id: TicketId,
    /// The ticket may be used for the first time.
    pub(in crate::gateway) is_fresh: bool,
    /// How long a ticket of the route may be used for the first time, and how long its client may come back.
    pub(in crate::gateway) lifetime: Duration,
    pub(in crate::gateway) grace: Duration,
    /// When it is of no use at all, in milliseconds since 1970.
    pub(in crate::gateway) ends: u64,
}

/// Judges a request. `takes_tickets`: whether a ticket counts as a credential.
pub(in crate::gateway) fn judge(
    auth: &Arc<AuthPolicy>,
    seeker: &Seeker<'_>,
    known: Knowledge<'_>,
    takes_tickets: bool,
) -> Judged {
    let path = (!seeker.is_without_path).then(|| Segments::of(seeker.path));
    let permitted = |permission: Permission, ticket| {
        if known.record.revocations.revokes(&permission.grant, known.now) {
            return Judged::Denied(Denial::Invalid("revoked"));
        }
        // Such as a certificate that has expired since its handshake.
        if permission.grant.left(known.now).is_some_and(|left| left.is_zero()) {
            return Judged::Denied(Denial::Invalid("expired"));
        }
        match auth.permit(permission, path.as_ref()) {
            Ok(permission) => Judged::Permitted(Permit { permission, ticket }),
            Err(denial) => Judged::Denied(denial),
        }
    };
    if let Some(tickets) = auth.tickets.as_ref().filter(|_| takes_tickets) {
        match ticket_of(tickets, auth, seeker, known) {
            Ok(Some((permission, used))) => return permitted(permission, Some(used)),
            Ok(None) => {}
            Err(denial) => return Judged::Denied(denial),
        }
    }
    let permission = match &auth.kind {
        Kind::Key(ring) => auth.sources.find(seeker.headers, seeker.query).and_then(|key| ring.verify(&key)),
        Kind::Mtls(names) => names.verify(seeker.certificate),
        Kind::Jwt(jwt) => match of_token(auth, jwt, seeker, known) {
            Ok(permission) => permission,
            Err(question) => return Judged::Asks(question),
        },
        Kind::Forward(service) => match of_service(auth, service, seeker, known) {
            Ok(permission) => permission,
            Err(question) => return Judged::Asks(question),
        },
    };
    permission.map_or_else(Judged::Denied, |permission| permitted(permission, None))
}

fn of_token(
    auth: &Arc<AuthPolicy>,
    jwt: &Jwt,
    seeker: &Seeker<'_>,
    known: Knowledge<'_>,
) -> Result<Result<Permission, Denial>, Question> {
    let token = match auth.sources.find(seeker.headers, seeker.query) {
        Ok(token) => token,
        Err(denial) => return Ok(Err(denial)),
    };
    let ask = |newer| Question::Keys { auth: Arc::clone(auth), newer };
    let keys = match (&jwt.keys, &known.answers.keys) {
        (Keys::Fixed(keys), _) | (Keys::Published(_), Some(Ok(keys))) => keys,
        (Keys::Published(_), Some(Err(why))) => return Ok(Err(Denial::Unavailable(Arc::clone(why)))),
        (Keys::Published(_), None) => return Err(ask(false)),
    };
    let is_fixed = matches!(jwt.keys, Keys::Fixed(_));
    match jwt.verify(&token, keys, known.now) {
        Ok(permission) => Ok(Ok(permission)),
        Err(Unverified::Denied(denial)) => Ok(Err(denial)),
        Err(Unverified::UnknownKey) if is_fixed || known.answers.are_newest => Ok(Err(Denial::Invalid("signature"))),
        Err(Unverified::UnknownKey) => Err(ask(true)),
    }
}

fn of_service(
    auth: &Arc<AuthPolicy>,
    service: &Forward,
    seeker: &Seeker<'_>,
    known: Knowledge<'_>,
) -> Result<Result<Permission, Denial>, Question> {
    let Some(verdict) = &known.answers.verdict else {
        let credential = match auth.sources.find(seeker.headers, seeker.query) {
            Ok(credential) => Some(credential),
            Err(Denial::Missing) => None,
            Err(denial) => return Ok(Err(denial)),
        };
        let mut fields = service.fields(seeker.headers, credential.as_deref());
        fields.extend(told(auth, seeker));
        let digest = question(service, &fields);
        return Err(Question::Service(Asked { auth: Arc::clone(auth), fields, digest }));
    };
    Ok(match verdict.clone() {
        Verdict::Denied(denial) => Err(denial),
        Verdict::Allowed { mut permission, lifetime } => {
            let lasts = lifetime.filter(|lifetime| service.recheck.is_none() && !lifetime.is_zero());
            permission.grant.expires = lasts.map(|lasts| unix_millis(known.now).saturating_add(millis(lasts)));
            permission.grant.recheck = service.recheck.map(millis);
            Ok(permission)
        }
    })
}

/// What an authorisation service is told of the request, as other proxies do.
fn told(auth: &AuthPolicy, seeker: &Seeker<'_>) -> Vec<(HeaderName, HeaderValue)> {
    let query = auth.without_credentials(seeker.query);
    let uri = query.map_or_else(|| seeker.path.to_owned(), |query| format!("{}?{query}", seeker.path));
    let scheme = if seeker.is_tls { "https" } else { "http" };
    let fields = [
        ("x-forwarded-method", Some(seeker.method.as_str())),
        ("x-forwarded-proto", Some(scheme)),
        ("x-forwarded-host", seeker.host),
        (FORWARDED_URI, Some(uri.as_str())),
    ];
    let field = |(name, value): (&'static str, Option<&str>)| {
        Some((HeaderName::from_static(name), HeaderValue::from_str(value?).ok()?))
    };
    fields.into_iter().filter_map(field).collect()
}

/// What a ticket in the query permits. `None`: there is no ticket.
fn ticket_of(
    tickets: &TicketPolicy,
    auth: &AuthPolicy,
    seeker: &Seeker<'_>,
    known: Knowledge<'_>,
) -> Result<Option<(Permission, TicketUse)>, Denial> {
    let source = Sources(vec![Source::Query(TICKET_PARAMETER.to_owned())]);
    let text = match source.find(seeker.headers, seeker.query) {
        Ok(text) => text,
        Err(Denial::Missing) => return Ok(None),
        Err(denial) => return Err(denial),
    };
    let made = known.record.key();
    let keys = tickets.keys.as_ref().unwrap_or(&made);
    let ticket = Ticket::open(&text, keys)?;
    let is_fresh = ticket.is_fresh(tickets, known.now);
    let permission = ticket.check(tickets, seeker.route, seeker.path, seeker.address, known.now)?;
    let ends = permission.grant.expires.unwrap_or(u64::MAX);
    let id = permission.grant.ticket.filter(|_| auth.still_permits(&permission.grant));
    let id = id.ok_or(Denial::Invalid("its credential is good no longer"))?;
    Ok(Some((permission, TicketUse { id, is_fresh, lifetime: tickets.lifetime, grace: tickets.grace, ends })))
}

/// The fields that tell the origin of claims.
pub(in crate::gateway) fn claim_fields<'c>(
    claims: &'c Claims,
    named: &'c [ClaimField],
) -> impl Iterator<Item = (HeaderName, HeaderValue)> + 'c {
    named
        .iter()
        .filter_map(|named| Some((named.field.clone(), HeaderValue::try_from(claims.field(&named.claim)?).ok()?)))
}
