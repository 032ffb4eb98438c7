//! Clients that reconnect by themselves. Each is tried in the same three stories and observed by its reports.

use crate::ecosystem::{go, node, python};
use crate::gateway::{Route, Url, route};
use crate::line::Line;
use crate::listener::{Listener, Report};
use crate::origin::{Origin, ResumingOrigin};
use crate::site::Site;
use eventsource_client::{Client as _, ClientBuilder, ReconnectOptions, SSE};
use futures_util::StreamExt as _;
use launchdarkly_sdk_transport::HyperTransport;
use std::time::Duration;
use tokio::sync::mpsc;

/// Starts a client with a URL.
pub trait Start: AsyncFn(String) -> Listener {}
impl<F: AsyncFn(String) -> Listener> Start for F {}

const QUICK: &str =
    "client.retry_ms = 20\nclient.retry_jitter = 0\nclient.heartbeat_secs = 0.02\ncors.origins = [\"*\"]";

/// A route whose clients reconnect at once and get frequent heartbeats. Pages of every origin may use it.
pub fn quick(origin: &impl Url) -> Route {
    route("/*", origin).with(QUICK)
}

pub async fn it_hears_all_in_spite_of_a_tunnel(client: impl Start) {
    let origin = Origin::start();
    let site = Site::with(quick(&origin)).await;
    let line = Line::to(site.gateway().addr());
    let (mut client, mut body) = tokio::join!(client(line.url("/a")), origin.stream());
    body.event("data: 1\n\n").await;
    body.event("event: tick\ndata: two\ndata: lines\n\n").await;
    let (kind, data, id) = client.event().await;
    assert_eq!((kind.as_str(), data.as_str()), ("message", "1"));
    assert!(id.starts_with('~'), "{id}");
    let (kind, data, _) = client.event().await;
    assert_eq!((kind.as_str(), data.as_str()), ("tick", "two\nlines"));

    line.cut();
    body.event("data: 3\n\n").await;
    body.event("data: 4\n\n").await;
    line.mend();
    assert_eq!(client.data().await, "3");
    assert_eq!(client.data().await, "4");
    body.event("data: 5\n\n").await;
    assert_eq!(client.data().await, "5");
    assert_eq!(origin.requests().len(), 1, "the gateway held the stream");
}

pub async fn it_is_told_of_a_gap_when_the_gateway_was_restarted(client: impl Start) {
    let origin = Origin::start();
    let mut site = Site::with(quick(&origin)).await;
    let (mut client, mut body) = tokio::join!(client(site.url("/a")), origin.stream());
    body.event("data: 1\n\n").await;
    assert_eq!(client.data().await, "1");
    site.stop().await;
    body.gone().await;
    site.start().await;

    let mut body = origin.stream().await;
    body.event("data: 2\n\n").await;
    let (kind, data, _) = client.event().await;
    assert_eq!((kind.as_str(), data.as_str()), ("gap", r#"{"reason":"unknown","missed":null}"#));
    assert_eq!(client.data().await, "2");
    assert_eq!(origin.request(2).await.headers.one("last-event-id"), None, "an id of ours is not the origin's");
}

pub async fn it_misses_nothing_of_an_origin_with_ids_when_the_gateway_was_restarted(client: impl Start) {
    let origin = ResumingOrigin::start();
    let mut site = Site::with(quick(&origin)).await;
    let mut client = client(site.url("/a")).await;
    origin.publish();
    origin.publish();
    assert_eq!(client.event().await, ("message".into(), "1".into(), "1".into()));
    assert_eq!(client.data().await, "2");
    site.stop().await;
    origin.publish();
    site.start().await;
    assert_eq!(client.event().await, ("message".into(), "3".into(), "3".into()));
    origin.publish();
    assert_eq!(client.data().await, "4");
    // The client's id is not for the request that all clients share. There may be one of its own for it, unless the
    // shared response has brought that id before.
    let requests = origin.requests();
    let asked: Vec<_> = requests.iter().skip(1).map(|request| request.headers.one("last-event-id")).collect();
    let shared = asked.iter().filter(|id| id.is_none()).count();
    assert!(shared == 1 && asked.iter().all(|id| id.is_none_or(|id| id == "2")), "{asked:?}");
}

async fn node_eventsource(url: String) -> Listener {
    let mut command = node("clients/node/eventsource.mjs");
    command.arg(url);
    Listener::program(command)
}

async fn go_net_http(url: String) -> Listener {
    let mut command = go("clients/go/main.go").await;
    command.arg(url);
    Listener::program(command)
}

async fn python_httpx_sse(url: String) -> Listener {
    let mut command = python("clients/python/httpx_sse_client.py");
    command.arg(url);
    Listener::program(command)
}

/// More reports than any story leaves unread.
const UNREAD: usize = 256;

async fn rust_eventsource_client(url: String) -> Listener {
    let reconnect = ReconnectOptions::reconnect(true).retry_initial(false).delay(Duration::from_millis(20)).build();
    let client = ClientBuilder::for_url(&url).unwrap().reconnect(reconnect);
    let client = client.build_with_transport(HyperTransport::builder().disable_proxy().build_http().unwrap());
    let (say, reports) = mpsc::channel(UNREAD);
    tokio::spawn(async move {
        let mut stream = client.stream();
        while let Some(heard) = stream.next().await {
            let report = match heard {
                Ok(SSE::Connected(_)) => Report::Open,
                Ok(SSE::Event(event)) => {
                    Report::Event { kind: event.event_type, data: event.data, id: event.id.unwrap_or_default() }
                }
                Ok(SSE::Comment(_)) => continue,
                Err(_) => Report::Lost,
            };
            if say.send(report).await.is_err() {
                return;
            }
        }
    });
    Listener::Task(reports)
}

/// The three stories for each client.
macro_rules! stories_of {
    ($($client:ident),+) => {$(
        mod $client {
            #[tokio::test]
            async fn hears_all_in_spite_of_a_tunnel() {
                $crate::resuming::it_hears_all_in_spite_of_a_tunnel(super::$client).await;
            }

            #[tokio::test]
            async fn is_told_of_a_gap_when_the_gateway_was_restarted() {
                $crate::resuming::it_is_told_of_a_gap_when_the_gateway_was_restarted(super::$client).await;
            }

            #[tokio::test]
            async fn misses_nothing_of_an_origin_with_ids_when_the_gateway_was_restarted() {
                $crate::resuming::it_misses_nothing_of_an_origin_with_ids_when_the_gateway_was_restarted(super::$client).await;
            }
        }
    )+};
}

pub(crate) use stories_of;

stories_of!(node_eventsource, go_net_http, python_httpx_sse, rust_eventsource_client);
