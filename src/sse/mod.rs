//! Server-Sent Events on the wire: bytes to events, and events to bytes.
//!
//! The grammar is that of the HTML standard, sections 9.2.5 (parsing an event stream) and 9.2.6 (interpreting an
//! event stream). The encoder writes one canonical form of it. Everything here is pure: bytes and values in, bytes
//! and values out, without a clock or a socket. Of HTTP it knows only the chunk that a [`Frame`] wraps around its
//! text (RFC 9112, section 7.1).
//!
//! - [`Decoder`] turns the bytes of an origin into [`Event`]s, wherever they were cut into chunks.
//! - [`Frame`] is an event encoded once, for every client.
//! - [`Passthrough`] watches bytes that pass unchanged, and knows where a line may be inserted.

#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod block;
mod bom;
mod decoder;
mod event;
mod frame;
mod media_type;
mod passthrough;
#[cfg(test)]
mod tests;

pub use decoder::Decoder;
pub use event::{Event, Item, MAX_ID_BYTES};
pub use frame::{Frame, HEARTBEAT, HEARTBEAT_CHUNK, retry_line};
pub use media_type::is_event_stream;
pub use passthrough::Passthrough;
