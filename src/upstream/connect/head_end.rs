//! Where a head of HTTP/1 ends in the bytes of a connection.

/// What every head begins with. Bytes that begin otherwise are not HTTP, and nothing is to be waited for.
const BEGINNING: &[u8] = b"HTTP/1.";

/// Finds the ends of heads. A head ends with an empty line. Empty lines before its first line do not count (RFC 9112,
/// section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadEnd {
    /// Before the end of [`BEGINNING`], of which so many bytes have come.
    Before(usize),
    /// In a line.
    Line,
    /// After a line.
    Between,
    /// After a line and a CR.
    BetweenAfterCr,
}

impl Default for HeadEnd {
    fn default() -> Self {
        Self::Before(0)
    }
}

impl HeadEnd {
    /// Scans the next bytes. Returns how many of them belong to the present head, if it ends in them. It also ends where
    /// it is clear that it is none. `None`: all of them belong to it, and it goes on.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> Option<usize> {
        for (at, byte) in bytes.iter().enumerate() {
            *self = match (*self, byte) {
                (Self::Before(0), b'\r' | b'\n') => Self::Before(0),
                (Self::Before(came), byte) if BEGINNING.get(came) != Some(byte) => {
                    *self = Self::default();
                    return Some(bytes.len());
                }
                (Self::Before(came), _) if came + 1 < BEGINNING.len() => Self::Before(came + 1),
                (Self::Between | Self::BetweenAfterCr, b'\n') => {
                    *self = Self::default();
                    return Some(at + 1);
                }
                (_, b'\n') => Self::Between,
                (Self::Between, b'\r') => Self::BetweenAfterCr,
                _ => Self::Line,
            };
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The heads in these bytes, which come in parts of this size. What follows the last one is the last element.
    fn heads(bytes: &[u8], split: usize) -> Vec<String> {
        let (mut end, mut found) = (HeadEnd::default(), vec![String::new()]);
        for mut part in bytes.chunks(split) {
            while !part.is_empty() {
                let ended = end.scan(part);
                let (of_head, rest) = part.split_at(ended.unwrap_or(part.len()));
                found.last_mut().unwrap().push_str(std::str::from_utf8(of_head).unwrap());
                if ended.is_some() {
                    found.push(String::new());
                }
                part = rest;
            }
        }
        found.retain(|head| !head.is_empty());
        found
    }

    #[test]
    fn a_head_ends_with_an_empty_line_at_any_split() {
        for (bytes, expected) in [
            ("HTTP/1.1 200 OK\r\nA: b\r\n\r\nHTTP/1.1", &["HTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HTTP/1.1"][..]),
            ("HTTP/1.1 200 OK\nA: b\n\nHTTP", &["HTTP/1.1 200 OK\nA: b\n\n", "HTTP"]),
            (
                "HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
                &["HTTP/1.1 100 Go on\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"],
            ),
            ("HTTP/1.1 2\r\n\rC: d\r\n\n", &["HTTP/1.1 2\r\n\rC: d\r\n\n"]),
            ("HTTP/1.1 2\r\r\nC", &["HTTP/1.1 2\r\r\nC"]),
            ("HTTP/1.1 2\r\n\r", &["HTTP/1.1 2\r\n\r"]),
        ] {
            for split in 1..=bytes.len() {
                assert_eq!(heads(bytes.as_bytes(), split), expected, "{split}");
            }
        }
    }

    #[test]
    fn empty_lines_before_a_head_belong_to_it() {
        let empty = "\r\n\n\r\n".repeat(100);
        let bytes = format!("{empty}HTTP/1.1 200 OK\r\n\r\n{empty}");
        for split in [1, 2, 3, 7, bytes.len()] {
            assert_eq!(heads(bytes.as_bytes(), split), [format!("{empty}HTTP/1.1 200 OK\r\n\r\n"), empty.clone()]);
        }
    }

    #[test]
    fn what_is_not_http_is_not_waited_for() {
        for (bytes, expected) in [
            ("220 mail ESMTP\r\n", "220 mail ESMTP\r\n"),
            ("\r\nSSH-2.0", "\r\nSSH-2.0"),
            ("HTTP/2 200\r\n", "HTTP/2 200\r\n"),
            ("\u{15}\u{3}", "\u{15}\u{3}"),
        ] {
            assert_eq!(HeadEnd::default().scan(bytes.as_bytes()), Some(expected.len()), "{bytes:?}");
        }
        assert_eq!(HeadEnd::default().scan(b"\r\nHTTP/"), None);
    }
}
