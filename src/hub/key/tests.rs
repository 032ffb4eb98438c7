use super::*;
use crate::fields::is_forwardable;
use crate::hub::{CookiePolicy, Credentials};
use http::header::HOST;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};
use proptest::sample::select;

const ROUTE: RouteId = RouteId(3);

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    lines
        .iter()
        .map(|(name, value)| (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect()
}

fn names(names: &[&'static str]) -> Vec<HeaderName> {
    names.iter().map(|name| HeaderName::from_static(name)).collect()
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn request(options: &ShareOptions, target: &str, lines: &[(&str, &str)]) -> StreamRequest {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    StreamRequest::new(ROUTE, options, path, query, &headers(lines))
}

/// The request that the origin gets, as text.
fn forwarded(options: &ShareOptions, lines: &[(&str, &str)]) -> Vec<String> {
    let request = request(options, "/a", lines);
    request.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
}

fn only_cookies(names: &[&str]) -> ShareOptions {
    ShareOptions { cookies: CookiePolicy::Only(strings(names)), ..ShareOptions::default() }
}

fn sharing() -> ShareOptions {
    ShareOptions { credentials: Credentials::Share, ..ShareOptions::default() }
}

#[test]
fn the_query_reaches_the_origin_as_the_policy_says() {
    let only = QueryPolicy::Only(strings(&["room", "a b"]));
    for (policy, target, expected) in [
        (&QueryPolicy::All, "/t", "/t"),
        (&QueryPolicy::All, "/t?", "/t?"),
        (&QueryPolicy::All, "/t?b=%41&&a=1+2&b", "/t?b=%41&&a=1+2&b"),
        (&QueryPolicy::None, "/t", "/t"),
        (&QueryPolicy::None, "/t?a=1", "/t"),
        (&only, "/t", "/t"),
        (&only, "/t?other=1", "/t"),
        (&only, "/t?utm=9&room=%32&x=1&room=1", "/t?room=%32&room=1"),
        (&only, "/t?%72oom=1&a+b=2&a%20b=3&Room=4&room", "/t?%72oom=1&a+b=2&a%20b=3&room"),
        (&only, "/t?roomy=1&x=room&=room", "/t"),
    ] {
        let options = ShareOptions { query: policy.clone(), ..ShareOptions::default() };
        assert_eq!(&**request(&options, target, &[]).path_and_query(), expected, "{policy:?} {target}");
    }
}

#[test]
fn credentials_and_cookies_reach_the_origin_as_the_policy_says() {
    let cookies =
        [("cookie", "_ga=1; session=x=y;theme=dark"), ("cookie", "session = 2"), ("cookie", "bare; SESSION=3")];
    let auth = ("authorization", "Bearer t");
    let key = ("x-api-key", "k");
    for (options, lines, expected) in [
        (ShareOptions::default(), vec![auth, key], vec!["authorization: Bearer t", "x-api-key: k"]),
        (
            ShareOptions::default(),
            cookies.to_vec(),
            vec!["cookie: _ga=1; session=x=y; theme=dark; session = 2; bare; SESSION=3"],
        ),
        (only_cookies(&["theme", "session"]), cookies.to_vec(), vec!["cookie: session=x=y; theme=dark; session = 2"]),
        (only_cookies(&["absent", "bare"]), cookies.to_vec(), vec![]),
        (only_cookies(&[]), cookies.to_vec(), vec![]),
        (sharing(), vec![auth, key, cookies[0]], vec![]),
        (
            ShareOptions { headers: names(&["authorization", "cookie"]), ..sharing() },
            vec![auth, key, ("cookie", "a=1"), ("cookie", "b=2")],
            vec!["authorization: Bearer t", "cookie: a=1; b=2"],
        ),
        (
            ShareOptions { credential_headers: names(&["x-token"]), ..ShareOptions::default() },
            vec![auth, ("x-token", "1"), ("x-token", "2")],
            vec!["x-token: 1", "x-token: 2"],
        ),
        (
            ShareOptions { headers: names(&["cookie", "x-api-key"]), ..only_cookies(&["a"]) },
            vec![key, ("cookie", "a=1; b=2")],
            vec!["cookie: a=1; b=2", "x-api-key: k"],
        ),
    ] {
        assert_eq!(forwarded(&options, &lines), expected, "{options:?}");
    }
}

#[test]
fn nothing_else_of_a_client_reaches_the_origin() {
    let mut client: Vec<(String, String)> = (0..100).map(|n| (format!("x-odd-{n}"), format!("v{n}"))).collect();
    for name in [
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "connection",
        "content-length",
        "cf-ray",
        "dnt",
        "expect",
        "forwarded",
        "from",
        "host",
        "if-none-match",
        "if-modified-since",
        "keep-alive",
        "last-event-id",
        "origin",
        "pragma",
        "priority",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "referer",
        "sec-ch-ua",
        "sec-fetch-mode",
        "sec-fetch-site",
        "te",
        "trailer",
        "transfer-encoding",
        "traceparent",
        "tracestate",
        "true-client-ip",
        "upgrade",
        "upgrade-insecure-requests",
        "user-agent",
        "via",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-real-ip",
        "x-request-id",
    ] {
        client.push((name.to_owned(), "odd".to_owned()));
    }
    let lines: Vec<(&str, &str)> = client.iter().map(|(name, value)| (&**name, &**value)).collect();
    let bare = request(&ShareOptions::default(), "/a", &[]);
    let odd = request(&ShareOptions::default(), "/a", &lines);
    assert_eq!(odd.headers(), []);
    assert_eq!(odd.key(), bare.key());

    // A route cannot change that for headers that are never forwarded. Of those that it names here, only x-odd-7 can
    // be.
    let all = client.iter().map(|(name, _)| HeaderName::from_bytes(name.as_bytes()).unwrap());
    let never: Vec<HeaderName> = all.filter(|name| !is_forwardable(name)).collect();
    assert_eq!(never.len(), 16, "{never:?}");
    let options = ShareOptions {
        headers: never.iter().cloned().chain(names(&["x-odd-7"])).collect(),
        credential_headers: never,
        ..ShareOptions::default()
    };
    assert_eq!(forwarded(&options, &lines), ["x-odd-7: v7"]);
}

#[test]
fn requests_share_only_when_the_origin_sees_the_same() {
    let named = ShareOptions { headers: names(&["accept-language", "x-tenant"]), ..only_cookies(&["sid"]) };
    let base = ("/a?x=1", vec![("accept-language", "de"), ("cookie", "sid=1; _ga=7"), ("authorization", "Bearer t")]);
    let key_of = |(target, lines): &(&str, Vec<(&str, &str)>)| request(&named, target, lines).key().clone();
    for same in [
        ("/a?x=1", vec![("authorization", "Bearer t"), ("cookie", "_ga=8;sid=1"), ("accept-language", "de")]),
        (
            "/a?x=1",
            vec![("cookie", "_ga=8"), ("cookie", "sid=1"), ("accept-language", "de"), ("authorization", "Bearer t")],
        ),
        (
            "/a?x=1",
            [base.1.clone(), vec![("user-agent", "x"), ("last-event-id", "5"), ("origin", "https://b")]].concat(),
        ),
    ] {
        assert_eq!(key_of(&same), key_of(&base), "{same:?}");
    }
    for other in [
        ("/b?x=1", base.1.clone()),
        ("/a", base.1.clone()),
        ("/a?", base.1.clone()),
        ("/a?x=2", base.1.clone()),
        ("/a?x=%31", base.1.clone()),
        ("/a?x=1", vec![("accept-language", "de"), ("cookie", "sid=1; _ga=7")]),
        ("/a?x=1", vec![("accept-language", "de"), ("cookie", "sid=1; _ga=7"), ("authorization", "")]),
        ("/a?x=1", vec![("accept-language", "de"), ("cookie", "sid=1; _ga=7"), ("authorization", "Bearer T")]),
        ("/a?x=1", vec![("accept-language", "de"), ("cookie", "sid=2; _ga=7"), ("authorization", "Bearer t")]),
        ("/a?x=1", vec![("accept-language", "de"), ("cookie", "Sid=1; _ga=7"), ("authorization", "Bearer t")]),
        ("/a?x=1", vec![("accept-language", "en"), ("cookie", "sid=1; _ga=7"), ("authorization", "Bearer t")]),
        ("/a?x=1", [base.1.clone(), vec![("x-tenant", "de")]].concat()),
        ("/a?x=1", [base.1.clone(), vec![("accept-language", "en")]].concat()),
        ("/a?x=1", [base.1.clone(), vec![("x-api-key", "")]].concat()),
    ] {
        assert_ne!(key_of(&other), key_of(&base), "{other:?}");
    }
    let (path, query) = ("/a", Some("x=1"));
    let elsewhere = StreamRequest::new(RouteId(4), &named, path, query, &headers(&base.1));
    assert_ne!(*elsewhere.key(), key_of(&base), "another route");
}

#[test]
fn a_host_of_the_clients_choice_makes_another_stream() {
    let options = ShareOptions { headers: names(&["x-a"]), ..ShareOptions::default() };
    let asked = |host| request(&options, "/a", &[("x-a", "1")]).with_fields([(HOST, HeaderValue::from_static(host))]);
    assert_eq!(asked("a.example").key(), asked("a.example").key());
    assert_ne!(asked("a.example").key(), asked("b.example").key());
    assert_ne!(asked("a.example").key(), request(&options, "/a", &[("x-a", "1")]).key());
    assert_eq!(asked("a.example").headers().last(), Some(&(HOST, HeaderValue::from_static("a.example"))));
}

#[test]
fn moving_bytes_between_names_and_values_makes_another_key() {
    let options = ShareOptions { headers: names(&["x-a", "x-ab", "x-b"]), ..ShareOptions::default() };
    let lists = [
        vec![("x-a", "bc")],
        vec![("x-ab", "c")],
        vec![("x-a", "b"), ("x-a", "c")],
        vec![("x-a", "c"), ("x-a", "b")],
        vec![("x-a", ""), ("x-b", "")],
        vec![("x-a", ""), ("x-a", "")],
        vec![("x-a", "")],
        vec![],
    ];
    for (at, one) in lists.iter().enumerate() {
        for other in lists.iter().skip(at + 1) {
            assert_ne!(request(&options, "/a", one).key(), request(&options, "/a", other).key(), "{one:?} {other:?}");
        }
    }
}

#[test]
fn a_request_says_whether_it_bears_credentials() {
    let named = ShareOptions { headers: names(&["authorization", "accept-language"]), ..sharing() };
    for (options, line, expected) in [
        (ShareOptions::default(), ("accept-language", "de"), false),
        (ShareOptions::default(), ("authorization", "Bearer t"), true),
        (ShareOptions::default(), ("api-key", "k"), true),
        (ShareOptions::default(), ("cookie", "a=1"), true),
        (ShareOptions::default(), ("cookie", " ; "), false),
        (only_cookies(&["sid"]), ("cookie", "a=1"), false),
        (sharing(), ("authorization", "Bearer t"), false),
        (named.clone(), ("authorization", "Bearer t"), true),
        (named, ("accept-language", "de"), false),
    ] {
        let request = request(&options, "/a", &[line]);
        assert_eq!(request.has_credentials(), expected, "{line:?} {options:?}");
        assert!(request.headers().iter().all(|(_, value)| value.is_sensitive() == expected), "{line:?}");
    }
}

#[test]
fn an_empty_credential_is_none() {
    let session = only_cookies(&["session"]);
    let all = ShareOptions::default();
    for (options, lines, is_some) in [
        (&all, &[("authorization", "Bearer t")][..], true),
        (&all, &[("authorization", "t")], true),
        (&all, &[("authorization", "")], false),
        (&all, &[("authorization", "  ")], false),
        (&all, &[("authorization", "Bearer")], false),
        (&all, &[("authorization", "basic ")], false),
        (&all, &[("authorization", ""), ("authorization", "t")], true),
        (&all, &[("x-api-key", "")], false),
        (&all, &[("x-api-key", "basic")], true),
        (&all, &[("cookie", "session=1")], true),
        (&all, &[("cookie", "session=")], false),
        (&all, &[("cookie", "session=; theme=\"\"")], false),
        (&all, &[("cookie", "session=; theme=dark")], true),
        (&all, &[("cookie", "session="), ("authorization", "t")], true),
        (&all, &[("cookie", "bare")], true),
        (&all, &[("cookie", "a==")], true),
        (&session, &[("cookie", "session=")], false),
        (&session, &[("cookie", "session = ; theme=dark")], false),
        (&session, &[("cookie", "session=x")], true),
    ] {
        assert_eq!(request(options, "/a", lines).has_credentials(), is_some, "{lines:?}");
    }
    // What reaches the origin does not change, and neither does the key.
    assert_eq!(forwarded(&all, &[("authorization", "")]), ["authorization: "]);
    assert_eq!(forwarded(&session, &[("cookie", "session=")]), ["cookie: session="]);
    assert_ne!(request(&all, "/a", &[("cookie", "session=")]).key(), request(&all, "/a", &[]).key());
}

#[test]
fn what_is_shown_holds_no_credential_and_no_query() {
    let options = ShareOptions { headers: names(&["x-tenant"]), ..ShareOptions::default() };
    let lines = [("authorization", "Bearer hush"), ("cookie", "sid=hush"), ("x-tenant", "hush")];
    let request = request(&options, "/ticks/a?token=hush", &lines);
    let variant = request.key().to_string().strip_prefix("/ticks/a#").unwrap().to_owned();
    assert_eq!(variant.len(), 8);
    assert_eq!(request.to_string(), request.key().to_string());
    assert_eq!(format!("{:?}", request.key()), format!("StreamKey(3 /ticks/a#{variant})"));
    for shown in
        [format!("{request}"), format!("{request:?}"), format!("{request:#?}"), format!("{:#?}", request.key())]
    {
        assert!(!shown.contains("hush"), "{shown}");
        assert!(shown.contains(&variant), "{shown}");
    }
    assert_eq!((request.key().path(), request.key().route()), ("/ticks/a", ROUTE));
}

/// A random client request from few possible values, so that equal requests are frequent.
fn client() -> impl Strategy<Value = (&'static str, Vec<(&'static str, &'static str)>)> {
    let target = select(vec!["/a", "/a?", "/a?x=1", "/a?x=1&y=2", "/b?y=2", "/b"]);
    let name = select(vec!["authorization", "cookie", "x-tenant", "x-other", "origin"]);
    (target, vec((name, select(vec!["", "a=1", "b=2", "a=1; b=2", "b=2; a=1"])), 0..3))
}

proptest! {
    #[test]
    fn keys_are_equal_exactly_when_the_origin_sees_the_same(
        one in client(), other in client(), narrow in any::<bool>(), isolate in any::<bool>(),
    ) {
        let options = ShareOptions {
            credentials: if isolate { Credentials::Isolate } else { Credentials::Share },
            query: if narrow { QueryPolicy::Only(strings(&["y"])) } else { QueryPolicy::All },
            cookies: if narrow { CookiePolicy::Only(strings(&["a"])) } else { CookiePolicy::All },
            headers: names(&["x-tenant"]),
            ..ShareOptions::default()
        };
        let (one, other) = (request(&options, one.0, &one.1), request(&options, other.0, &other.1));
        let same = one.path_and_query() == other.path_and_query() && one.headers() == other.headers();
        prop_assert_eq!(one.key() == other.key(), same);
    }
}
