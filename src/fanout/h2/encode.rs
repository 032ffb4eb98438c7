//! What is sent to a client, as bytes: blocks of fields, and frames.
//!
//! A block uses the static table only, and no Huffman code (RFC 7541). So it depends on nothing that was sent before, and
//! one block may be sent on many connections.

use super::frame::{Code, Head, StreamId, flag, kind};
use super::hpack::STATIC;
use super::limits::MOST_FRAME_BYTES;
use super::settings;

/// Adds the status to a block. It is the first field of a response.
pub fn status(block: &mut Vec<u8>, status: u16) {
    let [h, t, u] = [100, 10, 1].map(|unit| digit(status, unit));
    let text = [h, t, u];
    let indexed = (1..).zip(STATIC).find(|(_, (name, value))| *name == ":status" && value.as_bytes() == text);
    match indexed {
        Some((index, _)) => block.push(0x80 | index),
        None => field(block, b":status", &text),
    }
}

fn digit(number: u16, unit: u16) -> u8 {
    let digit = number.checked_div(unit).unwrap_or_default() % 10;
    b'0'.saturating_add(u8::try_from(digit).unwrap_or_default())
}

/// Adds a field to a block: a literal without indexing (RFC 7541, section 6.2.2). The name must be in lower case.
pub fn field(block: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    match (1..).zip(STATIC).find(|(_, (known, _))| known.as_bytes() == name) {
        Some((index, _)) => integer(block, 0x00, 0x0f, index),
        None => {
            block.push(0x00);
            string(block, name);
        }
    }
    string(block, value);
}

fn string(block: &mut Vec<u8>, text: &[u8]) {
    integer(block, 0x00, 0x7f, text.len());
    block.extend_from_slice(text);
}

/// Adds an integer (RFC 7541, section 5.1). `mask`: the bits of the first byte that belong to it. `first`: the others.
fn integer(block: &mut Vec<u8>, first: u8, mask: u8, value: usize) {
    let Some(mut rest) = value.checked_sub(mask.into()) else {
        block.push(first | low_byte(value));
        return;
    };
    block.push(first | mask);
    while rest > 0x7f {
        block.push(0x80 | low_byte(rest & 0x7f));
        rest >>= 7;
    }
    block.push(low_byte(rest));
}

fn low_byte(value: usize) -> u8 {
    let [.., low] = value.to_be_bytes();
    low
}

/// Adds a block of fields as frames: HEADERS, and CONTINUATION if it is long. `ends`: the stream ends with it.
pub fn headers(out: &mut Vec<u8>, stream: StreamId, block: &[u8], ends: bool) {
    let (first, mut rest) = block.split_at(block.len().min(MOST_FRAME_BYTES));
    let ends = if ends { flag::END_STREAM } else { 0 };
    frame(out, kind::HEADERS, ends | end_headers(rest), stream, &[first]);
    while !rest.is_empty() {
        let (next, after) = rest.split_at(rest.len().min(MOST_FRAME_BYTES));
        frame(out, kind::CONTINUATION, end_headers(after), stream, &[next]);
        rest = after;
    }
}

fn end_headers(rest: &[u8]) -> u8 {
    if rest.is_empty() { flag::END_HEADERS } else { 0 }
}

/// Adds the head of DATA. So many bytes follow it, at most [`MOST_FRAME_BYTES`].
pub fn data_head(out: &mut Vec<u8>, stream: StreamId, length: usize, ends: bool) {
    debug_assert!(length <= MOST_FRAME_BYTES);
    let flags = if ends { flag::END_STREAM } else { 0 };
    out.extend_from_slice(&Head { length, kind: kind::DATA, flags, stream }.bytes());
}

/// Adds RST_STREAM.
pub fn rst_stream(out: &mut Vec<u8>, stream: StreamId, code: Code) {
    frame(out, kind::RST_STREAM, 0, stream, &[&code.0.to_be_bytes()]);
}

/// Adds GOAWAY. `last`: the last stream that is served.
pub fn goaway(out: &mut Vec<u8>, last: StreamId, code: Code) {
    frame(out, kind::GOAWAY, 0, StreamId::CONNECTION, &[&last.0.to_be_bytes(), &code.0.to_be_bytes()]);
}

/// Adds WINDOW_UPDATE.
pub fn window_update(out: &mut Vec<u8>, stream: StreamId, by: u32) {
    frame(out, kind::WINDOW_UPDATE, 0, stream, &[&by.to_be_bytes()]);
}

