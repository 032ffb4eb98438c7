//! Routes of one path that differ in methods and `accept`.

use super::*;

/// A route with these methods, separated by spaces, and this `accept`. An empty text means any.
fn of(name: &str, path: &str, methods: &str, accept: &str) -> Route {
    let methods: Vec<_> = methods.split_whitespace().map(|method| Methods::method(method).unwrap()).collect();
    Route {
        methods: if methods.is_empty() { Methods::Any } else { Methods::Only(methods) },
        accept: (!accept.is_empty()).then(|| MediaType::parse(accept).unwrap()),
        ..Route::clone(&route(name, &[], path))
    }
}

fn stream(route: Route, has_cors: bool) -> Route {
    let cors = has_cors.then(CorsOptions::default);
    Route { kind: RouteKind::Stream(StreamPolicy { cors, ..StreamPolicy::default() }), ..route }
}

fn table(routes: Vec<Route>) -> RouteTable {
    RouteTable::new(routes.into_iter().map(Arc::new).collect())
}

/// The name of the route that a request finds. Each header is written `name: value`.
fn ask(table: &RouteTable, method: &str, path: &str, lines: &[&str]) -> Result<String, Misfit> {
    let mut headers = HeaderMap::new();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let found = table.find(&Wanted { host: None, path, method: &method, headers: &headers });
    found.map(|route| route.name.to_string())
}

const EVENTS: &str = "accept: application/json, text/event-stream";
const ORIGIN: &str = "origin: https://a.com";
const FOR_GET: &str = "access-control-request-method: GET";
const FOR_POST: &str = "access-control-request-method: POST";

fn methods(names: &[&str]) -> Misfit {
    Misfit::Method(names.iter().map(|name| Methods::method(name).unwrap()).collect())
}

#[test]
fn the_more_specific_route_of_a_path_is_asked_first() {
    let table = table(vec![
        of("any", "/mcp", "", ""),
        of("get", "/mcp", "GET", ""),
        of("events", "/mcp", "", "text/event-stream"),
        of("get events", "/mcp", "GET", "text/event-stream"),
        of("below", "/mcp/*", "", ""),
        of("all", "/*", "", "text/event-stream"),
    ]);
    for (method, path, accept, name) in [
        ("GET", "/mcp", EVENTS, "get events"),
        ("HEAD", "/mcp", EVENTS, "get events"),
        ("POST", "/mcp", EVENTS, "events"),
        ("GET", "/mcp", "accept: */*", "get"),
        ("POST", "/mcp", "accept: */*", "any"),
        ("OPTIONS", "/mcp", "x: y", "any"),
        // The longer path wins over the more specific route.
        ("GET", "/mcp/a", EVENTS, "below"),
        ("GET", "/other", EVENTS, "all"),
    ] {
        assert_eq!(ask(&table, method, path, &[accept]), Ok(name.to_owned()), "{method} {path} {accept}");
    }
}

#[test]
fn other_requests_of_a_path_go_to_the_next_route_that_fits() {
    let table = table(vec![
        stream(of("stream", "/mcp", "GET", "text/event-stream"), false),
        of("post", "/mcp", "POST DELETE", ""),
        of("rest", "/*", "GET POST PUT", ""),
    ]);
    for (method, lines, expected) in [
        ("GET", &[EVENTS][..], Ok("stream")),
        ("GET", &["accept: text/html"], Ok("rest")),
        ("GET", &["accept: text/event-stream;q=0, */*"], Ok("rest")),
        ("POST", &[EVENTS], Ok("post")),
        ("DELETE", &[], Ok("post")),
        ("PUT", &[], Ok("rest")),
        ("PATCH", &[], Err(methods(&["GET", "HEAD", "POST", "DELETE", "PUT"]))),
    ] {
        let found = ask(&table, method, "/mcp", lines);
        assert_eq!(found, expected.map(str::to_owned), "{method} {lines:?}");
    }
}

#[test]
fn a_path_that_is_served_otherwise_says_how() {
    let events = || vec![MediaType::parse("text/event-stream").unwrap()];
    let table = table(vec![
        stream(of("stream", "/a", "GET", "text/event-stream"), true),
        of("post", "/a", "POST", ""),
        of("get", "/b", "GET", ""),
        of("head", "/c", "HEAD", ""),
    ]);
    for (method, path, expected) in [
        ("PUT", "/a", methods(&["GET", "HEAD", "OPTIONS", "POST"])),
        ("GET", "/a", Misfit::Accept(events())),
        ("POST", "/b", methods(&["GET", "HEAD"])),
        ("GET", "/c", methods(&["HEAD"])),
        ("GET", "/d", Misfit::Path),
    ] {
        assert_eq!(ask(&table, method, path, &[]), Err(expected), "{method} {path}");
    }
}

#[test]
fn a_preflight_goes_where_the_request_will_go() {
    let table = table(vec![
        stream(of("stream", "/a", "GET", "text/event-stream"), true),
        of("post", "/a", "POST", ""),
        stream(of("silent", "/b", "GET", "text/event-stream"), false),
        of("rest", "/b", "", ""),
    ]);
    for (path, lines, expected) in [
        ("/a", &[ORIGIN, FOR_GET][..], Ok("stream")),
        ("/a", &[ORIGIN, FOR_POST], Ok("post")),
        ("/a", &[ORIGIN, "access-control-request-method: PUT"], Err(methods(&["GET", "HEAD", "OPTIONS", "POST"]))),
        // These are not preflights, but questions about the methods of the resource.
        ("/a", &[], Ok("stream")),
        ("/a", &[FOR_POST], Ok("stream")),
        ("/a", &[ORIGIN], Ok("stream")),
        // A stream route without CORS serves no page of another origin, but the other route may.
        ("/b", &[ORIGIN, FOR_GET], Ok("rest")),
        ("/b", &[], Ok("rest")),
    ] {
        assert_eq!(ask(&table, "OPTIONS", path, lines), expected.map(str::to_owned), "{path} {lines:?}");
    }
}

#[test]
fn what_a_table_is_mapped_to_is_found_for_the_same_requests() {
    struct Numbered(usize, Arc<Route>);
    impl Routed for Numbered {
        fn route(&self) -> &Route {
            &self.1
        }
    }
    let table = table(vec![of("all", "/*", "", ""), of("get", "/a", "GET", ""), of("post", "/a", "POST", "")]);
    let mut numbers = 0..;
    let numbered = table.map(|route| Numbered(numbers.next().unwrap(), Arc::clone(route)));
    let headers = HeaderMap::new();
    for (method, number) in [(Method::GET, 1), (Method::POST, 2), (Method::PUT, 0)] {
        let wanted = Wanted { host: None, path: "/a", method: &method, headers: &headers };
        let found = numbered.find(&wanted).map(|numbered| numbered.0);
        assert_eq!(found, Ok(number), "{method}");
    }
}
