//! `/metrics`: what happens is seen there, by its reason, and nothing of it grows with streams or clients.

use crate::client::{Client, Connection, End};
use crate::gateway::{Gateway, configuration, route};
use crate::guard::guarded;
use crate::origin::{Origin, Port};
use crate::stage::{answered, gap, joined, numbered, opened, unanswered};
use rustix::process::Signal;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;

pub const ADMIN: &str = "admin = \"127.0.0.1:0\"";

/// The figures as text.
async fn scrape(admin: SocketAddr) -> String {
    let mut answer = Client::get("/metrics").connect(admin).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; version=0.0.4; charset=utf-8")));
    answer.text().await
}

/// The value of a series. `None`: there is no such series.
fn value(figures: &str, series: &str) -> Option<f64> {
    figures.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// Waits until a series has this value. What clients see may be counted a moment later.
pub async fn until(admin: SocketAddr, series: &str, expected: f64) {
    let reached = async {
        while value(&scrape(admin).await, series) != Some(expected) {
            tokio::task::yield_now().await;
        }
    };
    guarded(format!("{series} {expected}"), reached).await;
}

pub fn closes(reason: &str) -> String {
    format!("manifold_closes_total{{route=\"/*\",reason=\"{reason}\"}}")
}

pub fn gaps(reason: &str) -> String {
    format!("manifold_gaps_total{{route=\"/*\",reason=\"{reason}\"}}")
}

pub fn refusals(reason: &str) -> String {
    format!("manifold_refusals_total{{reason=\"{reason}\"}}")
}

pub fn backfills(outcome: &str) -> String {
    format!("manifold_backfills_total{{route=\"/*\",outcome=\"{outcome}\"}}")
}

pub fn phases(phase: &str) -> String {
    format!("manifold_upstreams{{route=\"/*\",phase=\"{phase}\"}}")
}

#[tokio::test]
async fn what_passes_is_counted_and_timed() {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin)])).await;
    let admin = gateway.admin().await;
    assert_eq!(value(&scrape(admin).await, "manifold_last_event_age_seconds{route=\"/*\"}"), None);
    let (mut first, mut body) = opened(Client::get("/a"), &gateway, &origin).await;
    let mut second = joined(Client::get("/a"), &gateway).await;
    // In a session.
    let mut third = joined(Client::get("/a").h2(), &gateway).await;
    for n in 1..=3 {
        body.event(&numbered(n)).await;
        for client in [&mut first, &mut second, &mut third] {
            assert_eq!(client.next_event().await.id, n.to_string());
        }
    }
    let of = |name: &str| format!("{name}{{route=\"/*\"}}");
    for (name, expected) in [
        ("manifold_subscribers", 3.0),
        ("manifold_streams", 1.0),
        ("manifold_opens_total", 3.0),
        ("manifold_received_events_total", 3.0),
        ("manifold_received_bytes_total", 3.0 * numbered(1).len() as f64),
        ("manifold_deliveries_total", 9.0),
        ("manifold_delivery_lag_seconds_count", 9.0),
        ("manifold_time_to_head_seconds_count", 3.0),
        ("manifold_time_to_first_event_seconds_count", 3.0),
        ("manifold_upstream_attempts_total", 1.0),
    ] {
        until(admin, &of(name), expected).await;
    }
    until(admin, &phases("live"), 1.0).await;
    let figures = scrape(admin).await;
    assert!(value(&figures, &of("manifold_last_event_age_seconds")).is_some(), "{figures}");
    assert!(value(&figures, &of("manifold_log_bytes")) > Some(0.0), "{figures}");
    assert!(value(&figures, "manifold_accepts_total") >= Some(3.0), "{figures}");
    assert!(value(&figures, "process_resident_memory_bytes") > Some(1e6), "{figures}");
    assert!(value(&figures, "process_open_fds") < value(&figures, "process_max_fds"), "{figures}");
    let mut late = joined(Client::get("/a").after(1), &gateway).await;
    assert_eq!((late.next_event().await.id, late.next_event().await.id), ("2".to_owned(), "3".to_owned()));
    until(admin, &of("manifold_resumes_total"), 1.0).await;
    until(admin, &of("manifold_replayed_events_total"), 2.0).await;
    drop(late);
    drop((first, second, third));
    until(admin, &of("manifold_subscribers"), 0.0).await;
    until(admin, &closes("client"), 4.0).await;
    until(admin, &of("manifold_client_lifetime_seconds_count"), 4.0).await;
}

