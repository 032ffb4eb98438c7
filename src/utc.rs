//! Times as text.

use std::time::{SystemTime, UNIX_EPOCH};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Duration, OffsetDateTime};

const FORM: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A time in UTC, to the millisecond, as in `2026-11-27T08:00:00.000Z` (RFC 3339). A time before 1970 or after the year
/// 9999 is shown as the beginning of 1970.
#[must_use]
pub fn rfc3339(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).ok().and_then(|since| Duration::try_from(since).ok());
    let at =
        since.and_then(|since| OffsetDateTime::UNIX_EPOCH.checked_add(since)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    // Each part of the form is known of a time in UTC, so this cannot fail.
    at.format(FORM).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_time_is_in_utc_to_the_millisecond() {
        for (secs, expected) in [
            (0, "1970-01-01T00:00:00.007Z"),
            (951_782_399, "2000-02-28T23:59:59.007Z"),
            (951_782_400, "2000-02-29T00:00:00.007Z"),
            (1_709_251_200, "2024-03-01T00:00:00.007Z"),
            (4_102_444_799, "2099-12-31T23:59:59.007Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_micros(secs * 1_000_000 + 7_999)), expected);
        }
        for strange in [UNIX_EPOCH - Duration::from_secs(1), UNIX_EPOCH + Duration::from_secs(1 << 40)] {
            assert_eq!(rfc3339(strange), "1970-01-01T00:00:00.000Z");
        }
    }
}
