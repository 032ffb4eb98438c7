//! Minted ids: `~<epoch>-<seq>`, or `~<epoch>-<seq>~<the origin's id before it>`.

use super::Seq;
use crate::sse::MAX_ID_BYTES;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str;

/// The gateway's name in the `Via` header of a stream's head (RFC 9110, section 7.6.3). From it a gateway in front
/// knows that minted ids are of this gateway.
pub const VIA: &str = "1.1 manifold";

/// The number of bits of an epoch beside its lineage.
const RANDOM_BITS: u32 = 48;

/// A number that all logs of one origin share, also those of earlier processes and of other gateways.
///
/// An id that another log minted has one of two sources. A log of the same lineage minted it, and it means nothing to
/// the origin. Or a gateway behind this one minted it, and it is the origin's. The lineages tell the two apart,
/// because the two gateways have different origins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lineage(u16);

impl Lineage {
    /// The lineage of an origin, by its URL. It is the same in every version and on every machine.
    #[must_use]
    pub fn of(origin: &str) -> Self {
        // FNV-1a.
        let hash = origin
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let [a, b, c, d, e, f, g, h] = hash.to_be_bytes();
        Self(u16::from_be_bytes([a ^ c ^ e ^ g, b ^ d ^ f ^ h]))
    }
}

/// The number of one log. An id that another log minted is never mistaken for one of this log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Epoch(u64);

impl Epoch {
    /// An epoch from a random number, so that no other log has it.
    #[must_use]
    pub fn new(random: u64) -> Self {
        Self(random)
    }

    /// The same epoch with this lineage.
    pub(super) fn within(self, lineage: Lineage) -> Self {
        Self(self.0 & ((1 << RANDOM_BITS) - 1) | u64::from(lineage.0) << RANDOM_BITS)
    }

    /// Whether the epoch has this lineage.
    fn is_of(self, lineage: Lineage) -> bool {
        self.within(lineage) == self
    }

