//! What a client of the soak test finds wrong, and what it does not.

use crate::events::{block, data, number};
use crate::parser::{Event, Parser};
use crate::reader::{Gaps, Reader, Seen};
use crate::samples::{Growth, Sample};

#[test]
fn an_event_is_known_by_its_bytes() {
    for path in ["/ids/1", "/plain/2", "/fat/3"] {
        for n in [1, 26, 70_000] {
            let data = data(path, n);
            assert_eq!(number(path, &data), Some(n));
            assert_eq!(number("/ids/2", &data), None, "another stream's");
            let (mut shorter, longer) = (data.clone(), format!("{data}a"));
            shorter.pop();
            assert_eq!((number(path, &shorter), number(path, &longer)), (None, None));
        }
    }
    assert!(block("/ids/1", 3).starts_with("id: 3\ndata: /ids/1 3 "));
    assert!(block("/plain/1", 3).starts_with("data: /plain/1 3 "));
}

/// What a reader that has seen event 5 says to these events: `+n` is event n, `?n` a gap of n, `?` one of unknown length.
fn told(gaps: Gaps, events: &[&str]) -> Result<(), String> {
    let mut reader = Reader::new("/ids/1", gaps);
    reader.take("", &data("/ids/1", 5))?;
    for event in events {
        let (what, n) = event.split_at(1);
        let seen = match what {
            "+" => reader.take("", &data("/ids/1", n.parse().map_err(|_| "no number")?))?,
            _ => reader
                .take("gap", &format!("{{\"reason\":\"lag\",\"missed\":{}}}", if n.is_empty() { "null" } else { n }))?,
        };
        assert_eq!(seen, if what == "+" { Seen::Next } else { Seen::Gap("lag".to_owned()) });
    }
    Ok(())
}

#[test]
fn a_reader_finds_what_is_lost_doubled_miscounted_or_not_allowed() {
    for (gaps, events, fault) in [
        (Gaps::Never, &["+6", "+7"][..], None),
        (Gaps::Never, &["+6", "+6"], Some("doubled")),
        (Gaps::Never, &["+4"], Some("doubled")),
        (Gaps::Never, &["+7"], Some("lost")),
        (Gaps::Never, &["?1", "+7"], Some("told of a gap")),
        (Gaps::OfTheOrigin, &["?1", "+7"], Some("told of a gap")),
        (Gaps::Any, &["?1", "+7", "+8"], None),
        (Gaps::Any, &["?2", "+7"], Some("1 missed, and told 2")),
        (Gaps::Any, &["?2", "+6"], Some("none was")),
        (Gaps::Any, &["?", "+6"], None),
        (Gaps::Any, &["?", "+9"], None),
        (Gaps::Any, &["?1", "?1", "+9"], None),
        (Gaps::Any, &["?", "+5"], Some("doubled")),
        (Gaps::Any, &["?1", "+7", "+9"], Some("lost")),
    ] {
        let told = told(gaps, events);
        match (&told, fault) {
            (Ok(()), None) => {}
            (Err(told), Some(fault)) if told.contains(fault) => {}
            _ => panic!("{gaps:?} {events:?}: {told:?}"),
        }
    }
    let mut reader = Reader::new("/ids/1", Gaps::Never);
    assert!(reader.take("", "/ids/1 1 abc").unwrap_err().contains("wrong bytes"));
    assert!(reader.take("odd", "").unwrap_err().contains("odd"));
    assert_eq!(reader.take("expired", "{}"), Ok(Seen::Expired));
    assert_eq!(reader.last(), None);
}

#[test]
fn a_stream_is_parsed_whatever_its_pieces_are() {
    let text =
        "retry: 5\n: comment\nid: 7\nevent: odd\ndata: a\ndata: b\n\nid: 8\n\ndata:c\n\nid: 9\ndata: unfinished\n";
    let expected = [Event { kind: "odd".into(), data: "a\nb".into() }, Event { kind: String::new(), data: "c".into() }];
    for size in 1..text.len() {
        let mut parser = Parser::default();
        let events = text.as_bytes().chunks(size).flat_map(|chunk| parser.push(chunk)).collect::<Vec<_>>();
        assert_eq!((&events[..], parser.id.as_str()), (&expected[..], "8"));
        parser.ended();
        let next = parser.push(b"data: d\n\n");
        assert_eq!((next[0].data.as_str(), parser.id.as_str()), ("d", "8"));
    }
}

fn growth(kb: impl Iterator<Item = u64>) -> Option<Growth> {
    let sample = |kb| Sample { secs: 0.0, pid: 2, kb, descriptors: 0 };
    let before = Sample { pid: 1, ..sample(1) };
    Growth::of(&[before].into_iter().chain(kb.map(sample)).collect::<Vec<_>>(), 2)
}

#[test]
fn memory_is_flat_when_its_end_is_like_its_beginning_after_the_warm_up() {
    let flat = growth((0..90).map(|n| if n < 30 { n } else { 50_000 + n % 7 })).unwrap();
    assert!(flat.is_flat() && flat.first_kb >= 50_000, "{flat:?}");
    let grows = growth((0..90).map(|n| 50_000 + 200 * n)).unwrap();
    assert!(!grows.is_flat() && grows.first_kb == 57_200 && grows.last_kb == 66_800, "{grows:?}");
    assert_eq!(growth(0..3), None);
}
