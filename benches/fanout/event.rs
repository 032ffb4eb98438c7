//! What an event of the benchmark is: its sequence number and the moment it was sent, padded to a size.
//!
//! The numbers have a fixed width, so that every event of a run has as many bytes as every other, and is written by
//! putting digits into a template.

/// Digits of a sequence number.
const SEQ_DIGITS: usize = 10;

/// Digits of a moment in nanoseconds.
const TIME_DIGITS: usize = 19;

/// The smallest event: both numbers with a space between, and one behind.
pub(crate) const LEAST_SIZE: usize = SEQ_DIGITS + 1 + TIME_DIGITS + 1;

/// What every event carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Its place in its stream, from 0 on.
    pub(crate) seq: u64,
    /// When it was sent, in nanoseconds of the [`clock`](super::clock).
    pub(crate) sent: u64,
}

impl Stamp {
    /// The stamp at the beginning of an event's data; `None`: it was no event of ours.
    pub(crate) fn parse(data: &[u8]) -> Option<Self> {
        let (seq, rest) = data.split_at_checked(SEQ_DIGITS)?;
        let (sent, rest) = rest.strip_prefix(b" ")?.split_at_checked(TIME_DIGITS)?;
        rest.starts_with(b" ").then_some(())?;
        Some(Self { seq: number(seq)?, sent: number(sent)? })
    }

    /// Writes the stamp to the beginning of `data`, which has at least [`LEAST_SIZE`] bytes.
    pub(crate) fn write(self, data: &mut [u8]) {
        let (seq, rest) = data.split_at_mut(SEQ_DIGITS);
        let (sent, _) = rest[1..].split_at_mut(TIME_DIGITS);
        put(self.seq, seq);
        put(self.sent, sent);
    }
}

/// The data of an event of `size` bytes whose numbers are all zeros.
pub(crate) fn blank(size: usize) -> Vec<u8> {
    let mut data = vec![b'0'; LEAST_SIZE];
    data[SEQ_DIGITS] = b' ';
    data[LEAST_SIZE - 1] = b' ';
    // Not one letter: a compressing or deduplicating server shall find no help in it.
    data.extend((b'a'..=b'z').cycle().take(size.saturating_sub(LEAST_SIZE)));
    data
}

/// An event as a chunk of HTTP/1.1, to be stamped again and again.
#[derive(Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    /// Where the digits of the id are, if it has one.
    id: Option<usize>,
    /// Where the data begins.
    data: usize,
}

impl Template {
    /// An event whose data has `size` bytes, with its sequence number as its id or without an id.
    pub(crate) fn new(size: usize, ids: bool) -> Self {
        let id = if ids { format!("id: {}\n", "0".repeat(SEQ_DIGITS)) } else { String::new() };
        let data = blank(size);
        let length = id.len() + "data: ".len() + data.len() + "\n\n".len();
        let mut bytes = format!("{length:x}\r\n").into_bytes();
        let digits = ids.then(|| bytes.len() + "id: ".len());
        bytes.extend_from_slice(id.as_bytes());
        bytes.extend_from_slice(b"data: ");
        let start = bytes.len();
        bytes.extend_from_slice(&data);
        bytes.extend_from_slice(b"\n\n\r\n");
        Self { bytes, id: digits, data: start }
    }

    /// The event of `stamp`.
    pub(crate) fn stamped(&mut self, stamp: Stamp) -> &[u8] {
        if let Some(id) = self.id {
            put(stamp.seq, &mut self.bytes[id..id + SEQ_DIGITS]);
        }
        stamp.write(&mut self.bytes[self.data..]);
        &self.bytes
    }
}

/// The number in all of `digits`.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |sum, &digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then(|| sum.wrapping_mul(10).wrapping_add(u64::from(digit)))
    })
}

fn put(mut value: u64, digits: &mut [u8]) {
    for place in digits.iter_mut().rev() {
        *place = b"0123456789"[usize::try_from(value % 10).unwrap_or(0)];
        value /= 10;
    }
}
