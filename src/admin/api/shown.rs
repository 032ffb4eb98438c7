//! The values of the API as JSON: times, numbers, and the text of strangers.

use crate::counters::{Label, LastReload};
use crate::hub::StreamView;
use crate::utc::rfc3339;
use crate::web::{self, Reply};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use serde_json::{Value, json};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// The most characters of a stranger's text.
const SHOWN: usize = 300;

/// The longest value of a query parameter that is shown. Longer ones may be tokens.
const SHOWN_VALUE: usize = 24;

/// Parts of names of query parameters whose values are never shown.
const CREDENTIALS: [&str; 14] = [
    "token", "key", "secret", "auth", "pass", "pwd", "sig", "session", "jwt", "code", "cred", "ticket", "access", "sid",
];

/// A moment on both clocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) at: Instant,
    wall: SystemTime,
}

impl Now {
    pub(super) fn read() -> Self {
        Self { at: Instant::now(), wall: SystemTime::now() }
    }

    /// A moment in the past or the future, as a time in UTC.
    pub(super) fn time(&self, at: Instant) -> String {
        let past = self.at.saturating_duration_since(at);
        let wall = self.wall.checked_sub(past).unwrap_or(UNIX_EPOCH);
        rfc3339(wall.checked_add(at.saturating_duration_since(self.at)).unwrap_or(wall))
    }

    pub(super) fn wall(&self) -> String {
        rfc3339(self.wall)
    }

    pub(super) fn age(&self, at: Instant) -> f64 {
        secs(self.at.saturating_duration_since(at))
    }
}

/// Seconds, to the millisecond.
pub(super) fn secs(time: Duration) -> f64 {
    rounded(time.as_secs_f64())
}

/// A number with three digits behind the point.
pub(super) fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// A stranger's text, cut. JSON escapes what could do harm in it.
pub(super) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(SHOWN).collect()
}

/// The path and query of a stream. Values of the query that are or may be secrets are replaced by an ellipsis.
pub(super) fn key(stream: &StreamView) -> String {
    hidden(&stream.target)
}

fn hidden(target: &str) -> String {
    let Some((path, query)) = target.split_once('?') else { return text(target.as_bytes()) };
    let pairs: Vec<String> = query.split('&').map(shown_pair).collect();
    text(format!("{path}?{}", pairs.join("&")).as_bytes())
}

fn shown_pair(pair: &str) -> String {
    let Some((name, value)) = pair.split_once('=') else {
        return if pair.len() > SHOWN_VALUE { "…".to_owned() } else { pair.to_owned() };
    };
    let plain = percent_encoding::percent_decode_str(name).decode_utf8_lossy().to_ascii_lowercase();
    let is_secret = value.len() > SHOWN_VALUE || CREDENTIALS.iter().any(|word| plain.contains(word));
    if is_secret { format!("{name}=…") } else { format!("{name}={value}") }
}

/// A URL without its user, password and query.
pub(super) fn url(url: &str) -> String {
    let Ok(mut parsed) = url::Url::parse(url) else { return String::new() };
    let (_user, _password) = (parsed.set_username(""), parsed.set_password(None));
    parsed.set_query(None);
    text(parsed.as_str().as_bytes())
}

/// An answer with this JSON.
pub(super) fn reply(status: StatusCode, json: impl Into<Bytes>) -> Reply {
    let mut reply = web::reply(status, "application/json", json.into());
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

/// What the last reload of the configuration came to.
pub(super) fn reload(last: &LastReload) -> Value {
    json!({"at": rfc3339(last.at), "outcome": last.outcome.word(), "what": text(last.what.as_bytes())})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_query_that_may_be_secrets_are_hidden() {
        for (target, shown) in [
            ("/a", "/a"),
            ("/a?symbol=X&n=1", "/a?symbol=X&n=1"),
            ("/a?token=1&x=2", "/a?token=…&x=2"),
            ("/a?api%5Fkey=1", "/a?api%5Fkey=…"),
            ("/a?%74oken=1", "/a?%74oken=…"),
            ("/a?x=aaaaaaaaaaaaaaaaaaaaaaaaa", "/a?x=…"),
            ("/a?aaaaaaaaaaaaaaaaaaaaaaaaa", "/a?…"),
            ("/a?Access_Token=", "/a?Access_Token=…"),
        ] {
            assert_eq!(hidden(target), shown);
        }
        assert_eq!(hidden(&format!("/{}", "a".repeat(900))).len(), SHOWN);
    }

    #[test]
    fn an_origin_is_shown_without_its_user() {
        assert_eq!(url("http://u:p4ss@o:81/base?k=v"), "http://o:81/base");
    }
}