    /// The id of the event at `seq`. `behind`: the origin's last event id before it, which is appended if it is not
    /// empty.
    pub(super) fn mint(self, seq: Seq, behind: &[u8]) -> Vec<u8> {
        let mut id = format!("~{self}-{seq}").into_bytes();
        let behind = trimmed(behind);
        // A client could not send back an id that is too long, and would lose the whole of it.
        if !behind.is_empty() && id.len().saturating_add(behind.len()) < MAX_ID_BYTES {
            id.push(b'~');
            id.extend_from_slice(behind);
        }
        id
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// An id that a log gave to an event whose origin gave none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct MintedId<'a> {
    /// The epoch of the log.
    pub(super) epoch: Epoch,
    /// The position of the event in the log.
    pub(super) seq: Seq,
    /// The origin's last id before the event. Empty: none.
    pub(super) behind: &'a [u8],
}

impl<'a> MintedId<'a> {
    /// Parses an id that a log may have minted. `None`: it is another id.
    pub(super) fn parse(id: &'a [u8]) -> Option<Self> {
        let rest = id.strip_prefix(b"~").filter(|_| id.len() <= MAX_ID_BYTES)?;
        let (minted, behind) = match rest.iter().position(|byte| *byte == b'~') {
            Some(end) => (rest.get(..end)?, trimmed(rest.get(end.saturating_add(1)..)?)),
            None => (rest, &[][..]),
        };
        let (epoch, seq) = str::from_utf8(minted).ok()?.split_once('-')?;
        // `from_str_radix` alone would accept a sign.
        let plain = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
        if !plain(epoch) || !seq.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Some(Self { epoch: Epoch(u64::from_str_radix(epoch, 16).ok()?), seq: Seq(seq.parse().ok()?), behind })
    }
}

/// The part of a client's id that an origin with this lineage can be asked to resume after. Empty: nothing. An id
/// that a log of the lineage minted contains it. Every other id is the origin's, also one that a gateway behind this
/// one minted.
pub(super) fn part_of_origin(id: &[u8], lineage: Lineage) -> &[u8] {
    match MintedId::parse(id) {
        Some(minted) if minted.epoch.is_of(lineage) => minted.behind,
        _ => id,
    }
}

/// The id without surrounding spaces and tabs. HTTP removes them from a header's value (RFC 9110, section 5.5).
#[must_use]
pub fn trimmed(id: &[u8]) -> &[u8] {
    let is_kept = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let begin = id.iter().position(is_kept).unwrap_or(id.len());
    let end = id.iter().rposition(is_kept).map_or(begin, |last| last.saturating_add(1));
    id.get(begin..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(id: &[u8]) -> &str {
        str::from_utf8(id).unwrap()
    }

    #[test]
    fn a_minted_id_reads_back() {
        let epoch = Epoch::new(0x00c0_ffee);
        for (behind, id, read) in [
            ("", "~c0ffee-42", ""),
            ("7", "~c0ffee-42~7", "7"),
            (" 7 8\t", "~c0ffee-42~7 8", "7 8"),
            ("\t ", "~c0ffee-42", ""),
            ("~e-1", "~c0ffee-42~~e-1", "~e-1"),
            ("~e-1~7", "~c0ffee-42~~e-1~7", "~e-1~7"),
            ("~", "~c0ffee-42~~", "~"),
        ] {
            let minted = epoch.mint(Seq(42), behind.as_bytes());
            assert_eq!(text(&minted), id);
            let expected = MintedId { epoch, seq: Seq(42), behind: read.as_bytes() };
            assert_eq!(MintedId::parse(&minted), Some(expected), "{id}");
        }
        assert_eq!(MintedId::parse(b"~c0ffee-42~").unwrap().behind, b"", "as it comes back trimmed");
    }

    #[test]
    fn a_minted_id_is_never_longer_than_one_that_comes_back() {
        let epoch = Epoch::new(0x00c0_ffee);
        let most = MAX_ID_BYTES - "~c0ffee-42~".len();
        assert_eq!(epoch.mint(Seq(42), &vec![b'x'; most]).len(), MAX_ID_BYTES);
        assert_eq!(text(&epoch.mint(Seq(42), &vec![b'x'; most + 1])), "~c0ffee-42");
        assert_eq!(MintedId::parse(&[b"~c0ffee-42~", &vec![b'x'; most + 1][..]].concat()), None);
    }

    #[test]
    fn other_ids_are_not_minted() {
        for id in
            ["", "~", "42", "~-1", "~c0ffee", "~c0ffee-", "~c0ffee-+1", "~+c-1", "~C0-1", "c0ffee-1", "~c0ffee-1 "]
        {
            assert_eq!(MintedId::parse(id.as_bytes()), None, "{id}");
            assert_eq!(MintedId::parse(format!("{id}~7").as_bytes()), None, "{id}~7");
        }
        assert_eq!(MintedId::parse(b"~c0ffee-99999999999999999999"), None);
        assert_eq!(MintedId::parse(b"~\xff-1"), None);
    }

    #[test]
    fn of_an_id_of_the_lineage_the_origin_is_sent_its_part_and_all_of_any_other() {
        let (ours, theirs) = (Lineage::of("http://127.0.0.1:9000"), Lineage::of("http://127.0.0.1:9001"));
        assert_ne!(ours, theirs);
        let minted = |lineage, behind: &str| {
            String::from_utf8(Epoch::new(u64::MAX).within(lineage).mint(Seq(5), behind.as_bytes())).unwrap()
        };
        let inner = minted(theirs, "7");
        for (id, part) in [
            ("7".to_owned(), "7"),
            (minted(ours, ""), ""),
            (minted(ours, "7"), "7"),
            (minted(ours, &inner), &*inner),
            (inner.clone(), &*inner),
            (minted(theirs, ""), &*minted(theirs, "")),
        ] {
            assert_eq!(text(part_of_origin(id.as_bytes(), ours)), part, "{id}");
        }
    }

    #[test]
    fn the_lineage_of_an_origin_does_not_change() {
        assert_eq!(Epoch::new(0).within(Lineage::of("http://127.0.0.1:9000")), Epoch(LINEAGE_OF_9000 << 48));
        assert_eq!(Epoch::new(u64::MAX).within(Lineage::default()), Epoch(u64::MAX >> 16));
    }

    /// Clients hold ids with this lineage, so it must never change.
    const LINEAGE_OF_9000: u64 = 0x9706;

    #[test]
    fn spaces_and_tabs_around_an_id_are_no_part_of_it() {
        for (id, expected) in
            [("", ""), (" ", ""), ("\t \t", ""), (" a b\t", "a b"), ("a", "a"), ("\u{a0}a", "\u{a0}a")]
        {
            assert_eq!(text(trimmed(id.as_bytes())), expected, "{id:?}");
        }
    }
}
