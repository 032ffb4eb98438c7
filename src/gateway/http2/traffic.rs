//! Observes the bytes of an HTTP/2 connection, because the `h2` crate does not report three things: whether the client
//! leaves a frame unfinished, whether it sends malformed trailers, and whether it accepts the bytes that it is sent.

use super::budget::{Budget, CONTINUATION, DATA, HEADERS};
use super::names::Names;
use std::time::Duration;
use tokio::time::Instant;

/// The length of the connection preface (RFC 9113 section 3.4).
const PREFACE_BYTES: usize = 24;

/// The length of a frame's header: the payload's length in three bytes, the type, the flags, and the stream's id in
/// four bytes (RFC 9113 section 4.1).
const HEADER_BYTES: usize = 9;

/// Flags of a HEADERS frame: it is the last frame of its head, it has padding, it has a priority (RFC 9113 section
/// 6.2).
const END_HEADERS: u8 = 4;
const PADDED: u8 = 8;
const PRIORITY: u8 = 0x20;
const PRIORITY_BYTES: usize = 5;

/// The most bytes of a head that are kept here: twice the largest `head_bytes`. The `h2` crate refuses a connection whose
/// heads are larger than a quarter above `head_bytes`, beside a few frames.
const HEAD_BYTES: usize = 2 << 20;

/// The position in the frames that the client sends. A head is a HEADERS frame and the CONTINUATION frames after it.
#[derive(Debug)]
pub(super) struct Frames {
    /// The number of bytes of the preface that have not come yet.
    preface: usize,
    /// The header of the present frame.
    header: [u8; HEADER_BYTES],
    /// The number of bytes of that header that have come.
    held: usize,
    /// The number of bytes of the present payload that have not come yet.
    payload: usize,
    /// Whether the present payload is DATA. DATA may take as long as the request's body.
    is_data: bool,
    /// Whether the head continues in the next frame.
    is_in_head: bool,
    /// Since when a head, or a frame other than DATA, is unfinished.
    unfinished: Option<Instant>,
    /// The payload so far, if the frame belongs to a head.
    fragment: Vec<u8>,
    /// The fields of the present head that came in the frames before this one.
    block: Vec<u8>,
    names: Names,
    /// The id of the newest stream. A head for this stream or an older one is trailers.
    latest: u32,
    /// Whether there were trailers with a pseudo-header field.
    is_malformed: bool,
    pub(super) budget: Budget,
    /// When the last byte came.
    heard: Instant,
}

