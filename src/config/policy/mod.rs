//! The policy tables. Each is read over the layer below it: the built-in defaults, then `[defaults]`, then the route.
//!
//! A rule between two keys is checked when the layers are merged, because a route may correct what the defaults alone
//! would break. The error is shown at the key in question of the newest layer (`culprit`).

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
