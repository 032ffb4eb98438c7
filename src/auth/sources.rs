//! Where a credential stands in a request.

use super::denial::Denial;
use http::header::{AUTHORIZATION, COOKIE};
use http::{HeaderMap, HeaderName};
use std::borrow::Cow;
use url::form_urlencoded;

/// The longest credential.
const MOST_BYTES: usize = 16 << 10;

/// A place of a credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A header field. In `Authorization` it stands behind the scheme `Bearer`.
    Header(HeaderName),
    /// A cookie.
    Cookie(String),
    /// A parameter of the query.
    Query(String),
}

/// The places of a credential, the first that has one counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources(pub Vec<Source>);

impl Sources {
    /// The credential of a request.
    ///
    /// # Errors
    /// When there is none, or when there are several in one place, of which others could take another.
    pub fn find<'a>(&self, headers: &'a HeaderMap, query: Option<&'a str>) -> Result<Cow<'a, str>, Denial> {
        for source in &self.0 {
            let mut all = source.all(headers, query);
            let (found, second) = (all.next(), all.next());
            if second.is_some() {
                return Err(Denial::Invalid("two credentials"));
            }
            match found {
                Some(Some(text)) if text.len() > MOST_BYTES => return Err(Denial::Invalid("too long")),
                Some(Some(text)) => return Ok(text),
                Some(None) => return Err(Denial::Invalid("not a text")),
                None => {}
            }
        }
        Err(Denial::Missing)
    }

    /// The parameters of the query that hold credentials.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|source| match source {
            Source::Query(name) => Some(name.as_str()),
            Source::Header(_) | Source::Cookie(_) => None,
        })
    }
}

impl Source {
    /// All credentials in this place. `None` in the place of one: it is not readable.
    fn all<'a>(
        &self,
        headers: &'a HeaderMap,
        query: Option<&'a str>,
    ) -> Box<dyn Iterator<Item = Option<Cow<'a, str>>> + 'a> {
        match self {
            Self::Header(name) if *name == AUTHORIZATION => {
                Box::new(headers.get_all(AUTHORIZATION).iter().filter_map(|value| match value.to_str() {
                    Ok(value) => bearer(value).map(|token| Some(Cow::Borrowed(token))),
                    Err(_) => Some(None),
                }))
            }
            Self::Header(name) => Box::new(headers.get_all(name).iter().filter_map(|value| {
                let value = value.to_str().map(str::trim);
                value.map_or(Some(None), |value| (!value.is_empty()).then_some(Some(Cow::Borrowed(value))))
            })),
            Self::Cookie(name) => {
                let name = name.clone();
                let values = headers.get_all(COOKIE).iter().flat_map(|value| value.as_bytes().split(|b| *b == b';'));
                let pairs = values.filter_map(|pair| {
                    let at = pair.iter().position(|byte| *byte == b'=')?;
                    let (name, value) = pair.split_at_checked(at)?;
                    Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
                });
                Box::new(pairs.filter(move |(other, value)| *other == name.as_bytes() && !value.is_empty()).map(
                    |(_, value)| {
                        let value = std::str::from_utf8(value).ok()?;
                        let unquoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
                        Some(Cow::Borrowed(unquoted.unwrap_or(value)))
                    },
                ))
            }
            Self::Query(name) => {
                let name = name.clone();
                let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
                Box::new(
                    pairs
                        .filter(move |(other, value)| *other == name && !value.is_empty())
                        .map(|(_, value)| Some(value)),
                )
            }
        }
    }
}

/// The token of `Bearer token` (RFC 6750, section 2.1). `None`: the field is empty, or of another scheme.
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.trim().split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

/// A query without the parameters of these names. The rest is unchanged, byte for byte. `None`: nothing is left.
pub fn without_parameters<'q>(query: Option<&'q str>, names: &[&str]) -> Option<Cow<'q, str>> {
    let query = query?;
    let is_named = |pair: &str| {
        let parsed = form_urlencoded::parse(pair.as_bytes()).next();
        parsed.is_some_and(|(name, _)| names.iter().any(|other| *other == name))
    };
    if names.is_empty() || !query.split('&').any(is_named) {
        return Some(Cow::Borrowed(query));
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| !is_named(pair)).collect();
    (!kept.is_empty()).then(|| Cow::Owned(kept.join("&")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(lines: &[(&str, &str)]) -> HeaderMap {
        let field = |(name, value): &(&str, &str)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        lines.iter().map(field).collect()
    }

    #[test]
    fn the_first_place_with_a_credential_counts_and_two_in_one_place_are_refused() {
        let sources = Sources(vec![
            Source::Header(AUTHORIZATION),
            Source::Header(HeaderName::from_static("x-api-key")),
            Source::Cookie("session".to_owned()),
            Source::Query("token".to_owned()),
        ]);
        let two = Err("two credentials");
        for (lines, query, expected) in [
            (&[][..], None, Err("no credential")),
            (&[("authorization", "Bearer abc")], Some("token=x"), Ok("abc")),
            (&[("authorization", "bEaReR  abc ")], None, Ok("abc")),
            (&[("authorization", "Bearer")], None, Err("no credential")),
            (&[("authorization", "Bearer ")], None, Err("no credential")),
            (&[("authorization", "Basic abc")], None, Err("no credential")),
            (&[("authorization", "abc")], Some("token=x"), Ok("x")),
            (&[("authorization", "Bearer abc"), ("authorization", "Bearer abd")], None, two),
            (&[("authorization", "Bearer é")], None, Err("not a text")),
            (&[("x-api-key", " k1 ")], None, Ok("k1")),
            (&[("x-api-key", "")], None, Err("no credential")),
            (&[("cookie", "a=1; session=s1; sessionx=2")], None, Ok("s1")),
            (&[("cookie", "session=\"s1\"")], None, Ok("s1")),
            (&[("cookie", "session=; a")], None, Err("no credential")),
            (&[("cookie", "session=s1"), ("cookie", "session=s2")], None, two),
            (&[("cookie", "Session=s1")], None, Err("no credential")),
            (&[], Some("a=b&token=t%2Bx&c"), Ok("t+x")),
            (&[], Some("%74oken=t"), Ok("t")),
            (&[], Some("token=t&token=u"), two),
            (&[], Some("token="), Err("no credential")),
        ] {
            let headers = headers(lines);
            let found = sources.find(&headers, query);
            let found = found.as_deref().map_err(Denial::reason);
            assert_eq!(found, expected, "{lines:?} {query:?}");
        }
        let long = "x".repeat(MOST_BYTES + 1);
        let query = format!("token={long}");
        assert_eq!(sources.find(&HeaderMap::new(), Some(&query)), Err(Denial::Invalid("too long")));
    }

    #[test]
    fn a_query_loses_its_credentials_however_they_are_written() {
        let names = ["token", "ticket"];
        for (query, expected) in [
            (None, None),
            (Some(""), Some("")),
            (Some("a=1&b"), Some("a=1&b")),
            (Some("token=x"), None),
            (Some("a=1&token=x&b=2"), Some("a=1&b=2")),
            (Some("to%6ben=x&ticket=y&token=z&a=%20"), Some("a=%20")),
            (Some("token&a"), Some("a")),
            (Some("tokens=x"), Some("tokens=x")),
        ] {
            assert_eq!(without_parameters(query, &names).as_deref(), expected, "{query:?}");
        }
    }
}
