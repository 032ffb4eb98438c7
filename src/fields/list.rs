//! List-valued and parameter-valued header fields (RFC 9110 sections 5.6.1 and 5.6.6).

use http::header::{COOKIE, HeaderName};
use http::{HeaderMap, HeaderValue};

/// The parts of a field's value between separators. A separator within a quoted string does not count. Parts are
/// trimmed, and empty parts are left out.
///
/// If a quote is never closed, no quote of the value counts. Otherwise a part of the value could hide behind the open
/// quote.
pub(crate) fn parts(value: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut closed = Quotes::default();
    value.iter().for_each(|&byte| closed.take(byte));
    let honoured = !closed.open;
    let mut quotes = Quotes::default();
    value
        .split(move |&byte| {
            quotes.take(byte);
            byte == separator && !(quotes.open && honoured)
        })
        .map(<[u8]>::trim_ascii)
        .filter(|part| !part.is_empty())
}

/// Follows where quoted strings begin and end (RFC 9110 section 5.6.4).
#[derive(Default)]
struct Quotes {
    open: bool,
    escaped: bool,
}

impl Quotes {
    fn take(&mut self, byte: u8) {
        if self.escaped {
            self.escaped = false;
        } else if self.open && byte == b'\\' {
            self.escaped = true;
        } else if byte == b'"' {
            self.open = !self.open;
        }
    }
}

/// The members of all lines of a list-valued field.
pub(crate) fn members<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).iter().flat_map(|value| parts(value.as_bytes(), b','))
}

/// The cookies of a client that sends them in several fields, as HTTP/2 allows. An HTTP/1.1 origin expects one field
/// (RFC 9113 section 8.2.3). `None`: there are not several.
pub(crate) fn joined_cookies(headers: &HeaderMap) -> Option<HeaderValue> {
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() > 1 { HeaderValue::from_bytes(&crumbs.join(&b"; "[..])).ok() } else { None }
}

/// Whether the bytes are a token (RFC 9110 section 5.6.2).
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    let is_tchar = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !bytes.is_empty() && bytes.iter().all(is_tchar)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_separator_within_quotes_does_not_separate() {
        for (value, expected) in [
            ("", &[][..]),
            (" , ,", &[]),
            ("a, b ,c", &["a", "b", "c"]),
            (r#"a="x, y", b"#, &[r#"a="x, y""#, "b"]),
            (r#"a="x\", y", b"#, &[r#"a="x\", y""#, "b"]),
            (r"a\,b", &[r"a\", "b"]),
            (r#"a="open, b"#, &[r#"a="open"#, "b"]),
        ] {
            let found: Vec<&[u8]> = parts(value.as_bytes(), b',').collect();
            assert_eq!(found, expected.iter().map(|part| part.as_bytes()).collect::<Vec<_>>(), "{value}");
        }
    }

    #[test]
    fn tokens_are_told_from_other_bytes() {
        for (text, expected) in [("x-a", true), ("*", true), ("", false), ("a b", false), ("a:b", false), ("ä", false)]
        {
            assert_eq!(is_token(text.as_bytes()), expected, "{text}");
        }
    }
}
