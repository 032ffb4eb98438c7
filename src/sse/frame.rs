//! Events to bytes.

use super::event::Event;
use bytes::Bytes;
use memchr::{memchr, memchr_iter};
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

/// A comment line, which keeps a connection alive and has no meaning. No empty line follows it, because some clients
/// would take that for the end of an event after an `id` of the origin's.
pub const HEARTBEAT: &[u8] = b":\n";

/// [`HEARTBEAT`] as a chunk of HTTP/1.1.
pub const HEARTBEAT_CHUNK: &[u8] = b"2\r\n:\n\r\n";

const CRLF: &[u8] = b"\r\n";

/// The beginnings of lines.
const ID: &[u8] = b"id: ";
const EVENT: &[u8] = b"event: ";
const DATA: &[u8] = b"data: ";

/// A line that sets a client's reconnection time, in milliseconds. It takes effect when it is parsed, and becomes
/// part of the next event's block.
#[must_use]
pub fn retry_line(ms: u64) -> Bytes {
    format!("retry: {ms}\n").into()
}

/// One piece of a stream, encoded once for all clients: an HTTP/1.1 chunk (RFC 9112, section 7.1) that contains the
/// text. Clients without chunked coding are sent the text alone. Clones share the bytes. A frame is one allocation of
/// exactly its size, because logs hold many.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame(
    /// `<size in hex>\r\n<text>\r\n`.
    Arc<[u8]>,
);

impl Frame {
    /// An event in canonical form: `id`, `event`, `retry`, the unknown fields, one `data` line per line of data, and
    /// the empty line. Each line ends with LF and has one space after its colon. `id`: the value of the `id` line.
    /// `None`: no such line.
    ///
    /// A checkpoint is an `id` line and the empty line.
    ///
    /// Decoding the frame gives the same event. `id` and the event's type must not contain a line end, nor its data a
    /// CR. What a [`Decoder`](super::Decoder) returns never does.
    #[must_use]
    pub fn encode(id: Option<&[u8]>, event: &Event) -> Self {
        debug_assert!(id.is_none_or(|id| !id.iter().any(|byte| b"\r\n\0".contains(byte))));
        debug_assert!(!event.event_type.iter().any(|byte| b"\r\n".contains(byte)));
        debug_assert!(!event.data.contains(&b'\r'));
        if event.is_checkpoint {
            let id = id.unwrap_or_default();
            return Self::build(line_len(ID, id).saturating_add("\n".len()), |buffer| {
                put_line(buffer, ID, id)?;
                buffer.write_all(b"\n")
            });
        }
        let event_type = Some(&*event.event_type).filter(|name| !name.is_empty());
        let retry = event.retry.map_or_else(Bytes::new, retry_line);
        let lines = memchr_iter(b'\n', &event.data).count().saturating_add(1);
        let len = [
            id.map_or(0, |id| line_len(ID, id)),
            event_type.map_or(0, |name| line_len(EVENT, name)),
            retry.len(),
            event.extra.len(),
            // The data contains an LF for each of its lines except the last.
            lines.saturating_mul(DATA.len()).saturating_add(event.data.len()),
            "\n\n".len(),
        ];
        Self::build(len.into_iter().fold(0, usize::saturating_add), |buffer| {
            if let Some(id) = id {
                put_line(buffer, ID, id)?;
            }
            if let Some(name) = event_type {
                put_line(buffer, EVENT, name)?;
            }
            buffer.write_all(&retry)?;
            buffer.write_all(&event.extra)?;
            let mut rest = &*event.data;
            while let Some((line, after)) = memchr(b'\n', rest).and_then(|end| rest.split_at_checked(end)) {
                put_line(buffer, DATA, line)?;
                rest = after.strip_prefix(b"\n").unwrap_or(after);
            }
            put_line(buffer, DATA, rest)?;
            buffer.write_all(b"\n")
        })
    }

