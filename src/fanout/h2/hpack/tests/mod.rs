//! Tests of the decoder: the examples of RFC 7541, bounds, and another implementation beside it.

mod beside;
mod bounds;
mod examples;

use super::*;

/// The bytes that these hexadecimal digits say.
fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|digit| !digit.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Fields as text.
fn text(block: Result<Block, Error>) -> Vec<(String, String)> {
    let Ok(Block::Fields(fields)) = block else { panic!("{block:?}") };
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    fields.iter().map(|(name, value)| (text(name), text(value))).collect()
}

/// What the table counts.
fn size(decoder: &Decoder) -> usize {
    decoder.table.as_ref().map_or(0, |table| table.size())
}
