//! Frames as they are on the wire (RFC 9113, sections 4.1 and 6).

use serde::{Deserialize, Serialize};

/// Bytes of a frame's head.
pub(super) const HEAD_BYTES: usize = 9;

/// What a client sends first (RFC 9113, section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The highest stream identifier, increment of a window and size of a window: 31 bits.
pub(super) const MOST_31_BITS: u32 = u32::MAX >> 1;

/// The identifier of a stream. Those of clients are odd and rise. 0 is the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StreamId(pub u32);

impl StreamId {
    /// The connection itself.
    pub const CONNECTION: Self = Self(0);

    /// Whether a client may open a stream with it.
    pub(super) fn is_a_clients(self) -> bool {
        self.0 % 2 == 1
    }
}

/// Types of frames (RFC 9113, section 6).
pub(super) mod kind {
    pub(in super::super) const DATA: u8 = 0;
    pub(in super::super) const HEADERS: u8 = 1;
    pub(in super::super) const PRIORITY: u8 = 2;
    pub(in super::super) const RST_STREAM: u8 = 3;
    pub(in super::super) const SETTINGS: u8 = 4;
    pub(in super::super) const PUSH_PROMISE: u8 = 5;
    pub(in super::super) const PING: u8 = 6;
    pub(in super::super) const GOAWAY: u8 = 7;
    pub(in super::super) const WINDOW_UPDATE: u8 = 8;
    pub(in super::super) const CONTINUATION: u8 = 9;
}

/// Flags of frames. Each means this only in frames of some types (RFC 9113, section 6).
pub(super) mod flag {
    pub(in super::super) const ACK: u8 = 0x1;
    pub(in super::super) const END_STREAM: u8 = 0x1;
    pub(in super::super) const END_HEADERS: u8 = 0x4;
    pub(in super::super) const PADDED: u8 = 0x8;
    pub(in super::super) const PRIORITY: u8 = 0x20;
}

/// An error code (RFC 9113, section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code(pub u32);

impl Code {
    /// No error.
    pub const NO_ERROR: Self = Self(0x0);
    /// The other side does what the protocol forbids.
    pub const PROTOCOL_ERROR: Self = Self(0x1);
    /// A fault of our own.
    pub const INTERNAL_ERROR: Self = Self(0x2);
    /// The other side sends more than a window allows, or opens a window too far.
    pub const FLOW_CONTROL_ERROR: Self = Self(0x3);
    /// SETTINGS were not acknowledged in time.
    pub const SETTINGS_TIMEOUT: Self = Self(0x4);
    /// A frame for a stream that the sender has ended.
    pub const STREAM_CLOSED: Self = Self(0x5);
    /// A frame has a length that it must not have.
    pub const FRAME_SIZE_ERROR: Self = Self(0x6);
    /// The request was not looked at, and may be sent again.
    pub const REFUSED_STREAM: Self = Self(0x7);
    /// The stream is not needed any more.
    pub const CANCEL: Self = Self(0x8);
    /// A block of fields cannot be decoded.
    pub const COMPRESSION_ERROR: Self = Self(0x9);
    /// The other side sends too much that carries nothing.
    pub const ENHANCE_YOUR_CALM: Self = Self(0xb);
}

/// The head of a frame.
///
/// ```text
///   length (24) │ type (8) │ flags (8) │ reserved (1) │ stream (31)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Bytes of the payload.
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: StreamId,
}

impl Head {
    /// Reads a head and returns it with the rest. `None`: the bytes are too few.
    pub(super) fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let ([l0, l1, l2, kind, flags, stream @ ..], rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
        let length = u32::from_be_bytes([0, *l0, *l1, *l2]) as usize;
        let stream = StreamId(u32::from_be_bytes(*stream) & MOST_31_BITS);
        Some((Self { length, kind: *kind, flags: *flags, stream }, rest))
    }

    /// The bytes of the head. The length must have 24 bits at most.
    pub(super) fn bytes(self) -> [u8; HEAD_BYTES] {
        let [.., l0, l1, l2] = self.length.to_be_bytes();
        let [s0, s1, s2, s3] = self.stream.0.to_be_bytes();
        [l0, l1, l2, self.kind, self.flags, s0, s1, s2, s3]
    }

    pub(super) fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// A payload that is one number of 32 bits.
pub(super) fn number(payload: &[u8]) -> Option<u32> {
    payload.try_into().ok().map(u32::from_be_bytes)
}

/// Takes the padding and the padding's length off a payload (RFC 9113, sections 6.1 and 6.2).
///
/// # Errors
/// `PROTOCOL_ERROR` if the padding is longer than what it pads.
pub(super) fn without_padding(head: Head, payload: &[u8]) -> Result<&[u8], Code> {
    if !head.has(flag::PADDED) {
        return Ok(payload);
    }
    let (padding, rest) = payload.split_first().ok_or(Code::FRAME_SIZE_ERROR)?;
    let kept = rest.len().checked_sub(usize::from(*padding)).ok_or(Code::PROTOCOL_ERROR)?;
    rest.get(..kept).ok_or(Code::PROTOCOL_ERROR)
}

/// The stream that a stream depends on by a PRIORITY frame or by the same bytes in HEADERS (RFC 9113, section 6.3).
/// The priorities themselves mean nothing any more.
///
/// # Errors
/// `FRAME_SIZE_ERROR` if the payload is shorter.
pub(super) fn dependency(payload: &[u8]) -> Result<(StreamId, &[u8]), Code> {
    let ([stream @ .., _weight], rest) = payload.split_first_chunk::<5>().ok_or(Code::FRAME_SIZE_ERROR)?;
    Ok((StreamId(u32::from_be_bytes(*stream) & MOST_31_BITS), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_is_written() {
        let bytes = [0x01, 0x02, 0x03, 9, 0x25, 0x80, 0, 0, 0x07, 0xff];
        let (head, rest) = Head::parse(&bytes).unwrap();
        let expected = Head { length: 0x01_02_03, kind: kind::CONTINUATION, flags: 0x25, stream: StreamId(7) };
        assert_eq!((head, rest), (expected, &[0xff][..]), "the reserved bit means nothing");
        assert_eq!(head.bytes()[..5], bytes[..5]);
        assert_eq!(head.bytes()[5..], [0, 0, 0, 7]);
        assert!(head.has(flag::END_HEADERS) && !head.has(flag::PADDED));
        assert_eq!(Head::parse(&bytes[..8]), None);
    }

    #[test]
    fn padding_is_taken_off_and_never_longer_than_its_frame() {
        let padded = Head { length: 0, kind: kind::DATA, flags: flag::PADDED, stream: StreamId(1) };
        assert_eq!(without_padding(padded, b"\x02ab\0\0"), Ok(&b"ab"[..]));
        assert_eq!(without_padding(padded, b"\x04\0\0\0\0"), Ok(&b""[..]));
        assert_eq!(without_padding(padded, b"\x05\0\0\0\0"), Err(Code::PROTOCOL_ERROR));
        assert_eq!(without_padding(padded, b""), Err(Code::FRAME_SIZE_ERROR));
        assert_eq!(without_padding(Head { flags: 0, ..padded }, b"\x02ab"), Ok(&b"\x02ab"[..]));
    }

    #[test]
    fn a_dependency_is_five_bytes() {
        assert_eq!(
            dependency(b"\x80\0\0\x05\x10x"),
            Ok((StreamId(5), &b"x"[..])),
            "the exclusive bit is no part of it"
        );
        assert_eq!(dependency(b"\x80\0\0\x05"), Err(Code::FRAME_SIZE_ERROR));
    }
}
