//! Tokens that expire, and tickets that are given for them.

use super::Failure;
use super::connection::{Doors, Transport};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use http_body_util::{BodyExt, Empty};
use ring::hmac;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// The secret of who gives tokens.
pub(crate) const SECRET: &str = "a secret that the issuer of tokens shares with the gateway";

/// What a client shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Credentials {
    None,
    /// A token that is good for so many seconds.
    Token(u64),
    /// A ticket for such a token.
    Ticket(u64),
}

/// A token of a subject.
pub(crate) fn token(subject: &str, secs: u64, secret: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let encoded = |part: Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let head = encoded(json!({ "alg": "HS256", "typ": "JWT" }));
    let message = format!("{head}.{}", encoded(json!({ "sub": subject, "iat": now, "exp": now + secs })));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes())))
}

/// A ticket for a path.
pub(crate) async fn ticket(doors: &Doors, path: &str, token: &str) -> Result<String, Failure> {
    let request = Request::post(format!("/ticket?path={path}")).header("authorization", format!("Bearer {token}"));
    let answer = doors.ask(&Transport::Clear, request.body(Empty::new())?, None).await?;
    let status = answer.response.status();
    let body = answer.response.into_body().collect().await?.to_bytes();
    let said: Value = serde_json::from_slice(&body).map_err(|error| format!("a ticket: {status}: {error}"))?;
    Ok(said["ticket"].as_str().ok_or_else(|| format!("a ticket: {status}: {said}"))?.to_owned())
}
