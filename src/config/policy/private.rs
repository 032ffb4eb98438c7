//! The keys that have no meaning on a private route.

use crate::config::reader::{Item, Section};
use crate::hub::Mode;

/// The keys about sharing, about the replay log and about the connection of a shared stream. They mean nothing on a
/// private route. There each client has an upstream of its own, which gets the client's whole request, and the response
/// passes unchanged to that client only.
const OF_SHARING: [(&str, &[&str]); 5] = [
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
    ("limits", &["per_stream"]),
    ("upstream", &["backoff_min_ms", "backoff_max_ms", "on_close", "hold_secs", "max_event_bytes"]),
];

/// Whether a key of a table of a route has a meaning on a private route.
pub(in crate::config) fn is_for_private(table: &str, key: &str) -> bool {
    !OF_SHARING.iter().any(|(of, keys)| *of == table && keys.contains(&key))
}

/// Reports each key of a route that has no meaning if the route is private. `inherited` is the mode under
/// `[defaults]`. The other keys under `[defaults]` are not checked, because they are for other routes too.
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
            item.fail("has no effect with share.mode = \"private\", because each client has its own upstream");
        }
    }
}
