//! Tokens and tickets that an input says, beside an oracle that reads them by itself.

#![allow(unreachable_pub, reason = "a fuzz target names it")]
#![allow(clippy::unwrap_used, reason = "a panic is a test's way to fail")]

use super::jwt::{Jwt, Keys, keys_of_text};
use super::{Allow, BadTicket, Demand, Demands, PathRule, Segments, Ticket, TicketKey, TicketPolicy};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use percent_encoding::percent_decode_str;
use ring::hmac;
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const SECRET: &str = "a secret that the issuer of tokens shares with the gateway";

/// The time at which everything is tried, in seconds since 1970.
const NOW: u64 = 1_800_000_000;

const LEEWAY: Duration = Duration::from_secs(30);

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(NOW)
}

fn seal(message: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()))
}

/// Shows `input` as a token, and as the header, the claims and the path, separated by NUL, of a token that is signed with
/// the right key.
///
/// # Panics
/// A token is good that must not be, or one is refused that is good.
pub fn try_tokens(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let _is_permitted = try_token(&text, "/users/alice/feed");
    let mut parts = input.splitn(3, |byte| *byte == 0);
    let (Some(header), Some(claims)) = (parts.next(), parts.next()) else { return };
    let path = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let _is_permitted = try_token(&format!("{message}.{}", seal(&message)), &path);
}

/// Returns whether the token permits the path.
fn try_token(token: &str, path: &str) -> bool {
    let jwt = Jwt {
        algorithms: vec![Algorithm::HS256],
        issuers: vec!["issuer".to_owned()],
        audiences: Vec::new(),
        leeway: LEEWAY,
        keys: Keys::Fixed(keys_of_text(SECRET, &[Algorithm::HS256]).unwrap().into()),
    };
    let Keys::Fixed(keys) = &jwt.keys else { return false };
    let permission = jwt.verify(token, keys, now());
    let expected = claims_of(token).filter(is_good_now);
    assert!(permission.is_err() || expected.is_some(), "{token:?} is good");
    let (Ok(permission), Some(claims)) = (permission, expected) else { return false };
    let expires = permission.grant.expires.unwrap();
    assert!(expires > NOW * 1000 - 1, "it is over: {expires}");
    assert_eq!(permission.grant.subject.as_deref(), claims.get("sub").and_then(Value::as_str));

    let allow = Allow::Rules(vec![PathRule::parse("/users/{sub}/*").unwrap()]);
    let require = vec![Demand { claim: "scope".to_owned(), value: Some("read".to_owned()) }];
    let demands = Demands { require, allow };
    let is_permitted = demands.check(&permission.claims, Some(&Segments::of(path))).is_ok();
    if is_permitted {
        let mut segments = path.strip_prefix('/').unwrap_or(path).split('/');
        let mut next = || segments.next().map(|segment| percent_decode_str(segment).collect::<Vec<_>>());
        assert_eq!(next().unwrap(), b"users");
        let subject = permission.claims.text("sub").unwrap();
        assert!(!subject.is_empty() && next().unwrap() == subject.as_bytes());
        assert!(next().is_some());
        let scope = &claims["scope"];
        let words = scope.as_str().into_iter().flat_map(|words| words.split(' '));
        let listed = scope.as_array().into_iter().flatten().filter_map(Value::as_str);
        assert!(words.chain(listed).any(|word| word == "read"), "{scope}");
    }
    is_permitted
}

/// The claims of a token that has the seal of the right key, and says so.
fn claims_of(token: &str) -> Option<Map<String, Value>> {
    let (message, signature) = token.rsplit_once('.')?;
    let (header, claims) = message.split_once('.')?;
    if signature != seal(message) {
        return None;
    }
    let read = |part| serde_json::from_slice::<Map<String, Value>>(&URL_SAFE_NO_PAD.decode(part).ok()?).ok();
    let header = read(header)?;
    let asks_for_more = ["crit", "enc", "zip"].iter().any(|name| header.get(*name).is_some_and(|it| !it.is_null()));
    if asks_for_more || header.get("alg")? != "HS256" {
        return None;
    }
    read(claims)
}

/// Whether claims are good at this time, and of the right issuer.
fn is_good_now(claims: &Map<String, Value>) -> bool {
    let time = |name: &str| claims.get(name).map(|value| value.as_f64().unwrap_or(f64::NAN));
    let (now, leeway) = (Duration::from_secs(NOW).as_secs_f64(), LEEWAY.as_secs_f64());
    time("exp").is_some_and(|expires| now < expires + leeway)
        && time("nbf").is_none_or(|from| from <= now + leeway)
        && claims.get("iss").is_some_and(|issuer| issuer == "issuer")
}

