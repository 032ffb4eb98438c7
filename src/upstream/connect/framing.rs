//! The body of a response by HTTP/1.1, taken out of the bytes of its connection (RFC 9112, sections 6.3 and 7.1).
//!
//! ```text
//!   chunked:      digits         ext         LF, size > 0     size bytes          CR LF
//!            ─▶ Size ──▶ Size ──▶ Extension ─────────────▶ Data ─────────▶ DataEnd ────▶ Size
//!                                    │ LF, size 0
//!                                    ▼
//!                                 Trailer ── a line that is not empty ──▶ Trailer
//!                                    └────── an empty line ──▶ Over
//! ```
//!
//! Pure: it keeps no bytes, only where in the body they end. So a connection that is quiet needs no buffer.

use crate::fields::{content_length, members};
use http::header::TRANSFER_ENCODING;
use http::{HeaderMap, StatusCode};

/// The most bytes of a line that states the size of a chunk. Its extensions are not used.
const MOST_SIZE_BYTES: u32 = 8 << 10;

/// The most bytes of trailer fields. They are not used.
const MOST_TRAILER_BYTES: u32 = 64 << 10;

/// The number of digits of the largest `u64`.
const MOST_DIGITS: u32 = 16;

/// How a body goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// With so many bytes.
    Length(u64),
    /// In chunks.
    Chunked(Chunk),
    /// Until the connection is closed.
    UntilClose,
    /// Not at all: it is over.
    Over,
}

/// Where in a chunked body the bytes so far end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunk {
    /// In the digits of a chunk's size.
    Size { size: u64, digits: u32 },
    /// In the same line, after the digits. `has_cr`: after its CR.
    Extension { size: u64, bytes: u32, has_cr: bool },
    /// In the data of a chunk.
    Data { left: u64 },
    /// After the data, where CR LF must follow.
    DataEnd { has_cr: bool },
    /// In the trailer. `is_empty`: the present line has no byte, except for its CR.
    Trailer { bytes: u32, is_empty: bool, has_cr: bool },
}

/// The bytes are not chunked as the head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed chunk")]
pub(super) struct Malformed;

/// A connection was closed before the end of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("closed by the origin")]
pub(super) struct Unfinished;

impl Framing {
    /// How the body of a response to a GET is framed. The head is valid: it states one length at most.
    pub(super) fn of(status: StatusCode, headers: &HeaderMap) -> Self {
        if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
            return Self::Over;
        }
        match members(headers, &TRANSFER_ENCODING).last() {
            Some(coding) if coding.eq_ignore_ascii_case(b"chunked") => Self::Chunked(Chunk::BEGIN),
            Some(_) => Self::UntilClose,
            None => match content_length(headers) {
                Some(0) => Self::Over,
                Some(length) => Self::Length(length),
                None => Self::UntilClose,
            },
        }
    }

    pub(super) fn is_over(self) -> bool {
        self == Self::Over
    }

    /// The connection was closed.
    ///
    /// # Errors
    /// Fails if the body has not ended.
    pub(super) fn close(&mut self) -> Result<(), Unfinished> {
        if !matches!(self, Self::UntilClose | Self::Over) {
            return Err(Unfinished);
        }
        *self = Self::Over;
        Ok(())
    }

    /// Takes the next bytes of the connection, and adds those of the body to `body`. What follows the body is dropped.
    ///
    /// # Errors
    /// Fails if they cannot be bytes of such a body.
    pub(super) fn take(&mut self, mut bytes: &[u8], body: &mut Vec<u8>) -> Result<(), Malformed> {
        while let Some((first, rest)) = bytes.split_first() {
            match self {
                Self::Over => return Ok(()),
                Self::UntilClose => {
                    body.extend_from_slice(bytes);
                    return Ok(());
                }
                Self::Length(left) => {
                    bytes = take_some(left, bytes, body);
                    if *left == 0 {
                        *self = Self::Over;
                    }
                }
                Self::Chunked(Chunk::Data { left }) => {
                    bytes = take_some(left, bytes, body);
                    if *left == 0 {
                        *self = Self::Chunked(Chunk::DataEnd { has_cr: false });
                    }
                }
                Self::Chunked(chunk) => {
                    *self = chunk.after(*first)?.map_or(Self::Over, Self::Chunked);
                    bytes = rest;
                }
            }
        }
        Ok(())
    }
}

