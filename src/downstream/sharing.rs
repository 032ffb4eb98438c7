//! Whether an origin's response may be shared by clients whose credentials the origin never saw.

use crate::fields::{is_same_for_all, members};
use crate::hub::{CookiePolicy, Credentials, ShareOptions, Sharing};
use crate::quoted::Word;
use http::header::{CACHE_CONTROL, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderName};
use std::fmt;

/// Why a response is not shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SharingRefusal {
    /// `Cache-Control: private`, with or without names of fields.
    Private,
    /// The response has a `Set-Cookie`. A cookie is for one client.
    SetsCookie,
    /// `Vary: *`.
    VariesOnEverything,
    /// `Vary` names this field, in lower case, which is not part of the stream's key.
    VariesOn(String),
}

/// What the origin said, for the log.
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

/// The clients that may be given the response with this head, by the policy of the route. If not all, the reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SharingVerdict {
    /// All clients of the stream.
    Shared,
    /// The client that opened the stream, and no other. The response is for this client only, though its request
    /// carried no credential.
    Unshareable(SharingRefusal),
    /// No client.
    Refused(SharingRefusal),
}

impl SharingVerdict {
    /// What the hub needs to know of the verdict.
    ///
    /// # Errors
    /// Fails with the reason if no client may have the response.
    pub fn into_sharing(self) -> Result<Sharing, SharingRefusal> {
        match self {
            Self::Shared => Ok(Sharing::Shared),
            Self::Unshareable(why) => Ok(Sharing::Unshareable { sets_cookie: why == SharingRefusal::SetsCookie }),
            Self::Refused(why) => Err(why),
        }
    }
}

/// Decides which clients may be given a response with this head. `has_credentials`: the client's credentials were sent
/// to the origin, so they are in the stream's key.
///
/// If credentials are in the key, only the same client shares the stream, whatever the origin says. If a client had no
/// credentials to send, a response that the origin makes one client's own is given to that client only. If the route
/// never sends credentials, such a response means that the route misunderstands the origin, so no client is given it.
#[must_use]
pub fn sharing_verdict(origin_head: &HeaderMap, share: &ShareOptions, has_credentials: bool) -> SharingVerdict {
    if share.trust_origin {
        return SharingVerdict::Shared;
    }
    match share.credentials {
        Credentials::Isolate if has_credentials => SharingVerdict::Shared,
        Credentials::Isolate => personal(origin_head).map_or(SharingVerdict::Shared, SharingVerdict::Unshareable),
        Credentials::Share => {
            sharing_refusal(origin_head, &share.headers).map_or(SharingVerdict::Shared, SharingVerdict::Refused)
        }
    }
}

/// The keys that help if a response of a route with `credentials = "isolate"` is not shared, for the log.
#[must_use]
pub fn unshareable_advice(origin_head: &HeaderMap, share: &ShareOptions) -> String {
    let general = "if it is the same for all clients, set share.trust_origin = true to share it (with \
                   share.credentials = 'share', no client's cookies reach the origin either); if each client gets its \
                   own, set share.mode = 'private'";
    match unforwarded_cookie(origin_head, &share.cookies) {
        Some(name) => format!("if the cookie {} identifies a client, list it in share.cookies; {general}", Word(name)),
        None => general.to_owned(),
    }
}

/// The first cookie that the origin sets and the route does not forward. The origin will not recognize the client by
/// it.
fn unforwarded_cookie<'a>(origin_head: &'a HeaderMap, cookies: &CookiePolicy) -> Option<&'a str> {
    let CookiePolicy::Only(named) = cookies else { return None };
    let set = origin_head.get_all(SET_COOKIE).iter().filter_map(|cookie| cookie.to_str().ok()?.split_once('='));
    set.map(|(name, _)| name.trim()).find(|name| !named.iter().any(|listed| listed == name))
}

/// The reason why a response is for one client only. `None` if there is none.
fn personal(origin_head: &HeaderMap) -> Option<SharingRefusal> {
    // The cookie is looked at first, because the origin will know the client by it.
    if origin_head.contains_key(SET_COOKIE) {
        return Some(SharingRefusal::SetsCookie);
    }
    let mut directives = members(origin_head, &CACHE_CONTROL);
    directives.any(|directive| is_directive(directive, b"private")).then_some(SharingRefusal::Private)
}

