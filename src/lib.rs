//! manifold: a reverse proxy for Server-Sent Events.
//!
//! One upstream connection per stream, any number of clients downstream. The modules are the floors of the house; imports
//! point down only, in this order: `demo`, `service`, `admin`, `gateway`, `config`, `route`, then `upstream`, `fanout` and `downstream`,
//! `hub`, `replay`, `sse`; `sync` and `web` below all.

pub mod admin;
pub mod config;
pub mod counters;
pub mod demo;
pub mod downstream;
pub mod fanout;
pub mod gateway;
pub mod hub;
pub mod replay;
pub mod route;
pub mod service;
pub mod sse;
mod sync;
pub mod upstream;
mod web;
