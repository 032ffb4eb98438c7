//! The charset in an origin's `Content-Type`, read as browsers read it (MIME Sniffing standard section 4.4).

use crate::fields::{is_token, parts};
use http::HeaderValue;

/// The `Content-Type` that clients get: `text/event-stream`, with the origin's charset if it gave one.
///
/// Other parameters are not passed on, and neither is a charset that is not a token. A second `charset` is ignored, as
/// the standard says.
pub(super) fn client_content_type(origin: Option<&HeaderValue>) -> HeaderValue {
    let plain = HeaderValue::from_static("text/event-stream");
    let Some(charset) = origin.and_then(|origin| charset(origin.as_bytes())) else { return plain };
    HeaderValue::from_bytes(&[b"text/event-stream; charset=", charset].concat()).unwrap_or(plain)
}

/// The value of the first `charset` parameter, without quotes, if it is a token.
fn charset(content_type: &[u8]) -> Option<&[u8]> {
    let value = parts(content_type, b';').skip(1).find_map(|parameter| {
        let at = parameter.iter().position(|byte| *byte == b'=')?;
        let (name, value) = parameter.split_at_checked(at)?;
        name.eq_ignore_ascii_case(b"charset").then(|| value.get(1..).unwrap_or_default())
    })?;
    let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    Some(unquoted.unwrap_or(value)).filter(|value| is_token(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_origins_charset_is_passed_on_and_nothing_else() {
        for (origin, expected) in [
            (None, "text/event-stream"),
            (Some("text/event-stream"), "text/event-stream"),
            (Some("text/event-stream;"), "text/event-stream"),
            (Some("text/event-stream;x=y"), "text/event-stream"),
            (Some("text/event-stream;charset=utf-8"), "text/event-stream; charset=utf-8"),
            (Some("Text/Event-Stream; x=y; Charset=\"UTF-8\"; z"), "text/event-stream; charset=UTF-8"),
            (Some("text/event-stream; x=\";charset=a\"; charset=b"), "text/event-stream; charset=b"),
            (Some("text/event-stream; charset=a; charset=b"), "text/event-stream; charset=a"),
            (Some("text/event-stream; charset="), "text/event-stream"),
            (Some("text/event-stream; charset=\"a b\""), "text/event-stream"),
            (Some("text/event-stream; charset"), "text/event-stream"),
        ] {
            let origin = origin.map(HeaderValue::from_static);
            assert_eq!(client_content_type(origin.as_ref()), expected, "{origin:?}");
        }
    }
}
