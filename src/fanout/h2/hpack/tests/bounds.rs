//! What a client may not do with HPACK, and how much memory it may have.

use super::*;

/// A literal with a name and a value of its own, which enters the table.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let string = |text: &str| {
        let length = text.len() as u8;
        assert!(length < 127);
        [&[length], text.as_bytes()].concat()
    };
    [vec![0x40], string(name), string(value)].concat()
}

#[test]
fn what_is_no_block_is_an_error() {
    for (hex, expected) in [
        ("80", Error::Index),
        ("be", Error::Index),
        ("bd 7e 01 61", Error::Index),
        ("ff 80 80 80 80 00", Error::Integer),
        ("ff ff ff", Error::Truncated),
        ("40", Error::Truncated),
        ("40 01", Error::Truncated),
        ("40 01 61", Error::Truncated),
        ("40 01 61 02 62", Error::Truncated),
        ("00 7f ff ff 7f 61", Error::Truncated),
        ("40 81 00 01 61", Error::Huffman),
        ("0d", Error::Truncated),
        ("3f", Error::Truncated),
        ("3f e2 1f", Error::SizeUpdate),
        ("3f ff ff 7f", Error::SizeUpdate),
        ("82 20", Error::SizeUpdate),
    ] {
        assert_eq!(Decoder::default().decode(&bytes(hex)), Err(expected), "{hex}");
    }
}

#[test]
fn a_size_update_drops_the_oldest_entries() {
    let mut decoder = Decoder::default();
    text(decoder.decode(&[literal("a", "1"), literal("b", "2")].concat()));
    assert_eq!(size(&decoder), 68);
    // 34 bytes, and then all of them again.
    let block = bytes("3f 03 3f e1 1f be");
    assert_eq!(text(decoder.decode(&block)), [("b".to_owned(), "2".to_owned())]);
    assert_eq!(decoder.decode(&bytes("bf")), Err(Error::Index));
}

#[test]
fn a_field_that_is_larger_than_the_table_empties_it() {
    let mut decoder = Decoder { size: 100, ..Decoder::default() };
    text(decoder.decode(&literal("a", "1")));
    assert_eq!(size(&decoder), 34);
    text(decoder.decode(&literal("b", &"x".repeat(68))));
    assert_eq!(size(&decoder), 0);
    text(decoder.decode(&literal("b", &"x".repeat(67))));
    assert_eq!(size(&decoder), 100);
}

#[test]
fn after_the_acknowledgement_no_table_is_allowed_and_the_update_to_0_frees_it() {
    let mut decoder = Decoder::default();
    text(decoder.decode(&literal("a", "1")));
    assert!(!decoder.has_late_table());
    decoder.acknowledged();
    assert!(decoder.has_late_table());
    // An old client does not send the update and goes on.
    assert_eq!(text(decoder.decode(&bytes("be"))).len(), 1);
    text(decoder.decode(&literal("b", "2")));
    assert_eq!(size(&decoder), 68);
    assert_eq!(decoder.decode(&bytes("21")), Err(Error::SizeUpdate), "it may only be 0");
    text(decoder.decode(&bytes("20")));
    assert!(decoder.table.is_none() && !decoder.has_late_table());
    // The decoder remembers that there is no table.
    text(decoder.decode(&literal("a", "1")));
    assert!(decoder.table.is_none());
    assert_eq!(decoder.decode(&bytes("be")), Err(Error::Index));
}

#[test]
fn a_client_that_puts_nothing_into_its_table_has_none_late() {
    let mut decoder = Decoder::default();
    decoder.acknowledged();
    assert!(!decoder.has_late_table());
    text(decoder.decode(&literal("a", "1")));
    assert!(decoder.has_late_table());
}

#[test]
fn a_table_that_is_forgotten_is_an_error_for_who_uses_it() {
    let mut decoder = Decoder::default();
    text(decoder.decode(&literal("a", "1")));
    decoder.acknowledged();
    decoder.forget_table();
    assert!(decoder.table.is_none() && !decoder.has_late_table());
    text(decoder.decode(&literal("a", "1")));
    assert_eq!(decoder.decode(&bytes("be")), Err(Error::Index));
    // A client that obeys notices nothing.
    text(decoder.decode(&bytes("20 82")));
}

#[test]
fn a_bomb_is_decoded_and_not_kept() {
    let mut decoder = Decoder::default();
    let large = "x".repeat(120);
    text(decoder.decode(&literal("bomb", &large)));
    let one = "bomb".len() + large.len() + FIELD_BYTES;
    let most = MOST_LIST_BYTES / one;
    assert_eq!(text(decoder.decode(&vec![0xbe; most])).len(), most);
    assert_eq!(decoder.decode(&vec![0xbe; most + 1]), Ok(Block::TooLarge));
    // What enters the table after the list became too large is there.
    let mut block = vec![0xbe; 16 << 10];
    block.extend(literal("later", "1"));
    assert_eq!(decoder.decode(&block), Ok(Block::TooLarge));
    assert_eq!(text(decoder.decode(&bytes("be"))), [("later".to_owned(), "1".to_owned())]);
}

#[test]
fn the_memory_of_a_list_is_bounded() {
    let mut decoder = Decoder::default();
    for field in [&[0x00, 0x00, 0x00][..], &[0x82], &literal("name", "value")] {
        let mut block = field.repeat(MOST_LIST_BYTES / field.len());
        while let Ok(Block::TooLarge) = decoder.decode(&block) {
            block.truncate(block.len() / 2 / field.len() * field.len());
        }
        let Ok(Block::Fields(fields)) = decoder.decode(&block) else { panic!() };
        assert!(fields.len() > 300 && fields.capacity() <= 2 * MOST_LIST_BYTES, "{}", fields.capacity());
        assert!(size(&decoder) <= FIRST_TABLE_BYTES);
    }
}
