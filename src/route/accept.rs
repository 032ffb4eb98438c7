//! The media type that a request must name in its `Accept` for a route.

use crate::fields::{is_token, members, parts};
use http::HeaderMap;
use http::header::ACCEPT;
use std::fmt;

/// One media type without parameters, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType(String);

/// Why a text is not a [`MediaType`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMediaType {
    /// The text is not `type/subtype`.
    #[error("must be \"any\" or one media type such as \"text/event-stream\"")]
    Form,
    /// The text holds a `*`.
    #[error("must be one media type without \"*\": for all types, write accept = \"any\"")]
    Wildcard,
    /// The text holds a `;`.
    #[error("must be a media type without parameters, because parameters are not compared")]
    Parameters,
}

impl MediaType {
    /// `text/event-stream`.
    #[must_use]
    pub fn event_stream() -> Self {
        Self("text/event-stream".to_owned())
    }

    /// Reads `type/subtype` (RFC 9110, section 8.3.1).
    ///
    /// # Errors
    /// When the text is not of this form, or holds more than the type.
    pub fn parse(text: &str) -> Result<Self, InvalidMediaType> {
        if text.contains('*') {
            return Err(InvalidMediaType::Wildcard);
        }
        if text.contains(';') {
            return Err(InvalidMediaType::Parameters);
        }
        match text.split_once('/') {
            Some((kind, subtype)) if is_token(kind.as_bytes()) && is_token(subtype.as_bytes()) => {
                Ok(Self(text.to_ascii_lowercase()))
            }
            _ => Err(InvalidMediaType::Form),
        }
    }

    /// Whether a request's `Accept` names this type. An absent field and a range such as `*/*` name no type. A type
    /// with `q=0` is refused (RFC 9110, section 12.5.1). Other parameters do not count.
    #[must_use]
    pub fn is_named_by(&self, headers: &HeaderMap) -> bool {
        members(headers, &ACCEPT).any(|range| self.is_accepted_by(range))
    }

    fn is_accepted_by(&self, range: &[u8]) -> bool {
        let mut parts = parts(range, b';');
        let names = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(self.0.as_bytes()));
        names && !parts.any(is_refusal)
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether a parameter is a weight of zero, such as `q=0` or `Q=0.000`.
fn is_refusal(parameter: &[u8]) -> bool {
    let mut halves = parameter.splitn(2, |byte| *byte == b'=');
    let (name, weight) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default().trim_ascii());
    let is_zero = !weight.is_empty() && weight.iter().all(|byte| matches!(byte, b'0' | b'.'));
    name.trim_ascii().eq_ignore_ascii_case(b"q") && is_zero
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn only_a_request_that_names_the_type_asks_for_it() {
        let wanted = MediaType::parse("Text/Event-Stream").unwrap();
        for (accept, is_named) in [
            (&[][..], false),
            (&[""], false),
            (&["text/event-stream"], true),
            (&["TEXT/Event-Stream"], true),
            (&["application/json, text/event-stream"], true),
            (&["application/json", "text/event-stream;q=0.5"], true),
            (&["text/event-stream ; charset=utf-8"], true),
            (&["text/event-stream;q=1"], true),
            (&["text/event-stream;q=0.001"], true),
            (&["text/event-stream;q=0"], false),
            (&["text/event-stream; Q = 0.000"], false),
            (&["*/*"], false),
            (&["text/*"], false),
            (&["text/html, */*;q=0.8"], false),
            (&["text/event-streams"], false),
            (&["text/event-stream+x"], false),
            (&["application/json;profile=\"a, text/event-stream\""], false),
            (&["application/json;profile=\"a\\\", text/event-stream\""], false),
            (&["application/json;profile=\"a\\\\\", text/event-stream"], true),
            (&["text/event-stream;x=\";q=0\""], true),
            (&[",, text/event-stream,"], true),
        ] {
            let mut headers = HeaderMap::new();
            for value in accept {
                headers.append(ACCEPT, HeaderValue::from_static(value));
            }
            assert_eq!(wanted.is_named_by(&headers), is_named, "{accept:?}");
        }
    }

    #[test]
    fn a_route_names_one_type_and_nothing_more() {
        use InvalidMediaType as Bad;
        for (text, expected) in [
            ("text/event-stream", Ok("text/event-stream")),
            ("Application/vnd.x+json", Ok("application/vnd.x+json")),
            ("*/*", Err(Bad::Wildcard)),
            ("text/*", Err(Bad::Wildcard)),
            ("text/html;q=1", Err(Bad::Parameters)),
            ("text/html, text/plain", Err(Bad::Form)),
            ("text", Err(Bad::Form)),
            ("text/", Err(Bad::Form)),
            ("/html", Err(Bad::Form)),
            ("a/b/c", Err(Bad::Form)),
            ("", Err(Bad::Form)),
        ] {
            assert_eq!(MediaType::parse(text).map(|held| held.to_string()), expected.map(str::to_owned), "{text}");
        }
    }
}
