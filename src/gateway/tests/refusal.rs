//! Every refusal: its status, its fields and its body.

use crate::downstream::{CorsAnswer, CorsOptions};
use crate::gateway::lasting::Lasting;
use crate::gateway::refusal::{Refusal, Why};
use crate::gateway::{Served, StreamRoute};
use crate::hub::{Answer, End, Failure, JoinError, Mode, RouteId, ShareOptions};
use crate::route::{BadTarget, Hosts, Methods, PathPattern, Route, RouteKind, StreamPolicy};
use crate::upstream::Origin;
use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, SERVER,
};
use http::{HeaderMap, HeaderValue, StatusCode};
use std::sync::Arc;

fn served(mode: Mode, cors: Option<CorsOptions>) -> Arc<StreamRoute> {
    let share = ShareOptions { mode, ..ShareOptions::default() };
    let route = Route {
        name: Arc::from("a"),
        path: PathPattern::parse("/a").unwrap(),
        hosts: Hosts::Any,
        methods: Methods::Any,
        accept: None,
        origin: Origin::parse("http://127.0.0.1:9").unwrap(),
        preserve_host: false,
        strip_prefix: None,
        kind: RouteKind::Stream(StreamPolicy { share, cors, ..StreamPolicy::default() }),
    };
    match Served::new(RouteId(0), Arc::new(route), &Lasting::new(Arc::default(), Arc::default())) {
        Served::Stream(served) => served,
        Served::Proxy(_) => panic!("it is a route of streams"),
    }
}

/// The status, the fields in order of their names, and the body. The fields that every text answer has are left out.
fn shown(why: Why, served: Option<&Arc<StreamRoute>>, cors: Option<&CorsAnswer>) -> String {
    let refusal = match served {
        Some(served) => Refusal::on(served, cors.cloned(), why),
        None => why.into(),
    };
    let reply = refusal.reply(std::time::Duration::ZERO);
    let length = reply.headers.get(CONTENT_LENGTH).map(|length| length.to_str().unwrap().parse::<usize>().unwrap());
    assert_eq!(length, (reply.status != StatusCode::NO_CONTENT).then_some(reply.body.len()), "{refusal:?}");
    let mut headers: Vec<String> =
        reply.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    headers.retain(|header| !header.starts_with("content-length: "));
    let usual = ["cache-control: no-store", "content-type: text/plain; charset=utf-8"];
    let is_text = usual.iter().all(|usual| headers.iter().any(|header| header == usual));
    headers.retain(|header| !(is_text && usual.contains(&&**header)));
    headers.sort_unstable();
    headers.insert(0, reply.status.as_u16().to_string());
    let body = String::from_utf8(reply.body.to_vec()).unwrap();
    format!("{} | {}{body}", headers.join(", "), if is_text { "text: " } else { "" }).trim_end().to_owned()
}

fn answer(status: StatusCode) -> Arc<Answer> {
    let headers = HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CONTENT_LENGTH, HeaderValue::from_static("999")),
        (RETRY_AFTER, HeaderValue::from_static("7")),
        (SERVER, HeaderValue::from_static("theirs")),
        (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("https://theirs")),
        (ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true")),
    ]);
    Arc::new(Answer { status, headers, body: Bytes::from_static(b"{}") })
}

fn no_route() -> Why {
    Why::NoRoute(Box::default())
}

fn ended(end: End) -> Why {
    Why::Ended(end)
}

#[test]
fn every_refusal_has_its_status_its_headers_and_its_line() {
    let lost = || Failure::Lost("10.0.0.1: reset".to_owned());
    let unreachable = || Failure::Unreachable("10.0.0.1: connection refused".to_owned());
    let table = [
        (Why::Target(BadTarget::TooLong), "414 | text: the request target must not be longer than 65000 bytes"),
        (Why::Target(BadTarget::Backslash), "400 | text: the request target must not contain a backslash"),
        (Why::Host, "400 | text: a request needs one Host header that names a host"),
        (no_route(), "404 | text: no route serves this path"),
        (Why::Method, "405, allow: GET, HEAD | text: a stream is read with GET"),
        (Why::Join(JoinError::TooManyStreams), "503, retry-after: 1 | text: too many streams"),
        (ended(End::Failed(Failure::Full(2))), "503, retry-after: 1 | text: too many connections to the origin"),
        (ended(End::HoldExpired(Failure::Full(2))), "503, retry-after: 1 | text: too many connections to the origin"),
        (ended(End::NoDescriptor), "503, retry-after: 1 | text: too many connections"),
        (ended(End::NoContent), "204 |"),
        (Why::Join(JoinError::Ended(End::NoContent)), "204 |"),
        (ended(End::Failed(Failure::HeadTimeout)), "504 | text: the origin did not answer in time"),
        (ended(End::Failed(unreachable())), "502 | text: the origin cannot be reached"),
        (ended(End::HoldExpired(unreachable())), "502 | text: the origin cannot be reached"),
        (ended(End::Failed(lost())), "502 | text: the connection to the origin was lost"),
        (
            ended(End::Unusable("10.0.0.1 sent text/html".to_owned())),
            "502 | text: the origin's answer is not an event stream that can be passed on",
        ),
        (ended(End::OriginClosed), "502 | text: the origin ended the stream"),
        (ended(End::Idle), "503, retry-after: 1 | text: the stream just ended"),
        (ended(End::Unshareable), "503, retry-after: 1 | text: the stream just ended"),
        (ended(End::PublisherGone), "503, retry-after: 1 | text: the stream just ended"),
        (
            ended(End::Refused(answer(StatusCode::FORBIDDEN))),
            "403, cache-control: no-store, content-type: application/json, retry-after: 7 | {}",
        ),
        (
            Why::Join(JoinError::Ended(End::Failed(Failure::Status(answer(StatusCode::TOO_MANY_REQUESTS))))),
            "429, cache-control: no-store, content-type: application/json, retry-after: 7 | {}",
        ),
    ];
    let shared = served(Mode::Shared, None);
    for (refusal, expected) in table {
        let shown = shown(refusal, Some(&shared), None);
        assert_eq!(shown, expected);
        assert!(!shown.contains("10.0.0.1"), "the origin's address is not shown");
    }
}

#[test]
fn where_pages_of_others_are_answered_a_method_that_is_not_allowed_is_told_so() {
    let with_cors = served(Mode::Shared, Some(CorsOptions::default()));
    assert_eq!(
        shown(Why::Method, Some(&with_cors), Some(&CorsAnswer::Everyone)),
        "405, access-control-allow-origin: *, allow: GET, HEAD, OPTIONS | text: a stream is read with GET"
    );
    assert_eq!(shown(no_route(), None, None), "404 | text: no route serves this path");
}
