//! Redirects of an origin: where they lead, and what clients may see of them.

use super::Origin;
use super::reference::{is_one_host, is_one_place, text_of, to_path, to_path_of};
use http::header::{CACHE_CONTROL, CONTENT_LOCATION, COOKIE, LOCATION, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::time::SystemTime;

/// Whether the status is that of a redirect that a GET follows with a GET (RFC 9110 section 15.4).
pub(super) fn is_followed(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    )
}

/// Where a reference leads, compared with the origin.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To the origin's own scheme, host and port.
    Within(url::Url),
    /// To the origin's host, but with another scheme or port.
    Beside,
    /// To another host.
    Elsewhere,
    /// The value is not a reference.
    Nowhere,
}

/// Where a reference leads in an answer to a request for `from`. It may be relative (RFC 9110 section 10.2.2).
pub(super) fn place(origin: &Origin, from: &str, reference: &HeaderValue) -> Place {
    let scheme = if origin.is_tls() { "https" } else { "http" };
    let base = url::Url::parse(&format!("{scheme}://{}{from}", origin.authority()));
    let reference = text_of(reference);
    let (Ok(base), false) = (base, reference.is_empty()) else { return Place::Nowhere };
    let Ok(target) = base.join(&reference) else { return Place::Nowhere };
    if !is_one_host(&target, &base) {
        return Place::Elsewhere;
    }
    if is_one_place(&target, &base) { Place::Within(target) } else { Place::Beside }
}

/// The path and query of a redirect that stays at the origin.
pub(super) fn within(origin: &Origin, from: &str, headers: &HeaderMap) -> Option<String> {
    match place(origin, from, headers.get(LOCATION)?) {
        Place::Within(target) => Some(match target.query() {
            Some(query) => format!("{}?{query}", target.path()),
            None => target.path().to_owned(),
        }),
        Place::Beside | Place::Elsewhere | Place::Nowhere => None,
    }
}

/// Replaces the target of a redirect that is not followed with its path, in an answer to a request for `from`.
/// Redirects were followed before, so the client itself asked for another path. A relative target would lead the client
/// elsewhere.
pub(super) fn seen_from_anywhere(origin: &Origin, from: &str, headers: &mut HeaderMap) {
    let path = within(origin, from, headers).and_then(|path| HeaderValue::from_str(&to_path(&path)).ok());
    if let Some(path) = path {
        headers.insert(LOCATION, path);
    }
}

/// Hides the origin's address in the references of an answer to a request for `from`, before clients get the answer. A
/// reference to the origin is replaced by its path. Returns whether a reference leads to the origin's host with another
/// scheme or port, for which there is no path.
pub fn hide_origin(origin: &Origin, from: &str, headers: &mut HeaderMap) -> bool {
    let mut leads_beside = false;
    for name in [LOCATION, CONTENT_LOCATION] {
        let Some(reference) = headers.get(&name) else { continue };
        let is_path = reference.as_bytes().starts_with(b"/") && !reference.as_bytes().starts_with(b"//");
        match place(origin, from, reference) {
            // A reference that does not show the origin's address is passed as it is.
            Place::Within(_) if is_path || !is_absolute(reference) => {}
            Place::Within(target) => {
                if let Some(path) = to_path_of(&target) {
                    headers.insert(name, path);
                }
            }
            Place::Beside => leads_beside = true,
            Place::Elsewhere | Place::Nowhere => {}
        }
    }
    leads_beside
}

/// Whether a reference names a host: `http://host/` or `//host/`.
fn is_absolute(reference: &HeaderValue) -> bool {
    let text = text_of(reference);
    text.starts_with("//") || text.starts_with("\\\\") || url::Url::parse(&text).is_ok()
}

/// Adds the cookies that a redirect sets to the next request (RFC 6265 section 5). Of cookies with one name, the newest
/// is sent. Their other attributes do not matter, because they are sent only to the origin that set them, and at once.
pub(super) fn set_cookies(request: &mut Vec<(HeaderName, HeaderValue)>, redirect: &HeaderMap, now: SystemTime) {
    if !redirect.contains_key(SET_COOKIE) {
        return;
    }
    let sent = request.iter().filter(|(name, _)| *name == COOKIE);
    let sent = sent.flat_map(|(_, value)| value.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii));
    let mut cookies: Vec<Vec<u8>> = sent.filter(|cookie| !cookie.is_empty()).map(<[u8]>::to_vec).collect();
    for line in redirect.get_all(SET_COOKIE) {
        let mut parts = line.as_bytes().split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let cookie = parts.next().unwrap_or_default();
        if !cookie.contains(&b'=') || name_of(cookie).is_empty() {
            continue;
        }
        cookies.retain(|known| name_of(known) != name_of(cookie));
        if !is_expired(parts, now) {
            cookies.push(cookie.to_vec());
        }
    }
    request.retain(|(name, _)| *name != COOKIE);
    if let Ok(mut joined) = HeaderValue::from_bytes(&cookies.join(&b"; "[..]))
        && !cookies.is_empty()
    {
        joined.set_sensitive(true);
        request.push((COOKIE, joined));
    }
}

