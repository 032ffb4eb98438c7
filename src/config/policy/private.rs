//! The keys that say nothing of a private route.

use crate::config::reader::{Item, Section};
use crate::hub::Mode;

/// Keys about what clients share, and about a log of it. Where each client has an upstream of its own, its whole request goes
/// there, and the response passes as it comes and once.
const OF_SHARING: [(&str, &[&str]); 4] = [
    (
        "share",
        &[
            "query",
            "headers",
            "credentials",
            "credential_headers",
            "cookies",
            "trust_origin",
            "linger_secs",
            "max_streams",
        ],
    ),
    ("replay", &["events", "bytes", "age_secs", "ids", "start", "on_gap", "gap_event"]),
    ("client", &["on_lag", "flush_ms"]),
    ("upstream", &["backoff_min_ms", "backoff_max_ms", "on_close", "hold_secs", "max_event_bytes"]),
];

/// Records each key of a route that says nothing if the route is private, which `inherited` is what the defaults say of. What
/// the defaults say is for other routes too.
pub(in crate::config) fn check_private(route: &Section<'_>, inherited: Mode) {
    let table = |name| route.peek(name).filter(|item| item.value().is_table()).as_ref().and_then(Item::section);
    let mode = table("share").and_then(|share| share.peek("mode"));
    let is_private = mode.map_or(inherited == Mode::Private, |mode| mode.str() == Some("private"));
    if !is_private {
        return;
    }
    for (name, keys) in OF_SHARING {
        let Some(table) = table(name) else { continue };
        for item in keys.iter().filter_map(|key| table.peek(key)) {
            item.fail("has no meaning where share.mode is \"private\": each client has an upstream of its own");
        }
    }
}
