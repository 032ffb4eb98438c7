//! Times in the data of events. They tell when an event was made, and so whether it came late.

/// The units of a number that may be a time since 1970, each with the number of its digits and its length in
/// nanoseconds.
const UNITS: [(usize, i64); 4] = [(10, 1_000_000_000), (13, 1_000_000), (16, 1_000), (19, 1)];

const NANOS_PER_MS: i64 = 1_000_000;

/// A time in the data is believed if it is at most this far from now, in milliseconds. Time zones differ by less.
const NEAR_MS: i64 = 26 * 3600 * 1000;

/// The most bytes of an event that are searched.
const SEARCHED: usize = 2048;

/// The first time in a text that is near `now`: ISO 8601, or a number since 1970 in seconds, milliseconds,
/// microseconds or nanoseconds. All times are in milliseconds since 1970.
pub(super) fn stamp(text: &[u8], now: i64) -> Option<i64> {
    let text = text.get(..SEARCHED).unwrap_or(text);
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        let is_start = byte.is_ascii_digit() && !at.checked_sub(1).is_some_and(|before| text[before].is_ascii_digit());
        if is_start {
            let rest = &text[at..];
            let found =
                iso(rest).or_else(|| epoch(rest)).filter(|found| now.abs_diff(*found) <= NEAR_MS.unsigned_abs());
            if found.is_some() {
                return found;
            }
        }
        at += 1;
    }
    None
}

/// A number since 1970. Seconds may have a fraction.
fn epoch(text: &[u8]) -> Option<i64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (_, nanos) = UNITS.iter().find(|(length, _)| *length == digits)?;
    let whole = number(text, 0, digits)?.checked_mul(*nanos)? / NANOS_PER_MS;
    let fraction = if digits == 10 { fraction(&text[digits..]).0 } else { 0 };
    Some(whole + fraction)
}

/// `2026-01-31T12:34:56.789+01:00`, also with a space, without a fraction and without a zone.
fn iso(text: &[u8]) -> Option<i64> {
    let is = |at: usize, wanted: &[u8]| text.get(at).is_some_and(|byte| wanted.contains(byte));
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let part = |from, to| number(text, from, to);
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (fraction, length) = fraction(&text[19..]);
    let zone = zone(&text[19 + length..]).unwrap_or(0);
    let minutes = (days(year, month, day) * 24 + hour) * 60 + minute - zone;
    Some((minutes * 60 + second) * 1000 + fraction)
}

/// The milliseconds of `.789` at the start, and its length.
fn fraction(text: &[u8]) -> (i64, usize) {
    if !text.first().is_some_and(|byte| matches!(byte, b'.' | b',')) {
        return (0, 0);
    }
    let digits = text[1..].iter().take_while(|byte| byte.is_ascii_digit());
    let millis = digits.clone().chain(b"000").take(3).fold(0, |all, byte| all * 10 + i64::from(byte - b'0'));
    let count = digits.count();
    if count == 0 { (0, 0) } else { (millis, count + 1) }
}

/// The minutes of `+01:00` or `-0530` at the start.
fn zone(text: &[u8]) -> Option<i64> {
    let sign = match text.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let minutes = if text.get(3) == Some(&b':') { 4 } else { 3 };
    Some(sign * (number(text, 1, 3)? * 60 + number(text, minutes, minutes + 2).unwrap_or(0)))
}

fn number(text: &[u8], from: usize, to: usize) -> Option<i64> {
    str::from_utf8(text.get(from..to)?)
        .ok()
        .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?
        .parse()
        .ok()
}

/// The days from 1970-01-01 to a day of the Gregorian calendar. Years are counted from March, so that a leap day is the
/// last day of its year.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_assert, proptest};
    use proptest::test_runner::{Config, RngSeed};

    proptest! {
        #![proptest_config(Config { failure_persistence: None, rng_seed: RngSeed::Fixed(7), ..Config::default() })]

        #[test]
        fn nothing_that_a_stranger_writes_is_too_odd(text in "[0-9:TtZ.,+ -]{0,40}", now in any::<i64>()) {
            let found = stamp(text.as_bytes(), now);
            prop_assert!(found.is_none_or(|found| found.abs_diff(now) <= NEAR_MS.unsigned_abs()));
        }
    }

    #[test]
    fn a_time_is_found_in_many_forms() {
        // 2026-01-31T12:34:56.789Z
        const NOW: i64 = 1_769_862_896_789;
        const SECOND: i64 = NOW - 789;
        for (text, found) in [
            ("2026-01-31T12:34:56.789Z", Some(NOW)),
            (r#"{"n":1,"at":"2026-01-31T12:34:56.789012+00:00"}"#, Some(NOW)),
            ("2026-01-31 13:34:56,789+01:00", Some(NOW)),
            ("2026-01-31t07:04:56.7-0530", Some(NOW - 89)),
            ("2026-01-31T12:34:56", Some(SECOND)),
            ("2026-01-31T12:34:56.", Some(SECOND)),
            ("1769862896", Some(SECOND)),
            ("at 1769862896.789 s", Some(NOW)),
            (r#"{"ts":1769862896789}"#, Some(NOW)),
            ("1769862896789012", Some(NOW)),
            ("1769862896789012345", Some(NOW)),
            ("42 2026-01-31T12:34:56.789Z", Some(NOW)),
            // These are no times near now.
            ("1234567890", None),
            ("2025-01-31T12:34:56Z", None),
            ("2026-13-31T12:34:56Z", None),
            ("17698628967890", None),
            ("2026-01-31", None),
            ("hello", None),
            ("", None),
        ] {
            assert_eq!(stamp(text.as_bytes(), NOW), found, "{text}");
        }
        assert_eq!(stamp(b"2024-02-29T00:00:00Z", 1_709_164_800_000), Some(1_709_164_800_000));
        assert_eq!(stamp(b"2000-03-01T00:00:00Z", 951_868_800_000), Some(951_868_800_000));
    }
}