/// Adds up to `left` of the bytes to the body. Returns the others.
fn take_some<'a>(left: &mut u64, bytes: &'a [u8], body: &mut Vec<u8>) -> &'a [u8] {
    let most = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    let (of_body, rest) = bytes.split_at(most);
    body.extend_from_slice(of_body);
    *left -= most as u64;
    rest
}

impl Chunk {
    const BEGIN: Self = Self::Size { size: 0, digits: 0 };

    /// Where a byte that is no data leads. `None`: the body is over.
    fn after(self, byte: u8) -> Result<Option<Self>, Malformed> {
        Ok(Some(match (self, byte) {
            (Self::Size { size, digits }, _) if byte.is_ascii_hexdigit() && digits < MOST_DIGITS => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                Self::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (Self::Size { digits: 0, .. }, _) => return Err(Malformed),
            (Self::Size { size, .. }, b'\r' | b';' | b' ' | b'\t') => {
                Self::Extension { size, bytes: 0, has_cr: byte == b'\r' }
            }
            (Self::Extension { size: 0, has_cr: true, .. }, b'\n') => {
                Self::Trailer { bytes: 0, is_empty: true, has_cr: false }
            }
            (Self::Extension { size, has_cr: true, .. }, b'\n') => Self::Data { left: size },
            (Self::Extension { size, bytes, has_cr: false }, _) if byte != b'\n' && bytes < MOST_SIZE_BYTES => {
                Self::Extension { size, bytes: bytes + 1, has_cr: byte == b'\r' }
            }
            (Self::DataEnd { has_cr: false }, b'\r') => Self::DataEnd { has_cr: true },
            (Self::DataEnd { has_cr: true }, b'\n') => Self::BEGIN,
            (Self::Trailer { is_empty: true, has_cr: true, .. }, b'\n') => return Ok(None),
            (Self::Trailer { bytes, has_cr: true, .. }, b'\n') => {
                Self::Trailer { bytes, is_empty: true, has_cr: false }
            }
            (Self::Trailer { bytes, is_empty, has_cr: false }, _) if byte != b'\n' && bytes < MOST_TRAILER_BYTES => {
                let has_cr = byte == b'\r';
                Self::Trailer { bytes: bytes + 1, is_empty: is_empty && has_cr, has_cr }
            }
            (Self::Size { .. } | Self::Extension { .. } | Self::Data { .. }, _)
            | (Self::DataEnd { .. } | Self::Trailer { .. }, _) => return Err(Malformed),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn chunked() -> Framing {
        Framing::Chunked(Chunk::BEGIN)
    }

    /// The body in these bytes, however they are split, and where it ends.
    fn body(mut framing: Framing, bytes: &[u8], split: usize) -> (Result<String, Malformed>, Framing) {
        let mut body = Vec::new();
        for part in bytes.chunks(split) {
            if let Err(malformed) = framing.take(part, &mut body) {
                return (Err(malformed), framing);
            }
        }
        (Ok(String::from_utf8(body).unwrap()), framing)
    }

    #[test]
    fn the_head_says_how_the_body_ends() {
        for (status, lines, expected) in [
            (200, &[][..], Framing::UntilClose),
            (200, &[("transfer-encoding", "chunked")], chunked()),
            (200, &[("transfer-encoding", "Chunked"), ("content-length", "5")], chunked()),
            (200, &[("transfer-encoding", "gzip, chunked")], chunked()),
            (200, &[("transfer-encoding", "gzip"), ("transfer-encoding", "chunked")], chunked()),
            (200, &[("transfer-encoding", "chunked, gzip")], Framing::UntilClose),
            (200, &[("content-length", "5")], Framing::Length(5)),
            (200, &[("content-length", "5, 5")], Framing::Length(5)),
            (404, &[("content-length", "0")], Framing::Over),
            (204, &[("transfer-encoding", "chunked")], Framing::Over),
            (304, &[("content-length", "5")], Framing::Over),
            (101, &[], Framing::UntilClose),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(*name, HeaderValue::from_static(value));
            }
            assert_eq!(Framing::of(StatusCode::from_u16(status).unwrap(), &headers), expected, "{status} {lines:?}");
        }
    }

    #[test]
    fn a_body_is_the_same_at_any_split() {
        for (framing, bytes, expected, is_over) in [
            (chunked(), "0\r\n\r\n", "", true),
            (chunked(), "3\r\nabc\r\n0\r\n\r\n", "abc", true),
            (chunked(), "3\r\nabc\r\n0\r\n\r\nHTTP/1.1", "abc", true),
            (chunked(), "A\r\n0123456789\r\n00b\r\n01234567890\r\n000\r\n\r\n", "012345678901234567890", true),
            (chunked(), "3;a=b\r\nabc\r\n1 \t;x\r\nd\r\n0;x\r\n\r\n", "abcd", true),
            (chunked(), "3\r\na\r\n\r\n0\r\nA: b\r\nC: d\r\n\r\n", "a\r\n", true),
            (chunked(), "3\r\nabc", "abc", false),
            (chunked(), "3\r\nabc\r\n0\r\nA: b\r\n", "abc", false),
            (Framing::Length(3), "abc", "abc", true),
            (Framing::Length(3), "abcd", "abc", true),
            (Framing::Length(3), "ab", "ab", false),
            (Framing::UntilClose, "abc", "abc", false),
            (Framing::Over, "abc", "", true),
        ] {
            for split in 1..=bytes.len() {
                let (given, framing) = body(framing, bytes.as_bytes(), split);
                assert_eq!((given.as_deref(), framing.is_over()), (Ok(expected), is_over), "{bytes:?} {split}");
            }
        }
    }

    #[test]
    fn a_body_that_is_cut_off_is_unfinished() {
        for (framing, bytes, expected) in [
            (Framing::UntilClose, "a", Ok(())),
            (Framing::Over, "", Ok(())),
            (Framing::Length(2), "a", Err(Unfinished)),
            (Framing::Length(2), "ab", Ok(())),
            (chunked(), "", Err(Unfinished)),
            (chunked(), "1\r\na\r\n0\r\n\r", Err(Unfinished)),
            (chunked(), "1\r\na\r\n0\r\n\r\n", Ok(())),
        ] {
            let (_, mut framing) = body(framing, bytes.as_bytes(), 1);
            assert_eq!(framing.close(), expected, "{bytes:?}");
            assert_eq!(framing.is_over(), expected.is_ok());
        }
    }

    #[test]
    fn what_is_not_chunked_is_found_out() {
        let long_extension = format!("1;{}\r\na", "x".repeat(MOST_SIZE_BYTES as usize + 1));
        let long_trailer = format!("0\r\n{}", "a: b\r\n".repeat(MOST_TRAILER_BYTES as usize / 4));
        for bytes in [
            "not a chunk\r\n",
            "\r\n",
            ";\r\n",
            "-1\r\n",
            "0x1\r\n",
            "1\na",
            "1\r\rna",
            "1 \na",
            "1\r\nab\r\n",
            "1\r\na\n",
            "1\r\na\r0",
            "11111111111111111\r\n",
            "0\r\n\n",
            "0\r\na: b\n",
            "0\r\na\rb\r\n",
            &long_extension,
            &long_trailer,
        ] {
            assert_eq!(body(chunked(), bytes.as_bytes(), 1).0, Err(Malformed), "{bytes:?}");
            assert_eq!(body(chunked(), bytes.as_bytes(), bytes.len()).0, Err(Malformed), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn what_was_chunked_comes_out_as_it_went_in(chunks in prop::collection::vec("[a-z\r\n]{1,40}", 0..9), split in 1..50_usize) {
            let mut bytes: String = chunks.iter().map(|chunk| format!("{:x}\r\n{chunk}\r\n", chunk.len())).collect();
            bytes += "0\r\n\r\n";
            let (given, framing) = body(chunked(), bytes.as_bytes(), split);
            prop_assert_eq!((given, framing), (Ok(chunks.concat()), Framing::Over));
        }

        #[test]
        fn no_bytes_make_it_panic_and_any_split_ends_alike(bytes in prop::collection::vec(prop::sample::select(b"0123fF;\r\n a".to_vec()), 0..60), split in 1..9_usize) {
            let whole = body(chunked(), &bytes, bytes.len().max(1));
            prop_assert_eq!(body(chunked(), &bytes, split), whole);
        }
    }
}