/// The name of a cookie `name=value`.
fn name_of(cookie: &[u8]) -> &[u8] {
    cookie.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii()
}

/// Whether a cookie with these attributes is expired. `Max-Age` takes precedence over `Expires` (RFC 6265 section 5.3).
fn is_expired<'a>(attributes: impl Iterator<Item = &'a [u8]>, now: SystemTime) -> bool {
    let (mut by_age, mut by_date) = (None, false);
    for attribute in attributes.filter_map(|attribute| str::from_utf8(attribute).ok()) {
        let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
        if name.trim().eq_ignore_ascii_case("max-age") {
            by_age = value.trim().parse::<i64>().ok().map(|secs| secs <= 0).or(by_age);
        } else if name.trim().eq_ignore_ascii_case("expires") {
            by_date = httpdate::parse_http_date(value.trim()).is_ok_and(|date| date <= now);
        }
    }
    by_age.unwrap_or(by_date)
}

/// The fields of followed redirects that also apply to the response that they led to: those that may say that it is for
/// one client only.
#[derive(Debug, Default)]
pub(super) struct Carried(HeaderMap);

/// The fields that may say that a response is for one client only.
const OF_PRIVACY: [HeaderName; 3] = [SET_COOKIE, CACHE_CONTROL, VARY];

impl Carried {
    /// Takes the fields of a redirect that is followed.
    pub(super) fn take(&mut self, redirect: &HeaderMap) {
        for name in OF_PRIVACY {
            self.0.extend(redirect.get_all(&name).iter().map(|value| (name.clone(), value.clone())));
        }
    }