impl Frames {
    /// The frames of a new connection. The first frame counts as begun.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            preface: PREFACE_BYTES,
            header: [0; HEADER_BYTES],
            held: 0,
            payload: 0,
            is_data: false,
            is_in_head: false,
            unfinished: Some(now),
            fragment: Vec::new(),
            block: Vec::new(),
            names: Names::default(),
            latest: 0,
            is_malformed: false,
            budget: Budget::new(now),
            heard: now,
        }
    }

    /// Observes bytes that came from the client.
    pub(super) fn read(&mut self, mut bytes: &[u8], now: Instant) {
        self.heard = now;
        let preface = self.preface.min(bytes.len());
        self.preface -= preface;
        bytes = bytes.get(preface..).unwrap_or_default();
        while !bytes.is_empty() {
            let taken = if self.payload > 0 { self.read_payload(bytes) } else { self.read_header(bytes) };
            if self.held == HEADER_BYTES {
                self.begin_payload(now);
            }
            if self.held == 0 && self.payload == 0 && self.is_of_head() {
                self.end_fragment();
            }
            bytes = bytes.get(taken..).unwrap_or_default();
            let rests = self.held == 0 && (self.payload == 0 || self.is_data) && !self.is_in_head;
            if rests {
                self.unfinished = None;
            } else {
                self.unfinished.get_or_insert(now);
            }
        }
    }

    /// Reads bytes of a frame's payload. Returns their number.
    fn read_payload(&mut self, bytes: &[u8]) -> usize {
        let taken = self.payload.min(bytes.len());
        self.payload -= taken;
        if self.is_of_head() && self.fragment.len() + self.block.len() < HEAD_BYTES {
            self.fragment.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        }
        taken
    }

    /// Whether the frame belongs to a head.
    fn is_of_head(&self) -> bool {
        let [_, _, _, kind, ..] = self.header;
        matches!(kind, HEADERS | CONTINUATION)
    }

    /// Adds a complete frame to its head. Examines the head if it is complete.
    fn end_fragment(&mut self) {
        let [_, _, _, kind, flags, stream @ ..] = self.header;
        let mut fragment = self.fragment.as_slice();
        if kind == HEADERS {
            let padding = if flags & PADDED == 0 { None } else { fragment.split_off_first().copied() };
            let before = if flags & PRIORITY == 0 { 0 } else { PRIORITY_BYTES };
            let end = fragment.len().saturating_sub(usize::from(padding.unwrap_or(0)));
            fragment = fragment.get(before..end).unwrap_or_default();
        }
        self.block.extend_from_slice(fragment);
        self.fragment.clear();
        if flags & END_HEADERS == 0 {
            return;
        }
        let (stream, has_pseudo) = (u32::from_be_bytes(stream), self.names.read(&self.block));
        self.is_malformed |= has_pseudo && stream <= self.latest;
        self.latest = self.latest.max(stream);
        // The buffers are freed, so that an idle connection holds none.
        (self.fragment, self.block) = (Vec::new(), Vec::new());
    }

    /// Reads bytes of a frame's header. Returns their number.
    fn read_header(&mut self, bytes: &[u8]) -> usize {
        let taken = (HEADER_BYTES - self.held).min(bytes.len());
        for (place, byte) in self.header.iter_mut().skip(self.held).zip(bytes.iter().take(taken)) {
            *place = *byte;
        }
        self.held += taken;
        taken
    }

    fn begin_payload(&mut self, now: Instant) {
        let [high, middle, low, kind, flags, ..] = self.header;
        self.held = 0;
        self.payload = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        self.is_data = kind == DATA;
        self.budget.spend(kind, now);
        if self.is_of_head() {
            self.is_in_head = flags & END_HEADERS == 0;
        }
    }

    /// Whether there were trailers with a pseudo-header field (RFC 9113 section 8.1).
    pub(super) fn is_malformed(&self) -> bool {
        self.is_malformed
    }

    /// When the last byte came.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// Since when a head, or a frame other than DATA, is unfinished.
    pub(super) fn unfinished(&self) -> Option<Instant> {
        self.unfinished
    }
}

/// The progress of a client whose socket accepts no more bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blocked {
    /// When bytes were last seen to arrive at the client.
    moved: Instant,
    /// The number of bytes that were on their way to the client at that time.
    on_the_way: u32,
}

impl Blocked {
    pub(super) fn new(on_the_way: u32, now: Instant) -> Self {
        Self { moved: now, on_the_way }
    }

    /// Notes whether bytes have arrived since the last look. `on_the_way`: the number of bytes on their way now.
    pub(super) fn look(&mut self, on_the_way: u32, now: Instant) {
        if on_the_way != self.on_the_way {
            *self = Self::new(on_the_way, now);
        }
    }

    /// Whether no byte has arrived for `stall`.
    pub(super) fn is_stalled(&self, stall: Duration, now: Instant) -> bool {
        now.duration_since(self.moved) >= stall
    }
}

/// What is observed in both directions of a connection.
#[derive(Debug)]
pub(super) struct Traffic {
    pub(super) frames: Frames,
    /// Whether a write waits for the socket.
    pub(super) is_blocked: bool,
}

