//! Whatever a client of HTTP/2 sends, in pieces of any size, comes to the same as at once; and it is never handed more
//! than its windows allow.
#![no_main]

use libfuzzer_sys::fuzz_target;
use manifold::fanout::h2::{Connection, Event, Outgoing, PREFACE, StreamId, encode};
use std::time::{Duration, Instant};

/// The events, as text. Parts of a body are one.
fn events(now: Instant, pieces: &[&[u8]]) -> Vec<String> {
    let (mut connection, mut out, mut said) = (Connection::new(now), Vec::new(), Vec::new());
    let mut body: Option<(StreamId, Vec<u8>)> = None;
    for piece in pieces {
        let mut input = *piece;
        while let Some(event) = connection.read(&mut input, now, &mut out) {
            if let Event::Data { stream, bytes } = event {
                connection.consumed(stream, bytes.len(), &mut out);
                match &mut body {
                    Some((of, all)) if *of == stream => all.extend_from_slice(bytes),
                    _ => said.extend(body.replace((stream, bytes.to_vec())).map(|body| format!("{body:?}"))),
                }
                continue;
            }
            said.extend(body.take().map(|body| format!("{body:?}")));
            said.push(format!("{event:?}"));
            answer(&mut connection, &event, now, &mut out);
        }
        assert!(input.is_empty(), "all requests are answered");
    }
    said.extend(body.map(|body| format!("{body:?}")));
    let later = now + Duration::from_secs(3600);
    while connection.deadline().is_some() {
        connection.expire(later, &mut out);
    }
    said
}

fn answer(connection: &mut Connection, event: &Event<'_>, now: Instant, out: &mut Vec<u8>) {
    let mut outgoing = Outgoing::default();
    match event {
        Event::Request { stream, .. } | Event::Unfit { stream, .. } => {
            let mut block = Vec::new();
            encode::status(&mut block, 200);
            connection.head(*stream, &block, out);
            connection.read_body(*stream, out);
            outgoing.take(connection, *stream, &"data: hello\n\n".into());
        }
        Event::End { stream, .. } => {
            outgoing.take_last(connection, *stream, &"data: bye\n\n".into());
        }
        Event::Data { .. } | Event::Reset { .. } | Event::Opened { .. } | Event::Closed { .. } => {}
    }
    outgoing.write(connection, now, out);
}

// The first byte says the size of the pieces.
fuzz_target!(|input: &[u8]| {
    let [size, frames @ ..] = input else { return };
    let now = Instant::now();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let bytes = [&PREFACE[..], &settings, frames].concat();
    let pieces: Vec<_> = bytes.chunks(usize::from(*size).max(1)).collect();
    assert_eq!(events(now, &pieces), events(now, &[&bytes]));
});
