//! The policy tables, each read over the layer below it: built-in defaults, `[defaults]`, the route.
//!
//! A rule between two keys is judged when the layers are merged, because a route may mend what the defaults alone would
//! break; the error is shown at the newest key that takes part (`culprit`).

mod client;
mod cors;
mod headers;
mod private;
mod proxy;
mod replay;
mod share;
mod upstream;

pub(super) use client::read as read_client;
pub(super) use cors::CorsLayer;
pub(super) use private::check_private;
pub(super) use proxy::read as read_proxy;
pub(super) use replay::read as read_replay;
pub(super) use share::ShareLayer;
pub(super) use upstream::UpstreamLayer;
