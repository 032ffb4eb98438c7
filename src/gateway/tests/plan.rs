//! A table of requests and what to do with them.

use crate::auth::Record;
use crate::config::{Config, Networks, SystemSources};
use crate::gateway::connection::Peer;
use crate::gateway::permission::{Answers, Knowledge};
use crate::gateway::plan::{Facts, Plan, Request, plan};
use crate::gateway::{RouteIds, Routing};
use crate::upstream::request_via;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Version};
use std::time::SystemTime;

const ROUTES: &str = r#"
[[routes]]
path = "/shared/*"
origin = "http://127.0.0.1:1"
client.retry_ms = 100
client.retry_jitter = 0.0

[[routes]]
path = "/cors/*"
origin = "http://127.0.0.1:1"
cors.origins = ["https://page.example"]

[[routes]]
path = "/private/*"
origin = "http://127.0.0.1:1"
share.mode = "private"

[[routes]]
path = "/plain/*"
origin = "http://127.0.0.1:1"
kind = "proxy"

[[routes]]
path = "/calls"
origin = "http://127.0.0.1:1"
methods = ["GET"]
accept = "text/event-stream"

[[routes]]
path = "/calls"
origin = "http://127.0.0.1:1"
kind = "proxy"
methods = ["POST"]
"#;

const PEER: Peer = Peer { socket: None, told: None, is_tls: false, certificate: None };

const PREFLIGHT: &str = "origin: https://page.example\naccess-control-request-method: GET";

/// The plan for a request, which is written as `METHOD target` with its fields in lines. `Host` is added unless a
/// line names it.
fn planned(line: &str, fields: &str, is_draining: bool) -> String {
    planned_with(line, fields, |facts| Facts { is_draining, ..facts })
}

fn planned_with(line: &str, fields: &str, with: impl FnOnce(Facts<'_>) -> Facts<'_>) -> String {
    let config = Config::parse(ROUTES, &SystemSources::beside("x".as_ref())).unwrap();
    let routing = Routing::new(config.routes.routes(), Networks::default(), &mut RouteIds::default());
    let (method, target) = line.split_once(' ').unwrap();
    let mut headers: HeaderMap = fields
        .lines()
        .map(|field| field.split_once(':').unwrap())
        .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value.trim()).unwrap()))
        .fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(name, value);
            headers
        });
    if !fields.contains("host:") {
        headers.append("host", HeaderValue::from_static("gateway.example"));
    }
    headers.remove("no-host").map(|_| headers.remove("host"));
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let request = Request { method: &method, version: Version::HTTP_11, target, authority: None, headers: &headers };
    let (record, answers) = (Record::default(), Answers::default());
    let known = Knowledge { now: SystemTime::now(), record: &record, answers: &answers };
    let facts = Facts { is_draining: false, peer: &PEER, refuse: crate::config::Refuse::Retry, https: None, known };
    match plan(&request, with(facts), &routing) {
        Err(refusal) => {
            let reply = refusal.reply(std::time::Duration::ZERO);
            let soft = if reply.status == http::StatusCode::OK {
                reply.body.escape_ascii().to_string()
            } else {
                String::new()
            };
            format!("refused {} {soft}", reply.status.as_u16()).trim_end().to_owned()
        }
        Ok(Plan::Asks(question)) => format!("asks {question:?}"),
        Ok(Plan::Proxy(served, ..)) => format!("proxy {}", served.route.name),
        Ok(Plan::Answer(reply)) => {
            let to = reply.headers.get(http::header::LOCATION).map_or("", |location| location.to_str().unwrap());
            format!("answer {} {to}{}", reply.status.as_u16(), reply.body.escape_ascii()).trim_end().to_owned()
        }
        Ok(Plan::Private(ask, own)) => {
            let id = ask.last_event_id.map(|id| format!(" after {}", id.escape_ascii()));
            format!("private {}{}", own.request.path_and_query, id.unwrap_or_default())
        }
        Ok(Plan::Shared(ask)) => {
            let id = ask.last_event_id.as_ref().map(|id| format!(" after {}", id.escape_ascii()));
            let unreadable = if ask.unreadable.is_some() { " unreadable" } else { "" };
            format!("shared {}{}{unreadable}", ask.request.path_and_query(), id.unwrap_or_default())
        }
    }
}

