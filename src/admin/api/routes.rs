//! The routes, the process and the configuration.

use super::problem::Problem;
use super::query::Query;
use super::shown::{self, Now, rounded, secs};
use super::watch::by;
use super::{Api, Facts};
use crate::config::{Setting, Settings};
use crate::counters::process;
use crate::gateway::{Lifecycle, RouteView};
use crate::upstream::OutageView;
use crate::utc::rfc3339;
use http::StatusCode;
use serde_json::{Value, json};
use std::time::Instant;

/// The most outages that are told. The oldest come first.
const MOST_OUTAGES: usize = 100;

impl Api {
    pub(super) fn routes(&self, query: Option<&str>) -> Result<Value, Problem> {
        Query::read(query, &[])?;
        let routes: Vec<_> = self.routing.views().iter().map(|route| self.route(route)).collect();
        let now = Now::read();
        let outage = |outage: &OutageView| {
            json!({"origin": shown::url(&outage.origin), "since": now.time(outage.since), "streams": outage.streams,
                "attempts": outage.attempts, "why": shown::text(outage.why.as_bytes())})
        };
        let outages: Vec<_> = self.outages.present().iter().take(MOST_OUTAGES).map(outage).collect();
        Ok(json!({"routes": routes, "outages": outages}))
    }

    /// The configuration as it was resolved.
    pub(super) fn config(query: Option<&str>, settings: &Settings) -> Result<Value, Problem> {
        Query::read(query, &[])?;
        let json = |setting: &Setting| {
            let Setting { section, route, key, value, from, line, variables } = setting;
            json!({"section": section, "route": route.as_deref(), "key": key, "value": value,
                "is_hidden": value.is_none(), "from": from.word(), "line": line, "variables": variables})
        };
        let all: Vec<_> = settings.all.iter().map(json).collect();
        let file = settings.file.as_ref().map(|file| file.to_string_lossy());
        Ok(json!({"file": file, "settings": all}))
    }

    fn route(&self, route: &RouteView) -> Value {
        let of = &route.counters;
        json!({
            "name": &*route.name,
            "path": route.path,
            "hosts": route.hosts,
            "methods": route.methods,
            "kind": if route.is_private.is_some() { "stream" } else { "proxy" },
            "origin": shown::url(&route.origin),
            "mode": route.is_private.map(|is_private| if is_private { "private" } else { "shared" }),
            "policy": route.policy,
            "subscribers": of.subscribers.value(),
            "streams": of.streams.value(),
            "phases": by(&of.upstreams),
            "rates": self.watch.rates(&route.name),
            "totals": {"events_in": of.events_in.value(), "bytes_in": of.bytes_in.value(),
                "deliveries": of.events_out.value(), "bytes_out": of.bytes_out.value(),
                "upstream_attempts": of.upstream_attempts.value(),
                "upstream_failures": of.upstream_failures.value(),
                "upstream_reconnects": of.upstream_reconnects.value()},
            "closes": by(&of.closes),
            "gaps": by(&of.gaps),
            "refused": of.refused.total(),
            "log_bytes": of.log_bytes.value(),
            "last_event_age_secs": of.last_event.age(Instant::now()).map(secs),
        })
    }

    pub(super) async fn process(&self, query: Option<&str>, facts: &Facts) -> Result<Value, Problem> {
        Query::read(query, &[])?;
        let metrics = facts.metrics.clone();
        let read = tokio::task::spawn_blocking(move || metrics.process()).await;
        let view = read.map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
        let is_running = matches!(*facts.lifecycle.borrow(), Lifecycle::Running);
        let counters = self.routing.counters();
        let shards: Vec<_> = view.shards.iter().map(|busy| rounded(busy.as_secs_f64())).collect();
        let sends_by = self.engine.as_ref().map_or("tasks", crate::fanout::Engine::sends_by);
        Ok(json!({
            "version": env!("CARGO_PKG_VERSION"),
            "started": rfc3339(self.started),
            "uptime_secs": secs(self.started.elapsed().unwrap_or_default()),
            "lifecycle": if is_running { "running" } else { "draining" },
            "is_accepting": !facts.accepting.is_finished(),
            "shards": shards.len(),
            "shard_busy_secs": shards,
            "sends_by": sends_by,
            "places": {"taken": process().places.value(), "limit": view.most_connections},
            "descriptors": {"open": view.system.open_files, "limit": view.system.most_open_files},
            "memory": {"resident_bytes": view.system.resident_bytes, "log_bytes": view.held_bytes,
                "pinned_bytes": view.pinned_bytes},
            "streams": self.catalogue.hub.len(),
            "subscribers": counters.iter().map(|(_, of)| of.subscribers.value()).sum::<u64>(),
            "accepts": process().accepts.value(),
            "refusals": by(&process().refusals),
            "log_lines_dropped": process().log_lines_dropped.value(),
            "last_reload": process().reloads.last().map(|last| shown::reload(&last)),
        }))
    }
}
