//! The figures as they are written.

use super::figures::Read;
use super::of_process::OF_PROCESS;
use super::of_routes::OF_ROUTES;
use super::*;
use crate::config::{Config, Networks, SystemSources};
use crate::counters::{Backfilled, Close, Label, Lost, Refused, RouteCounters, UpstreamPhase};
use crate::gateway::{NoStreams, RouteIds, Routing};
use prometheus_client::metrics::MetricType;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The figures of a process with two routes.
fn metrics() -> Metrics {
    let text = "[[routes]]\npath = '/a'\norigin = 'http://o'\n[[routes]]\npath = '/b'\nname = 'b'\norigin = 'http://o'";
    let config = Config::parse(text, &SystemSources::beside(Path::new("m.toml"))).unwrap();
    let routing = Routing::new(config.routes.routes(), Networks::default(), &mut RouteIds::default());
    let hub = Hub::new(Arc::new(NoStreams));
    Metrics::new(CurrentRouting::new(routing), hub, None, 100)
}

fn written(metrics: &Metrics, format: Format) -> String {
    String::from_utf8(metrics.encode(format).unwrap().to_vec()).unwrap()
}

fn of_route(metrics: &Metrics, name: &str) -> Arc<RouteCounters> {
    metrics.counters().into_iter().find(|(route, _)| &**route == name).unwrap().1
}

/// A line with its labels in the order of their names.
fn labels_in_order(line: &str) -> String {
    let Some((name, (labels, value))) =
        line.split_once('{').and_then(|(name, rest)| Some((name, rest.split_once('}')?)))
    else {
        return line.to_owned();
    };
    let mut labels: Vec<_> = labels.split(',').collect();
    labels.sort_unstable();
    format!("{name}{{{}}}{value}", labels.join(","))
}

#[test]
fn what_was_counted_is_written_with_the_route_and_the_reason() {
    let metrics = metrics();
    let a = of_route(&metrics, "/a");
    a.subscribers.add(3);
    a.closes.add_one(Close::Lag);
    a.gaps.add_one(Lost::Upstream);
    a.upstreams.add_one(UpstreamPhase::Waiting);
    a.delivery_lag.observe(2_000, 5);
    a.replayed.observe(7, 2);
    a.last_event.set(Instant::now());
    for format in [Format::Text, Format::OpenMetrics] {
        let written = written(&metrics, format);
        for line in [
            "manifold_subscribers{route=\"/a\"} 3",
            "manifold_subscribers{route=\"b\"} 0",
            "manifold_closes_total{route=\"/a\",reason=\"lag\"} 1",
            "manifold_closes_total{route=\"/a\",reason=\"stall\"} 0",
            "manifold_gaps_total{route=\"/a\",reason=\"upstream\"} 1",
            "manifold_upstreams{route=\"/a\",phase=\"waiting\"} 1",
            "manifold_delivery_lag_seconds_sum{route=\"/a\"} 0.01",
            "manifold_delivery_lag_seconds_count{route=\"/a\"} 5",
            "manifold_delivery_lag_seconds_bucket{le=\"0.001\",route=\"/a\"} 0",
            "manifold_delivery_lag_seconds_bucket{le=\"0.0025\",route=\"/a\"} 5",
            "manifold_delivery_lag_seconds_bucket{le=\"+Inf\",route=\"/a\"} 5",
            "manifold_replayed_events_total{route=\"/a\"} 14",
            "manifold_replay_events_count{route=\"/a\"} 2",
            "manifold_connections_limit 100",
        ] {
            // The two formats write the labels of a bucket in different orders.
            let found = written.lines().any(|written| labels_in_order(written) == labels_in_order(line));
            assert!(found, "{line}\n{written}");
        }
        assert!(written.contains("manifold_last_event_age_seconds{route=\"/a\"} "), "{written}");
        assert!(!written.contains("manifold_last_event_age_seconds{route=\"b"), "there was no event");
        let ends = written.ends_with("# EOF\n");
        assert_eq!(ends, format == Format::OpenMetrics);
    }
}

#[test]
fn native_histograms_are_in_the_protobuf() {
    let metrics = metrics();
    let a = of_route(&metrics, "/a");
    let empty = metrics.encode(Format::Protobuf).unwrap();
    for lag in [100, 300, 5_000, 5_100, 2_000_000] {
        a.delivery_lag.observe(lag, 1);
    }
    let filled = metrics.encode(Format::Protobuf).unwrap();
    let name = b"manifold_delivery_lag_seconds";
    assert!(filled.windows(name.len()).any(|window| window == name));
    // A positive span (field 12 of the message) is a message of an offset and a length.
    assert!(filled.len() > empty.len() + 4 * 4, "{} {}", filled.len(), empty.len());
}