impl Traffic {
    pub(super) fn new(now: Instant) -> Self {
        Self { frames: Frames::new(now), is_blocked: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let mut frame = vec![0, 0, u8::try_from(payload).unwrap(), kind, flags, 0, 0, 0, 1];
        frame.resize(HEADER_BYTES + payload, 0);
        frame
    }

    fn begun() -> (Frames, Instant) {
        let now = Instant::now();
        let mut frames = Frames::new(now);
        frames.read(PREFACE, now);
        frames.read(&frame(4, 0, 6), now);
        (frames, now)
    }

    /// Whether something is unfinished after each of these bytes.
    fn owes(bytes: &[u8]) -> Vec<bool> {
        let (mut frames, now) = begun();
        let each = bytes.iter().map(|byte| {
            frames.read(&[*byte], now);
            frames.unfinished().is_some()
        });
        each.collect()
    }

    #[test]
    fn the_first_frame_is_waited_for_from_the_beginning_on() {
        let now = Instant::now();
        let mut frames = Frames::new(now);
        assert_eq!(frames.unfinished(), Some(now));
        let later = now + Duration::from_secs(1);
        frames.read(PREFACE, later);
        assert_eq!(frames.unfinished(), Some(now));
        frames.read(&frame(4, 0, 0), later);
        assert_eq!(frames.unfinished(), None);
    }

    #[test]
    fn a_head_is_unfinished_until_the_last_of_its_frames_is_whole() {
        for (what, bytes, rest_from) in [
            ("a whole head", frame(HEADERS, END_HEADERS, 3), 12),
            ("two frames", [frame(HEADERS, 0, 3), frame(CONTINUATION, END_HEADERS, 2)].concat(), 23),
            ("an empty end", [frame(HEADERS, 0, 0), frame(CONTINUATION, END_HEADERS, 0)].concat(), 18),
            ("another frame", frame(6, 0, 8), 17),
        ] {
            let owes = owes(&bytes);
            assert_eq!(owes.iter().position(|owes| !owes), Some(rest_from - 1), "{what}");
            assert_eq!(rest_from, bytes.len(), "{what}");
        }
        assert!(owes(&frame(HEADERS, 0, 3)).iter().all(|owes| *owes), "a head that continues in another frame");
    }

    #[test]
    fn the_payload_of_data_may_take_its_time() {
        let owes = owes(&frame(DATA, 0, 4));
        assert_eq!(owes, [true, true, true, true, true, true, true, true, false, false, false, false, false]);
    }

    #[test]
    fn each_head_has_a_time_of_its_own_however_the_bytes_come() {
        let (mut frames, now) = begun();
        let head = frame(HEADERS, END_HEADERS, 3);
        frames.read(&head[..5], now);
        let later = now + Duration::from_secs(1);
        frames.read(&[&head[5..], &head[..5]].concat(), later);
        assert_eq!(frames.unfinished(), Some(later));
    }

    #[test]
    fn a_pseudo_header_field_is_malformed_in_trailers_alone() {
        let head = |stream: u8, kind, flags, payload: &[u8]| {
            let length = u8::try_from(payload.len()).unwrap();
            [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
        };
        let opening = head(1, HEADERS, END_HEADERS, &[0x82]);
        let in_two = [head(1, HEADERS, 0, &[0, 2]), head(1, CONTINUATION, END_HEADERS, b":x\0")].concat();
        for (what, next, expected) in [
            ("a field", head(1, HEADERS, END_HEADERS, &[0x90]), false),
            ("the same field", head(1, HEADERS, END_HEADERS, &[0x82]), true),
            ("another stream", head(3, HEADERS, END_HEADERS, &[0x82]), false),
            ("an empty head", head(1, HEADERS, END_HEADERS, &[]), false),
            ("in two frames", in_two, true),
            ("padding", head(1, HEADERS, END_HEADERS | PADDED, &[2, 0x90, 0x82, 0x82]), false),
            ("within padding", head(1, HEADERS, END_HEADERS | PADDED, &[1, 0x82, 0]), true),
            ("a priority", head(1, HEADERS, END_HEADERS | PRIORITY, &[0x82, 0x82, 0x82, 0x82, 0x82, 0x90]), false),
            ("after a priority", head(1, HEADERS, END_HEADERS | PRIORITY, &[0, 0, 0, 0, 9, 0x82]), true),
            ("too much padding", head(1, HEADERS, END_HEADERS | PADDED, &[9, 0x82]), false),
        ] {
            let bytes = [opening.clone(), next].concat();
            for size in 1..=bytes.len() {
                let (mut frames, now) = begun();
                bytes.chunks(size).for_each(|piece| frames.read(piece, now));
                assert_eq!(frames.is_malformed(), expected, "{what} in pieces of {size}");
            }
        }
    }

    #[test]
    fn a_client_that_takes_little_does_not_stall() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let mut blocked = Blocked::new(100, now);
        blocked.look(99, now + second);
        assert!(!blocked.is_stalled(2 * second, now + 2 * second));
        blocked.look(99, now + 2 * second);
        assert!(!blocked.is_stalled(2 * second, now + 2 * second));
        assert!(blocked.is_stalled(2 * second, now + 3 * second));
    }
}