    /// Text made by manifold, as it is: comments and single lines, such as [`HEARTBEAT`] and [`retry_line`]. It must
    /// not be empty, because an empty chunk ends the response.
    #[must_use]
    pub fn of_text(text: &[u8]) -> Self {
        debug_assert!(!text.is_empty());
        Self::build(text.len(), |buffer| buffer.write_all(text))
    }

    /// The text as one HTTP/1.1 chunk.
    #[must_use]
    pub fn chunk(&self) -> &[u8] {
        &self.0
    }

    /// The text alone, a part of the chunk.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        let end = self.0.len().saturating_sub(CRLF.len());
        self.0.get(end.saturating_sub(self.text_len())..end).unwrap_or_default()
    }

    /// The chunk as bytes that share the frame's memory.
    #[must_use]
    pub fn shared_chunk(&self) -> Bytes {
        Bytes::from_owner(Arc::clone(&self.0))
    }

    /// The text as bytes that share the frame's memory.
    #[must_use]
    pub fn shared_text(&self) -> Bytes {
        let chunk = self.shared_chunk();
        chunk.slice_ref(self.text())
    }

    /// The length of the text in bytes. The chunk's length alone says it, so the chunk itself is not read.
    #[must_use]
    pub fn text_len(&self) -> usize {
        let digits_and_text = self.0.len().saturating_sub(CRLF.len()).saturating_sub(CRLF.len());
        // The digits are those of the text's length. That of both together may have one digit more.
        let most = hex_digits(digits_and_text);
        let text = digits_and_text.saturating_sub(most);
        if hex_digits(text) == most { text } else { text.saturating_add(1) }
    }

    /// The bytes of memory that the frame takes.
    #[must_use]
    pub fn memory(&self) -> usize {
        // An `Arc` counts its owners in two words.
        block(size_of::<[usize; 2]>().saturating_add(self.0.len()))
    }

    /// The value of the `id` line. `None`: the text does not begin with such a line.
    #[must_use]
    pub fn id(&self) -> Option<&[u8]> {
        let rest = self.text().strip_prefix(ID)?;
        rest.get(..memchr(b'\n', rest)?)
    }

    /// Wraps the `len` bytes that `write` puts into a buffer into a chunk.
    fn build(len: usize, write: impl FnOnce(&mut &mut [u8]) -> io::Result<()>) -> Self {
        let size = [hex_digits(len), CRLF.len(), len, CRLF.len()].into_iter().fold(0, usize::saturating_add);
        let mut chunk: Arc<[u8]> = std::iter::repeat_n(0, size).collect();
        let mut rest = Arc::get_mut(&mut chunk).unwrap_or_default();
        let fill = || {
            write!(rest, "{len:x}\r\n")?;
            write(&mut rest)?;
            rest.write_all(CRLF)
        };
        let filled = fill();
        debug_assert!(filled.is_ok() && rest.is_empty(), "the length was reckoned before");
        Self(chunk)
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Frame").field(&String::from_utf8_lossy(self.text())).finish()
    }
}

/// The number of digits of `n` in hex.
fn hex_digits(n: usize) -> usize {
    (n | 1).ilog2().saturating_div(4).saturating_add(1) as usize
}

/// The memory that `size` bytes take. These are the size classes of jemalloc: multiples of 16, and from 128 on four up to
/// each doubling. Large blocks are whole pages, of which those that hold nothing take no memory. Other allocators take
/// about the same.
fn block(size: usize) -> usize {
    const LARGE: usize = 16 << 10;
    const PAGE: usize = 4 << 10;
    let step = if size < LARGE { 1_usize << size.saturating_sub(1).max(127).ilog2().saturating_sub(2) } else { PAGE };
    size.checked_next_multiple_of(step).unwrap_or(size)
}

fn line_len(name: &[u8], value: &[u8]) -> usize {
    name.len().saturating_add(value.len()).saturating_add("\n".len())
}

fn put_line(buffer: &mut &mut [u8], name: &[u8], value: &[u8]) -> io::Result<()> {
    buffer.write_all(name)?;
    buffer.write_all(value)?;
    buffer.write_all(b"\n")
}
