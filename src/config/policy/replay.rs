//! `[routes.replay]`.

use crate::config::reader::{Rule, Section};
use crate::config::value::{MAX_COUNT, bytes, count_or, positive_count, seconds_or_off, word};
use crate::replay::{IdPolicy, OnGap, ReplayOptions, Start};
use std::sync::Arc;
use toml::de::DeValue;

pub(in crate::config) fn read(mut section: Section<'_>, base: &ReplayOptions) -> ReplayOptions {
    let mut options = base.clone();
    section.set(&mut options.events, "events", count_or("off"));
    section.set(&mut options.bytes, "bytes", bytes);
    section.set(&mut options.age, "age_secs", seconds_or_off);
    section.set(&mut options.ids, "ids", word(&[("auto", IdPolicy::Auto), ("origin", IdPolicy::Origin)]));
    section.set(&mut options.start, "start", start);
    let on_gap = [("event", OnGap::Event), ("oldest", OnGap::Oldest), ("live", OnGap::Live)];
    section.set(&mut options.on_gap, "on_gap", word(&on_gap));
    section.set(&mut options.gap_event, "gap_event", event_type);
    section.finish();
    options
}

fn start(value: &DeValue<'_>) -> Result<Start, Rule> {
    match value.as_str() {
        Some("live") => Ok(Start::Live),
        Some("all") => Ok(Start::All),
        _ => {
            let rule = "must be \"live\", \"all\", or a number of events above 0";
            positive_count(value, MAX_COUNT, rule).map(Start::Back)
        }
    }
}

/// Reads the type that follows `event:`. The EventSource parser ends a line at CR and at LF.
fn event_type(value: &DeValue<'_>) -> Result<Arc<str>, Rule> {
    let name = value.as_str().filter(|name| !name.is_empty() && !name.contains(['\r', '\n']));
    name.map(Arc::from).ok_or_else(|| "must be an event type: a text without line breaks, not empty".to_owned())
}
