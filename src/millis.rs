//! Times as milliseconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The milliseconds of a time span. A span that is too long counts as the longest.
#[must_use]
pub(crate) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// The milliseconds since 1970. A time before that is the beginning of 1970.
#[must_use]
pub(crate) fn unix_millis(at: SystemTime) -> u64 {
    millis(at.duration_since(UNIX_EPOCH).unwrap_or_default())
}
