//! What good configurations mean: defaults, layers, units, and values from variables and files.

use super::*;
use crate::config::{ListenAddr, ServerConfig, SnapshotFile};
use crate::downstream::{AllowedOrigins, CorsOptions, RetryPolicy};
use crate::hub::{CookiePolicy, QueryPolicy};
use crate::replay::Start;
use crate::route::{Hosts, PathPattern, ProxyPolicy};
use crate::upstream::{Backoff, Trust, UpstreamOptions};
use http::HeaderName;
use std::num::NonZeroUsize;
use std::time::Duration;

#[test]
fn a_route_needs_a_path_and_an_origin_and_the_rest_is_built_in() {
    let config = good("[[routes]]\npath = '/ticks/*'\norigin = 'http://o/base'");
    assert_eq!(config.server, ServerConfig::default());
    assert_eq!(config.server.listen, [ListenAddr::Tcp("127.0.0.1:8080".parse().unwrap())]);
    let [route] = config.routes.routes() else { panic!("one route") };
    assert_eq!((&*route.name, &route.path), ("/ticks/*", &PathPattern::Prefix("/ticks/".to_owned())));
    assert_eq!((&route.hosts, &route.strip_prefix), (&Hosts::Any, &None));
    assert_eq!(route.origin.to_string(), "http://o/base");
    assert_eq!(*policy(route), StreamPolicy::default());
}

