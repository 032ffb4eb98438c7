//! The value of an `Origin` field.

use url::Url;

/// Whether a text is an origin with a scheme and a host, as browsers serialise it (HTML standard, "serialization of an
/// origin").
pub(crate) fn is_origin(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text)
}
