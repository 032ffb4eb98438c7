//! manifold: a reverse proxy for Server-Sent Events.
//!
//! manifold holds one upstream connection per stream and serves any number of clients from it. A module may import
//! only modules below it, in this order: `demo` and `probe`, `service`, `admin`, `metrics`, `gateway`, `config`, `route`, `auth`, then `upstream`,
//! `fanout` and `downstream`, `hub`, `replay`, `sse`. `access` is below these, `caller`, `certificates`, `counters`, `descriptors`, `fields`, `sync`, `tls` and `web` are below
//! all of them, and `digest`, `log_limit`, `millis`, `quoted`, `utc` and
//! `version` are below these.

pub mod access;
pub mod admin;
pub mod auth;
pub mod caller;
pub mod certificates;
#[cfg(any(test, fuzzing))]
mod choices;
pub mod config;
pub mod counters;
pub mod demo;
pub mod descriptors;
mod digest;
pub mod downstream;
pub mod fanout;
mod fields;
pub mod gateway;
pub mod hub;
mod log_limit;
pub mod metrics;
mod millis;
pub mod probe;
pub mod quoted;
pub mod replay;
pub mod route;
pub mod service;
pub mod sse;
mod sync;
pub mod tls;
pub mod upstream;
pub mod utc;
pub mod version;
mod web;
