//! The response heads that clients get.
//!
//! The gateway adds `Connection`, `Transfer-Encoding` and `Content-Length`, because it frames the body.

use super::content_type::client_content_type;
use super::cors::CorsAnswer;
use crate::fields::{Nature, content_length, end_to_end, is_cors, is_shared, survives_lines};
use crate::hub::Mode;
use crate::replay::VIA as GATEWAY;
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, SET_COOKIE, VIA};
use http::{HeaderMap, HeaderName, HeaderValue};

/// With the value `no`, this field keeps nginx and similar proxies from buffering the response.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The `Cache-Control` that keeps caches and proxies from holding events back.
const NOT_CACHED: &str = "no-cache, no-transform";

/// The head of a stream that manifold encodes itself. Its status is 200.
///
/// `origin` is the head of the origin's response, or `None` while there is none yet. Only its safe fields pass.
/// `has_credentials` says that credentials are in the stream's key, so that no cache may store the response. `cors`
/// replaces the origin's own CORS headers.
#[must_use]
pub fn stream_head(
    origin: Option<&HeaderMap>,
    mode: Mode,
    has_credentials: bool,
    cors: Option<&CorsAnswer>,
) -> HeaderMap {
    let mut head = origin.map(|origin| shared(origin, false)).unwrap_or_default();
    head.insert(CONTENT_TYPE, client_content_type(origin.and_then(|origin| origin.get(CONTENT_TYPE))));
    let cache_control = if has_credentials { "no-cache, no-transform, no-store" } else { NOT_CACHED };
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

/// The head of a response to one client alone, with any status. All end-to-end fields of the origin pass unchanged.
///
/// `has_lines` says that manifold puts lines into the body. Fields that the lines would make wrong are then left out,
/// and manifold tells proxies how to treat the response if the origin does not. `cors` replaces the origin's own CORS
/// headers.
#[must_use]
pub fn own_head(origin: &HeaderMap, has_lines: bool, cors: Option<&CorsAnswer>) -> HeaderMap {
    let passes = |name: &HeaderName| {
        // A client must not be led to the origin itself.
        Nature::of(name) != Nature::Place && (cors.is_none() || !is_cors(name)) && (!has_lines || survives_lines(name))
    };
    let mut head = taken(origin, passes);
    if head.contains_key(CONTENT_LENGTH) {
        // The length is sent once, even if the origin repeats it, and never together with chunks.
        head.remove(CONTENT_LENGTH);
        head.extend(content_length(origin).map(|length| (CONTENT_LENGTH, HeaderValue::from(length))));
    }
    if has_lines {
        // Lines are put only into streams that are not encoded. Their `Content-Encoding`, if any, is a word such as
        // `identity`.
        head.remove(CONTENT_ENCODING);
        head.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static(NOT_CACHED));
        head.entry(X_ACCEL_BUFFERING).or_insert(HeaderValue::from_static("no"));
    }
    if let Some(cors) = cors {
        cors.apply(&mut head);
    }
    head
}

/// The head of a stream on a shared route whose response is for one client only. The origin's cookies pass too, and no
/// cache may store the response.
#[must_use]
pub fn unshareable_head(origin: &HeaderMap, cors: Option<&CorsAnswer>) -> HeaderMap {
    let mut head = stream_head(Some(origin), Mode::Shared, true, cors);
    for (name, cookie) in end_to_end(origin).filter(|(name, _)| **name == SET_COOKIE) {
        head.append(name.clone(), cookie.clone());
    }
    head
}

/// The head of an origin's refusal that is given to all clients of a shared stream, with the origin's status and body.
///
/// The body may be cut short, so no field about its length passes. No cache may store the refusal.
#[must_use]
pub fn refusal_head(origin: &HeaderMap, cors: Option<&CorsAnswer>) -> HeaderMap {
    let mut head = shared(origin, true);
    head.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if let Some(cors) = cors {
        cors.apply(&mut head);
    }
    head
}

