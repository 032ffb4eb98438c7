//! Tests of the table against a naive oracle, and of the path at the origin.

mod paths;
mod requests;

use super::*;
use crate::upstream::Origin;
use http::{HeaderMap, HeaderValue, Method};
use proptest::prelude::*;

pub(super) fn route(name: &str, hosts: &[&str], path: &str) -> Arc<Route> {
    let hosts = match hosts {
        [] => Hosts::Any,
        names => Hosts::Only(names.iter().map(|name| (*name).to_owned()).collect()),
    };
    Arc::new(Route {
        name: Arc::from(name),
        path: PathPattern::parse(path).unwrap(),
        hosts,
        methods: Methods::Any,
        accept: None,
        origin: Origin::parse("http://127.0.0.1:9000").unwrap(),
        preserve_host: false,
        strip_prefix: None,
        kind: RouteKind::Proxy(ProxyPolicy::default()),
    })
}

fn get<'a>(host: Option<&'a str>, path: &'a str, headers: &'a HeaderMap) -> Wanted<'a> {
    Wanted { host, path, method: &Method::GET, headers }
}

fn asked<'a>(table: &'a RouteTable, host: Option<&str>, path: &str) -> Result<&'a str, Misfit> {
    table.find(&get(host, path, &HeaderMap::new())).map(|route| &*route.name)
}

fn found<'a>(table: &'a RouteTable, host: Option<&str>, path: &str) -> Option<&'a str> {
    asked(table, host, path).ok()
}

#[test]
fn an_exact_path_beats_prefixes_and_the_longest_prefix_wins() {
    let table = RouteTable::new(vec![
        route("all", &[], "/*"),
        route("ticks", &[], "/ticks/*"),
        route("deep", &[], "/ticks/eu/*"),
        route("exact", &[], "/ticks/eu/now"),
    ]);
    for (path, name) in [
        ("/ticks", "all"),
        ("/ticks/", "ticks"),
        ("/ticks/us", "ticks"),
        ("/ticks/eu/", "deep"),
        ("/ticks/eu/now", "exact"),
        ("/ticks/eu/now/", "deep"),
        ("/ticks/e%75/now", "exact"),
    ] {
        assert_eq!(found(&table, None, path), Some(name), "{path}");
    }
    assert_eq!(found(&RouteTable::new(vec![route("ticks", &[], "/ticks/*")]), None, "/ticks"), None);
}

#[test]
fn routes_of_the_named_host_are_asked_first_then_those_of_any() {
    let table = RouteTable::new(vec![
        route("any exact", &[], "/a/b"),
        route("any", &[], "/*"),
        route("named", &["example.com", "[::1]"], "/a/*"),
    ]);
    for (host, path, name) in [
        (None, "/a/b", "any exact"),
        (Some("other.com"), "/a/b", "any exact"),
        (Some("example.com"), "/a/b", "named"),
        (Some("EXAMPLE.com.:8080"), "/a/b", "named"),
        (Some("[0::1]:80"), "/a/", "named"),
        (Some("example.com"), "/b", "any"),
    ] {
        assert_eq!(found(&table, host, path), Some(name), "{host:?} {path}");
    }
}

#[test]
fn the_path_for_the_origin_begins_with_a_slash() {
    for (origin, strip, path, upstream) in [
        ("http://o", None, "/a/b", "/a/b"),
        ("http://o/base", None, "/a", "/base/a"),
        ("http://o", Some("/ticks"), "/ticks/a", "/a"),
        ("http://o", Some("/ticks"), "/ticks/", "/"),
        ("http://o", Some("/ticks"), "/ticks", "/"),
        ("http://o/base", Some("/ticks"), "/ticks", "/base"),
        ("http://o/base/", Some("/ticks"), "/ticks/a%2Fb", "/base/a%2Fb"),
        ("http://o", Some("/ticks"), "/ticksy", "/ticksy"),
        ("http://o", Some("/"), "/a", "/a"),
        // The path goes to the origin as the client wrote it.
        ("http://o", Some("/ticks"), "/t%69cks/%61%2Fb", "/%61%2Fb"),
        ("http://o/base", Some("/t%69cks"), "/ticks//a;b\\c%", "/base//a;b\\c%"),
    ] {
        let mut route = Route::clone(&route("r", &[], "/*"));
        route.origin = Origin::parse(origin).unwrap();
        route.strip_prefix = strip.map(str::to_owned);
        assert_eq!(route.upstream_path(path), upstream, "{origin} {strip:?} {path}");
    }
}

