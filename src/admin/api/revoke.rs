//! Takes permissions back: those of a subject, of a token or of a ticket.

use super::Api;
use super::guard;
use super::problem::Problem;
use super::shown;
use crate::auth::{Revocation, Ticket, Whom};
use crate::gateway::Permissions;
use crate::utc::rfc3339;
use crate::web::Reply;
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use url::form_urlencoded;

/// The most bytes of a request's body.
const MOST_BYTES: usize = 64 << 10;
/// How long a revocation is remembered that names no end.
const USUAL: Duration = Duration::from_secs(24 * 3600);
/// The longest name of a subject or token.
const MOST_NAME_BYTES: usize = 256;
const FORM: &str = "name one of subject, token_id and ticket, in the query or in a JSON object, and perhaps exp: the seconds \
                    since 1970 at which the token expires";

impl Api {
    /// Takes permissions back, at once and until the token would have expired.
    pub(in crate::admin) async fn revoke(parts: &Parts, body: Incoming, permissions: &Permissions) -> Reply {
        match Self::revoked(parts, body, permissions).await {
            Ok(done) => shown::reply(StatusCode::ACCEPTED, done.to_string()),
            Err(problem) => problem.reply(),
        }
    }

    async fn revoked(parts: &Parts, body: Incoming, permissions: &Permissions) -> Result<Value, Problem> {
        if parts.method != http::Method::POST {
            return Err(Problem::method("POST"));
        }
        guard::admit_action(&parts.headers)?;
        let body = Limited::new(body, MOST_BYTES).collect().await;
        let body =
            body.map_err(|_| Problem::bad(format!("the body has more than {MOST_BYTES} bytes, or broke off")))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let revocation = read(parts.uri.query(), &body.to_bytes(), now)?;
        let until = revocation.until;
        let by = match &revocation.whom {
            Whom::Subject(_) => "subject",
            Whom::Token(_) => "token_id",
            Whom::Ticket(_) => "ticket",
        };
        if !permissions.revoke(revocation) {
            return Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE, "too many revocations are remembered"));
        }
        log::info!("operator acts do=revoke by={by}");
        Ok(json!({ "done": "revoke", "until": rfc3339(UNIX_EPOCH + Duration::from_secs(until)) }))
    }
}

/// Reads whose permission is revoked.
fn read(query: Option<&str>, body: &Bytes, now: Duration) -> Result<Revocation, Problem> {
    let mut said: Map<String, Value> = if body.iter().all(u8::is_ascii_whitespace) {
        Map::new()
    } else {
        serde_json::from_slice(body).map_err(|_| Problem::bad(format!("the body is no JSON object: {FORM}")))?
    };
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let value = match name.as_ref() {
            "exp" => value.parse::<u64>().map_or(Value::Null, Value::from),
            _ => Value::String(value.into_owned()),
        };
        said.insert(name.into_owned(), value);
    }
    if let Some(other) = said.keys().find(|key| !["subject", "token_id", "ticket", "exp"].contains(&key.as_str())) {
        return Err(Problem::bad(format!("{}: there is no such key: {FORM}", shown::text(other.as_bytes()))));
    }
    let named = |key: &str| said.get(key).map(|value| (key.to_owned(), value.as_str().unwrap_or_default().to_owned()));
    let all: Vec<_> = ["subject", "token_id", "ticket"].into_iter().filter_map(named).collect();
    let [(key, value)] = &all[..] else { return Err(Problem::bad(FORM)) };
    if value.is_empty() || (key != "ticket" && value.len() > MOST_NAME_BYTES) {
        return Err(Problem::bad(format!("{key}: must be a text of 1 to {MOST_NAME_BYTES} bytes")));
    }
    let whom = match key.as_str() {
        "subject" => Whom::Subject(value.as_str().into()),
        "token_id" => Whom::Token(value.as_str().into()),
        _ => {
            let id = value.parse().ok().or_else(|| Ticket::id_of(value));
            Whom::Ticket(id.ok_or_else(|| Problem::bad("ticket: must be a ticket or the id of one"))?)
        }
    };
    let at = now.as_secs();
    let until = match said.get("exp") {
        None => at.saturating_add(USUAL.as_secs()),
        Some(exp) => exp.as_u64().ok_or_else(|| Problem::bad("exp: must be whole seconds since 1970"))?,
    };
    if until <= at {
        return Err(Problem::bad("exp: is over already"));
    }
    // A day more than a hundred years is no date that anybody means, and no date that every program can show.
    Ok(Revocation { whom, at, until: until.min(at.saturating_add(36_525 * 86_400)) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::TicketKey;
    use crate::caller::{Grant, TicketId};

    #[test]
    fn a_revocation_is_named_in_the_query_or_in_the_body() {
        let now = Duration::from_secs(1_000);
        let of = |whom, until| Ok::<_, &str>(Revocation { whom, at: 1_000, until });
        let (alice, token) = (|| Whom::Subject("alice".into()), || Whom::Token("t1".into()));
        let grant = Grant { ticket: Some(TicketId([1; 16])), ..Grant::default() };
        let ticket = Ticket { route: "r".into(), path: None, grant, claims: Map::new(), issued: 0, address: None };
        let ticket = format!("ticket={}", ticket.seal(&TicketKey::random()));
        for (query, body, expected) in [
            (Some("subject=alice"), "", of(alice(), 87_400)),
            (None, r#"{"subject":"alice","exp":2000}"#, of(alice(), 2_000)),
            (Some("token_id=t1&exp=1001"), " \n", of(token(), 1_001)),
            (Some("ticket=01010101010101010101010101010101"), "", of(Whom::Ticket(TicketId([1; 16])), 87_400)),
            (Some(&ticket), "", of(Whom::Ticket(TicketId([1; 16])), 87_400)),
            (Some("exp=1000&subject=a"), "", Err("exp: is over already")),
            (Some("exp=x&subject=a"), "", Err("exp: must be whole")),
            (None, "", Err("name one of")),
            (Some("subject=a&token_id=b"), "", Err("name one of")),
            (Some("subject="), "", Err("subject: must be a text")),
            (None, r#"{"subject":7}"#, Err("subject: must be a text")),
            (Some("ticket=x"), "", Err("ticket: must be")),
            (Some("user=x"), "", Err("user: there is no such key")),
            (None, "[]", Err("the body is no JSON object")),
        ] {
            let read = read(query, &Bytes::copy_from_slice(body.as_bytes()), now);
            match (read, expected) {
                (Ok(read), Ok(expected)) => assert_eq!(read, expected, "{query:?} {body}"),
                (Err(problem), Err(expected)) => assert!(problem.detail.starts_with(expected), "{problem:?}"),
                (read, expected) => panic!("{query:?} {read:?} {expected:?}"),
            }
        }
    }
}
