//! The bytes that the streams of a connection are sent in a turn. They are noted as they are due, and written once.

use super::connection::Connection;
use super::encode;
use super::frame::StreamId;
use super::limits::{MOST_FRAME_BYTES, TURN_OF_CONNECTION_BYTES};
use bytes::Bytes;
use smallvec::SmallVec;
use std::time::Instant;

/// What is sent on a connection in a turn.
#[derive(Debug, Default)]
pub struct Outgoing {
    /// Most connections have one stream, and it is sent one batch in a turn.
    notes: SmallVec<[Note; 1]>,
    /// The bytes of all notes.
    bytes: usize,
}

/// Bytes for a stream. Their room in the windows is taken.
#[derive(Debug)]
struct Note {
    stream: StreamId,
    bytes: Bytes,
    /// The response ends with them.
    ends: bool,
}

impl Outgoing {
    /// Nothing.
    pub const NONE: Self = Self { notes: SmallVec::new_const(), bytes: 0 };

    /// Whether nothing is to be sent.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// Notes as many of these bytes for a stream as the windows and the turn allow. Returns their number. The caller
    /// sends the rest later, when it may be other bytes.
    pub fn take(&mut self, connection: &mut Connection, stream: StreamId, bytes: &Bytes) -> usize {
        let rest_of_turn = TURN_OF_CONNECTION_BYTES.saturating_sub(self.bytes);
        let taken = connection.take(stream, bytes.len().min(rest_of_turn));
        if taken > 0 {
            self.bytes = self.bytes.saturating_add(taken);
            self.notes.push(Note { stream, bytes: bytes.slice(..taken), ends: false });
        }
        taken
    }

    /// Notes the last words of a stream, and its end if they are noted whole. Nothing may be noted for it after that.
    /// Without words the end needs no window. Returns the number of bytes.
    pub fn take_last(&mut self, connection: &mut Connection, stream: StreamId, words: &Bytes) -> usize {
        let taken = self.take(connection, stream, words);
        if taken < words.len() {
            return taken;
        }
        match self.notes.last_mut().filter(|last| last.stream == stream) {
            Some(last) => last.ends = true,
            None => self.notes.push(Note { stream, bytes: Bytes::new(), ends: true }),
        }
        taken
    }

    /// Writes all notes as DATA, and forgets them. The notes of a stream that follow each other are written in as few
    /// frames as possible, because clients count small frames. What was noted for a stream that is over is dropped.
    pub fn write(&mut self, connection: &mut Connection, now: Instant, out: &mut Vec<u8>) {
        // A connection that waits needs no memory for notes.
        let notes = std::mem::take(&mut self.notes);
        for run in notes.chunk_by(|one, next| one.stream == next.stream) {
            let Some(stream) = run.first().map(|note| note.stream) else { continue };
            let bytes = run.iter().map(|note| note.bytes.len()).sum();
            if !connection.end_turn(stream) {
                connection.return_room(bytes);
                continue;
            }
            let ends = run.last().is_some_and(|note| note.ends);
            let frames = write_run(stream, run, bytes, ends, out);
            connection.sent(frames);
            if ends {
                connection.end(stream, now, out);
            }
        }
        self.bytes = 0;
    }
}

/// Writes the notes of a stream. Returns the number of frames.
fn write_run(stream: StreamId, run: &[Note], bytes: usize, ends: bool, out: &mut Vec<u8>) -> u32 {
    let mut parts = run.iter().map(|note| &*note.bytes);
    let (mut part, mut left, mut frames) = (&b""[..], bytes, 0_u32);
    loop {
        let mut missing = left.min(MOST_FRAME_BYTES);
        left = left.saturating_sub(missing);
        encode::data_head(out, stream, missing, ends && left == 0);
        frames = frames.saturating_add(1);
        while missing > 0 {
            let (fits, rest) = part.split_at(part.len().min(missing));
            out.extend_from_slice(fits);
            missing = missing.saturating_sub(fits.len());
            part = rest;
            if missing > 0 {
                let Some(next) = parts.next() else { break };
                part = next;
            }
        }
        if left == 0 {
            return frames;
        }
    }
}
