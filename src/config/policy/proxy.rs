//! `[routes.proxy]`.

use crate::config::reader::Section;
use crate::config::value::{bytes_or, seconds_or_off};
use crate::route::ProxyPolicy;

/// Reads the table over `base`. The keys about the connection to the origin are in `[routes.upstream]`.
pub(in crate::config) fn read(mut section: Section<'_>, base: &ProxyPolicy) -> ProxyPolicy {
    let mut policy = base.clone();
    section.set(&mut policy.idle_timeout, "idle_timeout_secs", seconds_or_off);
    section.set(&mut policy.write_timeout, "write_timeout_secs", seconds_or_off);
    section.set(&mut policy.max_body, "max_body_bytes", |value| {
        Ok(bytes_or("off")(value)?.and_then(|bytes| u64::try_from(bytes).ok()))
    });
    section.finish();
    policy
}
