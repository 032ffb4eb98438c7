//! Finds pseudo-header fields in the heads of HTTP/2, so that they can be rejected in trailers.
//!
//! Trailers with a pseudo-header field are malformed (RFC 9113, section 8.1). The `h2` crate drops such fields
//! silently. Fields are compressed with HPACK (RFC 7541). A name is a string, or the index of an entry in a table. The
//! table has static entries, and dynamic entries that earlier heads of the connection have added. So every head must be
//! read here. Of each dynamic entry only one bit is remembered: whether it is a pseudo-header field.

use std::collections::VecDeque;

/// The number of static entries (RFC 7541, appendix A), and how many of them, from the first on, are pseudo-header
/// fields.
const STATIC_ENTRIES: usize = 61;
const STATIC_PSEUDO_ENTRIES: usize = 14;

/// The most dynamic entries that fit into 4,096 bytes, the default size of the table. An entry counts 32 bytes more
/// than its name and value (RFC 7541, section 4.1).
const MOST_ENTRIES: usize = 4096 / 32;

/// The largest entry that fits into the table. A larger one is not added, and empties the table (RFC 7541, section
/// 4.4).
const TABLE_BYTES: usize = 4096 - 32;

/// The colon with which the name of a pseudo-header field begins.
const COLON: u8 = b':';

/// The colon in the Huffman code of RFC 7541, appendix B.
const COLON_CODE: u8 = 0b101_1100;

/// The dynamic entries of a connection's table, the newest first. Each says whether the entry is a pseudo-header field.
#[derive(Debug, Default)]
pub(super) struct Names(VecDeque<bool>);

/// The unread rest of a block of fields.
struct Block<'a>(&'a [u8]);

impl Names {
    /// Reads the fields of a head. Returns whether one of them is a pseudo-header field. Reading stops at a malformed
    /// field, for which the `h2` crate closes the connection.
    pub(super) fn read(&mut self, block: &[u8]) -> bool {
        let (mut block, mut is_pseudo) = (Block(block), false);
        while let Some(field) = self.field(&mut block) {
            is_pseudo |= field;
        }
        is_pseudo
    }

    /// Reads a field. Returns whether it is a pseudo-header field, or `None` at the end.
    fn field(&mut self, block: &mut Block<'_>) -> Option<bool> {
        // RFC 7541, section 6.
        let first = *block.0.first()?;
        if first & 0x80 != 0 {
            let index = block.number(7)?;
            return Some(self.is_pseudo(index));
        }
        if first & 0xe0 == 0x20 {
            if block.number(5)? == 0 {
                self.0.clear();
            }
            return Some(false);
        }
        let is_added = first & 0x40 != 0;
        let index = block.number(if is_added { 6 } else { 4 })?;
        let before = block.0.len();
        let is_pseudo = if index == 0 { block.is_after_colon()? } else { self.is_pseudo(index) };
        block.text()?;
        if is_added && before - block.0.len() > TABLE_BYTES {
            self.0.clear();
        } else if is_added {
            self.0.push_front(is_pseudo);
            self.0.truncate(MOST_ENTRIES);
        }
        Some(is_pseudo)
    }

    fn is_pseudo(&self, index: usize) -> bool {
        match index.checked_sub(STATIC_ENTRIES + 1) {
            Some(added) => self.0.get(added).copied().unwrap_or(false),
            None => (1..=STATIC_PSEUDO_ENTRIES).contains(&index),
        }
    }
}

impl<'a> Block<'a> {
    /// Reads an integer that begins in the low `bits` bits of a byte (RFC 7541, section 5.1).
    fn number(&mut self, bits: u32) -> Option<usize> {
        let most = (1_usize << bits) - 1;
        let (first, mut rest) = self.0.split_first()?;
        let mut number = usize::from(*first) & most;
        let mut shift = 0;
        let mut goes_on = number == most;
        while goes_on {
            let (byte, after) = rest.split_first()?;
            let part = usize::from(byte & 0x7f).checked_shl(shift).filter(|_| shift < 28)?;
            (number, rest, shift) = (number.checked_add(part)?, after, shift + 7);
            goes_on = byte & 0x80 != 0;
        }
        self.0 = rest;
        Some(number)
    }

    /// Reads a string (RFC 7541, section 5.2). Returns whether it is Huffman-coded, and its bytes.
    fn text(&mut self) -> Option<(bool, &'a [u8])> {
        let is_coded = self.0.first()? & 0x80 != 0;
        let length = self.number(7)?;
        let (text, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some((is_coded, text))
    }

    /// Reads a string. Returns whether it begins with a colon.
    fn is_after_colon(&mut self) -> Option<bool> {
        let (is_coded, text) = self.text()?;
        let first = text.first().copied();
        Some(if is_coded { first.is_some_and(|byte| byte >> 1 == COLON_CODE) } else { first == Some(COLON) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudo_header_field_is_found_in_whichever_way_it_is_written() {
        for (what, block, is_pseudo) in [
            ("nothing", &[][..], false),
            ("of the fixed table", &[0x82], true),
            ("the last one there", &[0x8e], true),
            ("a field there", &[0x8f], false),
            ("a name there", &[0x04, 1, b'/'], true),
            ("a name there, never added", &[0x14, 1, b'/'], true),
            ("a name there, added", &[0x44, 1, b'/'], true),
            ("the name of a field there", &[0x0f, 0x01, 1, b'/'], false),
            ("as text", &[0, 2, b':', b'x', 0], true),
            ("as text, added", &[0x40, 2, b':', b'x', 0], true),
            ("in code", &[0, 0x82, 0b1011_1001, 0xff, 0], true),
            ("a field as text", &[0, 2, b'x', b':', 0], false),
            ("a field in code", &[0, 0x82, 0b1111_0011, 0xff, 0], false),
            ("after a field", &[0, 1, b'x', 0, 0x84], true),
            ("after a value in code", &[0, 1, b'x', 0x81, 0xff, 0x84], true),
            ("a colon in a value", &[0, 1, b'x', 1, b':'], false),
            ("after a change of the table", &[0x20, 0x3f, 0x0a, 0x84], true),
            ("of no entry", &[0xff, 0x80, 0x01], false),
            ("cut", &[0, 9, b':'], false),
            ("a number without an end", &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff], false),
        ] {
            assert_eq!(Names::default().read(block), is_pseudo, "{what}");
        }
    }

    #[test]
    fn added_names_are_found_by_their_numbers() {
        let mut names = Names::default();
        names.read(&[0x40, 2, b':', b'x', 0, 0x40, 1, b'y', 0]);
        assert!(!names.read(&[0xbe]), "the newest entry");
        assert!(names.read(&[0xbf]), "the entry before it");
        assert!(names.read(&[0x7f, 0x00, 0]), "the name of that entry, added again");
        assert!(names.read(&[0xbe]));
        names.read(&[0x20]);
        assert!(!names.read(&[0xbe]), "the table is empty");
        names.read(&[0x41, 0]);
        let mut large = vec![0x40, 1, b'x', 0x7f, 0x80, 0x1f];
        large.resize(6 + 127 + 0xf80, b'v');
        names.read(&large);
        assert!(!names.read(&[0xbe]), "an entry that is too large empties the table");
        for _ in 0..1000 {
            names.read(&[0x41, 0]);
        }
        assert_eq!(names.0.len(), MOST_ENTRIES);
    }

    proptest::proptest! {
        #[test]
        fn whatever_comes_is_read(block: Vec<u8>) {
            Names::default().read(&block);
        }
    }
}
