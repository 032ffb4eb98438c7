//! What a stream of events is made of.

use bytes::Bytes;

/// The longest id, in bytes. A longer one counts as none: no `Last-Event-ID` could bring it back, because 8 KiB is the usual
/// limit for a line of a request's head.
pub const MAX_ID_BYTES: usize = 8 << 10;

/// Whether a client can bring the value back in its `Last-Event-ID` (RFC 9110 section 5.5). NUL, of which the HTML standard
/// says the same, is one of the bytes that no header holds.
pub(super) fn can_return(id: &[u8]) -> bool {
    id.len() <= MAX_ID_BYTES && id.iter().all(|byte| (*byte >= b' ' && *byte != 0x7F) || *byte == b'\t')
}

/// One dispatched event (HTML standard, section 9.2.6), or a checkpoint: a block with an `id` and without data, which
/// dispatches nothing and moves the id of whoever reads it.
///
/// Every field is valid UTF-8: invalid bytes were replaced by U+FFFD, as the Encoding standard's decoder does. No field
/// but `data` and `extra` contains a line end, and neither of those a CR.
///
/// The fields may be slices of the chunk that was pushed into the decoder, and then keep that whole chunk alive. An event
/// is meant to be encoded and dropped; who keeps one for long copies what it needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The last valid `id` of the event's own block, which may be empty; `None`: the block had none. An id that no header can
    /// bring back counts as none.
    pub id: Option<Bytes>,
    /// The last event ID buffer after the block: what a client's `lastEventId` is for this event. Empty: none.
    pub last_event_id: Bytes,
    /// The event type; empty means `message`.
    pub event_type: Bytes,
    /// The data: its lines joined by LF, with no LF at the end.
    pub data: Bytes,
    /// The fields that the standard does not know, in their order, in canonical form: `name: value\n` each.
    pub extra: Bytes,
    /// The last valid `retry`, in milliseconds, since the previous event; blocks without data count, too.
    pub retry: Option<u64>,
    /// It is a checkpoint: it has an id and nothing else.
    pub is_checkpoint: bool,
}

impl Event {
    /// What moves the id of whoever reads it, and is no event.
    #[must_use]
    pub fn checkpoint(id: Bytes) -> Self {
        Self { last_event_id: id.clone(), id: Some(id), is_checkpoint: true, ..Self::default() }
    }

    /// An event of our own making, without an id. Neither argument may contain a CR, nor the type an LF.
    #[must_use]
    pub fn of_type(event_type: impl Into<Bytes>, data: impl Into<Bytes>) -> Self {
        Self { event_type: event_type.into(), data: data.into(), ..Self::default() }
    }
}

/// What comes out of a [`Decoder`](super::Decoder).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// An event or a checkpoint, as soon as the empty line after it has begun.
    Event(Event),
    /// A reconnection time, in milliseconds, as soon as its line is complete. The next event bears it as well.
    Retry(u64),
    /// A block that was larger than an event may be, once it has ended. It moved the id, wherever in the block that stood,
    /// and nothing else, but for a `retry` that stood before the line that was too much.
    Refused {
        /// The size of the block: its lines, each with one byte for its end; neither comments nor the empty line.
        bytes: u64,
        /// The last valid `id` of the block, if it had one: whoever resumes does so after this block.
        id: Option<Bytes>,
    },
}
