//! Maps references in a response that lead to the origin to references that clients can use.

use crate::gateway::client::ClientFacts;
use crate::gateway::served::name_places;
use crate::route::Route;
use crate::upstream::{hide_origin, is_one_place, text_of, to_path_of};
use http::HeaderMap;
use http::header::{CONTENT_LOCATION, LOCATION};
use pingora::Result;
use pingora::http::ResponseHeader;
use url::Url;

/// The `Host` that the origin is sent, and the names that the origin may use for itself because of that `Host`.
pub(in crate::gateway) fn host(route: &Route, client: Option<&ClientFacts>) -> (String, Names) {
    let client = client.filter(|_| route.preserve_host);
    let told = client.and_then(|client| Some((client, client.host.as_deref()?)));
    let Some((client, host)) = told.filter(|(_, host)| !host.is_empty()) else {
        return (route.origin.authority(), Names::default());
    };
    let own_scheme = if route.origin.is_tls() { "https" } else { "http" };
    (host.to_owned(), Names::of(host, &[own_scheme, client.scheme.as_str()]))
}

/// Replaces references to the origin by the paths at which clients find the same resource. `target`: the target of
/// the request.
///
/// # Errors
/// Never, because all names and values come from valid fields.
pub(super) fn map_back(route: &Route, target: &str, names: &Names, response: &mut ResponseHeader) -> Result<()> {
    // Only these two fields are taken out, because pingora would lose the case of the other fields' names.
    let mut places = HeaderMap::new();
    for name in [LOCATION, CONTENT_LOCATION] {
        if let Some(value) = response.headers.get(&name) {
            places.insert(name, value.clone());
        }
    }
    if places.is_empty() {
        return Ok(());
    }
    hide_origin(&route.origin, target, &mut places);
    names.map_back(&mut places);
    name_places(route, &mut places);
    for (name, value) in &places {
        response.insert_header(name, value)?;
    }
    Ok(())
}

/// The URLs that an origin may take for its own, because it was sent the client's host.
#[derive(Debug, Default)]
pub(in crate::gateway) struct Names(Vec<Url>);

impl Names {
    /// The names for a host, with each scheme that the origin may take for its own.
    fn of(host: &str, schemes: &[&str]) -> Self {
        Self(schemes.iter().filter_map(|scheme| Url::parse(&format!("{scheme}://{host}")).ok()).collect())
    }

    /// Replaces a reference that begins with one of these URLs by its path and query.
    pub(in crate::gateway) fn map_back(&self, headers: &mut HeaderMap) {
        for name in [LOCATION, CONTENT_LOCATION] {
            let target = headers.get(&name).and_then(|value| Url::parse(&text_of(value)).ok());
            let Some(target) = target.filter(|target| self.0.iter().any(|own| is_one_place(own, target))) else {
                continue;
            };
            if let Some(path) = to_path_of(&target) {
                headers.insert(name, path);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn what_has_the_clients_host_is_named_by_its_path() {
        let names = Names::of("site.example", &["http"]);
        for (location, shown) in [
            ("http://site.example/a?b=c#d", "/a?b=c#d"),
            ("http://SITE.example:80/a", "/a"),
            ("http://site.example", "/"),
            ("http://site.example.//evil.example/", "/.//evil.example/"),
            ("http://site.example:8080/a", "http://site.example:8080/a"),
            ("https://site.example/a", "https://site.example/a"),
            ("http://other.example/a", "http://other.example/a"),
            ("/a", "/a"),
            ("a", "a"),
        ] {
            let mut headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_static(location))]);
            names.map_back(&mut headers);
            assert_eq!(headers[LOCATION], shown);
        }
        let both = Names::of("[::1]:8080", &["http", "https"]);
        let mut headers = HeaderMap::from_iter([(CONTENT_LOCATION, HeaderValue::from_static("https://[::1]:8080/a"))]);
        both.map_back(&mut headers);
        assert_eq!(headers[CONTENT_LOCATION], "/a");
        assert!(Names::of("not a host", &["http"]).0.is_empty());
    }
}
