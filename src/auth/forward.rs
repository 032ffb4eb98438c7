//! What an authorisation service is asked, and what its answer means.

use super::Permission;
use super::claims::Claims;
use super::denial::{Answered, Denial};
use crate::caller::Grant;
use crate::digest::Sha256;
use crate::upstream::{Origin, read_url};
use bytes::Bytes;
use http::header::{
    AGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// The URL of a service that manifold itself asks.
#[derive(Debug, Clone, PartialEq)]
pub struct ForwardUrl {
    /// The server.
    pub origin: Origin,
    /// The path and query.
    pub target: Arc<str>,
}

/// Why a text is not a [`ForwardUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be an http or https URL such as \"https://auth.example/check\", without credentials and fragment")]
pub struct InvalidUrl;

impl ForwardUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, InvalidUrl> {
        let url = read_url(text).map_err(|_| InvalidUrl)?;
        let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if !is_plain {
            return Err(InvalidUrl);
        }
        let target = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let root = url.origin().ascii_serialization();
        Ok(Self { origin: Origin::parse(&root).map_err(|_| InvalidUrl)?, target: target.into() })
    }
}

/// An authorisation service.
#[derive(Debug, Clone, PartialEq)]
pub struct Forward {
    /// Where it is.
    pub url: Arc<ForwardUrl>,
    /// The fields of a client's request that it is sent.
    pub pass: Vec<HeaderName>,
    /// Whether a request is let in while the service cannot be asked.
    pub fail_open: bool,
    /// How often it is asked again about a client that stays. `None`: when its answer's lifetime is over, the client
    /// goes.
    pub recheck: Option<Duration>,
    /// The field of its answer that names the subject.
    pub subject: Option<HeaderName>,
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The request is let in, for as long as the answer says. `None`: the answer does not say.
    Allowed {
        /// What is permitted.
        permission: Permission,
        /// How long the answer is good.
        lifetime: Option<Duration>,
    },
    /// The request is denied.
    Denied(Denial),
}

/// The fields of an answer that say nothing about the client.
const OF_THE_MESSAGE: [HeaderName; 4] = [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, CACHE_CONTROL];

impl Forward {
    /// The fields of a request for the service: those that are named, and the credential of a cookie or the query as a
    /// bearer token. The origin decides by nothing else, so two requests with the same fields get one answer.
    #[must_use]
    pub fn fields(&self, headers: &HeaderMap, credential: Option<&str>) -> Vec<(HeaderName, HeaderValue)> {
        let mut fields = Vec::new();
        for name in &self.pass {
            // Copied, because a clone would keep the buffer of the whole head.
            let copies =
                headers.get_all(name).iter().filter_map(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
            fields.extend(copies.map(|value| (name.clone(), value)));
        }
        let has_own = fields.iter().any(|(name, _)| *name == AUTHORIZATION);
        let bearer =
            credential.filter(|_| !has_own).and_then(|token| HeaderValue::try_from(format!("Bearer {token}")).ok());
        fields.extend(bearer.map(|value| (AUTHORIZATION, value)));
        for (_, value) in &mut fields {
            value.set_sensitive(true);
        }
        fields
    }

    /// What an answer of the service means for a request with these fields.
    #[must_use]
    pub fn verdict(&self, status: StatusCode, headers: &HeaderMap, body: Bytes, credential: [u8; 32]) -> Verdict {
        if status.is_success() {
            let subject = self.subject.as_ref().and_then(|name| headers.get(name)?.to_str().ok());
            let grant = Grant { subject: subject.map(Into::into), credential, ..Grant::default() };
            let claims = Claims(headers.iter().filter_map(claim).collect());
            return Verdict::Allowed { permission: Permission { grant, claims }, lifetime: lifetime_of(headers) };
        }
        Verdict::Denied(match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Denial::Answered(Arc::new(Answered { status, headers: headers.clone(), body }))
            }
            other => Denial::Unavailable(format!("the authorisation service answered {}", other.as_u16()).into()),
        })
    }
}

fn claim((name, value): (&HeaderName, &HeaderValue)) -> Option<(String, Value)> {
    if OF_THE_MESSAGE.contains(name) {
        return None;
    }
    Some((name.as_str().to_owned(), Value::String(value.to_str().ok()?.to_owned())))
}

