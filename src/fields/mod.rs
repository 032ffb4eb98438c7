//! The header fields of HTTP: what each of them is, and how their values are read.

mod length;
mod list;
mod origin;
mod table;

pub(crate) use length::{content_length, length};
pub(crate) use list::{is_token, joined_cookies, members, parts};
pub(crate) use origin::is_origin;
pub(crate) use table::{
    Nature, becomes_another, end_to_end, is_cors, is_credential, is_forwardable, is_hop_by_hop, is_same_for_all,
    is_shared, is_the_clients_own, survives_lines,
};
