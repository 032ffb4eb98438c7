//! `[routes.client]`.

use super::ReplayLayer;
use crate::config::reader::{Item, Section};
use crate::config::value::{fraction, millis_or, seconds, seconds_or_off, word};
use crate::downstream::{ClientOptions, OnLag, RetryPolicy};

/// The policy for clients as far as it has been read.
#[derive(Debug, Clone, Default)]
pub(in crate::config) struct ClientLayer<'a> {
    options: ClientOptions,
    /// The `flush_ms` of this layer itself, not of a layer below.
    flush: Option<Item<'a>>,
    /// That of the newest layer that has one.
    newest_flush: Option<Item<'a>>,
}

impl<'a> ClientLayer<'a> {
    pub(in crate::config) fn read(mut section: Section<'a>, base: &Self) -> Self {
        let mut options = base.options.clone();
        section.set(&mut options.heartbeat, "heartbeat_secs", seconds_or_off);
        section.set(&mut options.retry, "retry_ms", |value| {
            Ok(millis_or("origin")(value)?.map_or(RetryPolicy::Origin, RetryPolicy::Fixed))
        });
        section.set(&mut options.retry_jitter, "retry_jitter", fraction);
        section.set(&mut options.max_lifetime, "max_lifetime_secs", seconds_or_off);
        section.set(&mut options.on_lag, "on_lag", word(&[("disconnect", OnLag::Disconnect), ("skip", OnLag::Skip)]));
        section.set(&mut options.stall, "stall_secs", seconds);
        let flush = section.set(&mut options.flush, "flush_ms", millis_or("off"));
        section.finish();
        let newest_flush = flush.clone().or_else(|| base.newest_flush.clone());
        Self { options, flush, newest_flush }
    }

    /// Reports it if events may be held until they are too old to be kept.
    pub(in crate::config) fn check(&self, replay: &ReplayLayer<'a>) {
        if let (Some(flush), (Some(age), own_age)) = (self.options.flush, replay.age())
            && flush >= age
            && let Some(culprit) = self.flush.as_ref().or(own_age).or(self.newest_flush.as_ref())
        {
            let (flush, age) = (flush.as_millis(), age.as_secs_f64());
            culprit.fail(format_args!(
                "flush_ms ({flush}) must be less than age_secs ({age}): events would be dropped before they are sent"
            ));
        }
    }

    pub(in crate::config) fn resolve(self) -> ClientOptions {
        self.options
    }
}
