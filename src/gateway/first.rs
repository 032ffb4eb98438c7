//! Recognises what the unread bytes of a connection begin with: an HTTP/2 preface, an HTTP/1.x head, or a part of one.

use crate::fanout::h2::PREFACE;

/// The bytes of the preface of HTTP/2 with which no method of HTTP/1.1 begins that is in use.
const UNLIKE_METHODS: usize = b"PRI ".len();

/// The most bytes of empty lines that are accepted before a request line.
const MAX_BLANK: usize = 64;

/// The length of the longest sequence that ends a head: CR LF CR LF.
const LONGEST_END: usize = 4;

/// Whether bytes are the preface of HTTP/2, or so much of it that they are nothing else.
pub(super) fn begins_http2(bytes: &[u8]) -> bool {
    bytes.len() >= UNLIKE_METHODS && bytes.iter().zip(PREFACE).all(|(byte, expected)| byte == expected)
}

/// Whether a byte belongs to an empty line.
pub(super) fn is_blank(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// What the bytes so far are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Incomplete,
    Preface,
    /// A whole head, which ends at `end`. The first `blank` bytes are empty lines.
    Head {
        blank: usize,
        end: usize,
    },
    /// The request line alone is longer than a head may be.
    LineTooLong,
    TooLarge,
}

/// Judges the bytes so far. The first `scanned` bytes were judged before and hold no end of a head. A head may have at
/// most `most` bytes. An empty line ends it, with or without CR (RFC 9112, section 2.2). A few empty lines before the
/// request line are allowed.
pub(super) fn judge(bytes: &[u8], scanned: usize, most: usize) -> Judgement {
    if bytes.starts_with(PREFACE) {
        return Judgement::Preface;
    }
    let blank = bytes.iter().take(MAX_BLANK).take_while(|byte| is_blank(**byte)).count();
    let from = scanned.saturating_sub(LONGEST_END - 1).max(blank);
    let unread = bytes.get(from..).unwrap_or_default();
    let ends = |end: &[u8]| memchr::memmem::find(unread, end).map(|at| from + at + end.len());
    let end = [ends(b"\r\n\r\n"), ends(b"\n\n"), ends(b"\n\r\n")].into_iter().flatten().min();
    let may_be_preface = PREFACE.starts_with(bytes.get(blank..).unwrap_or_default());
    // Leading empty lines belong to no line.
    let is_one_line = || memchr::memchr(b'\n', bytes.get(blank..most.min(bytes.len())).unwrap_or_default()).is_none();
    let too_large = || if blank < MAX_BLANK && is_one_line() { Judgement::LineTooLong } else { Judgement::TooLarge };
    match end {
        // The bytes after the head do not count.
        Some(end) if end <= most && !may_be_preface => Judgement::Head { blank, end },
        Some(end) if end > most => too_large(),
        _ if bytes.len() > most || blank == MAX_BLANK => too_large(),
        _ => Judgement::Incomplete,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_are_judged_in_whatever_pieces_they_come() {
        let head = b"GET / HTTP/1.1\r\nhost: a\r\n\r\nmore";
        for end in 0..27 {
            assert_eq!(judge(&head[..end], 0, 100), Judgement::Incomplete, "{end}");
        }
        for end in 27..=head.len() {
            assert_eq!(judge(&head[..end], 0, 27), Judgement::Head { blank: 0, end: 27 }, "{end}");
            assert_eq!(judge(&head[..end], 0, 26), Judgement::TooLarge, "{end}");
        }
        for end in 0..PREFACE.len() {
            assert_eq!(judge(&PREFACE[..end], 0, 100), Judgement::Incomplete, "{end}");
        }
        assert_eq!(judge(PREFACE, 0, 100), Judgement::Preface);
    }

    #[test]
    fn what_was_scanned_is_not_scanned_again_and_no_end_is_missed() {
        for head in
            [&b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"[..], b"GET / HTTP/1.1\nhost: a\n\n", b"\r\nGET / HTTP/1.1\n\r\n"]
        {
            for scanned in 0..head.len() {
                assert!(matches!(judge(head, scanned, 100), Judgement::Head { .. }), "{scanned} of {head:?}");
            }
        }
    }

    #[test]
    fn a_request_line_that_is_too_long_is_told_from_a_head_that_is_too_large() {
        for (head, most, expected) in [
            ("GET /aaaaaaaaa", 10, Judgement::LineTooLong),
            ("GET /aaaaaaaaa HTTP/1.1\r\n\r\n", 10, Judgement::LineTooLong),
            ("\r\nGET /aaaaaaaaa", 10, Judgement::LineTooLong),
            ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", 15, Judgement::LineTooLong),
            ("GET / HTTP/1.1\r\nhost: a\r\n\r\n", 16, Judgement::TooLarge),
            ("GET / HTTP/1.1\nhost: aaaaaaaaa", 20, Judgement::TooLarge),
        ] {
            assert_eq!(judge(head.as_bytes(), 0, most), expected, "{head:?} {most}");
        }
    }

    #[test]
    fn bare_line_feeds_and_leading_empty_lines_are_understood() {
        assert_eq!(judge(b"GET / HTTP/1.1\nhost: a\n\n", 0, 100), Judgement::Head { blank: 0, end: 24 });
        assert_eq!(judge(b"\r\n\r\n", 0, 100), Judgement::Incomplete);
        assert_eq!(judge(b"\r\n\r\nGET / HTTP/1.0\r\n\r\n", 0, 100), Judgement::Head { blank: 4, end: 22 });
        assert_eq!(judge(&[b'\n'; 63], 0, 100), Judgement::Incomplete);
        assert_eq!(judge(&[b'\n'; 64], 0, 100), Judgement::TooLarge);
    }
}