/// The fields of the origin that a shared response passes on.
fn shared(origin: &HeaderMap, is_refusal: bool) -> HeaderMap {
    taken(origin, |name| is_shared(name, is_refusal))
}

/// The end-to-end fields of a head for which `passes` is true.
fn taken(origin: &HeaderMap, passes: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    end_to_end(origin).filter(|(name, _)| passes(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
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
    fn a_head_of_ones_own_passes_whole_but_for_the_connections_fields() {
        let origin = headers(&ORIGIN_HEAD.replace("|transfer-encoding: chunked", ""));
        assert_eq!(
            lines(&own_head(&origin, false, None)),
            "accept-ranges: bytes|access-control-allow-origin: https://theirs|cache-control: no-cache|\
             content-digest: sha-256=:x:|content-encoding: identity|content-language: de|content-length: 10|\
             content-type: Text/Event-Stream;charset=utf-8;x=y|etag: \"1\"|link: </hub>; rel=mercure|location: /x|\
             retry-after: 3|server: theirs|set-cookie: a=1|set-cookie: b=2|vary: Cookie|www-authenticate: Basic|\
             x-accel-buffering: yes|x-content-type-options: nosniff|x-user: jane"
        );
    }

    #[test]
    fn where_lines_are_put_in_what_is_of_the_bytes_does_not_pass() {
        assert_eq!(
            lines(&own_head(&headers(ORIGIN_HEAD), true, None)),
            "access-control-allow-origin: https://theirs|cache-control: no-cache|content-language: de|\
             content-type: Text/Event-Stream;charset=utf-8;x=y|link: </hub>; rel=mercure|location: /x|retry-after: 3|\
             server: theirs|set-cookie: a=1|set-cookie: b=2|vary: Cookie|www-authenticate: Basic|\
             x-accel-buffering: yes|x-content-type-options: nosniff|x-user: jane"
        );
        let bare = headers("content-type: text/event-stream");
        assert_eq!(lines(&own_head(&bare, false, None)), "content-type: text/event-stream");
        assert_eq!(
            lines(&own_head(&bare, true, None)),
            "cache-control: no-cache, no-transform|content-type: text/event-stream|x-accel-buffering: no"
        );
    }

    #[test]
    fn a_length_passes_once_and_never_beside_chunks() {
        for (origin, expected) in [
            ("content-length: 5", "content-length: 5"),
            ("content-length: 5|content-length: 5", "content-length: 5"),
            ("content-length: 5|content-length: 6", ""),
            ("content-length: 5|transfer-encoding: chunked", ""),
            ("content-length: 5|connection: content-length", ""),
        ] {
            assert_eq!(lines(&own_head(&headers(origin), false, None)), expected, "{origin}");
        }
    }

    #[test]
    fn manifolds_cors_replaces_the_origins() {
        let origin =
            headers("access-control-allow-origin: https://theirs|access-control-allow-credentials: true|vary: a");
        let head = own_head(&origin, false, Some(&CorsAnswer::Refused));
        assert!(!lines(&head).contains("access-control"), "{head:?}");
        assert_eq!(head.get_all("vary").iter().collect::<Vec<_>>(), ["a", "origin"]);
        let head = own_head(&origin, true, Some(&CorsAnswer::Everyone));
        assert_eq!(head.get("access-control-allow-origin").unwrap(), "*");
        assert_eq!(head.get("access-control-allow-credentials"), None);
    }

    #[test]
    fn a_refusal_keeps_what_explains_it() {
        let origin = headers(&ORIGIN_HEAD.replace("Text/Event-Stream;charset=utf-8;x=y", "application/problem+json"));
        assert_eq!(
            lines(&refusal_head(&origin, Some(&CorsAnswer::Everyone))),
            "access-control-allow-origin: *|cache-control: no-store|content-encoding: identity|content-language: de|\
             content-type: application/problem+json|link: </hub>; rel=mercure|location: /x|retry-after: 3|www-authenticate: Basic|\
             x-content-type-options: nosniff"
        );
    }
}
