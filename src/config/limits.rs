//! `[server.limits]` and `[routes.limits]`.

use super::reader::Section;
use super::value::{count_to_or_off, word};
use crate::hub::SubscriberLimits;
use std::num::NonZeroUsize;

/// The most clients of a limit. A larger number is probably a mistake.
const MOST_CLIENTS: usize = 1_000_000_000;

/// The most new connections a second. A larger number is probably a mistake.
const MOST_A_SECOND: usize = 1_000_000;

/// `[server.limits]`: what one client address may take, and how clients are refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServerLimits {
    /// The most connections of one client address. `None`: no limit.
    pub per_address: Option<NonZeroUsize>,
    /// The most new connections of one client address in a second. `None`: no limit.
    pub new_per_address: Option<NonZeroUsize>,
    /// How a client is refused for now.
    pub refuse: Refuse,
}

/// How a client that asks for an event stream is refused for now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Refuse {
    /// By an event stream that ends at once and says when to come back. An `EventSource` then comes back.
    #[default]
    Retry,
    /// By the status of an error. An `EventSource` then never comes back.
    Status,
}

pub(super) fn of_server(mut section: Section<'_>) -> ServerLimits {
    let mut limits = ServerLimits::default();
    section.set(&mut limits.per_address, "per_address", count_to_or_off(MOST_CLIENTS));
    section.set(&mut limits.new_per_address, "new_per_address_per_sec", count_to_or_off(MOST_A_SECOND));
    section.set(&mut limits.refuse, "refuse", word(&[("retry", Refuse::Retry), ("status", Refuse::Status)]));
    section.finish();
    limits
}

/// Reads the table over `base`.
pub(super) fn of_route(mut section: Section<'_>, base: SubscriberLimits) -> SubscriberLimits {
    let mut limits = base;
    for (limit, key) in [(&mut limits.subscribers, "subscribers"), (&mut limits.per_stream, "per_stream")] {
        if let Some(count) = section.take(key).and_then(|item| item.converted(count_to_or_off(MOST_CLIENTS))) {
            *limit = count.map(NonZeroUsize::get);
        }
    }
    section.finish();
    limits
}