#[test]
fn a_client_without_tls_is_sent_to_the_same_url_over_tls() {
    for (line, fields, expected) in [
        ("GET /shared/a?b=c&d", "host: a.example", "answer 308 https://a.example/shared/a?b=c&d"),
        ("GET /shared/a", "host: a.example:8080", "answer 308 https://a.example:8443/shared/a"),
        ("GET /shared/a", "host: [::1]:8080", "answer 308 https://[::1]:8443/shared/a"),
        ("POST /nowhere", "host: [::1]", "answer 308 https://[::1]/nowhere"),
        ("GET http://b.example:80/shared/%2f?", "host: a.example", "answer 308 https://b.example:8443/shared/%2f?"),
        ("GET /shared/a", "no-host: yes", "refused 400"),
        ("OPTIONS *", "", "answer 204"),
        ("CONNECT a.example:443", "", "refused 405"),
    ] {
        let planned = planned_with(line, fields, |facts| Facts { https: Some(8443), ..facts });
        assert_eq!(planned, expected, "{line} {fields}");
    }
    const SECURED: Peer = Peer { is_tls: true, ..PEER };
    let planned = planned_with("GET /shared/a", "", |facts| Facts { https: Some(8443), peer: &SECURED, ..facts });
    assert_eq!(planned, "shared /shared/a");
}

#[test]
fn a_request_has_one_plan() {
    for (line, fields, expected) in [
        ("OPTIONS *", "", "answer 204"),
        ("GET /shared/a?b=c", "", "shared /shared/a?b=c"),
        ("GET /shared/a?lastEventId=7&b=c", "", "shared /shared/a?b=c after 7"),
        ("GET /shared/a", "last-event-id: 8", "shared /shared/a after 8"),
        ("GET http://other/shared/a", "", "shared /shared/a"),
        ("HEAD /shared/a", "", "answer 200"),
        ("POST /shared/a", "", "refused 405"),
        ("OPTIONS /shared/a", PREFLIGHT, "refused 405"),
        ("GET /shared/a", "origin: https://page.example", "shared /shared/a unreadable"),
        ("GET /shared/a", "origin: http://gateway.example", "shared /shared/a"),
        ("OPTIONS /cors/a", PREFLIGHT, "answer 204"),
        ("OPTIONS /cors/a", "", "answer 204"),
        ("OPTIONS /shared/a", "", "refused 405"),
        ("GET /cors/a", "origin: https://page.example", "shared /cors/a"),
        ("GET /cors/a", "origin: https://other.example", "shared /cors/a unreadable"),
        ("OPTIONS /private/a", PREFLIGHT, "proxy /private/*"),
        ("GET /private/a", "cookie: a=b", "private /private/a"),
        ("GET /private/a?&b=%63&lastEventId=7", "", "private /private/a?&b=%63&lastEventId=7 after 7"),
        ("POST /private/a", "", "refused 405"),
        ("GET /plain/a", "", "proxy /plain/*"),
        ("POST /plain/a", "", "proxy /plain/*"),
        ("GET /pl%61in//a", "", "proxy /plain/*"),
        ("GET /plain%2fa", "", "refused 400"),
        ("GET /shared//a", "", "refused 400"),
        ("GET /calls", "accept: text/event-stream", "shared /calls"),
        ("POST /calls", "accept: text/event-stream", "proxy /calls[POST]"),
        ("GET /calls", "", "refused 406"),
        ("GET /plain/a", "via: 1.1 manifold, 1.1 manifold-0", "proxy /plain/*"),
        ("PUT /calls", "", "refused 405"),
        ("GET /elsewhere", "", "refused 404"),
        ("GET /shared/../plain/a", "", "refused 400"),
        ("GET /shared/a", "host: a\nhost: b", "refused 400"),
        ("GET /shared/a", "no-host: 1", "refused 400"),
    ] {
        assert_eq!(planned(line, fields, false), expected, "{line} {fields:?}");
    }
}

#[test]
fn a_request_that_comes_back_is_refused_on_every_route() {
    let sent = request_via(&HeaderMap::new());
    let via = format!("via: {}, 1.1 other", sent.to_str().unwrap());
    for line in ["GET /shared/a", "HEAD /cors/a", "GET /private/a", "POST /plain/a"] {
        assert_eq!(planned(line, &via, false), "refused 508", "{line}");
    }
}

#[test]
fn in_a_drain_streams_are_asked_back_and_all_else_is_served() {
    for (line, expected) in [
        ("GET /shared/a", r"refused 200 :\nretry: 100\n"),
        ("HEAD /shared/a", "answer 200"),
        ("GET /plain/a", "proxy /plain/*"),
        ("GET /elsewhere", "refused 404"),
    ] {
        assert_eq!(planned(line, "", true), expected, "{line}");
    }
    assert!(planned("GET /private/a", "", true).starts_with(r"refused 200 :\nretry: "));
}
