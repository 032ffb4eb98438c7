//! The policy tables. Each is read over the layer below it: the built-in defaults, then `[defaults]`, then the route.
//!
//! A rule between two keys is checked after all layers were read, because a route may correct what would break the rule
//! in `[defaults]` alone. The error is shown at one of the two keys, in the newest layer that has one (`culprit`).

mod auth;
mod client;
mod cors;
mod headers;
mod private;
mod proxy;
mod replay;
mod share;
mod upstream;

pub(super) use auth::AuthLayer;
pub(super) use client::ClientLayer;
pub(super) use cors::CorsLayer;
pub(super) use private::{check_private, is_for_private};
pub(super) use proxy::read as read_proxy;
pub(super) use replay::ReplayLayer;
pub(super) use share::ShareLayer;
pub(super) use upstream::{STREAM_KEYS, UpstreamLayer};
