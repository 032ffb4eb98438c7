//! Finds the route that is nearest to a request which no route serves. The log names it, because the author of the
//! request or of the configuration may have meant it.

use super::reading::plain;
use super::table::{RouteTable, Routed};
use super::{Hosts, PathPattern, Route, canonical_host};
use std::cmp::Ordering;

/// The most characters of a path that are compared.
const COMPARED: usize = 60;

impl<T: Routed> RouteTable<T> {
    /// The route that is nearest to a request which no route serves. A route that serves the path for another host is
    /// the nearest. Without one, the route with the most similar path is the nearest. `None`: there are no routes.
    #[must_use]
    pub fn nearest(&self, host: Option<&str>, path: &str) -> Option<&T> {
        let path = plain(path);
        let host = host.map(canonical_host);
        let rank = |routed: &T| rank(routed.route(), host.as_deref(), &path);
        // Reversed, because `max_by` returns the last of equal elements, and the first is wanted.
        self.routes().iter().rev().max_by(|one, other| rank(one).partial_cmp(&rank(other)).unwrap_or(Ordering::Equal))
    }
}

/// Ranks a route: whether it serves the path, how similar its path is (0 to 1), and whether it serves the host.
fn rank(route: &Route, host: Option<&str>, path: &str) -> (bool, f64, bool) {
    let serves_host = match &route.hosts {
        Hosts::Any => true,
        Hosts::Only(hosts) => host.is_some_and(|host| hosts.iter().any(|held| held == host)),
    };
    (route.path.matches(path), likeness(&route.path, path), serves_host)
}

/// The similarity of a pattern to as many leading segments of the path as the pattern has.
fn likeness(pattern: &PathPattern, path: &str) -> f64 {
    let (PathPattern::Exact(pattern) | PathPattern::Prefix(pattern)) = pattern;
    let pattern = pattern.trim_end_matches('/');
    let segments: Vec<_> = path.trim_end_matches('/').split('/').take(pattern.split('/').count()).collect();
    let comparable = |text: &str| text.chars().take(COMPARED).collect::<String>().to_ascii_lowercase();
    strsim::jaro_winkler(&comparable(pattern), &comparable(&segments.join("/")))
}

#[cfg(test)]
mod tests {
    use super::super::tests::route;
    use super::*;

    #[test]
    fn a_similar_path_is_named_and_the_same_one_of_another_host_before_it() {
        let table = RouteTable::new(vec![
            route("ticks", &[], "/ticks/*"),
            route("events", &[], "/events"),
            route("jobs", &[], "/api/v1/jobs/*"),
            route("named", &["a.com"], "/tock"),
            route("other", &["b.com"], "/tick"),
        ]);
        for (host, path, name) in [
            (None, "/ticks", "ticks"),
            (None, "/tikcs/a/b", "ticks"),
            (None, "/TICKS/a", "ticks"),
            (None, "/event", "events"),
            (None, "/events/a", "events"),
            (None, "/api/v1/job/7", "jobs"),
            (None, "/api/v2/jobs/7/events", "jobs"),
            (None, "/tock", "named"),
            (Some("c.com"), "/tock", "named"),
            (Some("b.com"), "/tick/x", "other"),
            (None, "/%65vent", "events"),
        ] {
            let nearest = table.nearest(host, path).map(|route| &*route.name);
            assert_eq!(nearest, Some(name), "{host:?} {path}");
        }
        assert!(table.nearest(None, "/").is_some());
        assert!(table.nearest(None, &format!("/{}", "x".repeat(100_000))).is_some());
        assert!(RouteTable::new(Vec::<std::sync::Arc<Route>>::new()).nearest(None, "/a").is_none());
    }
}
