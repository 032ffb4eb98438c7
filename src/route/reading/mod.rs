//! The readings of a path: the one that routes are matched by, and those that lax servers make of the path.
//!
//! Routes are matched by the *plain* reading of a path (RFC 3986, section 6.2.2): percent-encoded octets that need no
//! encoding are decoded, and all others are encoded in upper case. The path itself goes to the origin unchanged. Some
//! origins decode more than the plain reading does (`%2f`, `%252f`, `%c0%af`). Others read `\` as `/`, drop
//! `;parameters` or merge `//`. Such an origin may read the path as a path of another route. [`readings`] returns every
//! path that an origin could read.
//!
//! A path has three kinds of octets:
//! - *ordinary* octets, which mean the same encoded or not: the unreserved ones and most sub-delimiters;
//! - *separators*, which end a segment or the path for some servers if they are not encoded: `/ \ ; ? #` and NUL;
//! - all others, which have no special meaning and are compared in their encoded form.

mod decoding;

use decoding::{Octet, decoded, first_octet, octets};
use std::borrow::Cow;

/// The most readings of one path, and the most octets of all its readings together. A path with more readings was made
/// to be read in many ways, and is refused.
const MAX_READINGS: usize = 64;
const MAX_OCTETS: usize = 512 << 10;

/// Makes another reading out of one.
type Step = fn(&str) -> String;

/// What a lax server may do to a decoded path, in the order in which servers do it. A server may do any of these
/// steps.
const STEPS: [Step; 5] = [cut, with_slashes, without_parameters, merged, without_dots];

/// Whether a path has only one reading, which is the path itself.
pub(super) fn is_plain(path: &str) -> bool {
    let mut segment = Segment::Other;
    for byte in path.bytes() {
        segment = match (byte, segment) {
            (b'/', Segment::Empty | Segment::Dots) => return false,
            (b'/', Segment::Other) => Segment::Empty,
            (b'.', Segment::Empty | Segment::Dots) => Segment::Dots,
            _ if !is_ordinary(byte) => return false,
            _ => Segment::Other,
        };
    }
    segment != Segment::Dots
}

/// What is known so far about the segment that is being read.
#[derive(Clone, Copy, PartialEq)]
enum Segment {
    Empty,
    /// It has only dots so far.
    Dots,
    Other,
}

/// The plain reading of a path.
pub(super) fn plain(path: &str) -> Cow<'_, str> {
    if path.bytes().all(|byte| is_ordinary(byte) || byte == b'/') {
        return Cow::Borrowed(path);
    }
    let mut plain = String::with_capacity(path.len());
    octets(path.as_bytes()).for_each(|octet| push_plain(&mut plain, octet));
    Cow::Owned(plain)
}

/// The part of a path that follows `prefix`, as the client wrote it. `None`: the plain reading of the path does not
/// begin with that of `prefix`.
pub(super) fn behind<'a>(path: &'a str, prefix: &str) -> Option<&'a str> {
    let prefix = plain(prefix);
    let mut rest = path.as_bytes();
    let mut read = String::with_capacity(prefix.len());
    while read.len() < prefix.len() {
        let (octet, behind) = first_octet(rest)?;
        push_plain(&mut read, octet);
        rest = behind;
    }
    (read == prefix).then(|| path.get(path.len().saturating_sub(rest.len())..))?
}

/// All other readings of a path that a lax server may make. `None`: there are too many.
pub(super) fn readings(path: &str) -> Option<Vec<String>> {
    let mut readings = vec![plain(path).into_owned()];
    for decoded in decoded(path.as_bytes())? {
        let mut reading = String::with_capacity(decoded.len());
        decoded.iter().for_each(|byte| push(&mut reading, *byte, is_separator(*byte)));
        add(&mut readings, reading)?;
    }
    for step in STEPS {
        for at in 0..readings.len() {
            let next = readings.get(at).map(|reading| step(reading)).unwrap_or_default();
            add(&mut readings, next)?;
        }
    }
    readings.remove(0);
    Some(readings)
}

