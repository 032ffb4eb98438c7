//! Decoding of a path, as the standard says and as lax servers do it.

/// The most results of decoding a path repeatedly.
pub(super) const MAX_DECODED: usize = 12;

/// The results of decoding a path once or repeatedly, in all ways. `None`: there are too many.
pub(super) fn decoded(path: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut all = vec![path.to_vec()];
    let mut at = 0;
    while let Some(bytes) = all.get(at) {
        for next in [decode(bytes), decode_utf16(bytes), shortened(bytes)] {
            if !all.contains(&next) {
                all.push(next);
            }
        }
        if all.len() > MAX_DECODED {
            return None;
        }
        at = at.saturating_add(1);
    }
    all.remove(0);
    Some(all)
}

/// An octet of a path, and whether it was percent-encoded.
#[derive(Clone, Copy)]
pub(super) enum Octet {
    Raw(u8),
    Encoded(u8),
}

pub(super) fn octets(mut path: &[u8]) -> impl Iterator<Item = Octet> {
    std::iter::from_fn(move || {
        let (octet, rest) = first_octet(path)?;
        path = rest;
        Some(octet)
    })
}

pub(super) fn first_octet(path: &[u8]) -> Option<(Octet, &[u8])> {
    match path {
        [b'%', high, low, rest @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
            Some((Octet::Encoded(digit(*high) << 4 | digit(*low)), rest))
        }
        [byte, rest @ ..] => Some((Octet::Raw(*byte), rest)),
        [] => None,
    }
}

/// The value of a hexadecimal digit.
fn digit(byte: u8) -> u8 {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or_default()
}

fn decode(path: &[u8]) -> Vec<u8> {
    let decoded = octets(path).map(|octet| match octet {
        Octet::Raw(byte) | Octet::Encoded(byte) => byte,
    });
    decoded.collect()
}

/// Decodes the form `%u002f`, which some servers accept beside the standard one.
fn decode_utf16(mut path: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(path.len());
    loop {
        path = match path {
            [b'%', b'u' | b'U', a, b, c, d, rest @ ..] if [a, b, c, d].iter().all(|byte| byte.is_ascii_hexdigit()) => {
                let unit = [a, b, c, d].iter().fold(0, |unit, byte| unit << 4 | u32::from(digit(**byte)));
                let unit = char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER);
                decoded.extend_from_slice(unit.encode_utf8(&mut [0; 4]).as_bytes());
                rest
            }
            [byte, rest @ ..] => {
                decoded.push(*byte);
                rest
            }
            [] => return decoded,
        }
    }
}

/// Decodes ASCII characters that are written in more than one octet, which UTF-8 forbids (RFC 3629, section 3). Some
/// servers accept that.
fn shortened(mut path: &[u8]) -> Vec<u8> {
    let mut shortened = Vec::with_capacity(path.len());
    loop {
        path = match path {
            [first @ (0xC0 | 0xC1), last @ 0x80..=0xBF, rest @ ..] => {
                shortened.push((first & 1) << 6 | (last & 0x3F));
                rest
            }
            [0xE0, middle @ (0x80 | 0x81), last @ 0x80..=0xBF, rest @ ..]
            | [0xF0, 0x80, middle @ (0x80 | 0x81), last @ 0x80..=0xBF, rest @ ..] => {
                shortened.push((middle & 1) << 6 | (last & 0x3F));
                rest
            }
            [byte, rest @ ..] => {
                shortened.push(*byte);
                rest
            }
            [] => return shortened,
        }
    }
}
