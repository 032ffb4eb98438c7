//! A batch: the frames that one system call sends to a client. It is built once for all clients that get it.

use super::terms::Sent;
use crate::replay::Seq;
use crate::sse::Frame;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The framing of a response's body. The clients of one stream with the same framing are sent the same bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Framing {
    /// The chunked coding of HTTP/1.1 (RFC 9112, section 7.1).
    Chunked,
    /// The plain text, which ends with the connection: HTTP/1.0.
    UntilClose,
    /// The plain text, which the connection puts into DATA frames: HTTP/2.
    Data,
}

impl Framing {
    /// The bytes of a frame on the wire.
    #[must_use]
    pub fn wire(self, frame: &Frame) -> &[u8] {
        match self {
            Self::Chunked => frame.chunk(),
            Self::UntilClose | Self::Data => frame.text(),
        }
    }

    /// The same bytes, sharing the frame's memory.
    pub(super) fn shared_wire(self, frame: &Frame) -> Bytes {
        match self {
            Self::Chunked => frame.shared_chunk(),
            Self::UntilClose | Self::Data => frame.shared_text(),
        }
    }

    /// The bytes that tell a client that the response is complete.
    pub(super) fn end(self) -> &'static [u8] {
        match self {
            Self::Chunked => b"0\r\n\r\n",
            Self::UntilClose | Self::Data => b"",
        }
    }
}

impl Cut {
    /// The state of a client at `cursor` that did not take `rest`, which belongs to no frame of a log.
    pub(super) fn at(cursor: Seq, rest: Bytes) -> Self {
        Self { cursor, needs: cursor, whole: rest.len(), rest, sent: Sent::default() }
    }
}

/// Consecutive frames of a stream.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    framing: Framing,
    /// The position of the first frame.
    pub(super) from: Seq,
    /// The position after the last frame.
    pub(super) to: Seq,
    frames: Vec<Frame>,
    pub(super) bytes: Bytes,
    /// What a client that took the whole batch was sent.
    pub(super) sent: Sent,
}

/// The state of a client that took only the beginning of a batch.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// The position after the last frame that the client has begun to take.
    pub(super) cursor: Seq,
    /// The position of the first frame of which the client did not take all.
    pub(super) needs: Seq,
    /// The bytes of the last frame begun that the client did not take.
    pub(super) rest: Bytes,
    /// The bytes that the rest keeps in memory: those of the frame.
    pub(super) whole: usize,
    /// The frames that the client has begun to take.
    pub(super) sent: Sent,
}

impl Batch {
    /// A batch of the frames at `from` up to, not including, `to`. There must be at least one.
    pub(super) fn new(framing: Framing, from: Seq, to: Seq, frames: Vec<Frame>) -> Self {
        debug_assert_eq!(to.distance_from(from), Some(frames.len()));
        let bytes = match &frames[..] {
            [only] => framing.shared_wire(only),
            several => {
                let mut bytes = Vec::with_capacity(several.iter().map(|frame| frame.chunk().len()).sum());
                several.iter().for_each(|frame| bytes.extend_from_slice(framing.wire(frame)));
                bytes.into()
            }
        };
        let mut sent = Sent::default();
        frames.iter().for_each(|frame| sent += of(frame));
        Self { framing, from, to, frames, bytes, sent }
    }

    /// The state of a client that took the first `taken` bytes.
    pub(super) fn cut(&self, taken: usize) -> Cut {
        let mut cut = Cut::at(self.from, Bytes::new());
        let (mut begin, mut end, mut last) = (0, 0, None);
        for frame in &self.frames {
            if end >= taken {
                break;
            }
            begin = end;
            end += self.framing.wire(frame).len();
            cut.needs = if end > taken { cut.cursor } else { cut.cursor.plus(1) };
            cut.cursor = cut.cursor.plus(1);
            cut.sent += of(frame);
            last = Some(frame);
        }
        if let Some(frame) = last.filter(|_| end > taken) {
            // The rest is a part of the frame, because a part of the batch would keep the whole batch in memory.
            cut.rest = self.framing.shared_wire(frame).split_off(taken - begin);
            cut.whole = frame.chunk().len();
        }
        cut
    }
}

fn of(frame: &Frame) -> Sent {
    Sent { bytes: frame.text_len() as u64, events: 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Vec<Frame> {
        [&b": a\n"[..], b": bc\n", b": def\n"].into_iter().map(Frame::of_text).collect()
    }

    #[test]
    fn a_batch_is_its_frames_in_their_framing() {
        let chunked = Batch::new(Framing::Chunked, Seq(7), Seq(10), frames());
        assert_eq!(&chunked.bytes[..], b"4\r\n: a\n\r\n5\r\n: bc\n\r\n6\r\n: def\n\r\n");
        let bare = Batch::new(Framing::UntilClose, Seq(7), Seq(10), frames());
        assert_eq!(&bare.bytes[..], b": a\n: bc\n: def\n");
        assert_eq!((chunked.sent, bare.sent), (Sent { bytes: 15, events: 3 }, Sent { bytes: 15, events: 3 }));
        let only = frames().remove(0);
        let shared = Batch::new(Framing::Chunked, Seq(0), Seq(1), vec![only.clone()]);
        assert_eq!(shared.bytes.as_ptr(), only.chunk().as_ptr(), "one frame is not copied");
    }

    #[test]
    fn wherever_a_batch_is_cut_the_rest_and_the_frames_after_it_complete_it() {
        for framing in [Framing::Chunked, Framing::UntilClose, Framing::Data] {
            let batch = Batch::new(framing, Seq(7), Seq(10), frames());
            for taken in 0..=batch.bytes.len() {
                let cut = batch.cut(taken);
                let begun = cut.cursor.distance_from(Seq(7)).unwrap();
                let mut whole = batch.bytes[..taken].to_vec();
                whole.extend_from_slice(&cut.rest);
                frames()[begun..].iter().for_each(|frame| whole.extend_from_slice(framing.wire(frame)));
                assert_eq!(whole, batch.bytes, "{framing:?} {taken}");
                assert_eq!(cut.sent.events, begun as u64);
                assert!(cut.rest.len() < 12, "the rest is of one frame, or empty");
                assert_eq!(cut.needs.plus(usize::from(!cut.rest.is_empty())), cut.cursor, "the frame begun is needed");
                assert_eq!(cut.whole, if cut.rest.is_empty() { 0 } else { frames()[begun - 1].chunk().len() });
            }
            assert_eq!(batch.cut(0), Cut::at(Seq(7), Bytes::new()));
        }
    }
}