/// What tells questions apart: the digest of the service, of what it is sent, and of what is read in its answer.
#[must_use]
pub fn question(service: &Forward, fields: &[(HeaderName, HeaderValue)]) -> [u8; 32] {
    let (mut digest, root) = (Sha256::new(), service.url.origin.root_url());
    let parts = fields.iter().flat_map(|(name, value)| [name.as_str().as_bytes(), value.as_bytes()]);
    let subject = service.subject.as_ref().map_or("", HeaderName::as_str);
    let of_service = [root.as_bytes(), service.url.target.as_bytes(), subject.as_bytes()];
    for part in of_service.into_iter().chain(parts) {
        digest.update(&(part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finish()
}

/// How long an answer is good, as its `Cache-Control` and `Age` say (RFC 9111, section 4.2). `None`: they do not say.
/// An answer that must not be kept is good for no time.
#[must_use]
pub fn lifetime_of(headers: &HeaderMap) -> Option<Duration> {
    let directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok());
    let directives: Vec<String> =
        directives.flat_map(|value| value.split(',')).map(|one| one.trim().to_ascii_lowercase()).collect();
    if directives.iter().any(|one| one == "no-store" || one == "no-cache") {
        return Some(Duration::ZERO);
    }
    let seconds =
        directives.iter().find_map(|one| one.strip_prefix("max-age=")?.trim_matches('"').parse::<u32>().ok())?;
    let age = headers.get(AGE).and_then(|age| age.to_str().ok()?.trim().parse::<u32>().ok()).unwrap_or(0);
    Some(Duration::from_secs(seconds.saturating_sub(age).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_url_is_a_server_and_a_target() {
        for (text, parts) in [
            ("http://127.0.0.1:9000/check", Some(("http://127.0.0.1:9000", "/check"))),
            ("https://auth.example", Some(("https://auth.example", "/"))),
            ("https://auth.example/a/b?c=d", Some(("https://auth.example", "/a/b?c=d"))),
            ("https://u:p@auth.example/", None),
            ("https://auth.example/#x", None),
            ("ftp://auth.example/", None),
            ("auth.example/check", None),
            ("https:/auth.example/check", None),
            (" https://auth.example/check", None),
            ("", None),
        ] {
            let read = ForwardUrl::parse(text).ok();
            let read = read.as_ref().map(|url| (url.origin.root_url(), url.target.to_string()));
            assert_eq!(read, parts.map(|(root, target)| (root.to_owned(), target.to_owned())), "{text}");
        }
    }

    #[test]
    fn an_answer_is_good_for_as_long_as_it_says() {
        for (lines, secs) in [
            (&[][..], None),
            (&[("cache-control", "max-age=60")], Some(60)),
            (&[("cache-control", "private, Max-Age=60")], Some(60)),
            (&[("cache-control", "max-age=\"60\"")], Some(60)),
            (&[("cache-control", "max-age=60"), ("age", "20")], Some(40)),
            (&[("cache-control", "max-age=60"), ("age", "90")], Some(0)),
            (&[("cache-control", "no-store, max-age=60")], Some(0)),
            (&[("cache-control", "no-cache")], Some(0)),
            (&[("cache-control", "max-age=x")], None),
            (&[("cache-control", "s-maxage=60")], None),
        ] {
            assert_eq!(lifetime_of(&headers(lines)), secs.map(Duration::from_secs), "{lines:?}");
        }
    }

    fn service() -> Forward {
        Forward {
            url: Arc::new(ForwardUrl::parse("http://127.0.0.1:1/").unwrap()),
            pass: vec![AUTHORIZATION, http::header::COOKIE],
            fail_open: false,
            recheck: None,
            subject: Some(HeaderName::from_static("x-user")),
        }
    }

    #[test]
    fn the_named_fields_pass_and_a_token_from_elsewhere_becomes_a_bearer() {
        let shown = |fields: Vec<(HeaderName, HeaderValue)>| -> Vec<String> {
            fields.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
        };
        let asked = headers(&[("authorization", "Basic x"), ("cookie", "a=1"), ("x-other", "y")]);
        assert_eq!(shown(service().fields(&asked, Some("t"))), ["authorization: Basic x", "cookie: a=1"]);
        let asked = headers(&[("cookie", "a=1")]);
        assert_eq!(shown(service().fields(&asked, Some("t"))), ["cookie: a=1", "authorization: Bearer t"]);
        assert!(shown(service().fields(&HeaderMap::new(), Some("a\nb"))).is_empty());
    }

    #[test]
    fn only_a_success_lets_in_and_only_a_401_or_403_denies() {
        let fields = headers(&[("x-user", "alice"), ("cache-control", "max-age=5"), ("content-length", "0")]);
        let verdict =
            |status: u16| service().verdict(StatusCode::from_u16(status).unwrap(), &fields, Bytes::new(), [1; 32]);
        for status in [200, 204, 299] {
            let Verdict::Allowed { permission, lifetime } = verdict(status) else { panic!("{status}") };
            assert_eq!(permission.grant.subject.as_deref(), Some("alice"));
            assert_eq!(permission.claims.text("x-user").as_deref(), Some("alice"));
            assert_eq!(permission.claims.get("content-length"), None);
            assert_eq!(lifetime, Some(Duration::from_secs(5)));
        }
        for (status, is_answer) in [(401, true), (403, true), (302, false), (404, false), (429, false), (500, false)] {
            let Verdict::Denied(denial) = verdict(status) else { panic!("{status}") };
            assert_eq!(matches!(denial, Denial::Answered(_)), is_answer, "{status}");
        }
    }

    #[test]
    fn two_questions_differ_if_anything_differs() {
        let of =
            |name: &'static str, value: &'static str| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let at = |url: &str| Forward { url: Arc::new(ForwardUrl::parse(url).unwrap()), ..service() };
        let (one, subject) = (at("http://a/a"), Some(HeaderName::from_static("x-other")));
        let questions = [
            question(&one, &[]),
            question(&at("http://a/b"), &[]),
            question(&at("http://b/a"), &[]),
            question(&at("http://a:81/a"), &[]),
            question(&Forward { subject, ..one.clone() }, &[]),
            question(&one, &[of("cookie", "x")]),
            question(&one, &[of("cookie", "y")]),
            question(&one, &[of("authorization", "x")]),
            question(&one, &[of("cookie", "x"), of("cookie", "y")]),
        ];
        for (at, one) in questions.iter().enumerate() {
            assert!(questions.iter().skip(at + 1).all(|other| other != one), "{at}");
        }
    }
}
