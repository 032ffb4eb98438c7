//! The most that a hostile origin can make the decoder hold. Every limit is reached.

use bytes::Bytes;

use super::{cut, items};
use crate::sse::{Decoder, Item, MAX_ID_BYTES};

const LIMIT: usize = 100;

/// A block with one `data` line. `size` is its size as the limit counts it.
fn block(size: usize) -> Vec<u8> {
    [b"data: ".as_slice(), &vec![b'x'; size - 7], b"\n\n"].concat()
}

#[test]
fn a_block_of_exactly_the_limit_is_an_event_and_one_byte_more_is_refused() {
    for step in [1, 2, 7, 1000] {
        assert!(matches!(&items(LIMIT, block(LIMIT).chunks(step))[..], [Item::Event(event)] if event.data.len() == 93));
        assert_eq!(items(LIMIT, block(LIMIT + 1).chunks(step)), [Item::Refused { bytes: 101, id: None }]);
    }
}

#[test]
fn all_lines_of_a_block_count_together_however_they_end() {
    for end in ["\n", "\r", "\r\n"] {
        // 20 lines of five bytes each.
        let fits = ["data"; 20].map(|line| format!("{line}{end}")).concat();
        let text = format!("{fits}{end}: a comment does not count{end}{fits}x{end}{end}");
        for places in 0..text.len() {
            let items = items(LIMIT, cut(text.as_bytes(), &[places]));
            assert!(
                matches!(&items[..], [Item::Event(_), Item::Refused { bytes: 102, id: None }]),
                "{end:?} {items:?}"
            );
        }
    }
}

#[test]
fn a_refused_block_moves_the_id_alone_and_the_next_one_is_whole() {
    let text = [b"id: 1\ndata: a\n\nid: 2\nevent: b\ncolor: red\n".as_slice(), &block(LIMIT), b"data: c\n\n"].concat();
    for step in [1, 3, 1000] {
        let items = items(LIMIT, text.chunks(step));
        let [Item::Event(first), Item::Refused { bytes: 126, .. }, Item::Event(second)] = &items[..] else {
            panic!("{items:?}")
        };
        assert_eq!((&*first.data, &*second.data), (&b"a"[..], &b"c"[..]));
        assert_eq!((&*second.last_event_id, &*second.event_type, &*second.extra), (&b"2"[..], &b""[..], &b""[..]));
    }
}

#[test]
fn the_id_of_a_refused_block_counts_wherever_it_stands() {
    let big = "data: ".to_owned() + &"x".repeat(LIMIT);
    let longest = "7".repeat(MAX_ID_BYTES);
    for (lines, id) in [
        (format!("id: 2\n{big}\n"), Some("2")),
        (format!("{big}\nid: 2\n"), Some("2")),
        (format!("id: 2\n{big}\nid: 3\ndata: y\n"), Some("3")),
        (format!("{big}\nid\n"), Some("")),
        (format!("{big}\nid:2\r\n"), Some("2")),
        (format!("{big}\ni: 2\nidx: 3\n id: 4\n: id: 5\nd\n"), None),
        (format!("id: 1\n{big}\nid: 2\03\n"), Some("1")),
        (format!("{big}\nid: {longest}\n"), Some(&*longest)),
        (format!("{big}\nid: {longest}7\n"), None),
        // The line that is too much may be the `id` line itself.
        (format!("id: {longest}\ndata: a\n"), Some(&*longest)),
    ] {
        let text = format!("{lines}\ndata: next\n\n");
        for step in [1, 3, 100_000] {
            let items = items(LIMIT, text.as_bytes().chunks(step));
            let [Item::Refused { id: found, .. }, Item::Event(next)] = &items[..] else { panic!("{items:?}") };
            assert_eq!(found.as_deref(), id.map(str::as_bytes), "{lines:.40}");
            assert_eq!((&*next.data, &*next.last_event_id), (&b"next"[..], id.unwrap_or_default().as_bytes()));
        }
    }
}

#[test]
fn a_retry_before_the_line_that_is_too_much_holds_and_one_after_it_does_not() {
    let text = [b"retry: 1\n".as_slice(), &block(LIMIT)[..LIMIT], b"retry: 2\n\ndata\n\n"].concat();
    let items = items(LIMIT, [&*text]);
    let [Item::Retry(1), Item::Refused { .. }, Item::Event(event)] = &items[..] else { panic!("{items:?}") };
    assert_eq!(event.retry, Some(1));
}

/// Pushes `chunk` again and again. Returns the largest number of bytes held.
fn peak(decoder: &mut Decoder, chunk: &'static [u8], times: usize) -> usize {
    (0..times)
        .map(|_| {
            decoder.push(Bytes::from_static(chunk));
            assert_eq!(decoder.next_item(), None);
            decoder.buffered()
        })
        .max()
        .unwrap()
}

#[test]
fn an_endless_line_holds_no_more_than_the_limit() {
    for start in ["data: ", "id: ", "event: ", "retry: ", "x"] {
        let mut decoder = Decoder::new(LIMIT);
        decoder.push(start.into());
        assert_eq!(decoder.next_item(), None);
        let peak = peak(&mut decoder, b"0123456789", 1000);
        // The line may be the `id` of a refused block.
        let most = if start == "id: " { MAX_ID_BYTES + start.len() } else { LIMIT };
        assert!((most - 20..=most).contains(&peak), "{start}: {peak}");
        assert_eq!(decoder.buffered(), 0, "{start}: a refused block holds nothing");
        decoder.push("\n\ndata: a\n\n".into());
        assert_eq!(decoder.next_item(), Some(Item::Refused { bytes: (start.len() + 10_001) as u64, id: None }));
        assert!(matches!(decoder.next_item(), Some(Item::Event(event)) if event.data == "a"));
    }
}

#[test]
fn an_endless_block_of_short_lines_holds_no_more_than_three_times_the_limit() {
    let worst: [(&[u8], usize); 4] =
        [(b"x\n", 2 * LIMIT), (b"\xFF\n", 3 * LIMIT), (b"data\n", 19), (b"data:\xFF\r", 55)];
    for (line, expected) in worst {
        let mut decoder = Decoder::new(LIMIT);
        assert_eq!(peak(&mut decoder, line, 1000), expected, "{line:?}");
        assert_eq!(decoder.buffered(), 0, "{line:?}");
        decoder.push("\n".into());
        decoder.push("\n".into());
        assert!(matches!(decoder.next_item(), Some(Item::Refused { .. })));
    }
}

#[test]
fn an_endless_comment_holds_nothing() {
    let mut decoder = Decoder::new(LIMIT);
    decoder.push("data: a\n:".into());
    assert_eq!(decoder.next_item(), None);
    assert_eq!(peak(&mut decoder, b"0123456789", 1000), 1);
    decoder.push("\n\n".into());
    assert!(matches!(decoder.next_item(), Some(Item::Event(event)) if event.data == "a"));
}

#[test]
fn an_endless_block_without_data_is_refused_too() {
    let mut decoder = Decoder::new(LIMIT);
    assert!(peak(&mut decoder, b"id: 12345\n", 1000) <= LIMIT);
    decoder.push("\n".into());
    assert_eq!(decoder.next_item(), Some(Item::Refused { bytes: 10_000, id: Some("12345".into()) }));
    assert_eq!(decoder.last_event_id(), "12345");
}
