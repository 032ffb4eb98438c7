//! Header fields of HTTP: what they are, and how their values are read.

mod list;
mod table;

pub(crate) use list::{is_token, members, parts};
pub(crate) use table::{
    Nature, end_to_end, is_cors, is_credential, is_forwardable, is_same_for_all, is_shared, survives_lines,
};
