//! TLS 1.3 connections by their keys alone (RFC 8446).
//!
//! rustls makes the handshake, and the request is read through it. Then the keys are taken out, and the state of rustls,
//! which is some kilobytes, is dropped. A [`Channel`] is what is left.
//!
//! ```text
//!   ServerConfig with a Capture ──▶ handshake over RecordIo ──▶ request ──▶ may_detach ──▶ Channel::of
//!                                                                              └─ no ──▶ the connection stays with rustls
//! ```
//!
//! Everything here but [`RecordIo`] is pure: bytes in, bytes and values out.

mod capture;
mod channel;
mod detach;
mod incoming;
mod keys;
mod record;
mod record_io;
mod state;
#[cfg(test)]
mod testing;
// The same file serves a fuzz target.
#[cfg(all(fuzzing, not(test)))]
mod testing;
#[cfg(test)]
pub(crate) mod tests;

pub use capture::Capture;
pub use channel::{Channel, MOST_SEALED, RECORD_BYTES, Sealed};
pub use detach::{Refusal, may_detach};
pub use incoming::{Alert, Over};
pub use record_io::RecordIo;
pub use state::ChannelState;
#[cfg(any(test, fuzzing))]
pub(crate) use testing::pair;
#[cfg(all(fuzzing, not(test)))]
pub use testing::try_records;