#[tokio::test]
async fn each_reason_of_an_end_is_told_apart() {
    let origin = Origin::start();
    let start = async |options: &str| {
        let routes = [route("/*", &origin).with(options)];
        Gateway::start(&configuration(ADMIN, routes)).await
    };
    let big = |n: u64| format!("id: {n}\ndata: {}\n\n", "x".repeat(32 << 10));

    let gateway = start("client.max_lifetime_secs = 0.05").await;
    let (mut client, body) = opened(Client::get("/"), &gateway, &origin).await;
    assert_eq!(client.ended().await, End::Orderly);
    until(gateway.admin().await, &closes("lifetime"), 1.0).await;
    drop((gateway, body));

    let gateway = start("client.stall_secs = 0.3\nclient.heartbeat_secs = \"off\"").await;
    let (deaf, mut body) = opened(Client::get("/").small_receive_buffer(), &gateway, &origin).await;
    body.event(&big(1)).await;
    until(gateway.admin().await, &closes("stall"), 1.0).await;
    drop((gateway, body, deaf));

    let gateway = start("replay.events = 4\nclient.stall_secs = 600").await;
    let (mut reads, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    let slow = joined(Client::get("/").small_receive_buffer(), &gateway).await;
    for n in 1..=400 {
        body.event(&big(n)).await;
        assert_eq!(reads.next_event().await.id, n.to_string());
    }
    until(gateway.admin().await, &closes("lag"), 1.0).await;
    drop((gateway, body, slow));

    let gateway = start("upstream.on_close = \"close\"").await;
    let (mut client, body) = opened(Client::get("/"), &gateway, &origin).await;
    body.end().await;
    assert_eq!(client.ended().await, End::Orderly);
    until(gateway.admin().await, &closes("origin"), 1.0).await;
    drop(gateway);

    let gateway = start("upstream.backoff_min_ms = 1\nupstream.backoff_max_ms = 1").await;
    let (mut client, body) = opened(Client::get("/"), &gateway, &origin).await;
    body.end().await;
    origin.accept().await.reply(401, &[], "").await;
    assert_ne!(client.ended().await, End::Orderly);
    until(gateway.admin().await, &closes("auth"), 1.0).await;
}

/// The ends of a drain are spread over its time. So of several clients the first one is sent away long before the process
/// ends.
#[tokio::test]
async fn clients_that_are_sent_away_by_a_drain_are_counted() {
    let origin = Origin::start();
    let proxy = route("/unanswered", &origin).with("kind = \"proxy\"");
    let config = configuration(&format!("{ADMIN}\ndrain_secs = 60"), [route("/*", &origin), proxy]);
    let gateway = Gateway::start(&config).await;
    let admin = gateway.admin().await;
    let (client, _body) = opened(Client::get("/"), &gateway, &origin).await;
    let mut clients = vec![client];
    for _ in 0..20 {
        clients.push(joined(Client::get("/"), &gateway).await);
    }
    let holds = unanswered(&gateway, &origin).await;
    gateway.signal(Signal::TERM);
    let counted = async {
        while value(&scrape(admin).await, &closes("drain")) == Some(0.0) {
            tokio::task::yield_now().await;
        }
    };
    guarded("a client that is sent away", counted).await;
    answered(holds).await;
}

#[tokio::test]
async fn gaps_are_told_apart_by_their_reasons() {
    let origin = Origin::start();
    let options = "replay.events = 2\nupstream.backoff_min_ms = 1\nupstream.backoff_max_ms = 1";
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin).with(options)])).await;
    let admin = gateway.admin().await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    let mut first_id = String::new();
    for n in 1..=4 {
        body.event(&format!("data: {n}\n\n")).await;
        let event = client.next_event().await;
        assert_eq!(event.data, n.to_string());
        if n == 1 {
            first_id = event.id;
            let mut stranger = joined(Client::get("/").after("nobody"), &gateway).await;
            assert_eq!(stranger.next_data().await, gap("unknown", None));
            until(admin, &gaps("unknown"), 1.0).await;
        }
    }
    // The first of the events is not held any more, and so nor is what follows it.
    let mut late = joined(Client::get("/").after(first_id), &gateway).await;
    assert_eq!(late.next_event().await.data, gap("evicted", Some(1)));
    until(admin, &gaps("evicted"), 1.0).await;
    body.end().await;
    let mut body = origin.accept().await.sse().await;
    body.event("data: 9\n\n").await;
    assert_eq!(client.next_data().await, gap("upstream", None));
    until(admin, &gaps("upstream"), 1.0).await;
    until(admin, "manifold_upstream_reconnects_total{route=\"/*\"}", 1.0).await;
}

