//! A real Prometheus asks a real manifold for its figures. What it then answers to queries is what happened.
//! The queries of the dashboard and of the alerts are asked, too.

use crate::checkout::{checkout, text, texts, yaml};
use crate::client::{Client, Response};
use crate::ecosystem;
use crate::guard::guarded;
use crate::origin::{Body, Origin, Port};
use crate::process::Manifold;
use crate::program::Program;
use serde_json::Value;
use std::net::SocketAddr;
use std::time::Duration;
use tempfile::TempDir;
use tokio::process::Command;

/// The time between two questions about what Prometheus knows.
const LOOK: Duration = Duration::from_millis(50);

/// The events that each client gets.
const EVENTS: usize = 20;

/// manifold with an origin, and two clients that have got some events.
struct Stage {
    admin: SocketAddr,
    _running: (Manifold, Origin, Body, [Response; 2], TempDir),
}

impl Stage {
    async fn start() -> Self {
        let (origin, directory) = (Origin::start(), tempfile::tempdir().unwrap());
        let config = directory.path().join("manifold.toml");
        let route = format!("[[routes]]\npath = \"/events\"\norigin = \"{}\"\n", origin.url());
        std::fs::write(&config, route).unwrap();
        let mut manifold = Manifold::run(crate::process::manifold(&config));
        let admin = manifold.logged("admin listening addr=").await.parse().unwrap();
        let listen: SocketAddr = manifold.logged(" listening addr=").await.parse().unwrap();
        let (first, mut body) = tokio::join!(Client::get("/events").connect(listen), origin.stream());
        let mut clients = [first.stream(), Client::get("/events").connect(listen).await.stream()];
        for n in 0..EVENTS {
            body.event(&format!("data: {n}\n\n")).await;
            for client in &mut clients {
                assert_eq!(client.next_data().await, n.to_string());
            }
        }
        Self { admin, _running: (manifold, origin, body, clients, directory) }
    }
}

/// A Prometheus that asks for the figures many times a second.
struct Prometheus {
    addr: SocketAddr,
    _program: Program,
    _directory: TempDir,
}

impl Prometheus {
    async fn of(admin: SocketAddr, flags: &[&str]) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), Port::reserve());
        let config = format!(
            "global: {{scrape_interval: 100ms, evaluation_interval: 200ms}}\n\
             rule_files: [\"{}\"]\n\
             scrape_configs: [{{job_name: manifold, static_configs: [{{targets: [\"{admin}\"]}}]}}]\n",
            checkout("docker/alerts.yml").display()
        );
        let path = directory.path().join("prometheus.yml");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new("prometheus");
        command.arg(format!("--config.file={}", path.display()));
        command.arg(format!("--storage.tsdb.path={}", directory.path().join("data").display()));
        command.arg(format!("--web.listen-address={}", port.addr())).args(flags);
        let mut program = Program::run(command);
        program.listens(&port).await;
        // It listens before it answers.
        let ready = async {
            while Client::get("/-/ready").connect(port.addr()).await.status != 200 {
                tokio::time::sleep(LOOK).await;
            }
        };
        guarded("Prometheus to be ready", ready).await;
        Self { addr: port.addr(), _program: program, _directory: directory }
    }

    async fn api(&self, path: &str) -> Value {
        let text = Client::get(path).connect(self.addr).await.text().await;
        let answer: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}: {text}"));
        assert_eq!(answer["status"], "success", "{path}: {text}");
        answer["data"].clone()
    }

    /// The values of a query now.
    async fn values(&self, query: &str) -> Vec<f64> {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let data = self.api(&format!("/api/v1/query?query={encoded}")).await;
        let value = |sample: &Value| sample["value"][1].as_str().and_then(|text| text.parse().ok());
        data["result"].as_array().unwrap().iter().filter_map(value).collect()
    }

    /// Waits until a query has these values.
    async fn says(&self, query: &str, accept: impl Fn(&[f64]) -> bool) {
        let reached = async {
            while !accept(&self.values(query).await) {
                tokio::time::sleep(LOOK).await;
            }
        };
        guarded(query, reached).await;
    }
}

