//! Requests that an input says: from the bytes of a head to the plan, and to what reaches the origin.

#![allow(unreachable_pub, reason = "a fuzz target names it")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is a test's way to fail")]

use super::connection::Peer;
use super::head::{Body, Head};
use super::permission::{Answers, Knowledge};
use super::plan::{Facts, Plan, Request, plan};
use super::refusal::Refusal;
use super::{RouteIds, Routing};
use crate::auth::Record;
use crate::config::{Config, Networks, Refuse, SystemSources};
use crate::hub::StreamRequest;
use http::header::{ACCEPT_LANGUAGE, CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};
use std::path::Path;
use std::time::{Duration, SystemTime};

const ROUTES: &str = r#"
[[routes]]
path = "/all/*"
origin = "http://127.0.0.1:1/base"
cors.origins = ["https://page.example"]

[[routes]]
path = "/some/*"
origin = "http://127.0.0.1:1"
strip_prefix = "/some"
share.query = ["room"]
share.headers = ["x-tenant"]
share.cookies = ["sid"]

[[routes]]
path = "/one"
host = "b.example"
origin = "http://127.0.0.1:1"
share.credentials = "share"
share.query = "none"

[[routes]]
path = "/private/*"
origin = "http://127.0.0.1:1"
share.mode = "private"

[[routes]]
path = "/proxy/*"
origin = "http://127.0.0.1:1"
kind = "proxy"

[[routes]]
path = "/asks/*"
origin = "http://127.0.0.1:1"
auth.kind = "forward"
auth.url = "http://127.0.0.1:1/check"
auth.from = ["header", "query:token", "cookie:sid"]
auth.ticket_path = "/ticket"
"#;

const PEER: Peer = Peer { socket: None, told: None, is_tls: false, certificate: None };

