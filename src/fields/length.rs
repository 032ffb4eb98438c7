//! The length of a body as its head states it (RFC 9110 section 8.6, RFC 9112 section 6.3).

use super::list::members;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

/// The length that a head states. `None` if there is no `Content-Length`, if its values differ or are not numbers, or
/// if the body comes in chunks.
pub(crate) fn content_length(head: &HeaderMap) -> Option<u64> {
    let mut lengths = members(head, &CONTENT_LENGTH);
    let first = lengths.next()?;
    let is_one = lengths.all(|other| other == first) && !head.contains_key(TRANSFER_ENCODING);
    length(first).filter(|_| is_one)
}

/// Reads a length. It consists of digits only: no sign and no list.
pub(crate) fn length(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_one_number() {
        for (lines, coding, expected) in [
            (&[][..], None, None),
            (&["5"][..], None, Some(5)),
            (&["0"], None, Some(0)),
            (&["5", "5"], None, Some(5)),
            (&["5, 5"], None, Some(5)),
            (&["5", "6"], None, None),
            (&["5, 6"], None, None),
            (&[""], None, None),
            (&["+5"], None, None),
            (&["-5"], None, None),
            (&["5 5"], None, None),
            (&["0x5"], None, None),
            (&["99999999999999999999"], None, None),
            (&["5"], Some("chunked"), None),
        ] {
            let mut head = HeaderMap::new();
            for line in lines {
                head.append(CONTENT_LENGTH, line.parse().unwrap());
            }
            if let Some(coding) = coding {
                head.insert(TRANSFER_ENCODING, coding.parse().unwrap());
            }
            assert_eq!(content_length(&head), expected, "{lines:?} {coding:?}");
        }
    }
}
