//! Events, and the other items of an event stream.

use bytes::Bytes;

/// The longest id, in bytes. A longer `id` is ignored, because no client could send it back: 8 KiB is the usual limit
/// for a line of a request's head.
pub const MAX_ID_BYTES: usize = 8 << 10;

/// Whether a client can send this id back in `Last-Event-ID` (RFC 9110, section 5.5). The HTML standard rejects NUL,
/// which no header can contain either.
pub(super) fn can_return(id: &[u8]) -> bool {
    id.len() <= MAX_ID_BYTES && id.iter().all(|byte| (*byte >= b' ' && *byte != 0x7F) || *byte == b'\t')
}

/// One dispatched event (HTML standard, section 9.2.6), or a checkpoint: a block with an `id` and without data. A
/// checkpoint dispatches nothing, and sets a client's last event ID.
///
/// Every field is valid UTF-8. Invalid bytes were replaced by U+FFFD, as by the Encoding standard's decoder. Only
/// `data` and `extra` may contain line ends, which are LF and never CR.
///
/// The fields may be slices of the chunk that was pushed into the decoder, and then keep that whole chunk in memory.
/// An event is meant to be encoded and dropped. Code that keeps one for long copies it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The last valid `id` of the event's own block, which may be empty. `None`: the block had none. An id that a
    /// client cannot send back is not valid.
    pub id: Option<Bytes>,
    /// The last event ID buffer after the block, which is the event's `lastEventId` in a browser. Empty: none.
    pub last_event_id: Bytes,
    /// The event type. Empty: `message`.
    pub event_type: Bytes,
    /// The data: its lines, joined by LF, without an LF at the end.
    pub data: Bytes,
    /// The fields that the standard does not know, in order and in canonical form: `name: value
    /// ` each.
    pub extra: Bytes,
    /// The last valid `retry` since the previous event, in milliseconds. A `retry` in a block without data counts,
    /// too.
    pub retry: Option<u64>,
    /// This is a checkpoint: it has an id and nothing else.
    pub is_checkpoint: bool,
}

impl Event {
    /// A checkpoint: sets the last event ID of the clients that read it, and is no event.
    #[must_use]
    pub fn checkpoint(id: Bytes) -> Self {
        Self { last_event_id: id.clone(), id: Some(id), is_checkpoint: true, ..Self::default() }
    }

    /// An event made by manifold, without an id. Neither argument may contain a CR, and the type may contain no LF.
    #[must_use]
    pub fn of_type(event_type: impl Into<Bytes>, data: impl Into<Bytes>) -> Self {
        Self { event_type: event_type.into(), data: data.into(), ..Self::default() }
    }
}

/// An item that a [`Decoder`](super::Decoder) returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// An event or a checkpoint, as soon as the first byte of the empty line after it has come.
    Event(Event),
    /// A reconnection time in milliseconds, as soon as its line is complete. The next event contains it as well.
    Retry(u64),
    /// The end of a block that was larger than an event may be. Its id counts, wherever it stood in the block. Of its
    /// other lines only a `retry` counts, if it came before the line that was too much.
    Refused {
        /// The size of the block: its lines, each with one byte for its end, without comments and the empty line.
        bytes: u64,
        /// The last valid `id` of the block, if it had one. Clients resume after this block.
        id: Option<Bytes>,
    },
}
