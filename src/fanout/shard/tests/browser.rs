//! A client that speaks HTTP/2.

use super::*;
use crate::fanout::h2::encode;
use crate::fanout::joining::{Carried, Joining};
use crate::fanout::responder::{Asked, Requests, Responder};

/// Types of frames (RFC 9113, section 6).
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;

/// The requests that came, which the test decides.
pub(super) type Waiting = Arc<Mutex<Vec<Responder>>>;

#[derive(Debug)]
struct Asks {
    waiting: Waiting,
    hub: Hub,
}

impl Requests for Asks {
    fn asked(&mut self, asked: Asked, responder: Responder) {
        assert!(asked.request.is_ok());
        self.waiting.lock().push(responder);
    }

    fn stalled(&mut self) {}

    fn keep(&self, bytes: usize) -> crate::hub::Kept {
        self.hub.keep(bytes)
    }
}

/// The client's end of a connection.
pub(super) struct Browser {
    reader: Reader,
    pub(super) waiting: Waiting,
    pub(super) frames: Vec<(u8, u8, u32, Vec<u8>)>,
}

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A GET of `/`.
pub(super) fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, 0x5, stream, b"\x82\x84\x86\x01\x01a")
}

pub(super) fn window(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

/// The data of the events in a text.
pub(super) fn data_of(text: &str) -> Vec<String> {
    text.lines().filter_map(|line| line.strip_prefix("data: ")).map(str::to_owned).collect()
}

impl Browser {
    /// A connection on which each stream may be sent `window` bytes at first.
    pub(super) fn open(stage: &mut Stage, window: u32) -> Self {
        Self::open_on(sockets(), stage, window)
    }

    /// The same, and the kernel holds little for it.
    pub(super) fn open_narrow(stage: &mut Stage, window: u32) -> Self {
        let (socket, reader) = sockets();
        sockopt::set_socket_send_buffer_size(&socket, 1).unwrap();
        Self::open_on((socket, reader), stage, window)
    }

    fn open_on((socket, reader): (UnixStream, UnixStream), stage: &mut Stage, window: u32) -> Self {
        let waiting = Waiting::default();
        let settings = [&[0, 4][..], &window.to_be_bytes()].concat();
        let requests = Box::new(Asks { waiting: Arc::clone(&waiting), hub: stage.hub.clone() });
        let unread = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, &settings)].concat();
        let times = (20 * SECOND, 75 * SECOND);
        let (head_time, keepalive) = times;
        let socket = OwnedFd::from(socket);
        stage.inbox.post(Box::new(Carried { socket, channel: None, unread, head_time, keepalive, requests }));
        let reader = Reader { socket: reader, heard: Vec::new(), channel: None, was_told: false };
        let mut browser = Self { reader, waiting, frames: Vec::new() };
        browser.say(&frame(SETTINGS, 1, 0, b""));
        stage.settle();
        browser
    }

    pub(super) fn say(&mut self, bytes: &[u8]) {
        self.reader.socket.write_all(bytes).unwrap();
    }

    /// Asks, and nobody answers.
    pub(super) fn ask(&mut self, stream: u32) {
        self.say(&get(stream));
    }

    /// Asks for streams that follow a path from now on.
    pub(super) fn follow(&mut self, stage: &mut Stage, path: &str, streams: &[u32]) {
        for stream in streams {
            self.say(&get(*stream));
            stage.settle();
            let responder = self.waiting.lock().pop().expect("a request came");
            responder.adopt(stage.joining(path));
            stage.settle();
        }
    }

    /// Reads all that came.
    pub(super) fn hear(&mut self) -> Link {
        let link = self.reader.read();
        let mut rest = &self.reader.heard[..];
        while let Some((head, after)) = rest.split_at_checked(9) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some((payload, after)) = after.split_at_checked(length) else { break };
            let stream = u32::from_be_bytes(head[5..].try_into().unwrap());
            self.frames.push((head[3], head[4], stream, payload.to_vec()));
            rest = after;
        }
        self.reader.heard = rest.to_vec();
        link
    }

    /// The text that came on a stream since this was last asked, and the number of frames.
    pub(super) fn text(&mut self, stream: u32) -> (String, usize) {
        self.hear();
        let is_its = |frame: &(u8, u8, u32, Vec<u8>)| frame.0 == DATA && frame.2 == stream;
        let came: Vec<_> = self.frames.extract_if(.., |frame| is_its(frame)).collect();
        let text = came.iter().map(|frame| String::from_utf8(frame.3.clone()).unwrap()).collect();
        (text, came.len())
    }

    /// Whether a frame of this kind came on a stream.
    pub(super) fn came(&mut self, kind: u8, stream: u32) -> bool {
        self.hear();
        self.frames.iter().any(|frame| (frame.0, frame.2) == (kind, stream))
    }
}

impl Stage {
    pub(super) fn joining(&mut self, path: &str) -> Joining {
        let mut head = Vec::new();
        encode::status(&mut head, 200);
        Joining {
            delivery: self.delivery(path, Framing::Data, b":\n"),
            head,
            home: Box::new(Kept(Arc::clone(&self.kept))),
        }
    }
}
