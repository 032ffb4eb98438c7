//! Warns of a configuration that is valid but probably not what its author meant.

use super::{Config, TlsConfig, Token};
use crate::certificates::{InTime, Pair};
use crate::route::{PathPattern, Route};
use crate::utc::rfc3339;
use std::time::SystemTime;

impl Config {
    /// The warnings, each as one line.
    #[must_use]
    pub fn advice(&self) -> Vec<String> {
        let of_token = self.server.admin_access.token.as_ref().and_then(Token::advice);
        let of_tls = self.server.tls.as_ref().map(|tls| of_tls(tls, SystemTime::now())).unwrap_or_default();
        let of_auth = self.routes.routes().iter().filter_map(|route| route.auth()).flat_map(|auth| auth.advice.clone());
        let of_routes = self.routes.routes().iter().filter_map(|route| of_doubled_path(route));
        of_token.into_iter().chain(of_tls).chain(of_auth).chain(of_routes).collect()
    }

    /// What of the [advice](Self::advice) depends on the time, so that it may be new though nothing else is.
    #[must_use]
    pub fn advice_in_time(&self) -> Vec<String> {
        let Some(tls) = &self.server.tls else { return Vec::new() };
        let now = SystemTime::now();
        let pairs = tls.identity.options().pairs.iter().zip(&tls.files);
        pairs.filter_map(|(pair, file)| of_time(pair, &file.key, &file.path, now)).collect()
    }
}

/// Warns of a certificate that is not valid, or not for long.
fn of_time(pair: &Pair, key: &str, path: &str, now: SystemTime) -> Option<String> {
    Some(match pair.is_in_time(now) {
        InTime::Yes => return None,
        InTime::NotYet(from) => format!(
            "{key}: the certificate of {path} is valid only from {} on: until then clients refuse it",
            rfc3339(from)
        ),
        InTime::Soon(at) => format!("{key}: the certificate of {path} expires at {}: renew it", rfc3339(at)),
        InTime::Expired(at) => {
            format!("{key}: the certificate of {path} expired at {}: clients refuse it", rfc3339(at))
        }
    })
}

/// Warns of certificates that clients will refuse or never get, and of keys that others may read.
fn of_tls(tls: &TlsConfig, now: SystemTime) -> Vec<String> {
    let mut advice = Vec::new();
    for exposed in &tls.exposed {
        let (key, path) = (&exposed.key, &exposed.path);
        advice.push(format!("{key}: every user of this machine can read {path}: chmod o-r keeps it secret"));
    }
    let pairs = &tls.identity.options().pairs;
    for (pair, file) in pairs.iter().zip(&tls.files) {
        let (key, path) = (&file.key, &file.path);
        advice.extend(of_time(pair, key, path, now));
        if pair.names().is_for_nothing() {
            advice.push(format!("{key}: the certificate of {path} has no names (subjectAltName): clients refuse it"));
        }
    }
    for (name, later, earlier) in tls.identity.hidden() {
        let (Some(later), Some(earlier)) = (tls.files.get(later), tls.files.get(earlier)) else { continue };
        advice.push(format!(
            "{}: {} is not used for {name}, because {} comes first",
            later.key, later.path, earlier.path
        ));
    }
    advice
}

/// Warns if the origin's URL ends in the segments that the route's path begins with. The URL that the origin is asked
/// for then has these segments twice.
fn of_doubled_path(route: &Route) -> Option<String> {
    let (PathPattern::Exact(path) | PathPattern::Prefix(path)) = &route.path;
    let base = route.origin.base_path();
    let url = route.url(path);
    let origin = format!("{}{base}", route.origin.root_url());
    let behind = url.strip_prefix(&origin)?;
    let base_segments: Vec<_> = base.split('/').skip(1).collect();
    let segments: Vec<_> = behind.split('/').skip(1).filter(|segment| !segment.is_empty()).collect();
    let doubled = (1..=base_segments.len().min(segments.len())).rev().find(|count| {
        let end = base_segments.len().saturating_sub(*count);
        base_segments.get(end..) == segments.get(..*count)
    })?;
    let doubled = format!("/{}", segments.get(..doubled)?.join("/"));
    let shorter = origin.strip_suffix(doubled.as_str())?;
    let star = if matches!(route.path, PathPattern::Prefix(_)) { "*" } else { "" };
    let or_strip = match route.strip_prefix {
        None => format!(", or strip_prefix = \"{doubled}\""),
        Some(_) => String::new(),
    };
    Some(format!(
        "route {}: manifold asks the origin for {url}{star}, because it appends the path to the path of the origin. If \
         you want {shorter}{behind}{star}, write origin = \"{shorter}\"{or_strip}",
        route.name
    ))
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, SystemSources};
    use std::path::Path;

    #[test]
    fn a_path_that_is_asked_for_twice_is_told_with_its_url() {
        for (origin, path, more, expected) in [
            ("http://h", "/events", "", None),
            ("http://h/api", "/events", "", None),
            ("http://h/event", "/events", "", None),
            ("http://h/events", "/events", "strip_prefix = '/events'", None),
            ("http://h/events", "/*", "", None),
            (
                "http://h/events",
                "/events",
                "",
                Some(
                    "route /events: manifold asks the origin for http://h/events/events, because it appends the path \
                     to the path of the origin. If you want http://h/events, write origin = \"http://h\", or \
                     strip_prefix = \"/events\"",
                ),
            ),
            (
                "https://h:8443/api/events/",
                "/events/*",
                "name = 'e'",
                Some(
                    "route e: manifold asks the origin for https://h:8443/api/events/events/*, because it appends the \
                     path to the path of the origin. If you want https://h:8443/api/events/*, write origin = \
                     \"https://h:8443/api\", or \
                     strip_prefix = \"/events\"",
                ),
            ),
            (
                "http://h/v1/events",
                "/a/v1/events",
                "strip_prefix = '/a'",
                Some(
                    "route /a/v1/events: manifold asks the origin for http://h/v1/events/v1/events, because it appends \
                     the path to the path of the origin. If you want http://h/v1/events, write origin = \"http://h\"",
                ),
            ),
        ] {
            let text = format!("[[routes]]\npath = '{path}'\norigin = '{origin}'\n{more}");
            let config = Config::parse(&text, &SystemSources::beside(Path::new("m.toml"))).unwrap();
            assert_eq!(config.advice(), expected.into_iter().collect::<Vec<_>>(), "{text}");
            assert_eq!(config.summary().contains("\nwarning: "), expected.is_some(), "{text}");
        }
    }
}
