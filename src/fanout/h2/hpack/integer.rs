//! Integers of HPACK (RFC 7541, section 5.1).

use super::Error;

/// What each byte after the first is worth. Two million are more than any index, any string and any table here, so a
/// longer integer is refused. It could be as long as the block.
const WEIGHTS: [usize; 3] = [1, 1 << 7, 1 << 14];

/// Reads an integer. `mask`: the bits of the first byte that belong to it.
pub(super) fn read(bytes: &mut &[u8], mask: u8) -> Result<usize, Error> {
    let first = read_byte(bytes)? & mask;
    let mut value = usize::from(first);
    if first < mask {
        return Ok(value);
    }
    for weight in WEIGHTS {
        let byte = read_byte(bytes)?;
        value = value.saturating_add(weight.saturating_mul(usize::from(byte & 0x7f)));
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Error::Integer)
}

fn read_byte(bytes: &mut &[u8]) -> Result<u8, Error> {
    let (first, rest) = bytes.split_first().ok_or(Error::Truncated)?;
    *bytes = rest;
    Ok(*first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_7541_c_1() {
        for (mut bytes, mask, expected) in [
            (&[0b1110_1010][..], 0x1f, 10),
            (&[0b0001_1111, 0b1001_1010, 0b0000_1010], 0x1f, 1337),
            (&[0b0010_1010], 0xff, 42),
        ] {
            assert_eq!(read(&mut bytes, mask), Ok(expected));
            assert!(bytes.is_empty());
        }
    }

    #[test]
    fn an_integer_has_four_bytes_at_most() {
        for (mut bytes, expected) in [
            (&[0x1f, 0xff, 0xff, 0x7f][..], Ok(31 + (1 << 21) - 1)),
            (&[0x1f, 0x80, 0x80, 0x00], Ok(31)),
            (&[0x1f, 0x80, 0x80, 0x80, 0x00], Err(Error::Integer)),
            (&[0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], Err(Error::Integer)),
            (&[0x1f, 0xff], Err(Error::Truncated)),
            (&[], Err(Error::Truncated)),
        ] {
            assert_eq!(read(&mut bytes, 0x1f), expected);
        }
    }
}
