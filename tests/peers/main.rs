//! The gateway between real origins and real clients. Each is a program of its own ecosystem, on 127.0.0.1.
//! `scripts/setup --test` installs them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a builder that cannot do its work fails the test")]
#![allow(unreachable_pub, reason = "nothing here is reached from outside the test binary")]

#[path = "../stories/admin_api.rs"]
#[allow(dead_code, reason = "the stories need more of it than is needed here")]
mod admin_api;
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
mod ecosystem;
mod line;
mod listener;
mod program;
mod site;

mod chromium;
mod completions;
mod curl;
mod documented;
mod fronts;
mod newcomer;
mod nghttp2;
mod nginx;
mod origins;
mod probe;
mod resuming;
mod scanners;
mod tls;
