//! SETTINGS (RFC 9113, section 6.5): ours, and those of a client.

use super::frame::{Code, MOST_31_BITS};
use super::limits::{MOST_FRAME_BYTES, MOST_LIST_BYTES, MOST_SETTINGS, MOST_STREAMS, TABLE_BYTES, UNREAD_BODY_BYTES};

/// Bytes of a value: 16 bits for its identifier, and 32.
pub(super) const VALUE_BYTES: usize = 6;

/// Identifiers of settings (RFC 9113, section 6.5.2).
mod id {
    pub(super) const HEADER_TABLE_SIZE: u16 = 0x1;
    pub(super) const ENABLE_PUSH: u16 = 0x2;
    pub(super) const MAX_CONCURRENT_STREAMS: u16 = 0x3;
    pub(super) const INITIAL_WINDOW_SIZE: u16 = 0x4;
    pub(super) const MAX_FRAME_SIZE: u16 = 0x5;
    pub(super) const MAX_HEADER_LIST_SIZE: u16 = 0x6;
}

/// The largest payload that a client may offer to take.
const LARGEST_FRAME: u32 = (1 << 24) - 1;

/// What a client asks for. We push nothing, compress nothing, and send frames of the smallest size that it must take.
/// So of all values only the window concerns us.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Asked {
    /// Bytes that each stream may be sent at first. `None`: this does not change.
    pub(super) initial_window: Option<i32>,
}

/// Reads the payload of a SETTINGS frame.
///
/// # Errors
/// The code of a connection error.
pub(super) fn parse(payload: &[u8]) -> Result<Asked, Code> {
    let (values, rest) = payload.as_chunks::<VALUE_BYTES>();
    if !rest.is_empty() {
        return Err(Code::FRAME_SIZE_ERROR);
    }
    if values.len() > MOST_SETTINGS {
        return Err(Code::ENHANCE_YOUR_CALM);
    }
    let mut asked = Asked::default();
    for [i0, i1, value @ ..] in values {
        let value = u32::from_be_bytes(*value);
        match u16::from_be_bytes([*i0, *i1]) {
            id::ENABLE_PUSH if value > 1 => return Err(Code::PROTOCOL_ERROR),
            id::INITIAL_WINDOW_SIZE => {
                asked.initial_window = Some(i32::try_from(value).map_err(|_| Code::FLOW_CONTROL_ERROR)?);
            }
            id::MAX_FRAME_SIZE if (value as usize) < MOST_FRAME_BYTES || value > LARGEST_FRAME => {
                return Err(Code::PROTOCOL_ERROR);
            }
            // "An endpoint that receives a SETTINGS frame with any unknown or unsupported identifier MUST ignore that
            // setting."
            _ => {}
        }
    }
    Ok(asked)
}

/// The payload of our SETTINGS.
pub(super) fn ours() -> [[u8; VALUE_BYTES]; 4] {
    [
        value(id::HEADER_TABLE_SIZE, TABLE_BYTES),
        value(id::MAX_CONCURRENT_STREAMS, MOST_STREAMS),
        value(id::INITIAL_WINDOW_SIZE, usize::try_from(UNREAD_BODY_BYTES).unwrap_or_default()),
        value(id::MAX_HEADER_LIST_SIZE, MOST_LIST_BYTES),
    ]
}

fn value(id: u16, value: usize) -> [u8; VALUE_BYTES] {
    let [i0, i1] = id.to_be_bytes();
    let [v0, v1, v2, v3] = u32::try_from(value).unwrap_or(MOST_31_BITS).to_be_bytes();
    [i0, i1, v0, v1, v2, v3]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[(u16, u32)]) -> Vec<u8> {
        values.iter().flat_map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()).collect()
    }

    #[test]
    fn the_last_window_counts_and_unknown_settings_are_ignored() {
        assert_eq!(parse(b""), Ok(Asked { initial_window: None }));
        let payload = of(&[(4, 1), (0xfa, 7), (4, MOST_31_BITS), (1, 0), (2, 1), (3, 0), (5, 16_384), (6, 0), (8, 1)]);
        assert_eq!(parse(&payload), Ok(Asked { initial_window: Some(i32::MAX) }));
    }

    #[test]
    fn values_that_the_standard_forbids_are_faults() {
        for (values, expected) in [
            (&[(2, 2)][..], Code::PROTOCOL_ERROR),
            (&[(4, 1 << 31)], Code::FLOW_CONTROL_ERROR),
            (&[(5, 16_383)], Code::PROTOCOL_ERROR),
            (&[(5, 1 << 24)], Code::PROTOCOL_ERROR),
            (&[(9, 0); MOST_SETTINGS + 1], Code::ENHANCE_YOUR_CALM),
        ] {
            assert_eq!(parse(&of(values)), Err(expected), "{values:?}");
        }
        assert_eq!(parse(&[0; 5]), Err(Code::FRAME_SIZE_ERROR));
        assert!(parse(&of(&[(9, 0); MOST_SETTINGS])).is_ok());
    }

    #[test]
    fn ours_are_these() {
        let expected = of(&[(1, 0), (3, 256), (4, 16_384), (6, 65_536)]);
        assert_eq!(ours().concat(), expected);
        assert!(parse(&expected).is_ok());
    }
}
