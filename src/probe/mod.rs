//! `manifold probe URL`: asks a stream as a browser would, and says in plain words what is right and wrong with it on
//! the way. [`probe_routes`] asks each route's origin.
//!
//! ```text
//!                   ┌─ listens to the stream ──────────────┐
//!   GET, redirects ─┼─ HEAD, twice on one connection       ├─▶ asks again with an older id ─▶ facts ─▶ findings
//!                   ├─ preflight (--origin, --header)      │     while the stream goes on
//!                   └─ the compressed stream, if it is one ┘
//! ```
//!
//! `judge` is pure: facts in, findings out. So are `flow`, `reading` and `resumed`: bytes, ids and instants in.

mod ask;
mod facts;
mod finding;
mod flow;
mod judge;
mod lines;
mod listen;
mod question;
mod reading;
mod report;
mod resumed;
mod routes;
mod stamp;
mod visit;

pub use finding::{Finding, Key, Verdict};
pub use question::{BadQuestion, ProbeOptions, Question};
pub use report::Report;
pub use routes::{RouteVerdict, probe_routes};

/// Asks, and judges what came.
pub async fn probe(question: Question) -> Report {
    let (shown, secrets) = (question.target.shown(), question.secrets.clone());
    let facts = visit::visit(question).await;
    Report::new(shown, judge::findings(&facts), &secrets)
}