/// Adds our SETTINGS.
pub fn settings(out: &mut Vec<u8>) {
    frame(out, kind::SETTINGS, 0, StreamId::CONNECTION, &settings::ours().each_ref().map(|value| &value[..]));
}

/// Adds the acknowledgement of a client's SETTINGS.
pub fn settings_ack(out: &mut Vec<u8>) {
    frame(out, kind::SETTINGS, flag::ACK, StreamId::CONNECTION, &[]);
}

/// Adds the answer to a PING.
pub fn ping_ack(out: &mut Vec<u8>, payload: &[u8]) {
    frame(out, kind::PING, flag::ACK, StreamId::CONNECTION, &[payload]);
}

fn frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: StreamId, parts: &[&[u8]]) {
    let length = parts.iter().map(|part| part.len()).sum();
    debug_assert!(length <= MOST_FRAME_BYTES);
    out.extend_from_slice(&Head { length, kind, flags, stream }.bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

#[cfg(test)]
mod tests {
    use super::super::hpack::{Block, Decoder};
    use super::*;

    /// The heads of frames.
    fn heads(mut bytes: &[u8]) -> Vec<Head> {
        let mut heads = Vec::new();
        while let Some((head, rest)) = Head::parse(bytes) {
            heads.push(head);
            bytes = &rest[head.length..];
        }
        assert!(bytes.is_empty());
        heads
    }

    #[test]
    fn a_block_is_decoded_as_what_it_was() {
        let long = "x".repeat(70_000 - 1000);
        for (number, value) in [(200, "text/event-stream"), (503, ""), (304, &"y".repeat(127)), (431, &long[..60_000])]
        {
            let pairs =
                [(&b":status"[..], number.to_string()), (b"content-type", value.into()), (b"x-own", "é".into())];
            let mut block = Vec::new();
            status(&mut block, number);
            pairs[1..].iter().for_each(|(name, value)| field(&mut block, name, value.as_bytes()));
            let expected = pairs.iter().map(|(name, value)| (*name, value.as_bytes())).collect();
            assert_eq!(Decoder::default().decode(&block), Ok(Block::Fields(expected)));
        }
        let mut block = Vec::new();
        status(&mut block, 200);
        field(&mut block, b"via", b"1");
        assert_eq!(block, b"\x88\x0f\x2d\x011", "names and a common status are numbers");
    }

    #[test]
    fn a_long_block_continues() {
        for (length, expected) in
            [(0, &[0][..]), (16_384, &[16_384]), (16_385, &[16_384, 1]), (40_000, &[16_384, 16_384, 7232])]
        {
            let mut out = Vec::new();
            headers(&mut out, StreamId(7), &vec![0; length], true);
            let heads = heads(&out);
            assert_eq!(heads.iter().map(|head| head.length).collect::<Vec<_>>(), expected);
            for (index, head) in heads.iter().enumerate() {
                let (kind, flag) = if index == 0 { (kind::HEADERS, flag::END_STREAM) } else { (kind::CONTINUATION, 0) };
                let last = if index + 1 == heads.len() { flag::END_HEADERS } else { 0 };
                assert_eq!((head.kind, head.flags, head.stream), (kind, flag | last, StreamId(7)));
            }
        }
    }

    #[test]
    fn frames_are_these_bytes() {
        let written = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut out = Vec::new();
            write(&mut out);
            out
        };
        let one = StreamId(1);
        for (out, expected) in [
            (written(&|out| data_head(out, one, 3, true)), &b"\0\0\x03\0\x01\0\0\0\x01"[..]),
            (written(&|out| data_head(out, one, 16_384, false)), b"\0\x40\0\0\0\0\0\0\x01"),
            (written(&|out| rst_stream(out, one, Code::CANCEL)), b"\0\0\x04\x03\0\0\0\0\x01\0\0\0\x08"),
            (written(&|out| goaway(out, one, Code(2))), b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x01\0\0\0\x02"),
            (written(&|out| window_update(out, one, 258)), b"\0\0\x04\x08\0\0\0\0\x01\0\0\x01\x02"),
            (written(&|out| settings_ack(out)), b"\0\0\0\x04\x01\0\0\0\0"),
            (written(&|out| ping_ack(out, b"12345678")), b"\0\0\x08\x06\x01\0\0\0\x0012345678"),
        ] {
            assert_eq!(out, expected);
        }
        assert_eq!(heads(&written(&|out| settings(out)))[0].length, 24);
    }
}