#[tokio::test]
async fn prometheus_understands_the_text_and_answers_every_query_of_the_dashboard_and_the_alerts() {
    let stage = Stage::start().await;
    let prometheus = Prometheus::of(stage.admin, &[]).await;
    prometheus.says("manifold_subscribers{route=\"/events\"}", |values| values == [2.0]).await;
    prometheus.says("manifold_deliveries_total", |values| values == [2.0 * EVENTS as f64]).await;
    prometheus.says("manifold_delivery_lag_seconds_count", |values| values == [2.0 * EVENTS as f64]).await;
    prometheus.says("manifold_upstreams{phase=\"live\"}", |values| values == [1.0]).await;
    prometheus.says("count(manifold_build_info)", |values| values == [1.0]).await;
    let quantile = "histogram_quantile(0.99, sum by (le) (manifold_delivery_lag_seconds_bucket))";
    prometheus.says(quantile, |values| matches!(values, [lag] if *lag > 0.0)).await;

    let dashboard: Value = serde_json::from_str(&text("docker/grafana.json")).unwrap();
    let mut shown = Vec::new();
    texts(&dashboard, "expr", &mut shown);
    assert!(shown.len() > 30, "{shown:?}");
    for query in shown {
        let query = query.replace("$instance", ".*").replace("$route", ".*").replace("$__rate_interval", "1m");
        assert!(!query.contains('$'), "{query}");
        // A rate needs two scrapes.
        prometheus.says(&query, |values| !values.is_empty()).await;
    }
    let rules = yaml(&text("docker/alerts.yml")).await.remove(0);
    let mut alerts = Vec::new();
    texts(&rules, "alert", &mut alerts);
    let healthy = async {
        loop {
            let (data, mut states) = (prometheus.api("/api/v1/rules").await, Vec::new());
            texts(&data, "health", &mut states);
            assert_eq!(states.len(), alerts.len(), "{data}");
            assert!(!states.contains(&"err"), "{data}");
            if states.iter().all(|state| *state == "ok") {
                return;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    guarded("each alert to be looked at", healthy).await;
}

#[tokio::test]
async fn prometheus_understands_native_histograms() {
    let stage = Stage::start().await;
    let prometheus = Prometheus::of(stage.admin, &["--enable-feature=native-histograms"]).await;
    prometheus.says("manifold_subscribers", |values| values == [2.0]).await;
    let count = "histogram_count(manifold_delivery_lag_seconds)";
    prometheus.says(count, |values| values == [2.0 * EVENTS as f64]).await;
    prometheus.says("histogram_count(manifold_replay_events)", |values| values == [0.0]).await;
    let quantile = "histogram_quantile(0.5, manifold_delivery_lag_seconds)";
    prometheus.says(quantile, |values| matches!(values, [lag] if *lag > 0.0 && *lag < 60.0)).await;
    let within = "histogram_fraction(0, 60, manifold_delivery_lag_seconds)";
    prometheus.says(within, |values| values == [1.0]).await;
}

/// The parser of Prometheus' client for Python refuses what OpenMetrics forbids and Prometheus itself forgives.
#[tokio::test]
async fn a_strict_parser_accepts_the_open_metrics() {
    let stage = Stage::start().await;
    let accept = "application/openmetrics-text;version=1.0.0";
    let figures = Client::get("/metrics").header("Accept", accept).connect(stage.admin).await.text().await;
    let mut parser = ecosystem::python("deploy/open_metrics.py");
    let names = crate::checkout::succeeds(&mut parser, &figures).await;
    for name in ["manifold_subscribers gauge", "manifold_deliveries counter", "manifold_delivery_lag_seconds histogram"]
    {
        assert!(names.lines().any(|line| line == name), "{name}\n{names}");
    }
}