/// A field that no route names, with its value.
type Noise = (HeaderName, &'static str);

/// What must make no difference to the origin of a shared stream.
const NOISE: [Noise; 4] = [
    (USER_AGENT, "noise"),
    (ACCEPT_LANGUAGE, "noise"),
    (HeaderName::from_static("last-event-id"), "noise"),
    (HeaderName::from_static("x-forwarded-for"), "203.0.113.1"),
];

/// Reads `input` as the head of a request, and plans it.
///
/// # Panics
/// The head can be read in two ways, or the plan lets something through that it must not.
pub fn try_plan(input: &[u8]) {
    let Ok(head) = Head::parse(input) else { return };
    try_framing(&head);
    let config = Config::parse(ROUTES, &SystemSources::beside(Path::new("m.toml"))).unwrap();
    let routing = Routing::new(config.routes.routes(), Networks::default(), &mut RouteIds::default());
    match planned(&head, &head.headers, &routing) {
        Err(refusal) => {
            let status = refusal.reply(Duration::ZERO).status.as_u16();
            assert!(status == 200 || status == 204 || (400..600).contains(&status), "{status}");
        }
        Ok(Plan::Shared(ask)) => {
            try_upstream(&ask.request);
            try_sameness(&head, &ask.request, &routing);
        }
        Ok(Plan::Private(_, own)) => {
            try_target(&own.request.path_and_query);
            for (name, value) in &own.request.headers {
                assert!(*name != CONNECTION && *name != TRANSFER_ENCODING, "{name}");
                try_value(value);
            }
        }
        Ok(Plan::Answer(_) | Plan::Proxy(..) | Plan::Asks(_)) => {}
    }
}

fn planned(head: &Head, headers: &HeaderMap, routing: &Routing) -> Result<Plan, Refusal> {
    let request = Request { headers, ..Request::of(head) };
    let (record, answers) = (Record::default(), Answers::default());
    let known = Knowledge { now: SystemTime::UNIX_EPOCH, record: &record, answers: &answers };
    plan(&request, Facts { is_draining: false, peer: &PEER, refuse: Refuse::Retry, https: None, known }, routing)
}

/// A head has one length at most, and one host.
fn try_framing(head: &Head) {
    let lengths = head.headers.get_all(CONTENT_LENGTH).iter().collect::<Vec<_>>();
    let codings = head.headers.get_all(TRANSFER_ENCODING).iter().collect::<Vec<_>>();
    match head.body {
        Body::None => assert!(codings.is_empty() && lengths.iter().all(|length| is_zero(length)), "{head:?}"),
        Body::Length(length) => {
            assert!(codings.is_empty() && lengths.len() == 1, "{head:?}");
            assert_eq!(lengths[0].to_str().unwrap().trim().parse(), Ok(length));
        }
        Body::Chunked => {
            assert!(lengths.is_empty() && codings.len() == 1, "{head:?}");
            assert!(codings[0].to_str().unwrap().trim().eq_ignore_ascii_case("chunked"));
        }
    }
}

fn is_zero(length: &HeaderValue) -> bool {
    length.to_str().is_ok_and(|length| length.trim().bytes().all(|digit| digit == b'0'))
}

/// What reaches the origin of a shared stream is well-formed.
fn try_upstream(request: &StreamRequest) {
    try_target(request.path_and_query());
    for (name, value) in request.headers() {
        let may_pass = ["x-tenant", "cookie", "authorization", "x-api-key", "api-key"].contains(&name.as_str());
        assert!(may_pass && *name != HOST, "{name}");
        try_value(value);
    }
}

fn try_target(target: &str) {
    assert!(target.starts_with('/') && target.bytes().all(|byte| byte > b' ' && byte != 0x7f), "{target:?}");
    let path = target.split('?').next().unwrap();
    assert!(!path.split('/').any(|segment| segment == ".." || segment == "."), "{target:?}");
}

fn try_value(value: &HeaderValue) {
    assert!(!value.as_bytes().iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "{value:?}");
}

/// The request to the origin is a function of the stream's key, and no field that the route does not name changes it.
fn try_sameness(head: &Head, request: &StreamRequest, routing: &Routing) {
    for (name, value) in NOISE {
        let mut headers = head.headers.clone();
        headers.insert(name.clone(), HeaderValue::from_static(value));
        let Ok(Plan::Shared(other)) = planned(head, &headers, routing) else { panic!("{name} changes the plan") };
        assert!(request.key() == other.request.key(), "{name} makes another stream");
        assert!(is_same(request, &other.request), "{name} reaches the origin");
    }
    for name in head.headers.keys() {
        let mut headers = head.headers.clone();
        headers.remove(name);
        if let Ok(Plan::Shared(other)) = planned(head, &headers, routing) {
            let is_same_key = request.key() == other.request.key();
            assert_eq!(is_same_key, is_same(request, &other.request), "{name} and the key of the stream");
        }
    }
}

fn is_same(one: &StreamRequest, other: &StreamRequest) -> bool {
    one.path_and_query() == other.path_and_query() && one.headers() == other.headers()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADS: [&str; 5] = [
        "GET /all/a?x=1&lastEventId=7 HTTP/1.1\r\nHost: a\r\nCookie: sid=1; b=2\r\nOrigin: https://page.example\r\n\r\n",
        "GET /some/a/../b?room=1&c=2 HTTP/1.1\r\nHost: a\r\nX-Tenant: t\r\nCookie: sid=1; b=2\r\n\r\n",
        "GET http://b.example/one?q HTTP/1.0\r\nHost: a\r\nAuthorization: Bearer t\r\nContent-Length: 0\r\n\r\n",
        "GET /private/%2e%2e/a HTTP/1.1\r\nHost: a\r\nConnection: close, x-a\r\nX-A: 1\r\n\r\n",
        "GET /asks/a?token=t&ticket=AZ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    ];

    #[test]
    fn no_head_brings_more_to_an_origin_than_its_key_says() {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut read = 0;
        for head in HEADS {
            try_plan(head.as_bytes());
            for _ in 0..300 {
                let mut input = head.as_bytes().to_vec();
                for _ in 0..rng.usize(1..3) {
                    let at = rng.usize(..input.len());
                    match rng.bool() {
                        true => input[at] = rng.choice(*b"/.%2e?&=; \tAa1:\r\n").unwrap(),
                        false => input.insert(at, rng.choice(*b"/.%2e?&=;Aa1:").unwrap()),
                    }
                }
                read += usize::from(Head::parse(&input).is_ok());
                try_plan(&input);
            }
        }
        assert!(read > 500, "{read} heads can be read");
    }
}