/// Why the response with this head must not be shared. `None` if it may be.
///
/// `key_headers`: the fields that the route forwards (`share.headers`), which are therefore in the key. The check is
/// for routes with `credentials = "share"` whose origin is not trusted. On other routes credentials are in the key.
#[must_use]
fn sharing_refusal(origin_head: &HeaderMap, key_headers: &[HeaderName]) -> Option<SharingRefusal> {
    personal(origin_head).or_else(|| varies(origin_head, key_headers))
}

/// The first field that the response varies on and that is not in the key.
fn varies(origin_head: &HeaderMap, key_headers: &[HeaderName]) -> Option<SharingRefusal> {
    members(origin_head, &VARY).find_map(|name| {
        if name == b"*" {
            return Some(SharingRefusal::VariesOnEverything);
        }
        let field = HeaderName::from_bytes(name).ok();
        let known = field.is_some_and(|field| is_same_for_all(&field) || key_headers.contains(&field));
        (!known).then(|| SharingRefusal::VariesOn(String::from_utf8_lossy(name).to_ascii_lowercase()))
    })
}

/// Whether a member of `Cache-Control` is the directive of this name, with or without an argument.
fn is_directive(member: &[u8], name: &[u8]) -> bool {
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

    fn head(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_response_without_a_credential_is_its_openers_alone_where_the_origin_says_so() {
        let isolate = ShareOptions::default();
        let share = ShareOptions { credentials: Credentials::Share, ..ShareOptions::default() };
        let trust = |options: &ShareOptions| ShareOptions { trust_origin: true, ..options.clone() };
        let (private, cookie, vary) = (("cache-control", "private"), ("set-cookie", "a=1"), ("vary", "cookie"));
        let unshareable = SharingVerdict::Unshareable;
        let refused = SharingVerdict::Refused;
        for (lines, without, with, without_any) in [
            (&[][..], SharingVerdict::Shared, SharingVerdict::Shared, SharingVerdict::Shared),
            (
                &[private],
                unshareable(SharingRefusal::Private),
                SharingVerdict::Shared,
                refused(SharingRefusal::Private),
            ),
            (
                &[cookie],
                unshareable(SharingRefusal::SetsCookie),
                SharingVerdict::Shared,
                refused(SharingRefusal::SetsCookie),
            ),
            (
                &[private, cookie],
                unshareable(SharingRefusal::SetsCookie),
                SharingVerdict::Shared,
                refused(SharingRefusal::SetsCookie),
            ),
            (
                &[vary],
                SharingVerdict::Shared,
                SharingVerdict::Shared,
                refused(SharingRefusal::VariesOn("cookie".to_owned())),
            ),
        ] {
            let head = head(lines);
            assert_eq!(sharing_verdict(&head, &isolate, false), without, "{lines:?}");
            assert_eq!(sharing_verdict(&head, &isolate, true), with, "{lines:?}");
            assert_eq!(sharing_verdict(&head, &share, false), without_any, "{lines:?}");
            for options in [&isolate, &share] {
                assert_eq!(sharing_verdict(&head, &trust(options), false), SharingVerdict::Shared, "{lines:?}");
            }
        }
        let cookie = unshareable(SharingRefusal::SetsCookie).into_sharing();
        assert_eq!(cookie, Ok(Sharing::Unshareable { sets_cookie: true }));
        let private = unshareable(SharingRefusal::Private).into_sharing();
        assert_eq!(private, Ok(Sharing::Unshareable { sets_cookie: false }));
        assert_eq!(refused(SharingRefusal::Private).into_sharing(), Err(SharingRefusal::Private));
    }

    #[test]
    fn the_advice_names_the_keys_that_help_and_a_cookie_that_is_not_forwarded() {
        let head = head(&[
            ("set-cookie", "known=secret"),
            ("set-cookie", "secret"),
            ("set-cookie", "session = secret; Path=/"),
        ]);
        let all = unshareable_advice(&head, &ShareOptions::default());
        let named = CookiePolicy::Only(vec!["known".to_owned()]);
        let some = unshareable_advice(&head, &ShareOptions { cookies: named, ..ShareOptions::default() });
        for advice in [&all, &some] {
            for key in ["share.trust_origin", "share.credentials", "share.mode"] {
                assert!(advice.contains(key), "{advice}");
            }
            assert!(!advice.contains("secret"), "{advice}");
        }
        assert!(!all.contains("share.cookies"), "{all}");
        assert!(some.contains("cookie session identifies a client, list it in share.cookies"), "{some}");
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
