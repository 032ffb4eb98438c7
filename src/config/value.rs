//! Converts single values: durations, sizes, counts and words. Each conversion checks its rule.

use super::reader::Rule;
use std::num::NonZeroUsize;
use std::time::Duration;
use toml::de::DeValue;

/// The longest configurable time: 365 days, in seconds.
const MAX_SECS: u32 = 365 * 24 * 60 * 60;
/// The shortest configurable time, in seconds. A shorter one is probably a wrong unit.
const MIN_SECS: f64 = 0.001;
/// The largest configurable size: 1 TiB.
const MAX_BYTES: u64 = 1 << 40;
/// The largest configurable count.
pub(super) const MAX_COUNT: usize = 1_000_000_000;
/// The units of a size.
const UNITS: [(&str, u32); 4] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("B", 0)];

type Read<T> = Result<T, Rule>;

/// Seconds, whole or fractional, above 0.
pub(super) fn seconds(value: &DeValue<'_>) -> Read<Duration> {
    positive_seconds(value, "must be a number of seconds above 0")
}

/// Seconds above 0, or `"off"`.
pub(super) fn seconds_or_off(value: &DeValue<'_>) -> Read<Option<Duration>> {
    or_word(value, "off", |value| positive_seconds(value, "must be a number of seconds above 0, or \"off\""))
}

/// Seconds, 0 or above: for a time that may be zero without being off.
pub(super) fn seconds_or_zero(value: &DeValue<'_>) -> Read<Duration> {
    let secs = number(value).filter(|secs| *secs >= 0.0).ok_or("must be a number of seconds, 0 or above")?;
    if secs == 0.0 { Ok(Duration::ZERO) } else { bounded_seconds(secs) }
}

fn positive_seconds(value: &DeValue<'_>, rule: &str) -> Read<Duration> {
    bounded_seconds(number(value).filter(|secs| *secs > 0.0).ok_or(rule)?)
}

fn bounded_seconds(secs: f64) -> Read<Duration> {
    if secs < MIN_SECS {
        return Err(format!("must be at least {MIN_SECS} seconds"));
    }
    if secs > f64::from(MAX_SECS) {
        return Err(format!("must be at most {MAX_SECS} seconds (365 days)"));
    }
    Ok(Duration::from_secs_f64(secs))
}

/// Whole milliseconds above 0.
pub(super) fn millis(value: &DeValue<'_>) -> Read<Duration> {
    positive_millis(value, "must be a whole number of milliseconds above 0")
}

/// Whole milliseconds above 0, or `word`.
pub(super) fn millis_or(word: &str) -> impl Fn(&DeValue<'_>) -> Read<Option<Duration>> {
    move |value| {
        let rule = format!("must be a whole number of milliseconds above 0, or \"{word}\"");
        or_word(value, word, |value| positive_millis(value, &rule))
    }
}

fn positive_millis(value: &DeValue<'_>, rule: &str) -> Read<Duration> {
    let max = u64::from(MAX_SECS) * 1000;
    let millis = integer(value).filter(|millis| *millis > 0).ok_or(rule)?;
    let millis = u64::try_from(millis).ok().filter(|millis| *millis <= max);
    millis.map(Duration::from_millis).ok_or_else(|| format!("must be at most {max} milliseconds (365 days)"))
}

/// A count of at least 1.
pub(super) fn count(value: &DeValue<'_>) -> Read<NonZeroUsize> {
    positive_count(value, MAX_COUNT, "must be a whole number above 0")
}

/// A count of at least 1 and at most `max`.
pub(super) fn count_to(max: usize) -> impl Fn(&DeValue<'_>) -> Read<NonZeroUsize> {
    move |value| positive_count(value, max, "must be a whole number above 0")
}

/// A count of at least 1 and at most `max`, or "off".
pub(super) fn count_to_or_off(max: usize) -> impl Fn(&DeValue<'_>) -> Read<Option<NonZeroUsize>> {
    move |value| or_word(value, "off", |value| positive_count(value, max, "must be a whole number above 0, or \"off\""))
}

/// A count of at least 1, or `word`.
pub(super) fn count_or(word: &str) -> impl Fn(&DeValue<'_>) -> Read<Option<NonZeroUsize>> {
    move |value| {
        let rule = format!("must be a whole number above 0, or \"{word}\"");
        or_word(value, word, |value| positive_count(value, MAX_COUNT, &rule))
    }
}

