//! Lines to events: the fields of one block, and the state that outlives a block.

use std::borrow::Cow;
use std::mem;

use bytes::Bytes;
use memchr::memchr;

use super::bom::BOM;
use super::event::{Event, Item, MAX_ID_BYTES, can_return};

/// The longest line of a refused block that is looked at, because it may be an `id` line.
pub(super) const MAX_ID_LINE: usize = MAX_ID_BYTES + b"id: ".len();

/// Whether a line that begins like this may be the `id` line of a refused block.
pub(super) fn may_say_id(line: &[u8]) -> bool {
    line.len() <= MAX_ID_LINE && (line.starts_with(b"id:") || b"id:".starts_with(line))
}

/// The buffers of the HTML standard, section 9.2.6, and the limit of what they hold.
///
/// The size of a block is the size of its lines, each with one byte for its end, however that was written. Neither
/// comments nor the empty line count. What is stored of a block is at most three times its size: a byte that is not
/// UTF-8 becomes three bytes, and the shortest unknown field, of two bytes, becomes four bytes or, if it is not
/// UTF-8, six. Of a refused block only an id is stored, of at most [`MAX_ID_BYTES`].
#[derive(Debug)]
pub(super) struct Block {
    limit: u64,
    /// Invariant: once a line that did not fit has brought it to the limit, `fields` stays empty except for the id.
    size: u64,
    fields: Fields,
    retry: Option<u64>,
    last_event_id: Bytes,
}

#[derive(Debug, Default)]
struct Fields {
    id: Option<Bytes>,
    event_type: Bytes,
    data: Data,
    extra: Vec<u8>,
}

impl Block {
    pub(super) fn new(limit: u64, last_event_id: Bytes) -> Self {
        Self { limit, size: 0, fields: Fields::default(), retry: None, last_event_id }
    }

    pub(super) fn last_event_id(&self) -> &Bytes {
        &self.last_event_id
    }

    /// The number of bytes held for the block and for the last event ID.
    pub(super) fn buffered(&self) -> usize {
        let Fields { id, event_type, data, extra } = &self.fields;
        [id.as_ref().map_or(0, Bytes::len), event_type.len(), data.len(), extra.len(), self.last_event_id.len()]
            .into_iter()
            .fold(0, usize::saturating_add)
    }

    /// Takes one line without its end. `line` is a slice of `source`.
    pub(super) fn line(&mut self, source: &Bytes, line: &[u8]) -> Option<Item> {
        if line.is_empty() {
            return self.end();
        }
        if line.first() == Some(&b':') {
            return None;
        }
        if !self.admits(line.len()) {
            self.refuse(line.len());
            self.refused_line(line);
            return None;
        }
        self.count(line.len());
        self.count(1);
        self.field(source, line)
    }

    /// Whether a line of at least `len` bytes fits into the block, with its end.
    pub(super) fn admits(&self, len: usize) -> bool {
        self.size.saturating_add(len as u64) < self.limit
    }

    /// Gives the block up because of a line that does not fit, `len` bytes of which are known. No later line of the
    /// block fits either.
    #[cold]
    pub(super) fn refuse(&mut self, len: usize) {
        self.fields = Fields { id: self.fields.id.take(), ..Fields::default() };
        self.count(len);
    }

    /// Ends a line that did not fit. An `id` counts anywhere in the block. A client must resume after this block, or
    /// it would be sent the block again and again.
    #[cold]
    pub(super) fn refused_line(&mut self, line: &[u8]) {
        self.count(1);
        if may_say_id(line)
            && let (b"id", value) = split(line)
        {
            let value = Bytes::copy_from_slice(value);
            self.fields.id = id_in(&value, &value).or_else(|| self.fields.id.take());
        }
    }

    /// If dropping the block now would lose something: the number of its bytes read so far. `open`: the bytes of the
    /// line that is not ended.
    pub(super) fn unfinished(&self, open: usize) -> u64 {
        let is_begun = self.fields.id.is_some() || !matches!(self.fields.data, Data::None) || self.size >= self.limit;
        if is_begun { self.size.saturating_add(open as u64) } else { open as u64 }
    }

    /// Adds to the size of the block.
    pub(super) fn count(&mut self, bytes: usize) {
        self.size = self.size.saturating_add(bytes as u64);
    }

    /// Copies the fields that are slices of `chunk`. A long field is copied only once, however many chunks follow.
    pub(super) fn detach(&mut self, chunk: &Bytes) {
        let Fields { id, event_type, data, .. } = &mut self.fields;
        let line = if let Data::One(line) = data { Some(line) } else { None };
        for kept in [Some(&mut self.last_event_id), id.as_mut(), Some(event_type), line].into_iter().flatten() {
            if chunk.as_ptr_range().contains(&kept.as_ptr()) {
                *kept = Bytes::copy_from_slice(kept);
            }
        }
    }

