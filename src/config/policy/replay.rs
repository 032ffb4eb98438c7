//! `[routes.replay]`.

use crate::config::reader::{Item, Rule, Section};
use crate::config::value::{MAX_COUNT, bytes, count_or, positive_count, seconds_or_off, word};
use crate::replay::{IdPolicy, OnGap, ReplayOptions, Start};
use std::sync::Arc;
use std::time::Duration;
use toml::de::DeValue;

/// The policy of replay logs as far as it has been read.
#[derive(Debug, Clone, Default)]
pub(in crate::config) struct ReplayLayer<'a> {
    options: ReplayOptions,
    /// The `age_secs` of this layer itself, not of a layer below.
    age: Option<Item<'a>>,
    /// `start` or `events`.
    culprit: Option<Item<'a>>,
}

impl<'a> ReplayLayer<'a> {
    pub(in crate::config) fn read(mut section: Section<'a>, base: &Self) -> Self {
        let mut options = base.options.clone();
        let events = section.set(&mut options.events, "events", count_or("off"));
        section.set(&mut options.bytes, "bytes", bytes);
        let age = section.set(&mut options.age, "age_secs", seconds_or_off);
        section.set(&mut options.ids, "ids", word(&[("auto", IdPolicy::Auto), ("origin", IdPolicy::Origin)]));
        let first = section.set(&mut options.start, "start", start);
        let on_gap = [("event", OnGap::Event), ("oldest", OnGap::Oldest), ("live", OnGap::Live)];
        section.set(&mut options.on_gap, "on_gap", word(&on_gap));
        section.set(&mut options.gap_event, "gap_event", event_type);
        section.finish();
        Self { options, age, culprit: first.or(events).or_else(|| base.culprit.clone()) }
    }

    /// The age at which events are dropped, and where this layer itself sets it.
    pub(in crate::config) fn age(&self) -> (Option<Duration>, Option<&Item<'a>>) {
        (self.options.age, self.age.as_ref())
    }

    /// Reports it if new clients are to begin further back than events are kept.
    pub(in crate::config) fn check(&self) {
        let Some(culprit) = &self.culprit else { return };
        match (self.options.start, self.options.events) {
            (Start::Back(back), Some(most)) if back > most => {
                culprit.fail(format_args!("start ({back}) must not be above events ({most}): the log keeps no more"));
            }
            (Start::Back(_) | Start::All, None) => {
                culprit.fail("start must be \"live\" while events is \"off\": the log keeps no events for new clients");
            }
            _ => {}
        }
    }

    pub(in crate::config) fn resolve(self) -> ReplayOptions {
        self.options
    }
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
    name.map(Arc::from).ok_or_else(|| "must be an event type: not empty, and without line breaks".to_owned())
}
