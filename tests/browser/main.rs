//! The page of `manifold demo` in a real browser, and the demo's command line.
//!
//! `MANIFOLD_SCREENSHOT=docs/demo.png cargo test --test browser` also makes the README's picture.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a browser that does not do its work fails the test")]
#![allow(unreachable_pub, reason = "nothing here is reached from outside the test binary")]

mod browser;
mod command;
mod http;
mod page;
