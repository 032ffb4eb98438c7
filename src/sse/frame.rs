//! Events to bytes.

use bytes::Bytes;
use memchr::{memchr, memchr_iter};

use super::event::Event;

/// A comment line, which keeps a connection alive and has no meaning. No empty line follows it, because some clients
/// would take that for the end of an event after an `id` of the origin's.
pub const HEARTBEAT: &[u8] = b":\n";

/// [`HEARTBEAT`] as a chunk of HTTP/1.1.
pub const HEARTBEAT_CHUNK: &[u8] = b"2\r\n:\n\r\n";

const CRLF: &[u8] = b"\r\n";

/// A line that sets a client's reconnection time, in milliseconds. It takes effect when it is parsed, and becomes
/// part of the next event's block.
#[must_use]
pub fn retry_line(ms: u64) -> Bytes {
    format!("retry: {ms}\n").into()
}

/// One piece of a stream, encoded once for all clients: an HTTP/1.1 chunk (RFC 9112, section 7.1) that contains the
/// text. Clients without chunked coding are sent the text alone. Clones share the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// `<size in hex>\r\n<text>\r\n`.
    chunk: Bytes,
    /// The index at which the text begins.
    text: usize,
}

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
            return Self::build(line_len("id", id).saturating_add("\n".len()), |buffer| {
                push_line(buffer, "id", id);
                buffer.push(b'\n');
            });
        }
        let event_type = Some(&*event.event_type).filter(|name| !name.is_empty());
        let retry = event.retry.map_or_else(Bytes::new, retry_line);
        let lines = memchr_iter(b'\n', &event.data).count().saturating_add(1);
        let len = [
            id.map_or(0, |id| line_len("id", id)),
            event_type.map_or(0, |name| line_len("event", name)),
            retry.len(),
            event.extra.len(),
            // The data contains an LF for each of its lines except the last.
            lines.saturating_mul("data: ".len()).saturating_add(event.data.len()),
            "\n\n".len(),
        ];
        Self::build(len.into_iter().fold(0, usize::saturating_add), |buffer| {
            if let Some(id) = id {
                push_line(buffer, "id", id);
            }
            if let Some(name) = event_type {
                push_line(buffer, "event", name);
            }
            buffer.extend_from_slice(&retry);
            buffer.extend_from_slice(&event.extra);
            let mut rest = &*event.data;
            while let Some((line, after)) = memchr(b'\n', rest).and_then(|end| rest.split_at_checked(end)) {
                push_line(buffer, "data", line);
                rest = after.strip_prefix(b"\n").unwrap_or(after);
            }
            push_line(buffer, "data", rest);
            buffer.push(b'\n');
        })
    }

    /// Text made by manifold, as it is: comments and single lines, such as [`HEARTBEAT`] and [`retry_line`]. It must
    /// not be empty, because an empty chunk ends the response.
    #[must_use]
    pub fn of_text(text: &[u8]) -> Self {
        debug_assert!(!text.is_empty());
        Self::build(text.len(), |buffer| buffer.extend_from_slice(text))
    }

    /// The text as one HTTP/1.1 chunk.
    #[must_use]
    pub fn chunk(&self) -> &Bytes {
        &self.chunk
    }

    /// The text alone, as a slice of the same bytes.
    #[must_use]
    pub fn text(&self) -> Bytes {
        self.chunk.slice(self.text..self.text.saturating_add(self.text_len()))
    }

    /// The length of the text in bytes.
    #[must_use]
    pub fn text_len(&self) -> usize {
        self.chunk.len().saturating_sub(self.text).saturating_sub(CRLF.len())
    }

    /// Wraps the `len` bytes that `write` appends into a chunk. Allocates once, in the exact size.
    fn build(len: usize, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let size = format!("{len:x}\r\n");
        let capacity = size.len().saturating_add(len).saturating_add(CRLF.len());
        let mut buffer = Vec::with_capacity(capacity);
        buffer.extend_from_slice(size.as_bytes());
        write(&mut buffer);
        buffer.extend_from_slice(CRLF);
        debug_assert_eq!(buffer.len(), capacity);
        Self { chunk: buffer.into(), text: size.len() }
    }
}

fn line_len(name: &str, value: &[u8]) -> usize {
    name.len().saturating_add(value.len()).saturating_add(": \n".len())
}

fn push_line(buffer: &mut Vec<u8>, name: &str, value: &[u8]) {
    for part in [name.as_bytes(), b": ", value, b"\n"] {
        buffer.extend_from_slice(part);
    }
}
