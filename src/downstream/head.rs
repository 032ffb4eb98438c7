//! The response head that a client gets.
//!
//! `Connection`, `Transfer-Encoding` and `Content-Length` are framing, and so the gateway's.

use super::content_type::client_content_type;
use super::cors::CorsAnswer;
use super::sharing::is_directive;
use crate::fields::{Nature, end_to_end, is_cors, is_shared, members, survives_lines};
use crate::hub::Mode;
use crate::replay::VIA as GATEWAY;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, SET_COOKIE, VIA};
use http::{HeaderMap, HeaderName, HeaderValue};

/// nginx and those that copied it buffer a response unless it says this.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The head of a stream, to go with status 200.
///
/// `origin` is the head of the origin's response, or `None` while there is none yet. On a shared stream, only what is safe
/// of it passes; on a private one, all but what belongs to its connection or its very bytes. `has_credentials`:
/// credentials are in the stream's key, so no cache may store the response. With `cors`, the origin's own CORS headers are
/// replaced.
#[must_use]
pub fn stream_head(
    origin: Option<&HeaderMap>,
    mode: Mode,
    has_credentials: bool,
    cors: Option<&CorsAnswer>,
) -> HeaderMap {
    let mut head = match origin {
        Some(origin) => passed_on(origin, mode, false, cors.is_some()),
        None => HeaderMap::new(),
    };
    head.remove(CONTENT_ENCODING);
    head.insert(CONTENT_TYPE, client_content_type(origin.and_then(|origin| origin.get(CONTENT_TYPE))));
    let unstorable = has_credentials || (mode == Mode::Private && origin.is_some_and(forbids_storing));
    let cache_control = if unstorable { "no-cache, no-transform, no-store" } else { "no-cache, no-transform" };
    head.insert(CACHE_CONTROL, HeaderValue::from_static(cache_control));
    head.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    if mode == Mode::Shared {
        head.insert(VIA, HeaderValue::from_static(GATEWAY));
    }
    if let Some(cors) = cors {
        cors.apply(&mut head);
    }
    head
}

/// The head of a shared route's stream whose response is this client's own: the origin's cookies pass besides, and no cache
/// may store it.
#[must_use]
pub fn unshareable_head(origin: &HeaderMap, cors: Option<&CorsAnswer>) -> HeaderMap {
    let mut head = stream_head(Some(origin), Mode::Shared, true, cors);
    for (name, cookie) in end_to_end(origin).filter(|(name, _)| **name == SET_COOKIE) {
        head.append(name.clone(), cookie.clone());
    }
    head
}

/// The head of an origin's refusal that is reflected to a client, to go with the origin's status and body.
///
/// The body may be cut short, so nothing about its length passes; no cache may store it.
#[must_use]
pub fn refusal_head(origin: &HeaderMap, mode: Mode, cors: Option<&CorsAnswer>) -> HeaderMap {
    let mut head = passed_on(origin, mode, true, cors.is_some());
    head.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(cors) = cors {
        cors.apply(&mut head);
    }
    head
}

