//! The time limits that are the same for connections of HTTP/1 and of HTTP/2.

use std::time::Duration;

/// The time for the first request on a connection without a place, which is only told that there is none. It is short,
/// because silent connections must not use up the descriptors. A guest whose request has come waits as long for a place.
pub(super) const WITHOUT_A_PLACE: Duration = Duration::from_secs(1);

/// The time in which a client must take an answer of the gateway itself. Such an answer fits into the buffer of any
/// socket.
pub(super) const ANSWER_TIME: Duration = Duration::from_secs(10);

/// How long the gateway still waits for a request that may be on its way when the gateway stops taking requests. It
/// stops when a drain begins, and on HTTP/2 when it sends a GOAWAY.
pub(super) const LAST_CALL: Duration = Duration::from_secs(1);
