//! Stamps, and events as chunks.

use crate::event::*;

#[test]
fn a_stamp_comes_back_from_an_event_of_any_size() {
    for size in [LEAST_SIZE, 128, 16 * 1024] {
        let stamp = Stamp { seq: 1_234_567, sent: 98_765_432_109_876 };
        let mut data = blank(size);
        stamp.write(&mut data);
        assert_eq!(data.len(), size);
        assert_eq!(Stamp::parse(&data), Some(stamp));
    }
}

#[test]
fn other_data_is_no_stamp() {
    for data in ["", "0000000001", "000000000x 0000000000000000001 ", "0000000001 000000000000000001 a", "hello"] {
        assert_eq!(Stamp::parse(data.as_bytes()), None, "{data}");
    }
}

#[test]
fn a_chunk_says_its_length() {
    for ids in [true, false] {
        let mut template = Template::new(40, ids);
        let chunk = String::from_utf8(template.stamped(Stamp { seq: 7, sent: 8 }).to_vec()).unwrap();
        let (size, rest) = chunk.split_once("\r\n").unwrap();
        let text = rest.strip_suffix("\r\n").unwrap();
        assert_eq!(usize::from_str_radix(size, 16).unwrap(), text.len());
        assert_eq!(text.starts_with("id: 0000000007\ndata: 0000000007 0000000000000000008 abc"), ids, "{text}");
        assert!(text.ends_with("\n\n"));
    }
}