/// The origin's headers that go to the client.
fn passed_on(origin: &HeaderMap, mode: Mode, is_refusal: bool, own_cors: bool) -> HeaderMap {
    let passes = |name: &HeaderName| match mode {
        Mode::Shared => is_shared(name, is_refusal),
        Mode::Private => survives_lines(name) && Nature::of(name) != Nature::Place && !(own_cors && is_cors(name)),
    };
    end_to_end(origin).filter(|(name, _)| passes(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn forbids_storing(origin: &HeaderMap) -> bool {
    members(origin, &CACHE_CONTROL).any(|member| is_directive(member, b"no-store") || is_directive(member, b"private"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORIGIN_HEAD: &str = "accept-ranges: bytes|access-control-allow-origin: https://theirs|alt-svc: h3=\":443\"|\
        cache-control: no-cache|connection: close, X-Hop|content-digest: sha-256=:x:|content-encoding: identity|\
        content-language: de|content-length: 10|content-type: Text/Event-Stream;charset=utf-8;x=y|etag: \"1\"|\
        keep-alive: timeout=5|link: </hub>; rel=mercure|location: /x|proxy-authenticate: Basic|retry-after: 3|\
        server: theirs|set-cookie: a=1|set-cookie: b=2|te: trailers|trailer: x-t|transfer-encoding: chunked|\
        upgrade: h2c|vary: Cookie|www-authenticate: Basic|x-accel-buffering: yes|x-content-type-options: nosniff|\
        x-hop: 1|x-user: jane";

    fn headers(lines: &str) -> HeaderMap {
        let lines = lines.split('|').filter_map(|line| line.split_once(": "));
        lines
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap()))
            .collect()
    }

    fn lines(head: &HeaderMap) -> String {
        let mut lines: Vec<String> =
            head.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        lines.sort();
        lines.join("|")
    }

    #[test]
    fn a_head_without_an_origin_is_manifolds_own() {
        for (mode, has_credentials, cache_control, via) in [
            (Mode::Shared, false, "no-cache, no-transform", "via: 1.1 manifold|"),
            (Mode::Shared, true, "no-cache, no-transform, no-store", "via: 1.1 manifold|"),
            (Mode::Private, false, "no-cache, no-transform", ""),
            (Mode::Private, true, "no-cache, no-transform, no-store", ""),
        ] {
            assert_eq!(
                lines(&stream_head(None, mode, has_credentials, None)),
                format!("cache-control: {cache_control}|content-type: text/event-stream|{via}x-accel-buffering: no")
            );
        }
    }

    #[test]
    fn a_shared_head_passes_only_what_is_safe() {
        let origin = headers(ORIGIN_HEAD);
        assert_eq!(
            lines(&stream_head(Some(&origin), Mode::Shared, false, Some(&CorsAnswer::Refused))),
            "cache-control: no-cache, no-transform|content-language: de|content-type: text/event-stream; charset=utf-8|\
             link: </hub>; rel=mercure|vary: origin|via: 1.1 manifold|x-accel-buffering: no|x-content-type-options: nosniff"
        );
    }

    #[test]
    fn an_unshareable_head_passes_the_cookies_besides_and_is_not_stored() {
        let origin = headers(ORIGIN_HEAD);
        assert_eq!(
            lines(&unshareable_head(&origin, Some(&CorsAnswer::Everyone))),
            "access-control-allow-origin: *|cache-control: no-cache, no-transform, no-store|content-language: de|\
             content-type: text/event-stream; charset=utf-8|link: </hub>; rel=mercure|set-cookie: a=1|set-cookie: b=2|\
             via: 1.1 manifold|x-accel-buffering: no|x-content-type-options: nosniff"
        );
    }

    #[test]
    fn a_private_head_passes_all_but_the_connections_and_the_bytes_own() {
        let origin = headers(ORIGIN_HEAD);
        assert_eq!(
            lines(&stream_head(Some(&origin), Mode::Private, false, None)),
            "access-control-allow-origin: https://theirs|cache-control: no-cache, no-transform|content-language: de|\
             content-type: text/event-stream; charset=utf-8|link: </hub>; rel=mercure|location: /x|retry-after: 3|\
             server: theirs|set-cookie: a=1|set-cookie: b=2|vary: Cookie|www-authenticate: Basic|\
             x-accel-buffering: no|x-content-type-options: nosniff|x-user: jane"
        );
    }

    #[test]
    fn manifolds_cors_replaces_the_origins() {
        let origin =
            headers("access-control-allow-origin: https://theirs|access-control-allow-credentials: true|vary: a");
        let head = stream_head(Some(&origin), Mode::Private, false, Some(&CorsAnswer::Refused));
        assert!(!lines(&head).contains("access-control"), "{head:?}");
        assert_eq!(head.get_all("vary").iter().collect::<Vec<_>>(), ["a", "origin"]);
        let head = stream_head(Some(&origin), Mode::Private, false, Some(&CorsAnswer::Everyone));
        assert_eq!(head.get("access-control-allow-origin").unwrap(), "*");
        assert_eq!(head.get("access-control-allow-credentials"), None);
    }

    #[test]
    fn a_private_origin_that_forbids_storing_is_heard() {
        for (cache_control, mode, expected) in [
            ("no-store", Mode::Private, true),
            ("max-age=0, private", Mode::Private, true),
            ("no-cache", Mode::Private, false),
            ("no-store", Mode::Shared, false),
        ] {
            let origin = headers(&format!("cache-control: {cache_control}"));
            let head = stream_head(Some(&origin), mode, false, None);
            assert_eq!(lines(&head).contains("no-store"), expected, "{cache_control} {mode:?}");
        }
    }

    #[test]
    fn a_refusal_keeps_what_explains_it() {
        let origin = headers(&ORIGIN_HEAD.replace("Text/Event-Stream;charset=utf-8;x=y", "application/problem+json"));
        assert_eq!(
            lines(&refusal_head(&origin, Mode::Shared, Some(&CorsAnswer::Everyone))),
            "access-control-allow-origin: *|cache-control: no-store|content-encoding: identity|content-language: de|\
             content-type: application/problem+json|link: </hub>; rel=mercure|location: /x|retry-after: 3|www-authenticate: Basic|\
             x-content-type-options: nosniff"
        );
        let private = refusal_head(&origin, Mode::Private, None);
        assert_eq!(private.get_all("set-cookie").iter().count(), 2);
        assert_eq!(private.get("content-length"), None);
    }
}
