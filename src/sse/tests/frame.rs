//! Single facts of the encoder.

use super::events;
use crate::sse::{Event, Frame, HEARTBEAT, HEARTBEAT_CHUNK, retry_line};

fn text(id: Option<&[u8]>, event: &Event) -> String {
    String::from_utf8(Frame::encode(id, event).text().to_vec()).unwrap()
}

#[test]
fn the_canonical_form_has_one_order_and_one_space() {
    let event = Event {
        id: None,
        last_event_id: "not this".into(),
        event_type: "greeting".into(),
        data: "Hello\n\n World\n".into(),
        extra: "color: blue\n".into(),
        retry: Some(1500),
        is_checkpoint: false,
    };
    assert_eq!(
        text(Some(b"7"), &event),
        "id: 7\nevent: greeting\nretry: 1500\ncolor: blue\ndata: Hello\ndata: \ndata:  World\ndata: \n\n"
    );
}

#[test]
fn an_event_of_nothing_is_one_data_line() {
    assert_eq!(text(None, &Event::default()), "data: \n\n");
    assert_eq!(text(Some(b""), &Event::default()), "id: \ndata: \n\n");
}

#[test]
fn a_checkpoint_is_its_id_and_decodes_to_itself() {
    for id in ["7", " 7 ", ""] {
        let checkpoint = Event::checkpoint(id.into());
        let frame = Frame::encode(Some(id.as_bytes()), &checkpoint);
        assert_eq!(frame.shared_chunk(), format!("{:x}\r\nid: {id}\n\n\r\n", id.len() + 6));
        assert_eq!(events([frame.text()]), [checkpoint]);
        assert_eq!(frame.id(), Some(id.as_bytes()));
    }
}

#[test]
fn an_event_of_our_own_has_a_type_and_data() {
    assert_eq!(text(None, &Event::of_type("gap", "{}")), "event: gap\ndata: {}\n\n");
}

#[test]
fn the_chunk_is_the_text_with_its_size_around_it() {
    for len in [0, 1, 7, 8, 15, 16, 255, 4096, 70_000] {
        let event = Event::of_type("", "x".repeat(len));
        let frame = Frame::encode(None, &event);
        assert_eq!(frame.text_len(), len + 8);
        assert_eq!(frame.shared_text(), format!("data: {}\n\n", "x".repeat(len)));
        assert_eq!(frame.shared_chunk(), format!("{:x}\r\ndata: {}\n\n\r\n", len + 8, "x".repeat(len)));
    }
}

#[test]
fn the_text_is_a_part_of_the_chunk_and_a_clone_shares_it() {
    let frame = Frame::encode(None, &Event::of_type("", "Hello"));
    assert_eq!(frame.text().as_ptr(), frame.chunk()[3..].as_ptr());
    assert_eq!(frame.clone().chunk().as_ptr(), frame.chunk().as_ptr());
    assert_eq!(frame.shared_chunk().as_ptr(), frame.chunk().as_ptr());
    assert_eq!(frame.shared_text().as_ptr(), frame.text().as_ptr());
    assert_eq!(frame.shared_text(), frame.text());
}

#[test]
fn the_length_of_the_text_is_told_by_that_of_the_chunk() {
    let edges = [16_usize, 256, 4096, 65_536, 1 << 20].into_iter().flat_map(|edge| edge.saturating_sub(20)..edge + 20);
    for len in edges.filter(|len| *len > 0) {
        let frame = Frame::of_text(&vec![b':'; len]);
        assert_eq!((frame.text_len(), frame.text().len()), (len, len));
    }
}

#[test]
fn the_memory_of_a_frame_is_the_block_that_holds_it() {
    // The text has a size of two digits and two line ends around it, and the owners are counted in 16 bytes.
    for (text, memory) in [
        (16, 48),
        (42, 64),
        (43, 80),
        (106, 128),
        (107, 160),
        (138, 160),
        (139, 192),
        (234, 256),
        (235, 320),
        (14_000, 14_336),
        (14_400, 16_384),
        (32_800, 36_864),
    ] {
        assert_eq!(Frame::of_text(&vec![b':'; text]).memory(), memory, "{text}");
    }
}

#[test]
fn the_id_is_that_of_the_first_line() {
    for (text, id) in
        [("id: 7\n\n", Some("7")), ("id:  7 \ndata: a\n\n", Some(" 7 ")), ("data: id: 7\n\n", None), (":\n", None)]
    {
        assert_eq!(Frame::of_text(text.as_bytes()).id(), id.map(str::as_bytes), "{text:?}");
    }
}

#[test]
fn lines_of_our_own_mean_no_event() {
    assert_eq!(Frame::of_text(HEARTBEAT).chunk(), HEARTBEAT_CHUNK);
    assert_eq!(retry_line(250), "retry: 250\n");
    let wire = [b"data: a\n".as_slice(), HEARTBEAT, b"data: b\n", &retry_line(250), HEARTBEAT, b"\n"];
    let events = events(wire);
    assert_eq!((events.len(), &*events[0].data, events[0].retry), (1, &b"a\nb"[..], Some(250)));
}
