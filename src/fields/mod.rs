//! Header fields of HTTP: what they are, and how their values are read.

mod list;

pub(crate) use list::{end_to_end, is_token, members, parts};