#[test]
fn the_table_in_the_documentation_names_every_figure_and_no_other() {
    let document = include_str!("../../docs/observability.md");
    let documented: Vec<_> = document.lines().filter_map(|line| line.strip_prefix("| `")).collect();
    let documented: Vec<_> = documented
        .iter()
        .filter_map(|row| {
            let (name, rest) = row.split_once("` | ")?;
            let (kind, rest) = rest.split_once(" | ")?;
            let (labels, meaning) = rest.split_once(" | ")?;
            Some(format!("{name} | {kind} | {labels} | {}", meaning.trim_end_matches(" |")))
        })
        .collect();
    let row = |name: &str, help: &str, kind: MetricType, labels: &[&str]| {
        let suffix = match kind {
            MetricType::Counter => "_total",
            MetricType::Info => "_info",
            _ => "",
        };
        let kind = if kind == MetricType::Info { "gauge" } else { kind.as_str() };
        let labels: Vec<_> =
            labels.iter().filter(|label| !label.is_empty()).map(|label| format!("`{label}`")).collect();
        format!("{name}{suffix} | {kind} | {} | {help}", labels.join(", "))
    };
    let routes = OF_ROUTES.iter().map(|of| row(of.name, of.help, of.read.kind(), &["route", label(&of.read)]));
    let process = OF_PROCESS.iter().map(|of| row(of.name, of.help, of.read.kind(), &[label(&of.read)]));
    let served: Vec<_> = routes.chain(process).collect();
    assert_eq!(
        documented,
        served,
        "expected:\n{}",
        served.iter().map(|row| format!("| `{}|\n", row.replacen(" | ", "` | ", 1) + " ")).collect::<String>()
    );
    let names: BTreeSet<_> = served.iter().map(|row| row.split(' ').next().unwrap()).collect();
    assert_eq!(names.len(), served.len(), "each name is there once");
}

fn label<S>(read: &Read<S>) -> &'static str {
    match read {
        Read::CounterBy(label, _)
        | Read::GaugeBy(label, _)
        | Read::MeasureOfEach(label, _)
        | Read::SecondsOfEach(label, _) => label,
        Read::Info(_) => "version",
        _ => "",
    }
}

#[test]
fn what_is_measured_in_seconds_or_bytes_says_so() {
    let names = OF_ROUTES.iter().map(|of| of.name).chain(OF_PROCESS.iter().map(|of| of.name));
    for name in names {
        let is_named = name.starts_with("manifold_") || name.starts_with("process_");
        assert!(is_named && !name.ends_with("_total"), "{name}");
        for unit in ["_ms", "_millis", "_micros", "_kib", "_mib"] {
            assert!(!name.contains(unit), "{name}");
        }
    }
    let started = metrics().started;
    assert!(started.elapsed().unwrap() < Duration::from_secs(600));
}

/// A label value that no story sees has to be named here, with the reason.
#[test]
fn every_reason_is_seen_by_a_story_or_is_not_raised_yet() {
    const NOT_RAISED: [&str; 0] = [];
    let stories = concat!(
        include_str!("../../tests/stories/metrics.rs"),
        include_str!("../../tests/stories/metrics_reasons.rs"),
        include_str!("../../tests/stories/limits_of_clients.rs"),
        include_str!("../../tests/stories/soft_refusal.rs"),
    );
    let calls = |family: &str, words: Vec<&'static str>| {
        words.into_iter().map(|word| format!("{family}(\"{word}\")")).collect::<Vec<_>>()
    };
    let all = [
        calls("closes", words::<Close>()),
        calls("gaps", words::<Lost>()),
        calls("backfills", words::<Backfilled>()),
        calls("phases", words::<UpstreamPhase>()),
        calls("refusals", words::<Refused>()),
    ];
    // A story with a table of refusals names them in a field.
    let is_seen = |call: &str| {
        let field = call.strip_prefix("refusals(").and_then(|word| word.strip_suffix(')'));
        stories.contains(call) || field.is_some_and(|word| stories.contains(&format!("reason: {word}")))
    };
    let unseen: Vec<_> = all.concat().into_iter().filter(|call| !is_seen(call)).collect();
    assert_eq!(unseen, NOT_RAISED);
}

fn words<L: Label>() -> Vec<&'static str> {
    L::ALL.iter().map(|label| label.word()).collect()
}

/// A scrape that needed such a lock would wait for ever here, and one that holds it would delay events.
#[test]
fn a_scrape_needs_no_lock_of_the_hub() {
    let metrics = metrics();
    let (hub, scraping) = (metrics.hub.clone(), metrics);
    let written = hub.with_streams_locked(move || {
        let (done, waits) = std::sync::mpsc::channel();
        let scrape = std::thread::spawn(move || done.send(scraping.encode(Format::Protobuf).unwrap().len()).unwrap());
        let written = waits.recv_timeout(Duration::from_secs(60)).expect("the scrape waits for the lock");
        scrape.join().unwrap();
        written
    });
    assert!(written > 0);
}
