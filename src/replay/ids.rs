//! Minted ids: `~<epoch>-<seq>`.

use super::Seq;
use std::fmt;
use std::str;

/// One incarnation of a log. An id minted by another life of the stream is never mistaken for one of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// The epoch of a number that no other log has: a random one.
    #[must_use]
    pub fn new(random: u64) -> Self {
        Self(random)
    }

    /// The id of the event at `seq`.
    pub(crate) fn mint(self, seq: Seq) -> MintedId {
        MintedId { epoch: self, seq }
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// An id that a log gave to an event whose origin gave none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MintedId {
    /// The log's incarnation.
    pub epoch: Epoch,
    /// The event's place in it.
    pub seq: Seq,
}

impl MintedId {
    /// Whether an id has the form of a minted one, of whatever log. An id that an origin made in this form cannot be told
    /// apart: it is not sent upstream for a cold stream.
    #[must_use]
    pub fn has_form(id: &[u8]) -> bool {
        let Some(rest) = id.strip_prefix(b"~") else { return false };
        let mut parts = rest.split(|b| *b == b'-');
        let (epoch, seq, more) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default(), parts.next());
        let all = |part: &[u8], is: fn(&u8) -> bool| !part.is_empty() && part.iter().all(is);
        more.is_none() && all(epoch, u8::is_ascii_alphanumeric) && all(seq, u8::is_ascii_digit)
    }

    /// Reads an id that a log of ours may have minted; `None` for any other.
    #[must_use]
    pub fn parse(id: &[u8]) -> Option<Self> {
        let text = str::from_utf8(id.strip_prefix(b"~")?).ok()?;
        let (epoch, seq) = text.split_once('-')?;
        // `from_str_radix` would take a sign.
        let plain = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase());
        if !plain(epoch) || !seq.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        Some(Self { epoch: Epoch(u64::from_str_radix(epoch, 16).ok()?), seq: Seq(seq.parse().ok()?) })
    }
}

impl fmt::Display for MintedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "~{}-{}", self.epoch, self.seq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minted_id_reads_back() {
        let id = Epoch::new(0x00c0_ffee).mint(Seq(42));
        assert_eq!(id.to_string(), "~c0ffee-42");
        assert_eq!(MintedId::parse(b"~c0ffee-42"), Some(id));
    }

    #[test]
    fn the_form_is_known_whoever_minted() {
        for id in ["~c0ffee-42", "~x-1", "~Q9-007", "~c0ffee-99999999999999999999"] {
            assert!(MintedId::has_form(id.as_bytes()), "{id}");
        }
        for id in ["", "~", "42", "~-1", "~c0ffee", "~c0ffee-", "~a-+1", "~a-1-2", "~a b-1", "a-1"] {
            assert!(!MintedId::has_form(id.as_bytes()), "{id}");
        }
    }

    #[test]
    fn other_ids_are_not_minted() {
        for id in
            ["", "~", "42", "~-1", "~c0ffee", "~c0ffee-", "~c0ffee-+1", "~+c-1", "~C0-1", "c0ffee-1", "~c0ffee-1 "]
        {
            assert_eq!(MintedId::parse(id.as_bytes()), None, "{id}");
        }
        assert_eq!(MintedId::parse(b"~c0ffee-99999999999999999999"), None);
        assert_eq!(MintedId::parse(b"~\xff-1"), None);
    }
}
