//! Prometheus' and Grafana's files: Prometheus' own checker accepts them, the alerts fire for their causes, and every
//! figure that they name is one that manifold serves.

use crate::checkout::{checkout, succeeds, text, texts, yaml};
use crate::client::Client;
use crate::process::{Manifold, manifold};
use serde_json::Value;
use std::collections::BTreeSet;
use tokio::process::Command;

const RULES: &str = "docker/alerts.yml";
const TESTS: &str = "docker/alerts_test.yml";
const DASHBOARD: &str = "docker/grafana.json";
const PROMETHEUS: &str = "docker/prometheus/prometheus.yml";

async fn promtool(arguments: &[&str]) {
    succeeds(Command::new("promtool").args(arguments).current_dir(checkout("docker")), "").await;
}

/// The names in expressions that are figures of manifold.
fn names(text: &str) -> BTreeSet<String> {
    let words = text.split(|char: char| !char.is_ascii_alphanumeric() && char != '_');
    words.filter(|word| word.starts_with("manifold_") || word.starts_with("process_")).map(str::to_owned).collect()
}

/// The names of all series that manifold serves.
async fn served() -> BTreeSet<String> {
    let mut manifold = Manifold::run(manifold(&checkout("docker/compose/manifold.toml")));
    let admin: std::net::SocketAddr = manifold.logged("admin listening addr=").await.parse().unwrap();
    let mut answer = Client::get("/metrics").connect(admin).await;
    assert_eq!(answer.status, 200);
    let mut names = BTreeSet::new();
    for line in answer.text().await.lines() {
        let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) else { continue };
        match kind {
            "histogram" => names.extend(["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}"))),
            _ => _ = names.insert(name.to_owned()),
        }
    }
    names
}

#[tokio::test]
async fn the_rules_are_right_and_each_alert_fires_for_its_cause_alone() {
    promtool(&["check", "rules", "alerts.yml"]).await;
    promtool(&["test", "rules", "alerts_test.yml"]).await;
    let rules = yaml(&text(RULES)).await.remove(0);
    let tests = yaml(&text(TESTS)).await.remove(0);
    let [mut alerts, mut tried] = [Vec::new(), Vec::new()];
    texts(&rules, "alert", &mut alerts);
    texts(&tests, "alertname", &mut tried);
    assert!(alerts.len() > 5, "{alerts:?}");
    for alert in alerts {
        assert_eq!(
            tried.iter().filter(|tried| **tried == alert).count(),
            2,
            "{alert} is tried with and without a cause"
        );
    }
}

#[tokio::test]
async fn prometheus_reads_its_configuration() {
    // The checker looks for the rules where they are named.
    let directory = tempfile::tempdir().unwrap();
    let config = text(PROMETHEUS).replace("/etc/prometheus/alerts.yml", checkout(RULES).to_str().unwrap());
    let path = directory.path().join("prometheus.yml");
    std::fs::write(&path, config).unwrap();
    promtool(&["check", "config", path.to_str().unwrap()]).await;
}

#[tokio::test]
async fn every_figure_that_is_shown_or_watched_is_served() {
    let served = served().await;
    assert!(served.len() > 40, "{served:?}");
    let dashboard: Value = serde_json::from_str(&text(DASHBOARD)).unwrap();
    let mut shown = Vec::new();
    texts(&dashboard, "expr", &mut shown);
    texts(&dashboard, "query", &mut shown);
    assert!(shown.len() > 30, "{shown:?}");
    for (file, text) in [(DASHBOARD, shown.join("\n")), (RULES, text(RULES)), (TESTS, text(TESTS))] {
        let named = names(&text);
        assert!(named.len() > 5, "{file}: {named:?}");
        let unknown: Vec<_> = named.difference(&served).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}, which manifold does not serve");
    }
}

#[tokio::test]
async fn the_dashboard_has_panels_that_do_not_overlap_and_each_asks_something() {
    let dashboard: Value = serde_json::from_str(&text(DASHBOARD)).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let place = |panel: &Value| ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
    let mut ids = BTreeSet::new();
    for (n, panel) in panels.iter().enumerate() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}", panel["title"]);
        assert!(panel["type"] == "row" || !panel["targets"].as_array().unwrap().is_empty(), "{}", panel["title"]);
        let [x, y, w, h] = place(panel);
        for other in &panels[..n] {
            let [left, top, width, height] = place(other);
            let overlaps = x < left + width && left < x + w && y < top + height && top < y + h;
            assert!(!overlaps, "{} and {}", panel["title"], other["title"]);
        }
    }
}
