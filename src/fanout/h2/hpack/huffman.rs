//! The Huffman code of HPACK (RFC 7541, section 5.2 and appendix B).
//!
//! The code is canonical: codes of the same length are consecutive numbers in the order of their symbols, and the first
//! code of a length follows the last one of the length before. So the lengths are the whole of it.

use super::Error;

/// Bits of each symbol's code, from RFC 7541, appendix B. The last one is that of EOS.
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, //
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28, //
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, //
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10, //
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, //
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, //
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, //
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, //
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, //
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, //
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, //
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, //
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, //
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, //
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, //
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, //
    30,
];

const SYMBOLS: usize = 257;
/// The symbol that ends a string. No string contains it: its first bits are the padding of the last byte.
const EOS: u16 = 256;
/// Bits of the longest code.
const LONGEST: usize = 30;
/// Bits that are looked up at once. Nearly all text has codes of at most so many.
const SHORT: usize = 8;

const CODE: Code = Code::new();

/// The code, made by the compiler of the lengths. A code stands at the high end of 32 bits here.
struct Code {
    /// By the next 8 bits: the symbol and the length of its code. The length is 0 if it is more than 8.
    short: [(u8, u8); 1 << SHORT],
    /// The codes of each length.
    lengths: [Length; LONGEST + 1],
    /// The symbols in the order of their codes.
    symbols: [u16; SYMBOLS],
}

/// The codes of one length.
#[derive(Clone, Copy)]
struct Length {
    /// The first one.
    first: u32,
    /// The last one, with ones behind it.
    last: u32,
    /// The index of the symbol of the first one.
    index: usize,
}

impl Code {
    #[allow(
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        reason = "the compiler runs it, and compiles nothing if a number overflows"
    )]
    const fn new() -> Self {
        let mut code = Self {
            short: [(0, 0); 1 << SHORT],
            lengths: [Length { first: 1, last: 0, index: 0 }; LONGEST + 1],
            symbols: [0; SYMBOLS],
        };
        let (mut next, mut index, mut length) = (0_u64, 0, 1);
        while length <= LONGEST {
            let (first, first_index) = (next, index);
            let step = 1 << (32 - length);
            let mut symbol = 0;
            while symbol < SYMBOLS {
                if LENGTHS[symbol] as usize == length {
                    code.symbols[index] = symbol as u16;
                    let mut short = next >> (32 - SHORT);
                    while length <= SHORT && short < (next + step) >> (32 - SHORT) {
                        code.short[short as usize] = (symbol as u8, length as u8);
                        short += 1;
                    }
                    next += step;
                    index += 1;
                }
                symbol += 1;
            }
            if next > first {
                code.lengths[length] = Length { first: first as u32, last: (next - 1) as u32, index: first_index };
            }
            length += 1;
        }
        code
    }

    /// The symbol whose code begins these bits, and the length of the code.
    fn symbol(&self, bits: u32) -> (u16, u32) {
        if let Some((symbol, length @ 1..)) = self.short.get((bits >> (32 - SHORT)) as usize) {
            return (u16::from(*symbol), u32::from(*length));
        }
        for (length, codes) in (0..).zip(&self.lengths).skip(SHORT + 1) {
            if codes.first <= bits && bits <= codes.last {
                let after_first = bits.wrapping_sub(codes.first).wrapping_shr(32_u32.wrapping_sub(length));
                let index = codes.index.saturating_add(after_first as usize);
                return (self.symbols.get(index).copied().unwrap_or(EOS), length);
            }
        }
        (EOS, 0)
    }
}

/// Adds to `text` what the bytes mean.
pub(super) fn decode(bytes: &[u8], text: &mut Vec<u8>) -> Result<(), Error> {
    let mut bytes = bytes.iter();
    // The bits that were not decoded: the lower ones, so many of them.
    let (mut bits, mut held) = (0_u64, 0_u32);
    loop {
        while held <= 32 {
            let Some(byte) = bytes.next() else { break };
            bits = bits << 8 | u64::from(*byte);
            held = held.saturating_add(8);
        }
        let (symbol, length) = CODE.symbol(next_bits(bits, held));
        if length > held {
            return end(bits, held);
        }
        text.push(u8::try_from(symbol).map_err(|_| Error::Huffman)?);
        held = held.saturating_sub(length);
    }
}