pub(super) fn positive_count(value: &DeValue<'_>, max: usize, rule: &str) -> Read<NonZeroUsize> {
    let count = integer(value).filter(|count| *count > 0).ok_or(rule)?;
    let count = usize::try_from(count).ok().filter(|count| *count <= max).and_then(NonZeroUsize::new);
    count.ok_or_else(|| format!("must be at most {max}"))
}

const BYTES_RULE: &str =
    "must be a number of bytes above 0, or a size such as \"512B\", \"64KiB\", \"4MiB\" or \"1GiB\"";

/// Bytes: a plain number, or a text with a unit such as `"4MiB"`.
pub(super) fn bytes(value: &DeValue<'_>) -> Read<usize> {
    positive_bytes(value, BYTES_RULE)
}

/// Bytes, or `word`.
pub(super) fn bytes_or(word: &str) -> impl Fn(&DeValue<'_>) -> Read<Option<usize>> {
    move |value| or_word(value, word, |value| positive_bytes(value, &format!("{BYTES_RULE}, or \"{word}\"")))
}

fn positive_bytes(value: &DeValue<'_>, rule: &str) -> Read<usize> {
    let bytes = value.as_str().map_or_else(|| integer(value), size).filter(|bytes| *bytes > 0).ok_or(rule)?;
    let bytes = u64::try_from(bytes).ok().filter(|bytes| *bytes <= MAX_BYTES);
    bytes.and_then(|bytes| usize::try_from(bytes).ok()).ok_or_else(|| "must be at most 1024GiB".to_owned())
}

fn size(text: &str) -> Option<i128> {
    let unit = |(unit, shift): &(&str, u32)| text.strip_suffix(unit).map(|digits| (digits.to_owned(), *shift));
    let (digits, shift) = UNITS.iter().find_map(unit)?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // More digits than an `i128` holds are too many bytes, and not a wrong form.
    Some(digits.parse::<i128>().map_or(i128::MAX, |number| number.saturating_mul(1 << shift)))
}

/// A number from 0 to 1.
pub(super) fn fraction(value: &DeValue<'_>) -> Read<f64> {
    let fraction = number(value).filter(|fraction| (0.0..=1.0).contains(fraction));
    fraction.ok_or_else(|| "must be a number from 0 to 1".to_owned())
}

/// `true` or `false`.
pub(super) fn boolean(value: &DeValue<'_>) -> Read<bool> {
    value.as_bool().ok_or_else(|| "must be true or false".to_owned())
}

/// One of a few words.
pub(super) fn word<T: Copy>(words: &[(&str, T)]) -> impl Fn(&DeValue<'_>) -> Read<T> {
    move |value| {
        let found = words.iter().find(|(word, _)| value.as_str() == Some(word));
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            match words.split_last() {
                Some((last, first)) => format!("must be {} or {last}", first.join(", ")),
                None => "must not be written".to_owned(),
            }
        })
    }
}

/// `None` for the word, otherwise the result of `convert`.
fn or_word<T>(value: &DeValue<'_>, word: &str, convert: impl FnOnce(&DeValue<'_>) -> Read<T>) -> Read<Option<T>> {
    if value.as_str() == Some(word) { Ok(None) } else { convert(value).map(Some) }
}

/// A whole number. A number outside the range of `i128` becomes the nearest `i128`.
pub(super) fn integer(value: &DeValue<'_>) -> Option<i128> {
    let integer = value.as_integer()?;
    let saturated = if integer.as_str().starts_with('-') { i128::MIN } else { i128::MAX };
    Some(i128::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(saturated))
}

/// A finite number, whole or not.
fn number(value: &DeValue<'_>) -> Option<f64> {
    let number = match value {
        DeValue::Integer(_) => {
            let integer = integer(value)?;
            // Exact within every limit of this module. Numbers outside `i32` are outside those limits and stay so.
            i32::try_from(integer).map_or(if integer > 0 { f64::MAX } else { f64::MIN }, f64::from)
        }
        DeValue::Float(float) => float.as_str().parse().ok()?,
        _ => return None,
    };
    (!number.is_nan() && number.is_finite()).then_some(number)
}