fn add(readings: &mut Vec<String>, reading: String) -> Option<()> {
    if !readings.contains(&reading) {
        let octets: usize = readings.iter().map(String::len).sum();
        if readings.len() >= MAX_READINGS || octets.saturating_add(reading.len()) > MAX_OCTETS {
            return None;
        }
        readings.push(reading);
    }
    Some(())
}

/// Whether an octet means the same encoded or not.
const fn is_ordinary(byte: u8) -> bool {
    matches!(
        byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'!' | b'$' | b'&' | b'\'' | b'(' | b')'
            | b'*' | b'+' | b',' | b'=' | b':' | b'@'
    )
}

/// Whether an octet ends a segment or the path for some servers.
const fn is_separator(byte: u8) -> bool {
    matches!(byte, b'/' | b'\\' | b';' | b'?' | b'#' | 0)
}

/// Appends an octet in the form of the plain reading. An encoded separator does not separate there.
fn push_plain(plain: &mut String, octet: Octet) {
    match octet {
        Octet::Raw(byte) => push(plain, byte, is_separator(byte)),
        Octet::Encoded(byte) => push(plain, byte, false),
    }
}

/// Appends an octet in the form in which readings are compared.
fn push(reading: &mut String, byte: u8, separates: bool) {
    if separates || is_ordinary(byte) {
        reading.push(char::from(byte));
        return;
    }
    reading.push('%');
    for half in [byte >> 4, byte & 0xF] {
        reading.push(char::from_digit(u32::from(half), 16).unwrap_or_default().to_ascii_uppercase());
    }
}

/// The path up to the first octet that a server may take for its end after decoding.
fn cut(path: &str) -> String {
    path.split(['?', '#', '\0']).next().unwrap_or_default().to_owned()
}

fn with_slashes(path: &str) -> String {
    path.replace('\\', "/")
}

/// The path without the text that follows a `;` in each segment.
fn without_parameters(path: &str) -> String {
    let segments = path.split('/').map(|segment| segment.split(';').next().unwrap_or_default());
    segments.collect::<Vec<_>>().join("/")
}

/// The path without empty segments, except for the last.
fn merged(path: &str) -> String {
    let mut merged = String::with_capacity(path.len());
    for part in path.split_inclusive('/') {
        if part != "/" || merged.is_empty() {
            merged.push_str(part);
        }
    }
    merged
}

