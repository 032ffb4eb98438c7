//! Tests of the connection: what a client writes, as bytes, and what comes of it, as text.

mod answers;
mod attacks;
mod bodies;
mod conversations;
mod deadlines;
mod flow;
mod rules;

use super::super::encode;
use super::super::frame::{Code, HEAD_BYTES, Head, PREFACE, StreamId, flag, kind};
use super::super::outgoing::Outgoing;
use super::{Connection, Event, Unfit};
use std::time::{Duration, Instant};

const END: u8 = flag::END_STREAM | flag::END_HEADERS;

/// A frame of a client.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let head = Head { length: payload.len(), kind, flags, stream: StreamId(stream) };
    [&head.bytes()[..], payload].concat()
}

/// A block of fields: those of a GET, and these after them or in their place.
fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let usual = [(":method", "GET"), (":scheme", "http"), (":authority", "a.example"), (":path", "/")];
    let usual = usual.into_iter().filter(|(name, _)| fields.iter().all(|(other, _)| name != other));
    let mut block = Vec::new();
    let all: Vec<_> = fields.iter().copied().filter(|(name, _)| name.starts_with(':')).chain(usual).collect();
    let others = fields.iter().copied().filter(|(name, _)| !name.starts_with(':'));
    all.into_iter()
        .chain(others)
        .for_each(|(name, value)| encode::field(&mut block, name.as_bytes(), value.as_bytes()));
    block
}

/// A GET.
fn get(stream: u32) -> Vec<u8> {
    frame(kind::HEADERS, END, stream, &block(&[]))
}

/// The head of a POST, which says this length.
fn post(stream: u32, length: &str) -> Vec<u8> {
    let fields = [(":method", "POST"), ("content-length", length)];
    let fields = if length.is_empty() { &fields[..1] } else { &fields };
    frame(kind::HEADERS, flag::END_HEADERS, stream, &block(fields))
}

fn data(stream: u32, bytes: &[u8], ends: bool) -> Vec<u8> {
    frame(kind::DATA, if ends { flag::END_STREAM } else { 0 }, stream, bytes)
}

fn window_update(stream: u32, by: u32) -> Vec<u8> {
    frame(kind::WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

fn rst_stream(stream: u32, code: Code) -> Vec<u8> {
    frame(kind::RST_STREAM, 0, stream, &code.0.to_be_bytes())
}

fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let values = values.iter().map(|(id, value)| [&id.to_be_bytes()[..], &value.to_be_bytes()].concat());
    frame(kind::SETTINGS, 0, 0, &values.collect::<Vec<_>>().concat())
}

fn settings_ack() -> Vec<u8> {
    frame(kind::SETTINGS, flag::ACK, 0, b"")
}

/// A server with one connection.
struct Server {
    connection: Connection,
    now: Instant,
    /// What was written and not looked at.
    out: Vec<u8>,
}

impl Server {
    /// A connection whose preface was not sent.
    fn new() -> Self {
        let now = Instant::now();
        let mut server = Self { connection: Connection::new(now), now, out: Vec::new() };
        server.connection.open(&mut server.out);
        server
    }

    /// A connection that both sides have opened, each with its SETTINGS acknowledged.
    fn open() -> Self {
        let mut server = Self::new();
        let said = server.read(&[&PREFACE[..], &settings(&[]), &settings_ack()].concat());
        assert_eq!(said, Vec::<String>::new());
        assert_eq!(server.written(), ["SETTINGS", "WINDOW_UPDATE 0 983041", "SETTINGS ack"]);
        server
    }

    /// Reads bytes. Returns what the events say.
    fn read(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut said = Vec::new();
        let mut input = bytes;
        while let Some(event) = self.connection.read(&mut input, self.now, &mut self.out) {
            said.push(text(&event));
        }
        assert!(input.is_empty() || self.connection.is_waiting());
        said
    }

    /// Reads bytes. Returns what the events say and what was written.
    fn answer(&mut self, bytes: &[u8]) -> (String, String) {
        (self.read(bytes).join(", "), self.written().join(", "))
    }

    /// The frames that were written since the last time.
    fn written(&mut self) -> Vec<String> {
        frames(&std::mem::take(&mut self.out)).iter().map(|(head, payload)| frame_text(*head, payload)).collect()
    }

    /// Begins the answer of a stream.
    fn head(&mut self, stream: u32) {
        let mut block = Vec::new();
        encode::status(&mut block, 200);
        assert!(self.connection.head(StreamId(stream), &block, &mut self.out));
        self.written();
    }

    /// Sends bytes in a turn. Returns their number.
    fn send(&mut self, stream: u32, bytes: usize) -> usize {
        let mut outgoing = Outgoing::default();
        let taken = outgoing.take(&mut self.connection, StreamId(stream), &vec![b'x'; bytes].into());
        outgoing.write(&mut self.connection, self.now, &mut self.out);
        taken
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }
}

/// Frames with their payloads.
fn frames(mut bytes: &[u8]) -> Vec<(Head, &[u8])> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (head, rest) = Head::parse(bytes).unwrap();
        frames.push((head, &rest[..head.length]));
        bytes = &bytes[HEAD_BYTES + head.length..];
    }
    frames
}

fn text(event: &Event<'_>) -> String {
    let of = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match event {
        Event::Request { stream, request, ends } => {
            let end = if *ends { " end" } else { "" };
            format!("request {} {} {}{end}", stream.0, of(request.method()), of(request.path()))
        }
        Event::Unfit { stream, why: Unfit::TooLarge } => format!("too large {}", stream.0),
        Event::Unfit { stream, why: Unfit::Malformed } => format!("malformed {}", stream.0),
        Event::Data { stream, bytes } => format!("data {} {}", stream.0, of(bytes)),
        Event::End { stream, trailers: None } => format!("end {}", stream.0),
        Event::End { stream, trailers: Some(trailers) } => format!("end {} {trailers:?}", stream.0),
        Event::Reset { stream, label, code } => format!("reset {} ({label}) {code:?}", stream.0),
        Event::Opened { stream } => format!("opened {}", stream.0),
        Event::Closed { code } => format!("closed {code:?}"),
    }
}

fn frame_text(head: Head, payload: &[u8]) -> String {
    let number = |at: usize| u32::from_be_bytes(payload[at..at + 4].try_into().unwrap());
    let (stream, end) = (head.stream.0, if head.has(flag::END_STREAM) { " end" } else { "" });
    match head.kind {
        kind::DATA => format!("DATA {stream} {}{end}", payload.len()),
        kind::HEADERS => format!("HEADERS {stream}{end}"),
        kind::CONTINUATION => format!("CONTINUATION {stream}"),
        kind::RST_STREAM => format!("RST_STREAM {stream} {:?}", Code(number(0))),
        kind::SETTINGS if head.has(flag::ACK) => "SETTINGS ack".to_owned(),
        kind::SETTINGS => "SETTINGS".to_owned(),
        kind::PING => format!("PING ack {}", String::from_utf8_lossy(payload)),
        kind::GOAWAY => format!("GOAWAY {} {:?}", number(0), Code(number(4))),
        kind::WINDOW_UPDATE => format!("WINDOW_UPDATE {stream} {}", number(0)),
        other => panic!("the server never sends {other}"),
    }
}

impl Connection {
    /// Whether streams and bodies agree.
    fn streams_are_sound(&self) -> bool {
        let is_open = |body: &super::super::streams::Body| {
            self.streams.get(body.stream).is_some_and(|stream| stream.is_request_open)
        };
        self.bodies.all().all(is_open)
    }
}
