//! The streams that are open, by key.

mod key;
mod options;

pub use key::{RouteId, StreamKey, StreamRequest, is_forwardable};
pub use options::{CookiePolicy, Credentials, Mode, QueryPolicy, ShareOptions};
