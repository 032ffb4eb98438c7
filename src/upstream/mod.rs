//! The side toward the origin: one driver task per stream.

mod options;
mod origin;

pub use options::{Backoff, InvalidBackoff, OnClose, OnError, UpstreamOptions};
pub use origin::{InvalidOrigin, Origin};
