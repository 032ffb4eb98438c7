//! Who may have what: judges the credentials of requests, and asks others where that is needed.
//!
//! ```text
//!   plan ─▶ judge ─┬─ Permitted, Denied
//!                  └─ Asks ─▶ Services ─┬─ Published keys (JWKS)
//!                                       └─ Verdicts of authorisation services ─▶ Rechecks
//! ```

mod answers;
mod judge;
mod permissions;
mod planning;
mod published;
mod services;
#[cfg(test)]
mod tests;
pub(super) mod tickets;
mod using;
mod verdicts;

pub(super) use answers::denied;
pub(super) use judge::{Answers, Knowledge, Question, TicketUse};
pub use permissions::Permissions;
pub(super) use planning::{Admitted, Unpermitted, admit, plan_proxy, plan_ticket};
pub(super) use services::Services;