/// The rule of the documentation, without an index.
fn oracle<'a>(routes: &'a [Arc<Route>], host: &str, path: &str) -> Option<&'a Arc<Route>> {
    let host = canonical_host(host);
    let rank = |route: &Route| {
        let names_host = matches!(&route.hosts, Hosts::Only(names) if names.contains(&host));
        let serves_host = names_host || route.hosts == Hosts::Any;
        let is_exact = matches!(route.path, PathPattern::Exact(_));
        (serves_host && route.path.matches(path)).then(|| (names_host, is_exact, route.path.to_string().len()))
    };
    // Reversed, because `max_by_key` returns the last of equal elements, and the first is wanted.
    let ranked = routes.iter().rev().filter_map(|route| rank(route).map(|rank| (rank, route)));
    ranked.max_by_key(|(rank, _)| *rank).map(|(_, route)| route)
}

#[test]
fn a_reference_of_the_origin_is_named_as_clients_find_it() {
    for (base, strip, reference, expected) in [
        ("", None, "/a/../b?c#d", "/a/../b?c#d"),
        ("", Some("/ticks"), "/a", "/ticks/a"),
        ("", Some("/ticks/"), "/", "/ticks/"),
        ("/base", None, "/base/a?b", "/a?b"),
        ("/base", None, "/base?b", "/?b"),
        ("/base", None, "/base//evil.example/a", "/.//evil.example/a"),
        ("/base", None, "/base/\\evil.example", "/./\\evil.example"),
        ("/base", Some("/ticks"), "/base//a", "/ticks//a"),
        ("/base", Some("/ticks"), "/base", "/ticks"),
        ("/base", Some("/ticks"), "/base/a", "/ticks/a"),
        // These are not below the base path, so no path of this route leads there.
        ("/base", Some("/ticks"), "/basement", "/basement"),
        ("/base", Some("/ticks"), "/other", "/other"),
        ("", Some("/ticks"), "//login.example/a", "//login.example/a"),
        ("", Some("/ticks"), "https://login.example/a", "https://login.example/a"),
        ("", Some("/ticks"), "a", "a"),
        ("", Some("/ticks"), "", ""),
    ] {
        let mut route = Route::clone(&route("a", &[], "/*"));
        route.origin = Origin::parse(&format!("http://o{base}")).unwrap();
        route.strip_prefix = strip.map(str::to_owned);
        let shown = route.client_reference(reference);
        assert_eq!(shown.as_deref().unwrap_or(reference), expected, "{base} {strip:?} {reference}");
    }
}

proptest! {
    #[test]
    fn the_table_agrees_with_the_oracle(
        patterns in prop::collection::vec((prop::collection::vec("[ab]\\.c", 0..3), "(/[xy]){0,3}(/\\*|/)"), 0..12),
        requests in prop::collection::vec(("[abAB]\\.[cC](:80)?", "(/[xy]){0,3}/?"), 1..20),
    ) {
        let routes: Vec<_> = patterns
            .iter()
            .enumerate()
            .map(|(at, (hosts, path))| {
                let hosts: Vec<_> = hosts.iter().map(String::as_str).collect();
                route(&at.to_string(), &hosts, path)
            })
            .collect();
        let table = RouteTable::new(routes.clone());
        for (host, path) in &requests {
            let expected = oracle(&routes, host, path).map(|route| &route.name);
            prop_assert_eq!(found(&table, Some(host), path), expected.map(|name| &**name), "{} {}", host, path);
        }
    }

    #[test]
    fn no_text_makes_the_target_check_panic(text in any::<String>()) {
        if let Ok(target) = check_target(&Method::GET, &text) {
            prop_assert!(target.path.starts_with('/') && !target.path.contains("/../"));
        }
    }
}
