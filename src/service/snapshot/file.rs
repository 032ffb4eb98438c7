//! The file of a snapshot.
//!
//! ```text
//!   "manifold snapshot\n", the version of the format  22 bytes
//!   Head                                              MessagePack
//!   Kept, once for each stream                        MessagePack
//!   SHA-256 of all before it                          32 bytes
//! ```
//!
//! Everything about the bytes is decided here, and nothing is read or written.

use crate::auth::RecordState;
use crate::digest::{Sha256, sha256};
use crate::hub::StreamSnapshot;
use serde::{Deserialize, Serialize};
use std::io::{self, Write};
use thiserror::Error;

const MAGIC: &[u8] = b"manifold snapshot\n";

/// The version of the format. It changes with every change of what is in the file.
const VERSION: u32 = 2;

const DIGEST_BYTES: usize = 32;

/// What the file begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Head {
    /// When the snapshot was taken, in milliseconds since 1970.
    pub(super) taken_ms: u64,
    /// The number of streams that follow.
    pub(super) streams: u32,
    /// What was revoked, and which tickets were used.
    pub(super) record: RecordState,
}

/// A stream, and the route that it is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) route: String,
    /// What makes the route's streams what they are. The stream is of no other route, even of the same name.
    pub(super) identity: [u8; 32],
    pub(super) stream: StreamSnapshot,
}

/// Why the bytes are of no use.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Unusable {
    #[error("it is not a snapshot of manifold")]
    Other,
    #[error("it has version {0} of the format, and this program reads version {VERSION}")]
    Version(u32),
    #[error("it is damaged: its checksum differs")]
    Damaged,
    #[error("it is malformed: {0}")]
    Malformed(String),
}

/// Writes a snapshot. Returns the number of bytes.
pub(super) fn write(to: impl Write, head: &Head, kept: &[Kept]) -> io::Result<u64> {
    let mut to = Digesting { to, digest: Sha256::new(), bytes: 0 };
    to.write_all(MAGIC)?;
    to.write_all(&VERSION.to_be_bytes())?;
    rmp_serde::encode::write(&mut to, head).map_err(io::Error::other)?;
    for kept in kept {
        rmp_serde::encode::write(&mut to, kept).map_err(io::Error::other)?;
    }
    let Digesting { mut to, digest, bytes } = to;
    to.write_all(&digest.finish())?;
    to.flush()?;
    Ok(bytes + DIGEST_BYTES as u64)
}

/// Reads a snapshot.
pub(super) fn read(bytes: &[u8]) -> Result<(Head, Vec<Kept>), Unusable> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(Unusable::Other)?;
    let (version, rest) = rest.split_first_chunk().ok_or(Unusable::Damaged)?;
    let version = u32::from_be_bytes(*version);
    if version != VERSION {
        return Err(Unusable::Version(version));
    }
    let (mut body, digest) = rest.split_last_chunk::<DIGEST_BYTES>().ok_or(Unusable::Damaged)?;
    if sha256(bytes.get(..bytes.len() - DIGEST_BYTES).unwrap_or_default()) != *digest {
        return Err(Unusable::Damaged);
    }
    let malformed = |error: rmp_serde::decode::Error| Unusable::Malformed(error.to_string());
    let head: Head = rmp_serde::from_read(&mut body).map_err(malformed)?;
    let mut kept = Vec::new();
    for _ in 0..head.streams {
        kept.push(rmp_serde::from_read(&mut body).map_err(malformed)?);
    }
    if !body.is_empty() {
        return Err(Unusable::Malformed("more follows than its head says".to_owned()));
    }
    Ok((head, kept))
}

/// A file with this content, and a checksum that fits.
#[cfg(any(test, fuzzing))]
pub(super) fn sealed(content: &[u8]) -> Vec<u8> {
    let mut bytes = [MAGIC, &VERSION.to_be_bytes(), content].concat();
    bytes.extend(sha256(&bytes));
    bytes
}

/// What a file holds between its version and its checksum.
#[cfg(test)]
pub(super) fn content(bytes: &[u8]) -> &[u8] {
    &bytes[MAGIC.len() + 4..bytes.len() - DIGEST_BYTES]
}

/// Counts and digests what is written.
struct Digesting<W> {
    to: W,
    digest: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Digesting<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write_all(bytes)?;
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(head: &Head, kept: &[Kept]) -> Vec<u8> {
        let mut bytes = Vec::new();
        assert_eq!(write(&mut bytes, head, kept).unwrap(), bytes.len() as u64);
        bytes
    }

    #[test]
    fn a_file_that_is_not_whole_or_not_ours_is_refused() {
        let head = Head { taken_ms: 5, streams: 0, record: RecordState::default() };
        let whole = file(&head, &[]);
        assert_eq!(read(&whole), Ok((head, Vec::new())));
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).is_err(), "{end}");
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            assert!(read(&damaged).is_err(), "{at}");
        }
        assert_eq!(read(b"{}"), Err(Unusable::Other));
        assert_eq!(read(&[MAGIC, &7_u32.to_be_bytes()].concat()), Err(Unusable::Version(7)));
        assert_eq!(read(&[&whole[..], b"x"].concat()), Err(Unusable::Damaged));
    }

    #[test]
    fn bytes_that_mean_nothing_are_refused_even_with_a_checksum_that_fits() {
        let head = file(&Head { taken_ms: 5, streams: 1, record: RecordState::default() }, &[]);
        for rest in
            [&b""[..], b"\x93\xa1r", b"\xdf\xff\xff\xff\xff", b"\xdd\xff\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff"]
        {
            let read = read(&sealed(&[content(&head), rest].concat()));
            assert!(matches!(read, Err(Unusable::Malformed(_))), "{rest:?}: {read:?}");
        }
        let none = file(&Head { taken_ms: 5, streams: 0, record: RecordState::default() }, &[]);
        let more = sealed(&[content(&none), b"\xc0"].concat());
        assert!(matches!(read(&more), Err(Unusable::Malformed(_))));
    }
}
