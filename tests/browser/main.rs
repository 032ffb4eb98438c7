//! The page of `manifold demo` in a real browser, the demo's command line, and what a browser does when it is refused.
//!
//! `MANIFOLD_SCREENSHOT=docs/demo.png cargo test --test browser` also makes the README's picture.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a browser that does not do its work fails the test")]
#![allow(unreachable_pub, reason = "nothing here is reached from outside the test binary")]

mod browser;
mod command;
mod http;
mod page;
mod soft_refusal;
