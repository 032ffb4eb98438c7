//! Credentials of clients: tokens, and the files with which a gateway checks them.

use crate::gateway::Route;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};
use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};
use tempfile::NamedTempFile;

/// The secret of the issuer.
pub const SECRET: &str = "a secret that the issuer of tokens shares with the gateway";

/// A token with these claims.
pub fn token(claims: &Value) -> String {
    token_with(&json!({ "alg": "HS256", "typ": "JWT" }), claims, SECRET)
}

/// A token with this header and these claims, signed with HMAC-SHA256.
pub fn token_with(header: &Value, claims: &Value, secret: &str) -> String {
    let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
    let message = format!("{}.{}", encoded(header), encoded(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
    format!("{message}.{signature}")
}

/// A token of a subject that expires in so many seconds.
pub fn token_of(subject: &str, secs: i64) -> String {
    token(&json!({ "sub": subject, "jti": format!("token of {subject}"), "iat": now(), "exp": now() + secs }))
}

/// `Authorization` with a token.
pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// Seconds since 1970.
pub fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A file with a text.
pub fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// Lets in who has a token of the issuer.
pub fn with_tokens(route: Route, key: &NamedTempFile, options: &str) -> Route {
    let path = key.path().display();
    route.with(&format!(
        "auth.kind = \"jwt\"\nauth.algorithms = [\"HS256\"]\nauth.key_file = \"{path}\"\nauth.leeway_secs = 0\n{options}"
    ))
}
