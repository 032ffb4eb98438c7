//! The end of a chunked body, found byte by byte (RFC 9112 section 7.1).
//!
//! ```text
//!          digits       ext           LF, size > 0        size bytes           CR LF
//!   ─▶ Size ──▶ Size ──▶ Extension ──────────────▶ Data ──────────▶ DataEnd ──────────▶ Size
//!                              │
//!                              └ LF, size 0 ▶ Trailer ─ a line that is not empty ─▶ Trailer
//!                                                 └──── an empty line ─▶ Done
//! ```
//!
//! The session of pingora parses the body too, and refuses a malformed one. This scanner only finds where the body
//! ends, so that the session never reads the bytes of the next request. A malformed body has no end here: all bytes go
//! to the session.

/// A scanner of a chunked body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunks {
    /// In the size of a chunk. `size` and `digits`: the value and the number of the digits so far.
    Size { size: u64, digits: u8 },
    /// In the line of a chunk's size, after the digits.
    Extension { size: u64 },
    /// In the data of a chunk.
    Data { left: u64 },
    /// After the data, where a line end must follow. `has_cr`: its CR was read.
    DataEnd { has_cr: bool },
    /// In the lines after the last chunk. `is_empty`: the present line has no byte so far, except for CR.
    Trailer { is_empty: bool },
    /// After the body.
    Done,
    /// Not a chunked body.
    Malformed,
}

/// The number of hexadecimal digits of the largest `u64`.
const MOST_DIGITS: u8 = 16;

impl Chunks {
    /// A scanner at the beginning of a body.
    pub(super) fn new() -> Self {
        Self::Size { size: 0, digits: 0 }
    }

    /// Scans the next bytes. Returns how many of them belong to the body.
    pub(super) fn scan(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match self {
                Self::Done => break,
                Self::Malformed => return bytes.len(),
                Self::Data { left } => {
                    let most = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - at);
                    *left -= most as u64;
                    at += most;
                    if *left == 0 {
                        *self = Self::DataEnd { has_cr: false };
                    }
                    continue;
                }
                Self::Size { .. } | Self::Extension { .. } | Self::DataEnd { .. } | Self::Trailer { .. } => {
                    *self = self.after(*byte);
                }
            }
            at += 1;
        }
        at
    }

    pub(super) fn is_done(&self) -> bool {
        *self == Self::Done
    }

    /// The state after a byte that is not data.
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Size { size, digits }, _) if byte.is_ascii_hexdigit() && digits < MOST_DIGITS => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                Self::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (Self::Size { digits: 0, .. }, _) => Self::Malformed,
            (Self::Size { size, .. } | Self::Extension { size }, b'\n') => match size {
                0 => Self::Trailer { is_empty: true },
                left => Self::Data { left },
            },
            (Self::Size { size, .. }, b'\r' | b';' | b' ' | b'\t') | (Self::Extension { size }, _) => {
                Self::Extension { size }
            }
            (Self::DataEnd { has_cr: false }, b'\r') => Self::DataEnd { has_cr: true },
            (Self::DataEnd { .. }, b'\n') => Self::new(),
            (Self::Trailer { is_empty: true }, b'\n') => Self::Done,
            (Self::Trailer { .. }, b'\n') => Self::Trailer { is_empty: true },
            (Self::Trailer { is_empty: true }, b'\r') => Self::Trailer { is_empty: true },
            (Self::Trailer { .. }, _) => Self::Trailer { is_empty: false },
            (Self::Size { .. } | Self::DataEnd { .. } | Self::Data { .. } | Self::Done | Self::Malformed, _) => {
                Self::Malformed
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_body_is_found_at_any_split_and_what_follows_is_not_its() {
        for body in [
            "0\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "A\r\n0123456789\r\n00b\r\n01234567890\r\n000\r\n\r\n",
            "3;name=value\r\nabc\r\n0;x\r\n\r\n",
            "3 \r\nabc\r\n0\r\nTrailer: a\r\nOther: b\r\n\r\n",
            "2\r\n\r\n\r\n0\r\n\r\n",
            "3\nabc\n0\n\n",
        ] {
            let rest = "GET / HTTP/1.1\r\n";
            let all = format!("{body}{rest}");
            for split in 0..=all.len() {
                let mut chunks = Chunks::new();
                let (first, second) = all.split_at(split);
                let scanned = chunks.scan(first.as_bytes());
                assert_eq!(scanned, split.min(body.len()), "{split} of {body:?}");
                let scanned = scanned + if chunks.is_done() { 0 } else { chunks.scan(second.as_bytes()) };
                assert!(chunks.is_done() && scanned == body.len(), "{split} of {body:?}: {chunks:?}");
            }
        }
    }

    #[test]
    fn what_is_no_chunked_body_has_no_end() {
        for body in [
            "\r\n",
            "x\r\n",
            "3\r\nabcd\r\n0\r\n\r\n",
            "3\r\nabc0\r\n\r\n",
            "11111111111111111\r\n",
            "-1\r\n",
            "3x\r\n",
        ] {
            let mut chunks = Chunks::new();
            assert_eq!(chunks.scan(body.as_bytes()), body.len(), "{body:?}");
            assert_eq!(chunks, Chunks::Malformed, "{body:?}");
            assert_eq!(chunks.scan(b"0\r\n\r\n"), 5);
            assert!(!chunks.is_done());
        }
    }
}
