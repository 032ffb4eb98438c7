//! Redirects: where they lead, seen from the origin, and what of them clients may see.

use super::Origin;
use http::header::{CACHE_CONTROL, CONTENT_LOCATION, LOCATION, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// Whether the status is that of a redirect that a GET follows by a GET (RFC 9110 section 15.4).
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

/// Where a reference leads, seen from the origin.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// To the origin's own scheme, host and port.
    Within(url::Url),
    /// To the origin's host by another scheme or port.
    Beside,
    /// To another host.
    Elsewhere,
    /// It is no reference.
    Nowhere,
}

/// Where the reference in an answer to a request for `from` leads (RFC 9110 section 10.2.2: it may be relative).
pub(super) fn place(origin: &Origin, from: &str, reference: &HeaderValue) -> Place {
    let scheme = if origin.is_tls() { "https" } else { "http" };
    let base = url::Url::parse(&format!("{scheme}://{}{from}", origin.authority()));
    let (Ok(base), Ok(reference)) = (base, reference.to_str()) else { return Place::Nowhere };
    let Some(target) = Some(reference).filter(|text| !text.is_empty()).and_then(|text| base.join(text).ok()) else {
        return Place::Nowhere;
    };
    if target.host_str() != base.host_str() {
        return Place::Elsewhere;
    }
    let is_same = target.scheme() == base.scheme() && target.port_or_known_default() == base.port_or_known_default();
    if is_same { Place::Within(target) } else { Place::Beside }
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

/// Takes the origin's address out of the references in an answer to a request for `from`, before it goes to clients: what
/// is at the origin is named by its path. Says whether a reference leads to the origin's host by another scheme or port,
/// which no path can name.
pub fn hide_origin(origin: &Origin, from: &str, headers: &mut HeaderMap) -> bool {
    let mut leads_beside = false;
    for name in [LOCATION, CONTENT_LOCATION] {
        let Some(reference) = headers.get(&name) else { continue };
        let is_path = reference.as_bytes().starts_with(b"/") && !reference.as_bytes().starts_with(b"//");
        match place(origin, from, reference) {
            // The origin's own words, where they show nothing.
            Place::Within(_) if is_path || !is_absolute(reference) => {}
            Place::Within(target) => {
                if let Ok(path) = HeaderValue::from_str(&target[url::Position::BeforePath..]) {
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
pub(super) fn is_absolute(reference: &HeaderValue) -> bool {
    let text = reference.to_str().unwrap_or_default();
    text.starts_with("//") || text.starts_with("\\\\") || url::Url::parse(text).is_ok()
}

/// What of the redirects that were followed belongs to the answer they led to.
#[derive(Debug, Default)]
pub(super) struct Carried(HeaderMap);

impl Carried {
    /// Takes it from a redirect that is followed. Its cookies are for the client; and what says that a response is one
    /// client's own is true of all that follows.
    pub(super) fn take(&mut self, redirect: &HeaderMap, is_shared: bool) {
        let names: &[HeaderName] = if is_shared { &[SET_COOKIE, CACHE_CONTROL, VARY] } else { &[SET_COOKIE] };
        for name in names {
            self.0.extend(redirect.get_all(name).iter().map(|value| (name.clone(), value.clone())));
        }
    }

    /// Puts it before the fields of the answer, so that a cookie that the answer sets once more is the later one.
    pub(super) fn join(self, headers: &mut HeaderMap) {
        for name in [SET_COOKIE, CACHE_CONTROL, VARY] {
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
        for is_shared in [false, true] {
            let mut carried = Carried::default();
            carried.take(&redirect(1), is_shared);
            carried.take(&redirect(2), is_shared);
            let mut headers = HeaderMap::from_iter([
                (SET_COOKIE, HeaderValue::from_static("a=3")),
                (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            ]);
            carried.join(&mut headers);
            let all = |name| headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>();
            assert_eq!(all(SET_COOKIE), ["a=1", "b=1", "a=2", "b=2", "a=3"]);
            let (privacy, vary) = if is_shared { (3, 2) } else { (1, 0) };
            assert_eq!((all(CACHE_CONTROL).len(), all(VARY).len(), all(LOCATION).len()), (privacy, vary, 0));
        }
    }
}
