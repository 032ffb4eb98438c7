//! The streams that are open, by key.

mod options;

pub use options::{CookiePolicy, Credentials, Mode, QueryPolicy, ShareOptions};