/// Shows `input` as a ticket, and seals the ticket that it says with the right key.
///
/// # Panics
/// A forged ticket is good, or a sealed one says something else.
pub fn try_tickets(input: &[u8]) {
    let keys = [TicketKey::new(&[7; 32]).unwrap(), TicketKey::new(&[8; 32]).unwrap()];
    let text = String::from_utf8_lossy(input);
    // What is sealed with a known key may be in an input, but not with this one.
    let other = TicketKey::random();
    assert_eq!(Ticket::open(&text, std::slice::from_ref(&other)), Err(BadTicket::Forged));
    let _id = Ticket::id_of(&text);
    let Some((&change, input)) = input.split_first() else { return };
    let Ok(ticket) = rmp_serde::from_slice::<Ticket>(input) else { return };
    let sealed = ticket.seal(&keys[1]);
    let opened = Ticket::open(&sealed, &keys).unwrap();
    assert_eq!(opened, ticket);
    assert_eq!(Ticket::id_of(&sealed), ticket.grant.ticket);
    for keys in [&keys[..1], &[other], &[]] {
        assert_eq!(Ticket::open(&sealed, keys), Err(BadTicket::Forged));
    }
    // No other text is this ticket, or another one.
    let at = usize::from(change) * sealed.len() / 256;
    for byte in *b"A_z+=. " {
        let mut changed = sealed.clone().into_bytes();
        changed[at] = byte;
        let changed = String::from_utf8(changed).unwrap();
        assert!(changed == sealed || Ticket::open(&changed, &keys) == Err(BadTicket::Forged), "{sealed} {changed}");
    }
    let shorter = sealed.chars().take(at).collect::<String>();
    assert_eq!(Ticket::open(&shorter, &keys), Err(BadTicket::Forged));
    try_check(&opened);
}

/// A ticket is good for its route, path and address alone, and not for long.
fn try_check(ticket: &Ticket) {
    let policy = TicketPolicy {
        path: "/ticket".to_owned(),
        lifetime: Duration::from_secs(30),
        grace: Duration::from_secs(300),
        longest: Duration::from_secs(3_600),
        keys: None,
        binds_address: false,
    };
    let check = |route, path, address| ticket.clone().check(&policy, route, path, address, now());
    let (route, path) = (&*ticket.route, ticket.path.as_deref().unwrap_or("/any"));
    if let Ok(permission) = check(route, path, ticket.address) {
        let latest = ticket.issued.saturating_add(3_600_000);
        let expires = permission.grant.expires.unwrap();
        assert!(latest > NOW * 1000 && expires <= latest && ticket.grant.expires.is_none_or(|own| expires <= own));
    }
    let elsewhere = Some([203, 0, 113, 1].into()).filter(|address| ticket.address != Some(*address));
    assert!(check("another", path, ticket.address).is_err() || route == "another");
    assert!(ticket.path.is_none() || check(route, "/another", ticket.address).is_err() || path == "/another");
    assert!(ticket.address.is_none() || elsewhere.is_none() || check(route, path, elsewhere).is_err());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Grant;

    fn mangled(input: &[u8], rng: &mut fastrand::Rng) -> Vec<u8> {
        let mut input = input.to_vec();
        for _ in 0..rng.usize(0..4) {
            let at = rng.usize(..input.len());
            match rng.u8(..3) {
                0 => input[at] = rng.u8(..),
                1 => input.truncate(at.max(1)),
                _ => input.insert(at, rng.choice(*b"\0\"{}[]./%9").unwrap()),
            }
        }
        input
    }

    /// The inputs from which the fuzzer starts, too.
    const TOKENS: [&str; 3] = [
        "{\"alg\":\"HS256\"}\0{\"iss\":\"issuer\",\"sub\":\"alice\",\"exp\":1800000100,\"scope\":\"read write\"}\0/users/alice/feed",
        "{\"alg\":\"HS256\",\"typ\":\"JWT\",\"crit\":[\"b64\"]}\0{\"iss\":\"issuer\",\"sub\":\"a/b\",\"exp\":1799999990,\"nbf\":1}\0/users/a%2fb/c",
        "{\"alg\":\"none\"}\0{\"iss\":\"issuer\",\"sub\":\"alice\",\"exp\":1e300,\"scope\":[\"read\"]}\0/users/alice/x",
    ];

    #[test]
    fn no_token_is_good_that_the_oracle_refuses() {
        let mut rng = fastrand::Rng::with_seed(1);
        for token in TOKENS {
            try_tokens(token.as_bytes());
            for _ in 0..1_000 {
                try_tokens(&mangled(token.as_bytes(), &mut rng));
            }
        }
    }

    #[test]
    fn a_good_token_permits_the_paths_of_its_subject() {
        let [header, claims, path] = TOKENS[0].split('\0').collect::<Vec<_>>()[..] else { panic!("three parts") };
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let token = format!("{message}.{}", seal(&message));
        assert!(try_token(&token, path) && !try_token(&token, "/users/bob/feed"));
        assert!(!try_token(&format!("{message}.{}", seal("another")), path));
    }

    #[test]
    fn no_ticket_is_good_that_was_not_sealed() {
        let mut rng = fastrand::Rng::with_seed(2);
        let ticket = Ticket {
            route: "a".into(),
            path: Some("/a".into()),
            grant: Grant { subject: Some("alice".into()), expires: Some(NOW * 1000 + 5), ..Grant::default() },
            claims: serde_json::from_str("{\"tenant\":\"t\"}").unwrap(),
            issued: NOW * 1000 - 10,
            address: Some([127, 0, 0, 1].into()),
        };
        let mut input = vec![0];
        input.extend(rmp_serde::to_vec(&ticket).unwrap());
        let mut read = 0;
        for change in 0..=255 {
            input[0] = change;
            try_tickets(&input);
            for _ in 0..10 {
                let mangled = mangled(&input, &mut rng);
                read += usize::from(rmp_serde::from_slice::<Ticket>(mangled.get(1..).unwrap_or_default()).is_ok());
                try_tickets(&mangled);
            }
        }
        assert!(read > 100, "{read} mangled tickets can be read");
    }
}