/// The first 32 of the bits that were not decoded. If there are fewer, ones follow.
fn next_bits(bits: u64, held: u32) -> u32 {
    let ahead = match held.checked_sub(32) {
        Some(behind) => bits.wrapping_shr(behind),
        None => !(!bits).wrapping_shl(32_u32.saturating_sub(held)),
    };
    u32::try_from(ahead & u64::from(u32::MAX)).unwrap_or_default()
}

/// These bits are left and no symbol. "A padding strictly longer than 7 bits MUST be treated as a decoding error. A
/// padding not corresponding to the most significant bits of the code for the EOS symbol MUST be treated as a decoding
/// error."
fn end(bits: u64, held: u32) -> Result<(), Error> {
    let ones = 1_u64.wrapping_shl(held).wrapping_sub(1);
    if held < 8 && bits & ones == ones { Ok(()) } else { Err(Error::Huffman) }
}

/// The code of a text. It is made from the lengths alone, in another way than the decoder's tables.
#[cfg(test)]
pub(super) fn encode(text: &[u8]) -> Vec<u8> {
    tests::bytes_of(&text.iter().map(|byte| tests::bits_of((*byte).into())).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let mut text = Vec::new();
        decode(bytes, &mut text).map(|()| text)
    }

    /// The bits of a symbol's code as text.
    pub(super) fn bits_of(symbol: usize) -> String {
        let shorter = |other: &usize| (LENGTHS[*other], *other) < (LENGTHS[symbol], symbol);
        let before: u64 = (0..SYMBOLS).filter(shorter).map(|other| 1 << (LONGEST as u8 - LENGTHS[other])).sum();
        format!("{before:030b}")[..usize::from(LENGTHS[symbol])].to_owned()
    }

    /// The bytes of these bits, with ones at the end.
    pub(super) fn bytes_of(bits: &str) -> Vec<u8> {
        let padded = format!("{bits:1<width$}", width = bits.len().next_multiple_of(8));
        padded.as_bytes().chunks(8).map(|byte| u8::from_str_radix(str::from_utf8(byte).unwrap(), 2).unwrap()).collect()
    }

    #[test]
    fn codes_are_those_of_appendix_b() {
        for (symbol, code) in [
            (usize::from(b'0'), "00000"),
            (usize::from(b' '), "010100"),
            (usize::from(b'a'), "00011"),
            (usize::from(b'z'), "1111011"),
            (usize::from(b'&'), "11111000"),
            (usize::from(b'!'), "1111111000"),
            (usize::from(b'\\'), "1111111111111110000"),
            (0, "1111111111000"),
            (usize::from(b'\n'), "111111111111111111111111111100"),
            (22, "111111111111111111111111111110"),
            (255, "11111111111111111111101110"),
            (256, "111111111111111111111111111111"),
        ] {
            assert_eq!(bits_of(symbol), code, "{symbol}");
        }
    }

    #[test]
    fn every_byte_is_decoded_from_its_code() {
        for byte in 0..=u8::MAX {
            assert_eq!(decoded(&bytes_of(&bits_of(byte.into()))), Ok(vec![byte]));
        }
        assert_eq!(decoded(b""), Ok(vec![]));
    }

    #[test]
    fn the_end_of_a_string_is_less_than_a_byte_of_ones() {
        let a = "00011";
        for (bits, expected) in [
            (format!("{a}111"), Ok(b"a".to_vec())),
            (format!("{a}110"), Err(Error::Huffman)),
            (format!("{a}11111111111"), Err(Error::Huffman)),
            ("11111111".to_owned(), Err(Error::Huffman)),
            (format!("{a}{}", bits_of(256)), Err(Error::Huffman)),
            (format!("{}{a}", bits_of(256)), Err(Error::Huffman)),
            ("1".repeat(96), Err(Error::Huffman)),
            ("11111110".to_owned(), Err(Error::Huffman)),
        ] {
            assert_eq!(decoded(&bytes_of(&bits)), expected, "{bits}");
        }
    }

    proptest! {
        #[test]
        fn any_text_survives(text: Vec<u8>) {
            prop_assert_eq!(decoded(&encode(&text)), Ok(text));
        }

        #[test]
        fn what_is_decoded_was_encoded_so(bytes: Vec<u8>) {
            if let Ok(text) = decoded(&bytes) {
                prop_assert_eq!(encode(&text), bytes);
            }
        }
    }
}
