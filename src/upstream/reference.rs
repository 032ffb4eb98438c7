//! References in the answers of origins: the values of `Location` and `Content-Location` (RFC 9110 section 10.2.2).

use http::HeaderValue;
use percent_encoding::{AsciiSet, percent_encode};
use std::borrow::Cow;
use url::{Position, Url};

/// The text of a reference. Bytes that are not ASCII are percent-encoded, as clients do before they use it.
#[must_use]
pub fn text_of(reference: &HeaderValue) -> Cow<'_, str> {
    percent_encode(reference.as_bytes(), &AsciiSet::EMPTY).into()
}

/// A reference that leads to this path of the server that gives it. A path that begins with two slashes would be read as
/// the name of another host, so it gets a dot segment before it (RFC 3986 section 4.2). Browsers read a backslash as a
/// slash, and skip tabs.
#[must_use]
pub fn to_path(path: &str) -> Cow<'_, str> {
    let mut significant = path.chars().filter(|&c| c != '\t');
    let names_host = significant.next() == Some('/') && matches!(significant.next(), Some('/' | '\\'));
    if names_host { format!("/.{path}").into() } else { path.into() }
}

/// The reference that leads to the path, query and fragment of this URL. `None`: they are no value of a header.
#[must_use]
pub fn to_path_of(target: &Url) -> Option<HeaderValue> {
    HeaderValue::from_str(&to_path(&target[Position::BeforePath..])).ok()
}

/// Whether two URLs name the same host. The dot at the end of a fully qualified name makes no difference.
pub(super) fn is_one_host(a: &Url, b: &Url) -> bool {
    fn host(url: &Url) -> Option<&str> {
        url.host_str().map(|host| host.trim_end_matches('.'))
    }
    host(a) == host(b)
}

/// Whether two URLs have the same scheme, host and port. A default port may be written or not.
#[must_use]
pub fn is_one_place(a: &Url, b: &Url) -> bool {
    a.scheme() == b.scheme() && is_one_host(a, b) && a.port_or_known_default() == b.port_or_known_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_never_names_a_host() {
        for (path, reference) in [
            ("/", "/"),
            ("/a//b", "/a//b"),
            ("/a?//b", "/a?//b"),
            ("//evil.example/a", "/.//evil.example/a"),
            ("///a", "/.///a"),
            ("/\\evil.example", "/./\\evil.example"),
            ("/\t/evil.example", "/./\t/evil.example"),
        ] {
            assert_eq!(to_path(path), reference, "{path}");
            let base = Url::parse("http://front.example/x/y").unwrap();
            let target = base.join(reference).unwrap();
            assert_eq!(target.host_str(), Some("front.example"), "{path}");
        }
    }

    #[test]
    fn what_is_not_ascii_is_percent_encoded() {
        for (reference, text) in [
            (&b"/a?b=%20"[..], "/a?b=%20"),
            ("http://h/caf\u{e9}".as_bytes(), "http://h/caf%C3%A9"),
            (b"/\xff", "/%FF"),
        ] {
            assert_eq!(text_of(&HeaderValue::from_bytes(reference).unwrap()), text);
        }
    }
}
