//! No spelling of a path is a way around the route that the path is for.

use super::*;

fn ambiguous<T>() -> Result<T, Misfit> {
    Err(Misfit::Target(BadTarget::Ambiguous))
}

fn stream(name: &str, path: &str) -> Arc<Route> {
    Arc::new(Route { kind: RouteKind::Stream(StreamPolicy::default()), ..Route::clone(&route(name, &[], path)) })
}

/// A stream route for everything below /me, another stream route, and a proxy route for the rest.
fn site() -> RouteTable {
    RouteTable::new(vec![stream("me", "/me/*"), stream("events", "/events"), route("rest", &[], "/*")])
}

#[test]
fn letters_that_are_encoded_find_the_route_that_they_mean() {
    let table = site();
    for (path, name) in [
        ("/me/events", "me"),
        ("/m%65/events", "me"),
        ("/%6D%65/%65vents", "me"),
        ("/%65vents", "events"),
        ("/events%2D", "rest"),
        ("/events/", "rest"),
        ("/me", "rest"),
        ("/me/caf%c3%a9", "me"),
        // Every reading of these belongs to the same route.
        ("/me/a%2fb", "me"),
        ("/me/a%252fb", "me"),
        ("/me/a;b", "me"),
        ("/me/a%3fb%5cc%23d", "me"),
        ("/files/a%2Fb;c=d//e\\f/100%", "rest"),
        ("/files/%zz", "rest"),
        ("/a;me", "rest"),
        ("//", "rest"),
    ] {
        assert_eq!(asked(&table, None, path), Ok(name), "{path}");
    }
}

#[test]
fn what_could_be_another_routes_is_refused() {
    let table = site();
    for path in [
        "/me%2fevents",
        "/me%2Fevents",
        "/m%65%2fevents",
        "/me%5cevents",
        "/me\\events",
        "\\me/events",
        "/me;x/events",
        "/me%3bx/events",
        "/me%3Bx%2fevents",
        "/;x/me/events",
        "//me/events",
        "/%2fme/events",
        "/me%252fevents",
        "/m%2565/events",
        "/m%252565/events",
        "/me%c0%afevents",
        "/m%c1%a5/events",
        "/me%e0%80%afevents",
        "/me%u002fevents",
        "/m%u0065/events",
        "/events;x",
        "/events%3fx",
        "/events%23",
        "/events%2500",
        "/%65vents%253bx",
        "/a/%252e%252e/me/events",
        "/a/%c0%ae%c0%ae/me/events",
        "/a%255c..%255cme%255cevents",
        // These lead from the path of a stream to paths of the other route.
        "/me/%252e%252e/other",
        "/me/%252e%252e%252fother",
    ] {
        let path = path.replacen('\\', if path.starts_with('\\') { "/\\" } else { "\\" }, 1);
        let found = asked(&table, None, &path);
        assert_eq!(found, ambiguous(), "{path}");
    }
}

#[test]
fn oddities_pass_where_a_plain_proxy_is_alone_and_nowhere_else() {
    use BadTarget as Bad;
    let alone = RouteTable::new(vec![route("rest", &[], "/*")]);
    for path in ["//a", "/a//b", "/a\\b", "/a;b", "/100%", "/%zz", "/a%2fb", "/a%252fb", "/a%c0%afb"] {
        assert_eq!(asked(&alone, None, path), Ok("rest"), "{path}");
    }
    let streams = RouteTable::new(vec![stream("all", "/a/*")]);
    for (path, expected) in [
        ("/a//b", Err(Bad::DoubleSlash)),
        ("/a/b\\c", Err(Bad::Backslash)),
        ("/a/100%", Err(Bad::Encoding)),
        ("/a/b;c", Ok("all")),
        ("/a/b%2fc", Ok("all")),
        ("//b", Err(Bad::DoubleSlash)),
    ] {
        assert_eq!(asked(&streams, None, path), expected.map_err(Misfit::Target), "{path}");
    }
    // Not even behind a base path may a reading leave the route.
    assert_eq!(asked(&RouteTable::new(vec![route("a", &[], "/a/*")]), None, "/a/%252e%252e/b"), ambiguous());
}

#[test]
fn a_reading_counts_for_the_host_and_the_method_that_ask() {
    let only_get = Route { methods: Methods::Only(vec![Method::GET]), ..Route::clone(&stream("me", "/me/*")) };
    let of_host = route("of host", &["a.com"], "/me/*");
    let table = RouteTable::new(vec![Arc::new(only_get), of_host, route("rest", &[], "/*")]);
    let headers = HeaderMap::new();
    for (host, method, path, expected) in [
        (None, Method::GET, "/me%2fx", ambiguous()),
        // For other hosts and methods, /me/x has no route of its own.
        (None, Method::POST, "/me%2fx", Ok("rest")),
        (Some("a.com"), Method::POST, "/me%2fx", ambiguous()),
        (Some("a.com"), Method::POST, "/me/x%2fx", Ok("of host")),
        (Some("b.com"), Method::POST, "/me%2fx", Ok("rest")),
    ] {
        let found = table.find(&Wanted { host, path, method: &method, headers: &headers });
        assert_eq!(found.map(|route| &*route.name), expected, "{host:?} {method} {path}");
    }
}

/// Writes a character of a path in one of many ways that some server reads as that character.
fn spelled(character: char, way: u8) -> String {
    let byte = u32::from(character);
    let once = format!("%{byte:02x}");
    match (character, way) {
        ('/', 1) => "\\".to_owned(),
        ('/', 2) => "//".to_owned(),
        ('/', 3) => ";x=y/".to_owned(),
        ('/', 4) => "/a/%252e%252e/".to_owned(),
        (_, 5) => once.to_uppercase(),
        (_, 6) => once,
        (_, 7) => once.replace('%', "%25"),
        (_, 8) => format!("%25%32%35{byte:02X}"),
        (_, 9) => format!("%{:02x}%{:02x}", 0xC0 | byte >> 6, 0x80 | byte & 0x3F),
        (_, 10) => format!("%e0%{:02x}%{:02x}", 0x80 | byte >> 6, 0x80 | byte & 0x3F),
        (_, 11) => format!("%u{byte:04x}"),
        _ => character.to_string(),
    }
}

proptest! {
    /// A lax server undoes every spelling. The path that it finds belongs to the route that was found, unless the
    /// request was refused.
    #[test]
    fn no_spelling_of_a_path_reaches_another_routes_origin(
        path in "/(me|events|you|m)(/[a-c]{0,2}){0,2}",
        ways in prop::collection::vec(0_u8..14, 24),
        ending in prop::sample::select(vec!["", ";x", "%3fx", "%23x", "%253bx"]),
    ) {
        let table = site();
        let spelling: String = path.chars().zip(&ways).map(|(c, way)| spelled(c, *way)).collect();
        let spelling = format!("/{}{ending}", spelling.strip_prefix('/').unwrap_or(&spelling));
        // Streams are strict about `//`, which says nothing of whose path it is.
        let lenient = RouteTable::new(vec![
            route("me", &[], "/me/*"),
            route("events", &[], "/events"),
            route("rest", &[], "/*"),
        ]);
        let meant = asked(&lenient, None, &path);
        if let Ok(target) = check_target(&Method::GET, &spelling)
            && let Ok(found) = asked(&table, None, target.path)
        {
            prop_assert_eq!(Ok(found), meant, "{} for {}", spelling, path);
        }
    }
}
