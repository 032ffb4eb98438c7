//! Tables of what a private route passes to the origin of a client's request.

use crate::config::{Config, Networks, SystemSources};
use crate::gateway::client::ClientFacts;
use crate::gateway::connection::Peer;
use crate::gateway::own_request::{Asked, OwnRequest};
use bytes::Bytes;
use http::{HeaderMap, HeaderName};

const PEER: Peer = Peer { socket: None, told: None, is_tls: false, certificate: None };

/// The fields that every request has.
const TOLD: &str = "host: o\nx-forwarded-for: unknown\nx-forwarded-host: a.example\nx-forwarded-proto: http";

fn own(line: &str, fields: &str, route: &str) -> (OwnRequest, String) {
    let route = format!("[[routes]]\npath = '/r/*'\norigin = 'http://o/base'\nshare.mode = 'private'\n{route}");
    let config = Config::parse(&route, &SystemSources::beside("x".as_ref())).unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in fields.lines().map(|field| field.split_once(": ").unwrap()) {
        headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
    }
    let client = ClientFacts::of(&PEER, &headers, Some("a.example"), &Networks::default());
    let (path, query) = line.split_once('?').map_or((line, None), |(path, query)| (path, Some(query)));
    let id = Bytes::from_static(b"7");
    let last_event_id = line.contains("lastEventId").then_some(&id);
    let asked = Asked { headers: &headers, path, query, last_event_id, claims: &[] };
    let own = OwnRequest::new(asked, &config.routes.routes()[0], &client);
    let mut lines: Vec<_> =
        own.request.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    // The id that was made for the request is another each time.
    lines.retain(|line| !line.starts_with("x-request-id: "));
    lines.sort();
    (own, lines.join("\n"))
}

#[test]
fn what_is_for_the_origin_passes_and_what_is_of_the_connection_does_not() {
    for (fields, passed) in [
        ("", ""),
        ("accept: a/b\nrange: bytes=0-1\nif-none-match: x", "accept: a/b\nif-none-match: x\nrange: bytes=0-1\n"),
        ("authorization: a\norigin: b\nlast-event-id: c", "authorization: a\nlast-event-id: c\norigin: b\n"),
        ("accept-encoding: gzip\nhost: evil\nexpect: 100-continue\ncontent-length: 0", ""),
        ("te: trailers\ntrailer: a\nupgrade: h2c\nkeep-alive: 1\nproxy-authorization: a\nhttp2-settings: a", ""),
        ("connection: close, X-HOP\nx-hop: 1\nx-stays: 2", "x-stays: 2\n"),
        ("connection: cookie, last-event-id\ncookie: a=1\nlast-event-id: 8", ""),
        ("connection: x-forwarded-for, x-forwarded-proto, x-forwarded-host", ""),
        ("x_forwarded_for: 1\ncontent_length: 2\n_: 3\na_: 4", ""),
        ("x-forwarded-for: 1.1.1.1\nx-forwarded-port: 1\nforwarded: for=1.1.1.1\nx-real-ip: 1.1.1.1", ""),
        ("cookie: a=1;b=2", "cookie: a=1;b=2\n"),
        ("cookie: a=1\ncookie: b=2", "cookie: a=1; b=2\n"),
        ("via: 1.0 before", "via: 1.0 before\n"),
    ] {
        let (request, lines) = own("/r/a", fields, "");
        let mut expected: Vec<_> = passed.lines().chain(TOLD.lines()).collect();
        expected.sort_unstable();
        assert_eq!(lines, expected.join("\n"), "{fields}");
        assert_eq!(request.has_odd_names, fields.contains('_'), "{fields}");
    }
}

#[test]
fn the_target_is_the_routes_and_the_query_as_it_came() {
    for (line, route, expected) in [
        ("/r/a", "", "/base/r/a"),
        ("/r/a?", "", "/base/r/a?"),
        ("/r/%61?b=c&&lastEventId=7&%zz", "", "/base/r/%61?b=c&&lastEventId=7&%zz"),
        ("/r/a?b", "strip_prefix = '/r'", "/base/a?b"),
    ] {
        assert_eq!(own(line, "", route).0.request.path_and_query, expected);
    }
}

#[test]
fn an_id_in_the_query_is_told_in_the_field_too_unless_the_client_sends_one() {
    assert!(own("/r/a?lastEventId=7", "", "").1.contains("last-event-id: 7"));
    let with_another = own("/r/a?lastEventId=7", "last-event-id: 8", "").1;
    assert!(with_another.contains("last-event-id: 8") && !with_another.contains("last-event-id: 7"));
    let taken_off = own("/r/a?lastEventId=7", "connection: last-event-id\nlast-event-id: 8", "").1;
    assert!(!taken_off.contains("last-event-id"), "{taken_off}");
}

#[test]
fn the_host_is_the_clients_where_the_route_preserves_it() {
    for (route, expected) in [("", "host: o\n"), ("preserve_host = true", "host: a.example\n")] {
        assert!(own("/r/a", "host: b.example", route).1.starts_with(expected), "{route}");
    }
}
