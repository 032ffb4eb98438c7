//! The heads of requests and responses: RFC 7541. The clients use no dynamic table, and allow the server none. So a head
//! says everything by itself. Of a response's head only what the clients check is read.

/// Entries of the static table (appendix A) that have these names.
const AUTHORITY: u8 = 1;
const PATH: u8 = 4;
const STATUS: std::ops::RangeInclusive<usize> = 8..=14;
const ACCEPT: u8 = 19;
const CONTENT_TYPE: usize = 31;

/// The last entry of the static table.
const LAST: usize = 61;

/// The status codes of the entries of the static table, in their order.
const STATUSES: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];

/// The largest number that the first four bits of a byte cannot hold is one less than this.
const FOUR_BITS: u8 = 15;

/// The longest string whose length is one byte.
const SHORT: usize = 126;

/// The type of every response.
const EVENT_STREAM: &[u8] = b"text/event-stream";

/// The same by the Huffman code (appendix B). Its last two bits are ones. They are the padding, or the first ones of the
/// code of a semicolon.
const CODED_EVENT_STREAM: &[u8] = &[0x49, 0x7c, 0xa5, 0x82, 0xf7, 0x2d, 0x49, 0x59, 0x09, 0xb0, 0xa3, 0xa7];

/// Appends the head of a request to `out`. `path` and `authority` have at most [`SHORT`] bytes.
pub(super) fn put_request(out: &mut Vec<u8>, path: &str, authority: &str, secure: bool) {
    // Entry 2 is GET, entry 6 is http, and entry 7 is https.
    out.extend_from_slice(&[0x80 | 2, 0x80 | if secure { 7 } else { 6 }]);
    put_field(out, PATH, path);
    put_field(out, AUTHORITY, authority);
    put_field(out, ACCEPT, "text/event-stream");
}

/// Appends a field without indexing (section 6.2.2).
fn put_field(out: &mut Vec<u8>, name: u8, value: &str) {
    debug_assert!(value.len() <= SHORT);
    match name.checked_sub(FOUR_BITS) {
        None => out.push(name),
        Some(more) => out.extend_from_slice(&[FOUR_BITS, more]),
    }
    out.push(u8::try_from(value.len()).unwrap_or(0));
    out.extend_from_slice(value.as_bytes());
}

/// What the clients check of a response's head.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct ResponseHead {
    /// `None`: there is none, or it is written by the Huffman code, as no server writes 200.
    pub(super) status: Option<u16>,
    /// The response is an event stream.
    pub(super) is_stream: bool,
}

/// Reads a response's head. `None`: it is invalid, or it uses a dynamic table.
pub(super) fn response(mut block: &[u8]) -> Option<ResponseHead> {
    let mut head = ResponseHead::default();
    while let Some(&first) = block.first() {
        let (entry, rest) = match first {
            0x80.. => {
                // A whole entry of the table (section 6.1).
                let (entry, rest) = number(block, 7)?;
                head.status = status_of(entry).or(head.status);
                block = rest;
                (entry != 0 && entry <= LAST).then_some(())?;
                continue;
            }
            0x40.. => number(block, 6)?,
            0x20.. => {
                // The table gets another size (section 6.3). Only 0 is allowed.
                let (size, rest) = number(block, 5)?;
                (size == 0).then_some(())?;
                block = rest;
                continue;
            }
            _ => number(block, 4)?,
        };
        (entry <= LAST).then_some(())?;
        let (name, rest) = if entry == 0 { string(rest)? } else { (Value { coded: false, bytes: b"" }, rest) };
        let (value, rest) = string(rest)?;
        if STATUS.contains(&entry) {
            head.status = value.plain().and_then(|digits| digits.parse().ok());
        } else if entry == CONTENT_TYPE || name.plain() == Some("content-type") {
            head.is_stream = value.begins_with(EVENT_STREAM, CODED_EVENT_STREAM);
        }
        block = rest;
    }
    Some(head)
}

/// The status code of an entry of the static table.
fn status_of(entry: usize) -> Option<u16> {
    STATUSES.get(entry.checked_sub(*STATUS.start())?).copied()
}

/// A string as it was written.
#[derive(Debug, Clone, Copy)]
struct Value<'a> {
    /// It is written by the Huffman code.
    coded: bool,
    bytes: &'a [u8],
}

impl<'a> Value<'a> {
    fn plain(self) -> Option<&'a str> {
        str::from_utf8(self.bytes).ok().filter(|_| !self.coded)
    }

    fn begins_with(self, plain: &[u8], coded: &[u8]) -> bool {
        self.bytes.starts_with(if self.coded { coded } else { plain })
    }
}

/// A number that begins in the last `bits` bits of the first byte (section 5.1), and the bytes after it.
fn number(bytes: &[u8], bits: u8) -> Option<(usize, &[u8])> {
    let (&first, mut rest) = bytes.split_first()?;
    let most = (1_usize << bits) - 1;
    let mut value = usize::from(first) & most;
    if value < most {
        return Some((value, rest));
    }
    // Two more bytes hold every number of a head that fits into a frame.
    for shift in [0, 7] {
        let (&byte, after) = rest.split_first()?;
        value += (usize::from(byte) & 0x7f) << shift;
        rest = after;
        if byte < 0x80 {
            return Some((value, rest));
        }
    }
    None
}

/// A string (section 5.2), and the bytes after it.
fn string(bytes: &[u8]) -> Option<(Value<'_>, &[u8])> {
    let coded = bytes.first()? & 0x80 != 0;
    let (length, rest) = number(bytes, 7)?;
    let (bytes, rest) = rest.split_at_checked(length)?;
    Some((Value { coded, bytes }, rest))
}