    fn field(&mut self, source: &Bytes, line: &[u8]) -> Option<Item> {
        let (name, value) = split(line);
        let fields = &mut self.fields;
        match name {
            b"data" => fields.data.push(source, value),
            b"event" => fields.event_type = text(source, value),
            b"id" => fields.id = id_in(source, value).or_else(|| fields.id.take()),
            b"retry" => {
                self.retry = milliseconds(value).or(self.retry);
                return milliseconds(value).map(Item::Retry);
            }
            // At the head of a client's stream, the BOM would vanish and the rest could become a known field. So the
            // field is dropped.
            name if name.starts_with(BOM) => {}
            name => {
                for part in [&lossy(name), ": ", &lossy(value), "\n"] {
                    fields.extra.extend_from_slice(part.as_bytes());
                }
            }
        }
        None
    }

    /// The empty line: "dispatch the event".
    fn end(&mut self) -> Option<Item> {
        let bytes = mem::take(&mut self.size);
        let fields = mem::take(&mut self.fields);
        if let Some(id) = &fields.id {
            self.last_event_id = id.clone();
        }
        if bytes > self.limit {
            return refused(bytes, fields);
        }
        if matches!(fields.data, Data::None) {
            return without_data(fields);
        }
        let Fields { id, event_type, data, extra } = fields;
        let (data, last_event_id) = (data.joined()?, self.last_event_id.clone());
        let retry = self.retry.take();
        Some(Item::Event(Event {
            id,
            last_event_id,
            event_type,
            data,
            extra: extra.into(),
            retry,
            is_checkpoint: false,
        }))
    }
}

/// The result of a block that is too large.
#[cold]
fn refused(bytes: u64, fields: Fields) -> Option<Item> {
    Some(Item::Refused { bytes, id: fields.id })
}

/// The result of a block without data.
#[cold]
fn without_data(fields: Fields) -> Option<Item> {
    fields.id.map(Event::checkpoint).map(Item::Event)
}

/// The data buffer. A single line, which is the most frequent case, is not copied.
#[derive(Debug, Default)]
enum Data {
    #[default]
    None,
    One(Bytes),
    Many(Vec<u8>),
}

impl Data {
    fn push(&mut self, source: &Bytes, value: &[u8]) {
        let mut lines = match mem::take(self) {
            Self::None => {
                *self = Self::One(text(source, value));
                return;
            }
            Self::One(first) => Vec::from(first),
            Self::Many(lines) => lines,
        };
        lines.push(b'\n');
        lines.extend_from_slice(lossy(value).as_bytes());
        *self = Self::Many(lines);
    }

    fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(line) => line.len(),
            Self::Many(lines) => lines.len(),
        }
    }

    /// The data. `None`: the block had no `data` field, so there is no event to dispatch.
    fn joined(self) -> Option<Bytes> {
        match self {
            Self::None => None,
            Self::One(line) => Some(line),
            Self::Many(lines) => Some(lines.into()),
        }
    }
}

/// "Collect the characters on the line before the first colon, and let field be that string. [...] If value starts with
/// a U+0020 SPACE character, remove it from value." Without a colon, the whole line is the name.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let Some((name, value)) = memchr(b':', line).and_then(|colon| line.split_at_checked(colon)) else {
        return (line, &[]);
    };
    let value = value.strip_prefix(b":").unwrap_or(value);
    (name, value.strip_prefix(b" ").unwrap_or(value))
}

/// "If the field value consists of only ASCII digits". A number that does not fit into 64 bits is ignored, too.
fn milliseconds(value: &[u8]) -> Option<u64> {
    // `parse` alone would accept a sign.
    let digits = value.iter().all(u8::is_ascii_digit);
    str::from_utf8(value).ok().filter(|_| digits)?.parse().ok()
}

/// The value of an `id` field. `None`: the field is ignored.
#[inline(never)]
fn id_in(source: &Bytes, value: &[u8]) -> Option<Bytes> {
    // Invalid UTF-8 becomes longer as text, so the length is checked again.
    Some(value).filter(|value| can_return(value)).map(|value| text(source, value)).filter(|id| id.len() <= MAX_ID_BYTES)
}

/// A value as text. It is a slice of `source` if it is valid UTF-8.
fn text(source: &Bytes, value: &[u8]) -> Bytes {
    match lossy(value) {
        Cow::Borrowed(_) => source.slice_ref(value),
        Cow::Owned(replaced) => replaced.into(),
    }
}

/// The text that the Encoding standard's UTF-8 decoder makes of a part of a line. Decoding the parts gives the same
/// as decoding the whole stream, because the parts meet at ASCII bytes, which are never a part of a malformed
/// sequence.
fn lossy(value: &[u8]) -> Cow<'_, str> {
    // `from_utf8_lossy` reads byte by byte. This check is faster, because it reads ASCII in words.
    str::from_utf8(value).map_or_else(|_| String::from_utf8_lossy(value), Cow::Borrowed)
}
