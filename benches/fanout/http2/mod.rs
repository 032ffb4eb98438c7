//! HTTP/2 as the clients speak it: the bytes of a connection go in, and items and answers come out. There is no socket.
//!
//! Of a frame only the head is kept, and the payload if it must be whole. The text of the streams is read as it comes.

mod frames;
mod hpack;

use super::text::{Item, Text};
use frames::{FrameHead, put, put_settings, put_window};

/// The window of a stream, in bytes. It is the one that a client gives without saying so (RFC 9113, section 6.9.2).
pub(crate) const STREAM_WINDOW: u32 = 65_535;

/// The window of a connection. Browsers give more.
pub(crate) const CONNECTION_WINDOW: u32 = 1 << 20;

/// The window that a connection has before the client opens it.
const FIRST_WINDOW: u32 = 65_535;

/// The longest head of a response.
const LONGEST_HEAD: usize = 16_384;

/// One connection, from the client's side.
#[derive(Debug)]
pub(crate) struct Conversation {
    streams: Vec<Stream>,
    phase: Phase,
    /// The incomplete head of a frame, or an incomplete payload that must be whole.
    held: Vec<u8>,
    /// The incomplete head of a response, and its frame.
    block: Option<(FrameHead, Vec<u8>)>,
    /// The bytes that the server may still send, and those that the client has read since it opened the window.
    room: u32,
    read: u32,
}

/// A request and its response.
#[derive(Debug)]
struct Stream {
    /// The bytes that the server may still send.
    room: u32,
    /// The client never opens the window.
    stalled: bool,
    answered: bool,
    over: bool,
    text: Text,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    /// The head of a frame.
    Head,
    /// This many bytes of text are to come for the stream at this place. The response may end with them.
    Data { place: usize, left: usize, ends: bool },
    /// A payload that is read when it is whole.
    Whole(FrameHead),
}

impl Conversation {
    /// A connection with this many streams. `stalled`: the window of the first one is never opened.
    pub(crate) fn new(streams: usize, stalled: bool) -> Self {
        let stream = |place| Stream {
            room: STREAM_WINDOW,
            stalled: stalled && place == 0,
            answered: false,
            over: false,
            text: Text::default(),
        };
        Self {
            streams: (0..streams).map(stream).collect(),
            phase: Phase::Head,
            held: Vec::new(),
            block: None,
            room: CONNECTION_WINDOW,
            read: 0,
        }
    }

    /// Appends the first bytes of the connection to `out`: the preface, and the requests for `paths`, one for each
    /// stream.
    pub(crate) fn begin(&self, paths: impl Iterator<Item = String>, host: &str, secure: bool, out: &mut Vec<u8>) {
        out.extend_from_slice(frames::PREFACE);
        put_settings(out, &[(frames::HEADER_TABLE_SIZE, 0), (frames::ENABLE_PUSH, 0)]);
        put_window(out, 0, CONNECTION_WINDOW - FIRST_WINDOW);
        let mut head = Vec::new();
        for (place, path) in (0..self.streams.len()).zip(paths) {
            head.clear();
            hpack::put_request(&mut head, &path, host, secure);
            put(out, frames::HEADERS, frames::END_HEADERS | frames::END_STREAM, id(place), &head);
        }
    }

    /// The number of streams that are not over.
    pub(crate) fn open(&self) -> usize {
        self.streams.iter().filter(|stream| !stream.over).count()
    }

    /// The bytes that the server may still send to the stream that stalls. `None`: none does.
    pub(crate) fn left_to_stalled(&self) -> Option<u32> {
        self.streams.iter().find(|stream| stream.stalled).map(|stream| stream.room)
    }

    /// Reads the next bytes. Passes what they contain to `sink`, with the place of the stream. Appends to `answer` what
    /// the client must send. An error ends the connection.
    pub(crate) fn read(
        &mut self,
        mut bytes: &[u8],
        answer: &mut Vec<u8>,
        sink: &mut impl FnMut(usize, Item),
    ) -> Result<(), String> {
        while !bytes.is_empty() {
            bytes = match self.phase {
                Phase::Head => {
                    let Some((head, rest)) = self.take(frames::HEAD, bytes) else { return Ok(()) };
                    let head = head.try_into().map_err(|_| "a frame's head has another size")?;
                    self.held.clear();
                    self.frame(FrameHead::parse(head), answer, sink)?;
                    rest
                }
                Phase::Data { place, left, ends } => {
                    let (here, rest) = bytes.split_at(left.min(bytes.len()));
                    self.streams[place].text.read(here, &mut |item| sink(place, item));
                    self.data(place, left - here.len(), ends, sink);
                    rest
                }
                Phase::Whole(head) => {
                    // The payload may lie in what is held, so that is taken out of `self` while the payload is read.
                    let Some((payload, rest)) = self.take(head.length, bytes) else { return Ok(()) };
                    let payload = payload.to_vec();
                    self.held.clear();
                    self.phase = Phase::Head;
                    self.whole(head, &payload, answer, sink)?;
                    rest
                }
            };
        }
        Ok(())
    }

