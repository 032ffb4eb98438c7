//! HTTP/2 toward clients (RFC 9113), and its compression of fields (RFC 7541): bytes, values and instants in; bytes and
//! values out. It has no socket and no clock, and nothing in it panics.
//!
//! ```text
//!   bytes ──▶ Connection ──▶ Event: a request, a part of a body, a reset, ...
//!              │  ├ reading: frames, wherever the bytes are cut
//!              │  ├ Decoder: blocks of fields ──▶ Fields ──▶ Request
//!              │  ├ Streams, windows: who may be sent how much
//!              │  ├ Budget: how much a client may send that carries nothing
//!              │  └ deadlines
//!   answers ─▶ encode, Outgoing ──▶ bytes
//! ```
//!
//! Strangers' bytes come first here. Every limit is in [`limits`], with its reason.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]
#![cfg_attr(
    test,
    allow(clippy::cast_possible_truncation, clippy::string_slice, reason = "a panic is a test's way to fail")
)]

mod budget;
mod clock;
mod connection;
pub mod encode;
mod fields;
mod frame;
mod hpack;
pub mod limits;
mod outgoing;
mod request;
mod settings;
mod streams;
mod windows;

pub use connection::{Connection, ConnectionState, Event, Unfit};
pub use fields::Fields;
pub use frame::{Code, PREFACE, StreamId};
pub use hpack::{Block, Decoder, DecoderState, Error};
pub use outgoing::Outgoing;
pub use request::{Malformed, Request};
