//! The page of `manifold demo` and the live page of the admin address in a real browser, what a browser does when it is
//! refused, and the demo's command line.
//!
//! `MANIFOLD_SCREENSHOT=docs/demo.png cargo test --test browser` also makes the README's picture.
//! `MANIFOLD_PAGE_SCREENSHOT=docs/page.png` makes that of the live page, and `MANIFOLD_PAGE_STREAMS=10000` tries it with as
//! many streams.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a browser that does not do its work fails the test")]
#![allow(unreachable_pub, reason = "nothing here is reached from outside the test binary")]

#[path = "../stories/client/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the stories need more of it than is needed here")]
mod client;
#[path = "../stories/gateway.rs"]
#[allow(dead_code, unused_imports, reason = "the stories need more of it than is needed here")]
mod gateway;
#[path = "../stories/guard.rs"]
mod guard;
#[path = "../stories/http1.rs"]
#[allow(dead_code, unused_imports, reason = "the stories need more of it than is needed here")]
mod http1;
#[path = "../stories/mode.rs"]
#[allow(dead_code, unused_imports, reason = "the stories need more of it than is needed here")]
mod mode;
#[path = "../stories/origin/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the stories need more of it than is needed here")]
mod origin;

mod browser;
mod command;
mod figures;
mod http;
mod live;
mod page;
mod presses;
mod soft_refusal;
