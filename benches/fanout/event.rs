//! An event of the benchmark: its sequence number and the moment when it was sent, padded to a size.
//!
//! The numbers have a fixed width. So all events of a run have the same size, and an event is written by putting
//! digits into a template.

use std::ops::Range;

/// The digits of a sequence number.
const SEQ_DIGITS: usize = 10;

/// The digits of a moment in nanoseconds.
const TIME_DIGITS: usize = 19;

/// The size of the smallest event: both numbers, with a space between them and one after them.
pub(crate) const LEAST_SIZE: usize = SEQ_DIGITS + 1 + TIME_DIGITS + 1;

/// The numbers that every event contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The event's number in its stream, from 0 on.
    pub(crate) seq: u64,
    /// When the event was sent, in nanoseconds of the [`clock`](super::clock).
    pub(crate) sent: u64,
}

impl Stamp {
    /// Reads the stamp at the beginning of an event's data. `None`: it is not an event of this benchmark.
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

/// The id of event `seq`.
pub(crate) fn id(seq: u64) -> String {
    format!("{seq:0SEQ_DIGITS$}")
}

/// The data of an event of `size` bytes whose numbers are all zeros.
pub(crate) fn blank(size: usize) -> Vec<u8> {
    let mut data = vec![b'0'; LEAST_SIZE];
    data[SEQ_DIGITS] = b' ';
    data[LEAST_SIZE - 1] = b' ';
    // No letter repeats for long, so a server gains nothing by compression or deduplication.
    data.extend((b'a'..=b'z').cycle().take(size.saturating_sub(LEAST_SIZE)));
    data
}

/// An event as an HTTP/1.1 chunk, which is stamped again and again.
#[derive(Debug)]
pub(crate) struct Template {
    bytes: Vec<u8>,
    /// The part of `bytes` that is the event's text.
    text: Range<usize>,
    /// The index of the id's digits, if the event has an id.
    id: Option<usize>,
    /// The index at which the data begins.
    data: usize,
}

impl Template {
    /// An event whose data has `size` bytes. Its id is its sequence number, or it has none.
    pub(crate) fn new(size: usize, ids: bool) -> Self {
        let id = if ids { format!("id: {}\n", "0".repeat(SEQ_DIGITS)) } else { String::new() };
        let data = blank(size);
        let length = id.len() + "data: ".len() + data.len() + "\n\n".len();
        let mut bytes = format!("{length:x}\r\n").into_bytes();
        let text = bytes.len()..bytes.len() + length;
        let digits = ids.then(|| bytes.len() + "id: ".len());
        bytes.extend_from_slice(id.as_bytes());
        bytes.extend_from_slice(b"data: ");
        let start = bytes.len();
        bytes.extend_from_slice(&data);
        bytes.extend_from_slice(b"\n\n\r\n");
        Self { bytes, text, id: digits, data: start }
    }

    /// The event with this stamp, as a chunk of its own.
    pub(crate) fn stamped(&mut self, stamp: Stamp) -> &[u8] {
        if let Some(id) = self.id {
            put(stamp.seq, &mut self.bytes[id..id + SEQ_DIGITS]);
        }
        stamp.write(&mut self.bytes[self.data..]);
        &self.bytes
    }

    /// The text of the event with this stamp, for a chunk that holds several events.
    pub(crate) fn text(&mut self, stamp: Stamp) -> &[u8] {
        let text = self.text.clone();
        &self.stamped(stamp)[text]
    }
}

/// The number whose digits are `digits`.
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