    /// Puts the fields before those of the answer. A cookie that the answer sets again is then the later one.
    pub(super) fn join(self, headers: &mut HeaderMap) {
        for name in OF_PRIVACY {
            if !self.0.contains_key(&name) {
                continue;
            }
            let own: Vec<HeaderValue> = headers.get_all(&name).iter().cloned().collect();
            headers.remove(&name);
            for value in self.0.get_all(&name).iter().cloned().chain(own) {
                headers.append(name.clone(), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(location: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(LOCATION, HeaderValue::from_static(location))])
    }

    #[test]
    fn a_redirect_stays_at_the_origin_or_is_not_followed() {
        let origin = Origin::parse("http://127.0.0.1:9000/base").unwrap();
        for (location, path) in [
            ("/other?x=1#f", Some("/other?x=1")),
            ("other", Some("/base/other")),
            ("http://127.0.0.1:9000/a", Some("/a")),
            ("//127.0.0.1:9000/a", Some("/a")),
            ("http://127.0.0.1:9001/a", None),
            ("https://127.0.0.1:9000/a", None),
            ("http://elsewhere:9000/a", None),
            ("", None),
        ] {
            assert_eq!(within(&origin, "/base/ticks", &located(location)).as_deref(), path, "{location}");
        }
        assert_eq!(within(&origin, "/base/ticks", &HeaderMap::new()), None);
    }

    #[test]
    fn no_reference_shows_where_the_origin_is() {
        let origin = Origin::parse("http://10.0.0.5:9000").unwrap();
        for (location, shown, leads_beside) in [
            ("http://10.0.0.5:9000/a?b=c#d", "/a?b=c#d", false),
            ("HTTP://10.0.0.5:9000", "/", false),
            ("//10.0.0.5:9000/a", "/a", false),
            ("http:///10.0.0.5:9000/a", "/a", false),
            ("http://u:p@10.0.0.5:9000/a", "/a", false),
            ("http://10.0.0.5:9000//evil.example/a", "/.//evil.example/a", false),
            ("http://10.0.0.5:9000/\\evil.example/a", "/.//evil.example/a", false),
            ("/a/../b", "/a/../b", false),
            ("b?c", "b?c", false),
            ("", "", false),
            ("https://login.example/a", "https://login.example/a", false),
            ("//login.example/a", "//login.example/a", false),
            ("http://10.0.0.5/a", "http://10.0.0.5/a", true),
            ("https://10.0.0.5:9000/a", "https://10.0.0.5:9000/a", true),
        ] {
            let mut headers = located(location);
            headers.insert(CONTENT_LOCATION, HeaderValue::from_static(location));
            assert_eq!(hide_origin(&origin, "/x/y", &mut headers), leads_beside, "{location}");
            for name in [LOCATION, CONTENT_LOCATION] {
                assert_eq!(headers[name], shown, "{location}");
            }
        }
    }

    #[test]
    fn names_of_the_origin_are_known_whatever_their_spelling() {
        let origin = Origin::parse("http://app.example:9000").unwrap();
        for (location, shown) in [
            ("http://APP.example.:9000/a", "/a"),
            ("http://app.example:9000/caf\u{e9}?q=\u{fc}", "/caf%C3%A9?q=%C3%BC"),
            ("/caf\u{e9}", "/caf\u{e9}"),
            ("http://login.example/caf\u{e9}", "http://login.example/caf\u{e9}"),
        ] {
            let mut headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_bytes(location.as_bytes()).unwrap())]);
            assert!(!hide_origin(&origin, "/x/y", &mut headers));
            assert_eq!(headers[LOCATION], HeaderValue::from_bytes(shown.as_bytes()).unwrap());
        }
        let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_bytes(b"/caf\xe9").unwrap())]);
        assert_eq!(within(&origin, "/x", &headers).as_deref(), Some("/caf%E9"));
    }

    #[test]
    fn cookies_of_redirects_come_first_and_a_shared_answer_hears_all_that_was_said_of_privacy() {
        let redirect = |n: u32| {
            let line = |name, value: String| (name, HeaderValue::from_str(&value).unwrap());
            HeaderMap::from_iter([
                line(SET_COOKIE, format!("a={n}")),
                line(SET_COOKIE, format!("b={n}")),
                line(CACHE_CONTROL, "private".to_owned()),
                line(VARY, "cookie".to_owned()),
                line(LOCATION, "/".to_owned()),
            ])
        };
        let mut carried = Carried::default();
        carried.take(&redirect(1));
        carried.take(&redirect(2));
        let mut headers = HeaderMap::from_iter([
            (SET_COOKIE, HeaderValue::from_static("a=3")),
            (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        ]);
        carried.join(&mut headers);
        let all = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
        assert_eq!(all(SET_COOKIE), ["a=1", "b=1", "a=2", "b=2", "a=3"]);
        assert_eq!((all(CACHE_CONTROL).len(), all(VARY).len(), all(LOCATION).len()), (3, 2, 0));
    }

    #[test]
    fn the_newest_cookie_of_each_name_goes_with_the_next_request() {
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(784_111_777);
        for (sent, set, next) in [
            (&[][..], &[][..], &[][..]),
            (&["a=1"], &[], &["a=1"]),
            (&["a=1", "b=2"], &[], &["a=1", "b=2"]),
            (&[], &["a=1; Path=/; HttpOnly"], &["a=1"]),
            (&["a=1; b=2"], &["a=3"], &["b=2; a=3"]),
            (&["a=1; A=2"], &["a=3", "c=x=y", "a=4;Secure"], &["A=2; c=x=y; a=4"]),
            (&["bare; b=2"], &["a="], &["bare; b=2; a="]),
            (&["a=1"], &["", "nothing", "=x", " ; Path=/"], &["a=1"]),
            (&["a=1"], &["a=; Max-Age=0"], &[]),
            (&["a=1; b=2"], &["a=0; max-age = -5; expires=Sun, 06 Nov 2094 08:49:37 GMT"], &["b=2"]),
            (&["a=1; b=2"], &["a=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], &["b=2"]),
            (&["a=1"], &["a=2; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=9"], &["a=2"]),
            (&["a=1"], &["a=2; Expires=soon; Max-Age=soon"], &["a=2"]),
        ] {
            let other = (LOCATION, HeaderValue::from_static("x"));
            let lines = |name: HeaderName, values: &[&'static str]| {
                values.iter().map(|value| (name.clone(), HeaderValue::from_static(value))).collect::<Vec<_>>()
            };
            let mut request = lines(COOKIE, sent);
            request.push(other.clone());
            set_cookies(&mut request, &lines(SET_COOKIE, set).into_iter().collect(), now);
            assert!(request.contains(&other));
            request.retain(|(name, _)| *name == COOKIE);
            assert_eq!(request, lines(COOKIE, next), "{sent:?} {set:?}");
        }
    }

    #[test]
    fn after_redirects_that_were_followed_a_target_is_named_by_its_path() {
        let origin = Origin::parse("http://10.0.0.5:9000").unwrap();
        for (location, shown) in [
            ("b?c", "/x/b?c"),
            ("/a", "/a"),
            ("http://10.0.0.5:9000/a", "/a"),
            ("https://10.0.0.5:9000/a", "https://10.0.0.5:9000/a"),
            ("https://login.example/a", "https://login.example/a"),
        ] {
            let mut headers = located(location);
            seen_from_anywhere(&origin, "/x/y", &mut headers);
            assert_eq!(headers[LOCATION], shown);
        }
    }
}
