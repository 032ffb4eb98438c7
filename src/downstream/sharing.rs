//! Whether an origin's response may be shared by clients whose credentials it never saw.

use super::fields::members;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, CACHE_CONTROL, HOST,
    ORIGIN, SET_COOKIE, VARY,
};
use http::{HeaderMap, HeaderName};
use std::fmt;

/// Request headers that are the same in every request to the origin of a shared stream, or have no part in its key on
/// purpose: a response that varies on them is the same for all.
///
/// `Accept`, `Accept-Encoding` and `Host` are manifold's own. `Origin` and a preflight's headers are never sent; CORS
/// middleware names them in every response. A `Last-Event-ID` only says where a response begins.
static CONSTANT: [HeaderName; 7] = [
    ACCEPT,
    ACCEPT_ENCODING,
    ACCESS_CONTROL_REQUEST_HEADERS,
    ACCESS_CONTROL_REQUEST_METHOD,
    HOST,
    HeaderName::from_static("last-event-id"),
    ORIGIN,
];

/// Why a response is not shared on a route with `credentials = "share"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SharingRefusal {
    /// `Cache-Control: private`, with or without the names of fields.
    Private,
    /// A `Set-Cookie`: the cookie is somebody's.
    SetsCookie,
    /// `Vary: *`.
    VariesOnEverything,
    /// `Vary` names this, in lower case, and it is not part of the key.
    VariesOn(String),
}

/// For the log: what the origin said.
impl fmt::Display for SharingRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Private => f.write_str("the origin says Cache-Control: private"),
            Self::SetsCookie => f.write_str("the origin sets a cookie"),
            Self::VariesOnEverything => f.write_str("the origin says Vary: *"),
            Self::VariesOn(name) => write!(f, "the origin says Vary: {name}, which is not in share.headers"),
        }
    }
}

/// Why the response with this head must not be shared, or `None` if it may be.
///
/// `key_headers` are the names that the route forwards, and so has in the key (`share.headers`). The check is for routes
/// with `credentials = "share"` whose origin is not trusted; elsewhere credentials are in the key.
#[must_use]
pub fn sharing_refusal(origin_head: &HeaderMap, key_headers: &[HeaderName]) -> Option<SharingRefusal> {
    if members(origin_head, &CACHE_CONTROL).any(|directive| is_directive(directive, b"private")) {
        return Some(SharingRefusal::Private);
    }
    if origin_head.contains_key(SET_COOKIE) {
        return Some(SharingRefusal::SetsCookie);
    }
    members(origin_head, &VARY).find_map(|name| {
        if name == b"*" {
            return Some(SharingRefusal::VariesOnEverything);
        }
        let is_listed = |listed: &HeaderName| name.eq_ignore_ascii_case(listed.as_str().as_bytes());
        let known = CONSTANT.iter().chain(key_headers).any(is_listed);
        (!known).then(|| SharingRefusal::VariesOn(String::from_utf8_lossy(name).to_ascii_lowercase()))
    })
}

/// Whether a member of `Cache-Control` is the directive of this name, with or without an argument.
pub(super) fn is_directive(member: &[u8], name: &[u8]) -> bool {
    member.split(|byte| *byte == b'=').next().is_some_and(|found| found.trim_ascii().eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_private_response_is_not_shared() {
        let varies = |name: &str| Some(SharingRefusal::VariesOn(name.to_owned()));
        for (lines, expected) in [
            (&[][..], None),
            (&[("cache-control", "no-cache, no-store"), ("content-type", "text/event-stream")], None),
            (&[("cache-control", "private")], Some(SharingRefusal::Private)),
            (&[("cache-control", "no-cache"), ("cache-control", "no-store ,PRIVATE")], Some(SharingRefusal::Private)),
            (&[("cache-control", r#"private="x-a, x-b", no-cache"#)], Some(SharingRefusal::Private)),
            (&[("cache-control", r#"x="a, private, b", max-age=0"#)], None),
            (&[("cache-control", r#"x="a, private"#)], Some(SharingRefusal::Private)),
            (&[("cache-control", "privateer, x=private")], None),
            (&[("set-cookie", "a=1")], Some(SharingRefusal::SetsCookie)),
            (&[("vary", "*")], Some(SharingRefusal::VariesOnEverything)),
            (&[("vary", "accept-encoding, *")], Some(SharingRefusal::VariesOnEverything)),
            (&[("vary", "Accept-Encoding, ORIGIN,Accept"), ("vary", "Last-Event-ID,")], None),
            (&[("vary", "Origin, Access-Control-Request-Method, Access-Control-Request-Headers")], None),
            (&[("vary", "X-Tenant")], None),
            (&[("vary", "Cookie")], varies("cookie")),
            (&[("vary", "x-tenant, Authorization")], varies("authorization")),
            (&[("vary", "Origin"), ("vary", "Accept-Language")], varies("accept-language")),
            (&[("vary", "x-tenant cookie")], varies("x-tenant cookie")),
        ] {
            let head: HeaderMap = lines
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
                .collect();
            let found = sharing_refusal(&head, &[HeaderName::from_static("x-tenant")]);
            assert_eq!(found, expected, "{lines:?}");
        }
    }

    #[test]
    fn a_refusal_says_what_came() {
        for (refusal, expected) in [
            (SharingRefusal::Private, "the origin says Cache-Control: private"),
            (SharingRefusal::SetsCookie, "the origin sets a cookie"),
            (SharingRefusal::VariesOnEverything, "the origin says Vary: *"),
            (SharingRefusal::VariesOn("cookie".into()), "the origin says Vary: cookie, which is not in share.headers"),
        ] {
            assert_eq!(refusal.to_string(), expected);
        }
    }
}