#[test]
fn a_route_goes_over_the_defaults_key_by_key_and_lists_are_replaced() {
    let config = good(
        "[defaults.client]\nheartbeat_secs = 5\nstall_secs = 7\n\
         [defaults.share]\nheaders = ['x-a', 'x-b']\ncookies = ['sid']\n\
         [[routes]]\npath = '/a'\norigin = 'http://o'\n\
         [[routes]]\npath = '/b'\norigin = 'http://o'\n\
         client.heartbeat_secs = 'off'\nshare.headers = ['x-c']\nshare.cookies = 'all'",
    );
    let [first, second] = config.routes.routes() else { panic!("two routes") };
    let (first, second) = (policy(first), policy(second));
    let secs = Duration::from_secs;
    assert_eq!((first.client.heartbeat, first.client.stall), (Some(secs(5)), secs(7)));
    assert_eq!((second.client.heartbeat, second.client.stall), (None, secs(7)));
    let names = |names: &[&'static str]| names.iter().map(|name| HeaderName::from_static(name)).collect::<Vec<_>>();
    assert_eq!(first.share.headers, names(&["x-a", "x-b"]));
    assert_eq!(second.share.headers, names(&["x-c"]));
    assert_eq!(first.share.cookies, CookiePolicy::Only(vec!["sid".to_owned()]));
    assert_eq!(second.share.cookies, CookiePolicy::All);
}

#[test]
fn bounds_of_two_layers_make_one_backoff() {
    let config = good(
        "[defaults.upstream]\nbackoff_min_ms = 60000\n\
         [[routes]]\npath = '/a'\norigin = 'http://o'\nupstream.backoff_max_ms = 90000",
    );
    let expected = Backoff::try_new(Duration::from_secs(60), Duration::from_secs(90)).unwrap();
    assert_eq!(policy(&config.routes.routes()[0]).upstream.backoff, expected);
}

#[test]
fn cors_is_absent_inherited_or_off() {
    assert_eq!(policy(&route("")).cors, None);
    assert_eq!(policy(&route("[routes.cors]")).cors, Some(CorsOptions::default()));
    let config = good(
        "[defaults.cors]\ncredentials = true\norigins = ['https://a.com', 'http://[::1]:8080', 'app://x']\n\
         [[routes]]\npath = '/a'\norigin = 'http://o'\n\
         [[routes]]\npath = '/b'\norigin = 'http://o'\ncors.max_age_secs = 5\n\
         [[routes]]\npath = '/c'\norigin = 'http://o'\ncors = 'off'",
    );
    let cors: Vec<_> = config.routes.routes().iter().map(|route| policy(route).cors.clone()).collect();
    let origins = ["https://a.com", "http://[::1]:8080", "app://x"].map(str::to_owned).to_vec();
    let named = CorsOptions { origins: AllowedOrigins::Only(origins), credentials: true, ..CorsOptions::default() };
    assert_eq!(cors, [Some(named.clone()), Some(CorsOptions { max_age: Duration::from_secs(5), ..named }), None]);
}

#[test]
fn every_key_of_the_server_is_read() {
    let text = "[server]\nlisten = ['0.0.0.0:0', '0.0.0.0:0', '[::]:80', 'unix:/run/m.sock']\nadmin = '127.0.0.1:9090'\n\
         threads = 3\nshards = 1\nmax_connections = 50000\nreplay_bytes = '64MiB'\ndrain_secs = 0.25\n\
         trusted_proxies = ['127.0.0.1', '10.0.0.0/8', 'fd00::/8']\nproxy_protocol = 'on'\nhead_bytes = '16KiB'\nhead_secs = 2.5\n\
         keepalive_secs = 5\nunix_mode = '606'\nio_uring = 'off'\nsnapshot_file = 'a/b'\nsnapshot_max_age_secs = 1.5\n";
    let server = good(&format!("{text}[[routes]]\npath = '/'\norigin = 'http://o'")).server;
    let shown: Vec<_> = server.listen.iter().map(ListenAddr::to_string).collect();
    assert_eq!(shown, ["0.0.0.0:0", "0.0.0.0:0", "[::]:80", "unix:/run/m.sock"]);
    assert_eq!(server.unix_mode, 0o606);
    assert_eq!(server.admin, Some(ListenAddr::Tcp("127.0.0.1:9090".parse().unwrap())));
    assert_eq!((server.threads.get(), server.shards.unwrap().get(), server.max_connections), (3, 1, Some(50_000)));
    assert!(!server.io_uring);
    assert_eq!(server.replay_bytes, Some(64 << 20));
    assert_eq!(server.drain, Duration::from_millis(250));
    assert_eq!(server.trusted_proxies.to_string(), "127.0.0.1, 10.0.0.0/8, fd00::/8");
    assert!(server.proxy_protocol);
    assert_eq!((server.head_bytes, server.head_timeout), (16 << 10, Duration::from_millis(2500)));
    assert_eq!(server.keepalive, Duration::from_secs(5));
    let snapshot = SnapshotFile { path: "a/b".into(), max_age: Duration::from_millis(1500) };
    assert_eq!(server.snapshot, Some(snapshot));
}

#[test]
fn units_words_and_spellings_are_understood() {
    let route = route(
        "host = ['A.com.', '::1']\nstrip_prefix = '/a/'\n\
         [routes.share]\nquery = ['b', 'c d']\nlinger_secs = 0\nmax_streams = 1\n\
         [routes.replay]\nevents = 1\nbytes = '64KiB'\nage_secs = 'off'\nstart = 1\ngap_event = 'x y'\n\
         [routes.client]\nheartbeat_secs = 0.05\nretry_ms = 250\nretry_jitter = 1\nmax_lifetime_secs = 3600\nflush_ms = 20\n\
         [routes.upstream]\nidle_timeout_secs = 'off'\nmax_event_bytes = 0x400\nmultiplex = 'on'",
    );
    assert_eq!(route.hosts, Hosts::Only(vec!["a.com".to_owned(), "[::1]".to_owned()]));
    assert_eq!(route.strip_prefix.as_deref(), Some("/a"));
    let StreamPolicy { share, replay, client, upstream, .. } = policy(&route);
    assert_eq!(share.query, QueryPolicy::Only(vec!["b".to_owned(), "c d".to_owned()]));
    assert_eq!((share.linger, share.max_streams), (Duration::ZERO, 1));
    assert_eq!((replay.events, replay.bytes, replay.age), (NonZeroUsize::new(1), 64 << 10, None));
    assert_eq!((replay.start, &*replay.gap_event), (Start::Back(NonZeroUsize::MIN), "x y"));
    assert_eq!(policy(&self::route("[routes.replay]\nevents = 'off'")).replay.events, None);
    assert_eq!(client.heartbeat, Some(Duration::from_millis(50)));
    assert_eq!(client.retry, RetryPolicy::Fixed(Duration::from_millis(250)));
    assert_eq!((client.retry_jitter, client.flush), (1.0, Some(Duration::from_millis(20))));
    assert_eq!(client.max_lifetime, Some(Duration::from_secs(3600)));
    assert_eq!((upstream.idle_timeout, upstream.max_event_bytes, upstream.multiplex), (None, 1024, true));
    for (written, bytes) in [("7", 7), ("'1B'", 1), ("'3MiB'", 3 << 20), ("'1024GiB'", 1 << 40)] {
        let route = self::route(&format!("replay.bytes = {written}"));
        assert_eq!(policy(&route).replay.bytes, bytes, "{written}");
    }
}

/// The names and values of the headers of a route.
fn headers(options: &UpstreamOptions) -> Vec<String> {
    options.headers.iter().map(|(name, value)| format!("{name}: {}", value.now().to_str().unwrap())).collect()
}

#[test]
fn headers_come_from_text_environment_and_file_and_merge_by_name() {
    let config = good(
        "[defaults.upstream.headers]\nAuthorization = { env = 'TOKEN' }\nx-a = 'one'\n\
         [[routes]]\npath = '/a'\norigin = 'http://o'\n\
         [[routes]]\npath = '/b'\norigin = 'http://o'\nupstream.headers = { X-A = 'two', x-b.file = 'token' }",
    );
    let [first, second] = config.routes.routes() else { panic!("two routes") };
    assert_eq!(headers(&policy(first).upstream), ["authorization: Bearer s3cret", "x-a: one"]);
    let expected = ["authorization: Bearer s3cret", "x-a: two", "x-b: s3cret from a file"];
    assert_eq!(headers(&policy(second).upstream), expected);
    assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
}

#[test]
fn certificates_are_read_and_the_system_is_the_way_back() {
    let config = good(
        "[defaults.upstream]\nca_file = 'ca.pem'\n\
         [[routes]]\npath = '/a'\norigin = 'https://o'\n\
         [[routes]]\npath = '/b'\norigin = 'https://o'\nupstream.ca_file = 'system'",
    );
    let trusted: Vec<_> = config.routes.routes().iter().map(|route| policy(route).upstream.trusted.clone()).collect();
    assert_eq!(trusted, [Some(Trust::from_pem(PEM.as_bytes()).unwrap()), None]);
}

#[test]
fn a_proxy_route_inherits_what_concerns_it_and_is_not_hurt_by_the_rest() {
    let config = good(
        "[defaults.upstream]\nhead_timeout_secs = 9\nbackoff_min_ms = 60000\n[defaults.cors]\n\
         [[routes]]\npath = '/*'\norigin = 'http://o'\nkind = 'proxy'\nupstream.headers.x-a = 'one'",
    );
    let options = &proxy(&config.routes.routes()[0]).upstream;
    assert_eq!((options.head_timeout, headers(options)), (Duration::from_secs(9), vec!["x-a: one".to_owned()]));
}

fn proxy(route: &Route) -> &ProxyPolicy {
    match &route.kind {
        RouteKind::Proxy(policy) => policy,
        RouteKind::Stream(_) => panic!("a stream route"),
    }
}

#[test]
fn a_proxy_route_has_timeouts_of_its_own() {
    let secs = |secs| Some(Duration::from_secs(secs));
    let head = "[[routes]]\npath = '/*'\norigin = 'http://o'\nkind = 'proxy'\n";
    let defaults = "[defaults.upstream]\nidle_timeout_secs = 7\n";
    for (before, after, idle, write, max_body) in [
        ("", "", secs(90), None, None),
        // The timeout for the origins of streams does not apply to a proxy route.
        (defaults, "", secs(90), None, None),
        ("", "[routes.upstream]\nidle_timeout_secs = 'off'", None, None, None),
        ("[defaults.proxy]\nidle_timeout_secs = 5\nmax_body_bytes = 10\n", "", secs(5), None, Some(10)),
        (
            "[defaults.proxy]\nidle_timeout_secs = 5\nmax_body_bytes = 10\n",
            "[routes.proxy]\nidle_timeout_secs = 'off'\nwrite_timeout_secs = 30\nmax_body_bytes = '1MiB'",
            None,
            secs(30),
            Some(1 << 20),
        ),
        ("", "[routes.upstream]\nidle_timeout_secs = 3\n[routes.proxy]\nidle_timeout_secs = 4", secs(4), None, None),
    ] {
        let text = format!("{before}{head}{after}");
        let config = good(&text);
        let policy = proxy(&config.routes.routes()[0]);
        assert_eq!((policy.idle_timeout, policy.write_timeout, policy.max_body), (idle, write, max_body), "{text}");
        assert_eq!(policy.upstream.idle_timeout, idle, "{text}");
    }
}

#[test]
fn routes_of_one_path_differ_in_methods_or_accept_and_are_named_apart() {
    let config = good(
        "[[routes]]\npath = '/mcp'\norigin = 'http://o'\nmethods = ['GET']\naccept = 'Text/Event-Stream'\n\
         [[routes]]\npath = '/mcp'\norigin = 'http://o'\nkind = 'proxy'\nmethods = ['POST', 'DELETE']\npreserve_host = true\n\
         [[routes]]\npath = '/mcp'\norigin = 'http://o'\nkind = 'proxy'\naccept = 'text/html'\n\
         [[routes]]\npath = '/mcp'\norigin = 'http://o'\nkind = 'proxy'\nmethods = 'any'\naccept = 'any'\n\
         [[routes]]\npath = '/mcp'\norigin = 'http://o'\nkind = 'proxy'\nmethods = ['PUT']\nname = 'put'",
    );
    let shown: Vec<_> = config
        .routes
        .routes()
        .iter()
        .map(|route| {
            let accept = route.accept.as_ref().map_or_else(|| "any".to_owned(), ToString::to_string);
            format!("{} {} {accept} {}", route.name, route.methods, route.preserve_host)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "/mcp GET text/event-stream false",
            "/mcp[POST,DELETE] POST,DELETE any true",
            "/mcp[any,text/html] any text/html false",
            "/mcp[any] any any false",
            "put PUT any false",
        ]
    );
}

#[test]
fn files_are_relative_to_the_configuration() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.toml");
    std::fs::write(directory.path().join("key"), "abc\n").unwrap();
    std::fs::write(&path, "[[routes]]\npath = '/a'\norigin = 'http://o'\nupstream.headers.x-key.file = 'key'").unwrap();
    let config = Config::load(Some(&path)).unwrap();
    assert_eq!(headers(&policy(&config.routes.routes()[0]).upstream), ["x-key: abc"]);
    std::fs::write(directory.path().join("key"), "abcd\n").unwrap();
    assert_eq!(
        headers(&policy(&config.routes.routes()[0]).upstream),
        ["x-key: abcd"],
        "a file that has changed is read again"
    );
}

#[test]
fn a_byte_order_mark_and_crlf_do_not_matter() {
    assert_eq!(good("\u{feff}[[routes]]\r\npath = '/a'\r\norigin = 'http://o'\r\n").routes.routes().len(), 1);
    let errors = parse("\u{feff}[[routes]]\r\npath = '/a'\r\norigin = 'o'\r\n").unwrap_err().to_string();
    assert!(errors.starts_with("line 3, column 10: routes[0].origin = 'o': "), "{errors}");
}
