//! `[routes.client]`.

use crate::config::reader::Section;
use crate::config::value::{fraction, millis_or, seconds, seconds_or_off, word};
use crate::downstream::{ClientOptions, OnLag, RetryPolicy};

pub(in crate::config) fn read(mut section: Section<'_>, base: &ClientOptions) -> ClientOptions {
    let mut options = base.clone();
    section.set(&mut options.heartbeat, "heartbeat_secs", seconds_or_off);
    section.set(&mut options.retry, "retry_ms", |value| {
        Ok(millis_or("origin")(value)?.map_or(RetryPolicy::Origin, RetryPolicy::Fixed))
    });
    section.set(&mut options.retry_jitter, "retry_jitter", fraction);
    section.set(&mut options.max_lifetime, "max_lifetime_secs", seconds_or_off);
    section.set(&mut options.on_lag, "on_lag", word(&[("disconnect", OnLag::Disconnect), ("skip", OnLag::Skip)]));
    section.set(&mut options.stall, "stall_secs", seconds);
    section.set(&mut options.flush, "flush_ms", millis_or("off"));
    section.finish();
    options
}