#[tokio::test]
async fn what_is_not_served_is_told_apart_by_its_reasons() {
    let (origin, dead) = (Origin::start(), Port::reserve());
    let config = configuration(
        ADMIN,
        [
            route("/events/*", &origin).with("share.max_streams = 1"),
            route("/dead", &origin).with("upstream.on_error = \"reflect\""),
        ],
    );
    let dead = format!("http://{}", dead.addr());
    let (events, rest) = config.split_once("path = \"/dead\"").unwrap();
    let rest = rest.replacen(&origin.url(), &dead, 1);
    let gateway = Gateway::start(&format!("{events}path = \"/dead\"{rest}")).await;
    let admin = gateway.admin().await;
    let (client, _body) = opened(Client::get("/events/a"), &gateway, &origin).await;
    assert_eq!(Client::get("/events/b").connect(&gateway).await.status, 503);
    until(admin, &refusals("streams"), 1.0).await;
    until(admin, "manifold_refused_requests_total{route=\"/events/*\"}", 1.0).await;
    assert_eq!(Client::get("/nothing").connect(&gateway).await.status, 404);
    until(admin, &refusals("route"), 1.0).await;
    assert_eq!(Client::method("POST", "/events/a").body("x").connect(&gateway).await.status, 405);
    until(admin, &refusals("method"), 1.0).await;
    let mut large = Connection::open(&gateway).await;
    large.send(vec![b'G'; 128 << 10]).await;
    until(admin, &refusals("head"), 1.0).await;
    assert_eq!(Client::get("/dead").connect(&gateway).await.status, 502);
    until(admin, &refusals("origin"), 1.0).await;
    until(admin, "manifold_upstream_failures_total{route=\"/dead\"}", 1.0).await;
    drop(client);
}

#[tokio::test]
async fn a_crowd_beyond_the_places_is_counted() {
    let origin = Origin::start();
    let config = configuration(&format!("{ADMIN}\nmax_connections = 1"), [route("/*", &origin)]);
    let gateway = Gateway::start(&config).await;
    let admin = gateway.admin().await;
    let (_client, _body) = opened(Client::get("/"), &gateway, &origin).await;
    assert_eq!(Client::get("/").connect(&gateway).await.status, 503);
    until(admin, &refusals("connections"), 1.0).await;
    until(admin, "manifold_connections", 1.0).await;
    until(admin, "manifold_connections_limit", 1.0).await;
}

#[tokio::test]
async fn no_series_is_of_a_stream_or_a_client() {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin)])).await;
    let admin = gateway.admin().await;
    let names = async || {
        let figures = scrape(admin).await;
        let lines = figures.lines().filter(|line| !line.starts_with('#'));
        lines.map(|line| (line.rsplit_once(' ').unwrap().0.to_owned(), ())).collect::<BTreeMap<_, _>>()
    };
    let (mut first, mut body) = opened(Client::get("/?n=0"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    assert_eq!(first.next_data().await, "1");
    let few = names().await;
    let mut crowd = Vec::new();
    for n in 1..=40 {
        let client = Client::get(format!("/s{n}?n={n}")).header("Cookie", format!("c={n}")).header("User-Agent", n);
        crowd.push(opened(client, &gateway, &origin).await);
    }
    until(admin, "manifold_streams{route=\"/*\"}", 41.0).await;
    assert_eq!(names().await, few);
}

#[tokio::test]
async fn prometheus_own_checker_finds_no_fault() {
    let origin = Origin::start();
    let config = configuration(ADMIN, [route("/*", &origin), route("/b", &origin).with("name = \"b\"")]);
    let gateway = Gateway::start(&config).await;
    let (mut client, mut body) = opened(Client::get("/"), &gateway, &origin).await;
    body.event(&numbered(1)).await;
    assert_eq!(client.next_data().await, "1");
    let figures = scrape(gateway.admin().await).await;
    let mut checker = tokio::process::Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool: scripts/setup --test installs it");
    let mut input = checker.stdin.take().unwrap();
    input.write_all(figures.as_bytes()).await.unwrap();
    drop(input);
    let said = guarded("promtool", checker.wait_with_output()).await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert_eq!(said, "");
}

#[tokio::test]
async fn the_format_is_the_one_that_prometheus_asks_for() {
    let origin = Origin::start();
    let gateway = Gateway::start(&configuration(ADMIN, [route("/*", &origin)])).await;
    let admin = gateway.admin().await;
    let accept = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
    let mut answer = Client::get("/metrics").header("Accept", accept).connect(admin).await;
    let open_metrics = Some("application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert_eq!((answer.status, answer.header("content-type")), (200, open_metrics));
    assert!(answer.text().await.ends_with("\n# EOF\n"));
    let accept =
        format!("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited,{accept}");
    let answer = Client::get("/metrics").header("Accept", accept).connect(admin).await;
    let protobuf = Some("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited");
    assert_eq!((answer.status, answer.header("content-type")), (200, protobuf));
    let posted = Client::method("POST", "/metrics").body("x").connect(admin).await;
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD")));
}
