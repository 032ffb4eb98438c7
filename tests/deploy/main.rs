//! The files of docker/ by which manifold is deployed, and the workflows that release it. Those for Docker Compose,
//! Kubernetes, systemd and GitHub are checked against the published schemas and by systemd's own checkers. The real
//! binary runs with what they tell it. `scripts/setup --test` installs the checkers.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a builder that cannot do its work fails the test")]
#![allow(unreachable_pub, reason = "nothing here is reached from outside the test binary")]

#[path = "../peers/browser.rs"]
#[allow(dead_code, reason = "the peers need more of it than is needed here")]
mod browser;
#[path = "../stories/client/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the stories need more of it than is needed here")]
mod client;
#[path = "../peers/ecosystem.rs"]
#[allow(dead_code, reason = "the peers need more of it than is needed here")]
mod ecosystem;
#[path = "../stories/guard.rs"]
mod guard;
#[path = "../stories/http1.rs"]
#[allow(dead_code, unused_imports, reason = "the stories need more of it than is needed here")]
mod http1;
#[path = "../stories/mode.rs"]
#[allow(dead_code, reason = "the stories need more of it than is needed here")]
mod mode;
#[path = "../stories/origin/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the stories need more of it than is needed here")]
mod origin;
#[path = "../peers/program.rs"]
#[allow(dead_code, reason = "the peers need more of it than is needed here")]
mod program;

mod checkout;
mod process;
mod unit;

mod activation;
mod compose;
mod container;
mod document;
mod kubernetes;
mod monitoring;
mod page;
mod pods;
mod prometheus;
mod systemd;
mod workflows;
