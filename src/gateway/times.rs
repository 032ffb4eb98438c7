//! The time limits that are the same for connections of HTTP/1 and of HTTP/2, and the clock of pingora's time limits.

use pingora::time::fast_timeout::set_fast_timeout_to_tokio_threshold;
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

/// Makes pingora use the runtime's timers. Its own timers need a thread that wakes 100 times a second from the first
/// request on, also when nothing happens. They still serve times below a second.
pub(super) fn without_a_clock_thread() {
    set_fast_timeout_to_tokio_threshold(Some(Duration::ZERO));
}