    /// The next `size` bytes, and those after them. `None`: some are still to come. What is here is held then. The
    /// caller clears what is held afterwards.
    fn take<'held, 'piece: 'held>(
        &'held mut self,
        size: usize,
        bytes: &'piece [u8],
    ) -> Option<(&'held [u8], &'piece [u8])> {
        if self.held.is_empty() && bytes.len() >= size {
            return Some(bytes.split_at(size));
        }
        let (here, rest) = bytes.split_at((size - self.held.len()).min(bytes.len()));
        self.held.extend_from_slice(here);
        (self.held.len() == size).then_some((&self.held[..], rest))
    }

    /// Begins a frame. One without a payload is complete.
    fn frame(
        &mut self,
        head: FrameHead,
        answer: &mut Vec<u8>,
        sink: &mut impl FnMut(usize, Item),
    ) -> Result<(), String> {
        if head.length > frames::LONGEST {
            return Err(format!("a frame has {} bytes", head.length));
        }
        if self.block.is_some() && head.kind != frames::CONTINUATION {
            return Err("a frame came in the middle of a response's head".to_owned());
        }
        if head.kind == frames::DATA {
            let place = self.place(head)?;
            self.charge(place, head.length, answer)?;
            if !head.has(frames::PADDED) {
                self.data(place, head.length, head.has(frames::END_STREAM), sink);
                return Ok(());
            }
        }
        if head.length == 0 {
            self.phase = Phase::Head;
            return self.whole(head, &[], answer, sink);
        }
        self.phase = Phase::Whole(head);
        Ok(())
    }

    /// `left` bytes of a frame's text are to come.
    fn data(&mut self, place: usize, left: usize, ends: bool, sink: &mut impl FnMut(usize, Item)) {
        self.phase = if left > 0 { Phase::Data { place, left, ends } } else { Phase::Head };
        if left == 0 && ends {
            self.end(place, sink);
        }
    }

    /// The place of the stream of a frame.
    fn place(&self, head: FrameHead) -> Result<usize, String> {
        let place = usize::try_from(head.stream / 2).unwrap_or(usize::MAX);
        match self.streams.get(place) {
            Some(stream) if head.stream % 2 == 1 && !stream.over => Ok(place),
            _ => Err(format!("a frame of type {} came for stream {}", head.kind, head.stream)),
        }
    }

    /// Takes `length` bytes from both windows, and opens each when half of it is used.
    fn charge(&mut self, place: usize, length: usize, answer: &mut Vec<u8>) -> Result<(), String> {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let stream = &mut self.streams[place];
        if !stream.answered {
            return Err("a body began before its head".to_owned());
        }
        let less = |room: u32| room.checked_sub(length).ok_or("the server sent more than a window allows");
        (stream.room, self.room) = (less(stream.room)?, less(self.room)?);
        if stream.stalled {
            return Ok(());
        }
        if stream.room < STREAM_WINDOW / 2 {
            put_window(answer, id(place), STREAM_WINDOW - stream.room);
            stream.room = STREAM_WINDOW;
        }
        self.read += length;
        if self.read > CONNECTION_WINDOW / 2 {
            put_window(answer, 0, self.read);
            self.room += self.read;
            self.read = 0;
        }
        Ok(())
    }

    /// Reads a payload.
    fn whole(
        &mut self,
        head: FrameHead,
        payload: &[u8],
        answer: &mut Vec<u8>,
        sink: &mut impl FnMut(usize, Item),
    ) -> Result<(), String> {
        let cut = || format!("a frame of type {} is cut off", head.kind);
        match head.kind {
            frames::DATA => {
                let place = self.place(head)?;
                let text = frames::content(head, payload).ok_or_else(cut)?;
                self.streams[place].text.read(text, &mut |item| sink(place, item));
                self.data(place, 0, head.has(frames::END_STREAM), sink);
            }
            frames::HEADERS => {
                self.block = Some((head, frames::content(head, payload).ok_or_else(cut)?.to_vec()));
                self.complete(head, sink)?;
            }
            frames::CONTINUATION => {
                let (first, block) = self.block.as_mut().ok_or("a continuation came without a head")?;
                block.extend_from_slice(payload);
                if first.stream != head.stream || block.len() > LONGEST_HEAD {
                    return Err("a response's head is continued wrongly".to_owned());
                }
                self.complete(head, sink)?;
            }
            frames::RST_STREAM => {
                let place = self.place(head)?;
                self.end(place, sink);
            }
            frames::SETTINGS if !head.has(frames::ACK) => {
                for (setting, value) in frames::settings(payload).ok_or_else(cut)? {
                    let few = usize::try_from(value).is_ok_and(|most| most < self.streams.len());
                    if setting == frames::MAX_CONCURRENT_STREAMS && few {
                        return Err(format!("the server takes only {value} streams at a time"));
                    }
                }
                put(answer, frames::SETTINGS, frames::ACK, 0, &[]);
            }
            frames::PING if !head.has(frames::ACK) => put(answer, frames::PING, frames::ACK, 0, payload),
            frames::GOAWAY => {
                let code = payload.get(4..8).ok_or_else(cut)?;
                return Err(format!("the server ended the connection with the code {code:?}"));
            }
            frames::PUSH_PROMISE => return Err("the server pushed a response".to_owned()),
            _ => {}
        }
        Ok(())
    }

    /// Reads a response's head if `newest`, the newest frame of it, is its last one.
    fn complete(&mut self, newest: FrameHead, sink: &mut impl FnMut(usize, Item)) -> Result<(), String> {
        if !newest.has(frames::END_HEADERS) {
            return Ok(());
        }
        let Some((head, block)) = self.block.take() else { return Ok(()) };
        let place = self.place(head)?;
        let response = hpack::response(&block).ok_or("a response's head is invalid, or uses a dynamic table")?;
        // What follows the text is a trailer. It has no status.
        if !std::mem::replace(&mut self.streams[place].answered, true) {
            sink(place, Item::Head { status: response.status.filter(|&status| status != 200 || response.is_stream) });
        }
        if head.has(frames::END_STREAM) {
            self.end(place, sink);
        }
        Ok(())
    }

    fn end(&mut self, place: usize, sink: &mut impl FnMut(usize, Item)) {
        self.streams[place].over = true;
        sink(place, Item::End);
    }
}

/// The identifier of the stream at `place`.
fn id(place: usize) -> u32 {
    u32::try_from(2 * place + 1).unwrap_or(u32::MAX)
}
