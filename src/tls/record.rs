//! One protected record (RFC 8446, section 5.2).
//!
//! ```text
//!   23 3 3 length │ encrypted: content, its type, zeros │ tag
//!   header        │ payload
//! ```

use super::keys::Keys;
use ring::aead::{Aad, LessSafeKey};
use ring::error::Unspecified;

/// The bytes of a record's header.
pub(super) const HEADER_BYTES: usize = 5;

/// The bytes of an authentication tag, which is the same for all suites.
pub(super) const TAG_BYTES: usize = 16;

/// What a record has besides its content, if it has no padding.
pub(super) const OVERHEAD_BYTES: usize = HEADER_BYTES + 1 + TAG_BYTES;

/// The most bytes of a record's content.
pub(super) const MOST_CONTENT_BYTES: usize = 1 << 14;

/// The most bytes of a record's payload.
pub(super) const MOST_PAYLOAD_BYTES: usize = MOST_CONTENT_BYTES + 256;

/// The types of what a record holds (section 5.1). A protected record looks like one of application data.
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION_DATA: u8 = 23;

/// Why a record is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unopened {
    /// It is not a protected record.
    Type,
    /// It is longer than allowed.
    Overflow,
    /// It is not authentic.
    Forged,
    /// It consists of padding.
    Padding,
}

/// Seals `content`, which is of this kind, as the next record under `keys`, and appends it to `out`. On an error `out` is as before.
pub(super) fn seal(
    keys: &mut Keys,
    expanded: &LessSafeKey,
    kind: u8,
    content: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Unspecified> {
    let payload = content.len() + 1 + TAG_BYTES;
    let [high, low] = u16::try_from(payload).map_err(|_| Unspecified)?.to_be_bytes();
    let header = [APPLICATION_DATA, 3, 3, high, low];
    let before = out.len();
    out.reserve(HEADER_BYTES + payload);
    out.extend_from_slice(&header);
    out.extend_from_slice(content);
    out.push(kind);
    let inner = out.get_mut(before + HEADER_BYTES..).unwrap_or_default();
    match expanded.seal_in_place_separate_tag(keys.nonce(), Aad::from(header), inner) {
        Ok(tag) => out.extend_from_slice(tag.as_ref()),
        Err(error) => {
            // No plaintext is left where ciphertext is expected.
            out.truncate(before);
            return Err(error);
        }
    }
    keys.seq += 1;
    Ok(())
}

/// The number of payload bytes that a header announces.
pub(super) fn payload_bytes(header: [u8; HEADER_BYTES]) -> Result<usize, Unopened> {
    // The version is ignored (section 5.1). As a part of the header it is authenticated.
    let [kind, _, _, high, low] = header;
    match usize::from(u16::from_be_bytes([high, low])) {
        _ if kind != APPLICATION_DATA => Err(Unopened::Type),
        ..=TAG_BYTES => Err(Unopened::Forged),
        bytes if bytes > MOST_PAYLOAD_BYTES => Err(Unopened::Overflow),
        bytes => Ok(bytes),
    }
}

/// Opens the next record in place. Returns its type, and its content without the padding.
pub(super) fn open<'a>(
    keys: &mut Keys,
    expanded: &LessSafeKey,
    header: [u8; HEADER_BYTES],
    payload: &'a mut [u8],
) -> Result<(u8, &'a [u8]), Unopened> {
    let opened = expanded.open_in_place(keys.nonce(), Aad::from(header), payload);
    let inner: &[u8] = opened.map_err(|_| Unopened::Forged)?;
    keys.seq += 1;
    if inner.len() > MOST_CONTENT_BYTES + 1 {
        return Err(Unopened::Overflow);
    }
    let last = inner.iter().rposition(|byte| *byte != 0).ok_or(Unopened::Padding)?;
    inner.split_at_checked(last).and_then(|(content, rest)| Some((*rest.first()?, content))).ok_or(Unopened::Padding)
}