/// The path without dot segments (RFC 3986, section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(segment) = parts.next() {
        let is_dots = matches!(segment, "." | "..");
        if segment == ".." {
            segments.pop();
        }
        if !is_dots {
            segments.push(segment);
        } else if parts.peek().is_none() {
            segments.push("");
        }
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ordinary_octets_are_decoded_and_all_others_encoded_in_upper_case() {
        for (path, expected) in [
            ("/me/events", "/me/events"),
            ("/m%65/%65vents", "/me/events"),
            ("/a%2Db%2e%5F%7E", "/a-b._~"),
            ("/a%3ab%40%21", "/a:b@!"),
            ("/a%2fb", "/a%2Fb"),
            ("/a%5cb%3bc", "/a%5Cb%3Bc"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/a b[1]|{}", "/a%20b%5B1%5D%7C%7B%7D"),
            ("/a%5B1%5D", "/a%5B1%5D"),
            ("/100%", "/100%25"),
            ("/100%25", "/100%25"),
            ("/%zz%4", "/%25zz%254"),
            ("/%%36%35", "/%2565"),
            ("/a\\b;c//d", "/a\\b;c//d"),
        ] {
            assert_eq!(plain(path), expected, "{path}");
        }
    }

    #[test]
    fn a_plain_path_is_known_by_one_look() {
        for (path, expected) in [
            ("/", true),
            ("/me/events", true),
            ("/a.b/..c/...d/.well-known/e..", true),
            ("/a:b@c!$&'()*+,=~_-", true),
            ("/a/", true),
            ("/a%20", false),
            ("/a;b", false),
            ("/a\\b", false),
            ("//a", false),
            ("/a//", false),
            ("/.", false),
            ("/a/..", false),
            ("/a/./b", false),
            ("/[a]", false),
        ] {
            assert_eq!(is_plain(path), expected, "{path}");
            // `is_plain` is also false for a segment of three or more dots, although such a path has one reading. Such
            // paths are rare, so the slower way costs little.
            assert!(!expected || readings(path) == Some(Vec::new()), "{path}");
        }
    }

    #[test]
    fn every_lax_reading_is_named() {
        for (path, expected) in [
            ("/me%2fevents", "/me/events"),
            ("/me%2Fevents", "/me/events"),
            ("/me%5cevents", "/me/events"),
            ("/me\\events", "/me/events"),
            ("/me;x/events", "/me/events"),
            ("/me;x", "/me"),
            ("/me%3bx/events", "/me/events"),
            ("/;x/me", "/me"),
            ("//me/events", "/me/events"),
            ("/me//events", "/me/events"),
            ("/me%2f%2fevents", "/me/events"),
            ("/m%2565/events", "/me/events"),
            ("/me%252fevents", "/me/events"),
            ("/me%25252fevents", "/me/events"),
            ("/me%25%32%66events", "/me/events"),
            ("/me%c0%afevents", "/me/events"),
            ("/me%e0%80%afevents", "/me/events"),
            ("/me%f0%80%80%afevents", "/me/events"),
            ("/m%c1%a5/events", "/me/events"),
            ("/me%25c0%25afevents", "/me/events"),
            ("/me%c0%a52fevents", "/me/events"),
            ("/me%u002fevents", "/me/events"),
            ("/m%u0065/events", "/me/events"),
            ("/me%3fx", "/me"),
            ("/me%23x", "/me"),
            ("/me%2500x", "/me"),
            ("/a/%252e%252e/me/events", "/me/events"),
            ("/a/%252e%252e/%252e%252e/me", "/me"),
            ("/a/%c0%ae%c0%ae/me", "/me"),
            ("/a%252f..%252fme", "/a/../me"),
            ("/a/.%252e", "/"),
            ("/a/b/%252e", "/a/b/"),
        ] {
            let readings = readings(path).unwrap();
            assert!(readings.iter().any(|reading| reading == expected), "{path}: {readings:?}");
            assert!(!readings.contains(&plain(path).into_owned()), "{path}: {readings:?}");
        }
    }

    #[test]
    fn what_is_read_by_all_alike_has_no_other_reading() {
        for path in ["/a%20b", "/caf%c3%a9", "/m%65", "/100%", "/100%25", "/a%zz", "/[a]", "/%e4%bd%a0/%e5%a5%bd"] {
            assert_eq!(readings(path), Some(Vec::new()), "{path}");
        }
    }

    #[test]
    fn a_path_of_too_many_readings_has_none() {
        let encoded = (0..decoding::MAX_DECODED).fold("%2f".to_owned(), |encoded, _| encoded.replace('%', "%25"));
        assert_eq!(readings(&format!("/{encoded}")), None);
        assert!(readings(&format!("/{}", "a%2fb;c//".repeat(100))).is_some());
        assert_eq!(readings(&format!("/{}", "a%2fb;c//".repeat(20_000))), None);
    }

    #[test]
    fn a_prefix_is_taken_off_however_it_is_written() {
        for (path, prefix, expected) in [
            ("/me/a%2fb", "/me", Some("/a%2fb")),
            ("/m%65/a", "/me", Some("/a")),
            ("/%6D%65", "/me", Some("")),
            ("/mean", "/me", Some("an")),
            ("/m", "/me", None),
            ("/you/a", "/me", None),
            ("/caf%c3%A9/a", "/caf%C3%a9", Some("/a")),
            ("/a", "", Some("/a")),
        ] {
            assert_eq!(behind(path, prefix), expected, "{path} {prefix}");
        }
    }

    proptest! {
        #[test]
        fn a_plain_reading_is_its_own_plain_reading(path in "/[ -~]{0,12}") {
            let once = plain(&path).into_owned();
            prop_assert_eq!(plain(&once), once.as_str());
        }

        #[test]
        fn no_path_makes_it_panic(path in "/([a%./\\;?#25ecC0fFu]|%c0%a|%25|%2){0,24}") {
            prop_assert!(readings(&path).is_none_or(|readings| readings.len() < MAX_READINGS));
        }
    }
}
